package tcp

// urgent is the state of the urgent mechanism (RFC 9293 §3.8.5, RFC 6093). The
// pointer stands for the number behind the urgent text, on the wire and here.
// The BSD face calls the last urgent octet out of band, and the place before it
// the mark.
type urgent struct {
	sending bool // sndUp is ahead of SND.UNA
	sndUp   Seq  // SND.UP

	ahead bool // rcvUp is ahead of what the user has read
	news  bool // and the user was not told
	taken bool // ReadUrgent has returned the octet
	kept  bool // octet is valid: Read has gone beyond it
	octet byte
	rcvUp Seq // RCV.UP
}

// WriteUrgent is Write, and tells the peer at once that urgent text ends with
// the last octet written, even when its window keeps the text itself back
// (RFC 9293 §3.8.5, MUST-30 and MUST-31: text of any length).
func (c *Conn) WriteUrgent(p []byte) (int, error) {
	n, err := c.Write(p)
	if n > 0 {
		u := c.urgentState()
		u.sending, u.sndUp = true, c.sndq.end()
		if c.state.Synchronized() {
			c.ackDue = max(c.ackDue, 1)
		}
	}
	return n, err
}

// SetUrgentInline says whether the last urgent octet is part of what Read
// returns (true, as it is from the start and as RFC 6093 §5 advises), or only of
// ReadUrgent (SO_OOBINLINE off).
func (c *Conn) SetUrgentInline(on bool) { c.urgentApart = !on }

// UrgentNews reports, once, that the peer has announced urgent text, or more of
// it than before (RFC 9293 §3.8.5, MUST-32). The owner asks after Input.
func (c *Conn) UrgentNews() bool {
	if c.urg == nil || !c.urg.news {
		return false
	}
	c.urg.news = false
	return true
}

// Urgent returns how many octets, read from here, lead to the end of the urgent
// text; zero means that none is ahead (RFC 9293 §3.8.5, MUST-33). They may not
// have arrived yet.
func (c *Conn) Urgent() int {
	if c.urg == nil || !c.urg.ahead {
		return 0
	}
	return max(0, c.urg.rcvUp.Sub(c.rcvq.rd))
}

// AtMark reports whether the last urgent octet is the next one (SIOCATMARK).
// Read never goes across the mark in one call.
func (c *Conn) AtMark() bool { return c.Urgent() == 1 }

// ReadUrgent returns the last urgent octet (MSG_OOB): ErrWouldBlock when it is
// announced and has not arrived, ErrNoUrgent when there is none, when it was
// read already, and when urgent text is inline. peek leaves it.
func (c *Conn) ReadUrgent(peek bool) (byte, error) {
	u := c.urg
	if u == nil || !c.urgentApart || u.taken || !u.ahead && !u.kept {
		return 0, ErrNoUrgent
	}
	b := u.octet
	if !u.kept {
		mark := u.rcvUp.Add(-1)
		if !mark.Before(c.rcvq.nxt()) {
			if c.err != nil {
				return 0, c.err
			}
			return 0, ErrWouldBlock
		}
		b = c.rcvq.at(mark)
	}
	u.taken = !peek
	return b, nil
}

func (c *Conn) urgentState() *urgent {
	if c.urg == nil {
		c.urg = new(urgent)
	}
	return c.urg
}

// arriveUrgent is the sixth step of RFC 9293 §3.10.7.4: RCV.UP goes up, never
// down.
func (c *Conn) arriveUrgent(seg *Segment) {
	if seg.Flags&URG == 0 || c.orphan {
		return
	}
	up := seg.Seq.Add(int(seg.Urgent))
	if !up.After(c.rcvq.rd) || c.urg != nil && c.urg.ahead && !up.After(c.urg.rcvUp) {
		return
	}
	if c.urg != nil && c.urg.kept && up == c.urg.rcvUp {
		return // a copy of the segment whose octet was read
	}
	u := c.urgentState()
	u.ahead, u.news, u.taken, u.kept, u.rcvUp = true, true, false, false, up
}

// toMark returns how much of p a Read may fill, and takes the urgent octet out
// of the stream when it is next and is not to be there.
func (c *Conn) toMark(p []byte) []byte {
	u := c.urg
	if u == nil || !u.ahead {
		return p
	}
	switch left := u.rcvUp.Sub(c.rcvq.rd); {
	case left > 1:
		return p[:min(len(p), left-1)]
	case left == 1 && c.rcvq.n > 0:
		u.ahead = false
		if c.urgentApart {
			u.kept, u.octet = true, c.rcvq.at(c.rcvq.rd)
			c.rcvq.consume(c.pool, 1)
		}
	case left < 1:
		u.ahead = false
	}
	return p
}

// ahead returns where in the queue that which follows the next n octets begins, and
// how many octets a Read would give there: it stops at the mark, and leaves the
// urgent octet out that is kept apart.
func (c *Conn) ahead(n int) (from, octets int) {
	u := c.urg
	if u == nil || !u.ahead {
		return n, c.rcvq.n - n
	}
	switch mark := u.rcvUp.Sub(c.rcvq.rd) - 1; {
	case mark > 0:
		return n, min(c.rcvq.n, mark) - n
	case mark == 0 && c.urgentApart:
		n++
	}
	return n, c.rcvq.n - n
}

// UrgentUnread reports whether urgent text is ahead whose last octet ReadUrgent has
// not returned (POLLPRI).
func (c *Conn) UrgentUnread() bool { return c.Urgent() > 0 && !c.urg.taken }

// point marks a segment that is sent before the end of urgent text. A pointer
// that does not fit says as much as it can.
func (c *Conn) point(s *Segment) {
	if left := c.urg.sndUp.Sub(s.Seq); left > 0 {
		s.Flags |= URG
		s.Urgent = uint16(min(left, 65535))
	}
}

// urging reports whether urgent text waits for its acknowledgment.
func (c *Conn) urging() bool { return c.urg != nil && c.urg.sending }
