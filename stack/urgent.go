package stack

import "arpeggio/stack/tcp"

// WriteUrgent is Write, and has the peer told at once that urgent data end with
// the last octet of p (MSG_OOB; RFC 9293 §3.8.5). RFC 6093 §5 advises against
// new uses.
func (c *TCPConn) WriteUrgent(p []byte) (int, error) { return c.write(p, c.m.WriteUrgent) }

// ReadUrgent returns the last urgent octet and never waits (MSG_OOB): EAGAIN
// when it is announced and has not arrived, EINVAL when there is none, when it
// was read, and unless SetUrgentInline(false) keeps it apart.
func (c *TCPConn) ReadUrgent() (byte, error) { return c.readUrgent(false) }

// PeekUrgent is ReadUrgent that leaves the octet to be read once more.
func (c *TCPConn) PeekUrgent() (byte, error) { return c.readUrgent(true) }

func (c *TCPConn) readUrgent(peek bool) (byte, error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.closed {
		return 0, c.wrap("read", errClosed)
	}
	b, err := c.m.ReadUrgent(peek)
	if err == tcp.ErrWouldBlock {
		err = errAgain
	}
	return b, c.fail("read", err)
}

// SetUrgentInline says whether the last urgent octet stays in the stream (true,
// as it is from the start; SO_OOBINLINE) or is for ReadUrgent alone.
func (c *TCPConn) SetUrgentInline(on bool) error {
	return c.control("set", func(tcp.Instant) { c.m.SetUrgentInline(on) })
}

// Urgent returns how many octets lead from the next one that Read gives to the
// end of the urgent data; zero means that none are ahead.
func (c *TCPConn) Urgent() int {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return c.m.Urgent()
}

// AtMark reports whether the last urgent octet is the next one (SIOCATMARK). Read
// never goes across the mark in one call.
func (c *TCPConn) AtMark() bool {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return c.m.AtMark()
}

// NotifyUrgent has ch sent to whenever the peer announces urgent data, or more of
// them (RFC 9293 §3.8.5, MUST-32). Nobody waits for a receiver: give it room for
// one. Nil ends it.
func (c *TCPConn) NotifyUrgent(ch chan<- struct{}) error {
	return c.control("set", func(tcp.Instant) { c.urgent = ch })
}

// announce tells the user of urgent data.
func (c *TCPConn) announce() {
	if c.m.UrgentNews() {
		tell(c.urgent)
	}
}
