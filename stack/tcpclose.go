package stack

import (
	"time"

	"arpeggio/stack/tcp"
)

// Close implements net.Conn: what is queued is still sent, unless SetLinger(0)
// was called or received data are unread, be it after CloseRead; then the
// connection is reset.
func (c *TCPConn) Close() error {
	s := c.s
	s.mu.Lock()
	if c.closed {
		s.mu.Unlock()
		return c.wrap("close", errClosed)
	}
	c.closed = true
	now := s.now()
	if c.linger == 0 {
		c.m.Abort(now)
	} else {
		c.m.Close(now)
	}
	if c.linger < 0 {
		s.orphaned(c)
	}
	c.rd.stop()
	c.wr.stop()
	c.changed()
	s.unlock(now)
	if c.linger > 0 {
		c.drain()
	}
	return nil
}

// drain waits until the peer has acknowledged everything, the FIN included, or
// the linger time is over.
func (c *TCPConn) drain() {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	c.wr.set(time.Now().Add(c.linger))
	for c.wr.check() == nil && !c.dead {
		if st := c.m.State(); st == tcp.FinWait2 || st == tcp.TimeWait || st == tcp.Closed {
			break
		}
		c.wr.wait()
	}
	c.wr.stop()
	s.orphaned(c)
}

// tell notes that the user learns what ended the connection, and reports whether
// Read or Write has said so before: the kernel says it once, and then that the
// connection is at its end.
func (c *TCPConn) tell() (before bool) {
	before = c.told
	c.told = true
	return before
}

// control runs f, the engine's part of an operation, unless c is closed.
func (c *TCPConn) control(op string, f func(now tcp.Instant)) error {
	s := c.s
	s.mu.Lock()
	if c.closed {
		s.mu.Unlock()
		return c.wrap(op, errClosed)
	}
	now := s.now()
	f(now)
	c.changed()
	s.unlock(now)
	return nil
}

// CloseWrite sends FIN after all queued data; reading goes on.
func (c *TCPConn) CloseWrite() error {
	return c.shutdown(func(now tcp.Instant) { c.m.CloseWrite(now) })
}

// CloseRead has Read wait for nothing any more, as net.TCPConn's does on Linux: it
// returns what has arrived, and io.EOF when that is read. The peer is not told. What
// it sends later can be read, too, and fills the read buffer otherwise; after
// CloseWrite it resets the connection.
func (c *TCPConn) CloseRead() error {
	return c.shutdown(func(tcp.Instant) { c.m.CloseRead(); c.rd.wake() })
}

// shutdown is control for one direction; it fails with ENOTCONN when the connection
// has ended.
func (c *TCPConn) shutdown(f func(now tcp.Instant)) error {
	over := false
	err := c.control("close", func(now tcp.Instant) {
		if over = c.m.State() == tcp.Closed; !over {
			f(now)
		}
	})
	if err == nil && over {
		err = c.wrap("close", called("shutdown", errNotConn))
	}
	return err
}

// AbortConns ends all TCP connections at once, those that their users have
// closed and those in TIME-WAIT included, with resets where RFC 9293 §3.10.5 has
// them.
func (s *Stack) AbortConns() {
	s.mu.Lock()
	now := s.now()
	for _, c := range s.conns {
		c.m.Abort(now)
		c.changed()
	}
	s.unlock(now)
}
