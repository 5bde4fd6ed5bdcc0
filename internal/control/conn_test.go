package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// buffer is a stream whose input is fixed and whose output is kept.
type buffer struct {
	io.Reader
	bytes.Buffer
}

func (b *buffer) Read(p []byte) (int, error) { return b.Reader.Read(p) }
func (b *buffer) Close() error               { return nil }

func TestReceiveSkipsAndCountsBadLines(t *testing.T) {
	long := `{"type":"log","log":{"text":"` + strings.Repeat("x", MaxLine) + `"}}`
	in := strings.Join([]string{
		`{"type":"stop"}`,
		`{"type":"stop"`, // cut
		`hello`,
		`[1,2]`,
		``,
		long,
		long + long,
		`{"type":"resumed","resumed":{"seed":"00"}}`, // of a newer peer
		`{"type":"ready"}`,
		`{"type":"fatal","fatal":{"message":"no disk","remedy":"attach one"},"more":1}`,
		`{"type":"ping","id":7}`,
	}, "\n") + "\n" + `{"type":"ping"}` // the stream ends within a line
	c := NewConn(&buffer{Reader: strings.NewReader(in)})
	var got []Message
	for {
		m, err := c.Receive()
		if err != nil {
			if err != io.EOF {
				t.Error(err)
			}
			break
		}
		got = append(got, m)
	}
	if len(got) != 3 || got[0].Type != TypeStop || got[1].Fatal == nil || got[1].Fatal.Remedy != "attach one" || got[2].ID != 7 {
		t.Errorf("messages: %+v", got)
	}
	if n, want := c.Counters(), (Counters{Messages: 3, TooLong: 2, Malformed: 3, UnknownType: 1, NoBody: 1}); n != want {
		t.Errorf("counters %+v, want %+v", n, want)
	}
}

func TestSendRefusesWhatCannotBeRead(t *testing.T) {
	b := &buffer{Reader: strings.NewReader("")}
	c := NewConn(b)
	for name, k := range map[string]struct {
		m    Message
		want error
	}{
		"too long":     {Message{Type: TypeLog, Log: &Log{Text: strings.Repeat("x", MaxLine)}}, ErrLineTooLong},
		"no body":      {Message{Type: TypeReady}, ErrNoBody},
		"unknown type": {Message{Type: "nonsense"}, ErrUnknownType},
	} {
		if err := c.Send(k.m); !errors.Is(err, k.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if b.Len() != 0 {
		t.Errorf("octets went out: %.40q", b.String())
	}
	if err := c.Send(Message{Type: TypeLog, Log: &Log{Text: "two\nlines"}}); err != nil || strings.Count(b.String(), "\n") != 1 {
		t.Errorf("a message with a newline: %q %v", b.String(), err)
	}
}

func FuzzParse(f *testing.F) {
	for _, m := range []Message{
		{Type: TypeHello, Hello: &Hello{Protocol: Protocol, Version: "v1", Time: time.Unix(1, 2)}},
		{Type: TypeReady, Ready: &Ready{Addresses: []string{"10.0.2.15/24"}, URLs: map[string]string{"site": "http://x/"}}},
		{Type: TypeExport, ID: 3, Export: &Export{What: "bundle"}},
		{Type: TypeGive, Give: &Give{Name: "token", Text: "secret"}},
	} {
		b, err := m.Append(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		m, err := Parse(line)
		if err != nil {
			return
		}
		// What was accepted can be said again and means the same.
		b, err := m.Append(nil)
		if errors.Is(err, ErrLineTooLong) {
			return // escaping may lengthen it
		} else if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		again, err := Parse(bytes.TrimSuffix(b, []byte("\n")))
		if err != nil {
			t.Fatalf("%q: %v", b, err)
		}
		x, _ := json.Marshal(m)
		y, _ := json.Marshal(again)
		if !bytes.Equal(x, y) {
			t.Errorf("%s became %s", x, y)
		}
	})
}

func FuzzReceive(f *testing.F) {
	f.Add([]byte("{\"type\":\"stop\"}\nx\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		c := NewConn(&buffer{Reader: bytes.NewReader(in)})
		for {
			if _, err := c.Receive(); err != nil {
				break
			}
		}
		n := c.Counters()
		if sum := n.Messages + n.TooLong + n.Malformed + n.UnknownType + n.NoBody; sum > uint64(bytes.Count(in, []byte("\n"))) {
			t.Errorf("%+v of %d lines", n, bytes.Count(in, []byte("\n")))
		}
	})
}

// short takes so many octets of the next Write, and all of those after it.
type short struct {
	buffer
	room int
}

func (s *short) Write(p []byte) (int, error) {
	n := min(len(p), s.room)
	s.room = MaxLine
	s.buffer.Write(p[:n])
	if n < len(p) {
		return n, io.ErrShortWrite
	}
	return n, nil
}

// What a deadline cuts off does not spoil what comes after it.
func TestSendAfterCutLine(t *testing.T) {
	first := Message{Type: TypePing, ID: 1}
	line, err := first.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	for room := range len(line) {
		s := &short{room: room}
		c := NewConn(s)
		if err := c.Send(Message{Type: TypePing, ID: 1}); err == nil {
			t.Fatal("taken whole")
		}
		if err := c.Send(Message{Type: TypePing, ID: 2}); err != nil {
			t.Fatal(err)
		}
		if m, err := NewConn(&buffer{Reader: &s.Buffer}).Receive(); err != nil || m.ID != 2 {
			t.Errorf("after %d octets: %+v %v", room, m, err)
		}
	}
}
