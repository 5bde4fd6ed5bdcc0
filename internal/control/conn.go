package control

import (
	"bufio"
	"errors"
	"io"
	"sync"
	"sync/atomic"
)

// Counters counts what a Conn has received.
type Counters struct {
	Messages    uint64 // taken
	TooLong     uint64 // lines of more than MaxLine octets
	Malformed   uint64 // lines that are no JSON message
	UnknownType uint64
	NoBody      uint64
}

// Conn exchanges messages over a stream. Send may be called from any goroutine,
// Receive from one.
type Conn struct {
	rw io.ReadWriteCloser
	r  *bufio.Reader

	mu  sync.Mutex // one line at a time
	buf []byte
	cut bool // the last line went out in part

	messages, tooLong, malformed, unknown, noBody atomic.Uint64
}

// NewConn returns a Conn over rw, which it owns.
func NewConn(rw io.ReadWriteCloser) *Conn {
	return &Conn{rw: rw, r: bufio.NewReaderSize(rw, MaxLine)}
}

// Send writes one message. It blocks while the other side does not read. A line
// that a deadline has cut off is lost, and no other one with it.
func (c *Conn) Send(m Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.buf = c.buf[:0]
	if c.cut {
		c.buf = append(c.buf, "!\n"...) // no good line, though only its end was missing
	}
	b, err := m.Append(c.buf)
	if err != nil {
		return err
	}
	c.buf = b
	n, err := c.rw.Write(b)
	if n > 0 {
		c.cut = n < len(b)
	}
	return err
}

// Receive returns the next good message; bad lines are counted and skipped. The
// error is the stream's: io.EOF when it ended.
func (c *Conn) Receive() (Message, error) {
	for {
		line, err := c.line()
		if err != nil && !errors.Is(err, ErrLineTooLong) {
			return Message{}, err
		}
		var m Message
		if err == nil {
			if len(line) == 0 {
				continue
			}
			m, err = Parse(line)
		}
		switch err {
		case nil:
			c.messages.Add(1)
			return m, nil
		case ErrLineTooLong:
			c.tooLong.Add(1)
		case ErrUnknownType:
			c.unknown.Add(1)
		case ErrNoBody:
			c.noBody.Add(1)
		default:
			c.malformed.Add(1)
		}
	}
}

// line reads up to a newline and returns what is before it. The rest of a line
// that is too long is thrown away.
func (c *Conn) line() ([]byte, error) {
	line, err := c.r.ReadSlice('\n')
	if err == nil {
		return line[:len(line)-1], nil
	}
	if !errors.Is(err, bufio.ErrBufferFull) {
		return nil, err
	}
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = c.r.ReadSlice('\n')
	}
	if err != nil {
		return nil, err
	}
	return nil, ErrLineTooLong
}

// Counters returns a snapshot of the counters.
func (c *Conn) Counters() Counters {
	return Counters{
		Messages:    c.messages.Load(),
		TooLong:     c.tooLong.Load(),
		Malformed:   c.malformed.Load(),
		UnknownType: c.unknown.Load(),
		NoBody:      c.noBody.Load(),
	}
}

// Close closes the stream; a pending Receive returns an error.
func (c *Conn) Close() error { return c.rw.Close() }
