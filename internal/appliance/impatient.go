package appliance

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"

	"arpeggio/stack"
)

// stallLimit is how long a client may take no data, and how long it may take to
// send a request: one that stalls for ever must not hold its connection for ever.
const stallLimit = time.Minute

// impatient is a listener whose connections fail a Write that does not end
// within stallLimit. http.Server's WriteTimeout would bound the whole answer,
// however large, instead.
type impatient struct{ *stack.TCPListener }

// Accept implements net.Listener.
func (l impatient) Accept() (net.Conn, error) {
	c, err := l.AcceptTCP()
	if err != nil {
		return nil, err
	}
	return &impatientConn{TCPConn: c}, nil
}

// impatientConn keeps the other methods of a TCPConn: net/http looks for
// CloseWrite.
type impatientConn struct {
	*stack.TCPConn
	bound atomic.Bool // by the handler, with a write deadline of its own
}

// SetWriteDeadline implements net.Conn.
func (c *impatientConn) SetWriteDeadline(t time.Time) error {
	c.bound.Store(!t.IsZero())
	return c.TCPConn.SetWriteDeadline(t)
}

// Write implements net.Conn.
func (c *impatientConn) Write(p []byte) (int, error) {
	if !c.bound.Load() {
		if err := c.TCPConn.SetWriteDeadline(time.Now().Add(stallLimit)); err != nil {
			return 0, err
		}
	}
	n, err := c.TCPConn.Write(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		// What is queued would wait for the reader when the handler has gone.
		_ = c.SetLinger(0) // fails when it is closed already
	}
	return n, err
}
