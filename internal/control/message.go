// Package control is the conversation between the program that started a
// virtual machine and the program that is PID 1 in it: JSON messages, one a
// line, over a virtio-serial port, and bulk data in checked chunks over a
// second one. Both sides import this package; the package that runs QEMU and
// the guest's duties need not know each other.
//
// The guest says hello once, then ready or fatal, then log lines as they come, and
// noted where its frames are recorded, and stopped as its last word. The host sends give, ping, export and stop; the
// guest answers ping with health and export with exported, carrying the request's
// ID. What is given is for the guest's program alone: neither side logs it.
// Messages of an unknown type are counted and skipped, so that either side may
// be newer.
package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Protocol is the version of this conversation that hello carries.
const Protocol = 1

// Names of the two virtio-serial ports.
const (
	PortControl = "arpeggio.control"
	PortExport  = "arpeggio.export"
)

// MaxLine is the longest line in octets, newline included.
const MaxLine = 64 << 10

// Type names a message.
type Type string

// Message types. The first group goes from guest to host.
const (
	TypeHello    Type = "hello"
	TypeReady    Type = "ready"
	TypeFatal    Type = "fatal"
	TypeLog      Type = "log"
	TypeHealth   Type = "health"
	TypeExported Type = "exported"
	TypeNoted    Type = "noted"
	TypeStopped  Type = "stopped"

	TypeGive   Type = "give"
	TypePing   Type = "ping"
	TypeExport Type = "export"
	TypeStop   Type = "stop"
)

// Message is one line. The field named like Type is set and the others are nil;
// ping and stopped have none.
type Message struct {
	Type Type   `json:"type"`
	ID   uint64 `json:"id,omitempty"` // of a request, and of its answer

	Hello    *Hello    `json:"hello,omitempty"`
	Ready    *Ready    `json:"ready,omitempty"`
	Fatal    *Fatal    `json:"fatal,omitempty"`
	Log      *Log      `json:"log,omitempty"`
	Health   *Health   `json:"health,omitempty"`
	Exported *Exported `json:"exported,omitempty"`
	Noted    *Noted    `json:"noted,omitempty"`
	Give     *Give     `json:"give,omitempty"`
	Export   *Export   `json:"export,omitempty"`
	Stop     *Stop     `json:"stop,omitempty"`
}

// Hello is the guest's first message, sent before it touches card or disk.
type Hello struct {
	Protocol int       `json:"protocol"`
	Version  string    `json:"version"` // of the program
	Time     time.Time `json:"time"`    // the guest's clock
}

// Ready says that the guest serves.
type Ready struct {
	Addresses []string          `json:"addresses,omitempty"` // of the card, as prefixes
	URLs      map[string]string `json:"urls,omitempty"`      // by purpose: "site", "management", "git"
	Data      string            `json:"data,omitempty"`      // what the data disk holds, for people
	Uptime    time.Duration     `json:"uptime"`              // since the guest's kernel started, in nanoseconds
}

// Fatal says why the guest gives up, and what a person can do about it.
type Fatal struct {
	Message string `json:"message"`
	Remedy  string `json:"remedy,omitempty"`
}

// Log is one record of the guest's log.
type Log struct {
	Time  time.Time `json:"time"`
	Level string    `json:"level"` // as slog.Level prints it
	Text  string    `json:"text"`
}

// Health answers a ping.
type Health struct {
	Uptime   time.Duration    `json:"uptime"`             // of the program, in nanoseconds
	Memory   uint64           `json:"memory"`             // octets of heap and stacks in use
	Counters map[string]int64 `json:"counters,omitempty"` // whatever the guest wants known
}

// Give hands the guest a text by name, which is on no command line: a secret.
type Give struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// String leaves the text out.
func (g Give) String() string { return fmt.Sprintf("%s (%d octets)", g.Name, len(g.Text)) }

// Export asks for bulk data on the export port.
type Export struct {
	What string            `json:"what"` // such as "bundle"
	Args map[string]string `json:"args,omitempty"`
}

// Exported ends an export that went out whole, or says why it did not.
type Exported struct {
	Size  int64  `json:"size"` // octets sent
	Error string `json:"error,omitempty"`
}

// Noted tells what frames of the guest's card have led to, for whoever records
// them outside.
type Noted struct {
	Uptime time.Duration `json:"uptime"` // of the program, when the line was written, in nanoseconds
	Notes  []Note        `json:"notes,omitempty"`
	Lost   uint64        `json:"lost,omitempty"` // notes that there was no room for since the line before
}

// Note is one thing that a frame has led to. The frame is the one that was
// received with Mark or begins with Frame, or else the next one that is sent with
// one of Flags.
type Note struct {
	Uptime time.Duration `json:"uptime"` // when it happened
	Text   string        `json:"text"`
	Key    string        `json:"key,omitempty"` // the connection
	Mark   uint64        `json:"mark,omitempty"`
	Flags  uint8         `json:"flags,omitempty"`
	Frame  []byte        `json:"frame,omitempty"`
}

// Stop asks the guest to stop in order.
type Stop struct {
	Reason string `json:"reason,omitempty"` // for the guest's log
}

// Reasons for refusing a line.
var (
	ErrLineTooLong = errors.New("control: line is longer than MaxLine")
	ErrMalformed   = errors.New("control: line is not a JSON message")
	ErrUnknownType = errors.New("control: message type is not known")
	ErrNoBody      = errors.New("control: message has not the body its type needs")
)

// Parse reads one message from a line without its newline.
func Parse(line []byte) (Message, error) {
	if len(line) >= MaxLine {
		return Message{}, ErrLineTooLong
	}
	var m Message
	if err := json.Unmarshal(line, &m); err != nil {
		return Message{}, ErrMalformed
	}
	present, known := m.body()
	switch {
	case !known:
		return Message{}, ErrUnknownType
	case !present:
		return Message{}, ErrNoBody
	}
	return m, nil
}

// body reports whether the message's type is known and, if so, whether the
// body it needs is there.
func (m *Message) body() (present, known bool) {
	switch m.Type {
	case TypeHello:
		return m.Hello != nil, true
	case TypeReady:
		return m.Ready != nil, true
	case TypeFatal:
		return m.Fatal != nil, true
	case TypeLog:
		return m.Log != nil, true
	case TypeHealth:
		return m.Health != nil, true
	case TypeExported:
		return m.Exported != nil, true
	case TypeNoted:
		return m.Noted != nil, true
	case TypeGive:
		return m.Give != nil, true
	case TypeExport:
		return m.Export != nil, true
	case TypeStop, TypeStopped, TypePing:
		return true, true
	}
	return false, false
}

// Append appends m as a line, newline included, to b.
func (m *Message) Append(b []byte) ([]byte, error) {
	if present, known := m.body(); !known {
		return b, ErrUnknownType
	} else if !present {
		return b, ErrNoBody
	}
	line, err := json.Marshal(m)
	if err != nil {
		return b, err
	}
	if len(line)+1 > MaxLine {
		return b, ErrLineTooLong
	}
	b = append(b, line...)
	return append(b, '\n'), nil
}
