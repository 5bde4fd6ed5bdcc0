package tracecheck

import "arpeggio/stack/tcp"

// send judges a segment that the host sends.
func (c *Checker) send(s *tcp.Segment) {
	f := s.Flags & (tcp.SYN | tcp.FIN | tcp.RST)
	if f&(f-1) != 0 {
		c.fail(Flags, "[%v]", s.Flags)
	}
	switch {
	case s.Flags&tcp.RST != 0:
		c.sendReset(s)
		return
	case s.Flags&tcp.SYN != 0:
		if !c.sendSYN(s) {
			return
		}
	case !c.out.open:
		c.fail(NotOpen, "[%v] without a SYN before it", s.Flags)
		return
	case c.dead || c.least.reset:
		c.fail(AfterReset, "[%v]", s.Flags)
		return
	case c.least.over() && c.ackSent > c.least.fin:
		if c.credit == 0 {
			c.fail(AfterClose, "[%v] after the FINs of both sides, and nothing to answer", s.Flags)
			return
		}
		c.credit = len(c.pending)
	default:
		c.credit = len(c.pending)
	}
	if s.Flags&tcp.ACK == 0 {
		if s.Flags&tcp.SYN == 0 {
			c.fail(NoACK, "[%v]", s.Flags)
		}
	} else {
		c.sendAck(s)
	}
	c.checkOptions(s)
	c.checkECN(s)
	c.sendText(s)
}

// sendSYN judges a SYN, and begins a connection with it where one may begin. It
// reports false when the rest makes no sense.
func (c *Checker) sendSYN(s *tcp.Segment) bool {
	answers := s.Flags&tcp.ACK != 0
	if c.out.open && c.out.iss == s.Seq && !c.dead && !c.most.reset {
		if c.least.una > 0 && c.least.nxt > 0 {
			c.fail(LateSYN, "[%v]", s.Flags)
		}
		return true
	}
	if c.out.open && answers && c.newSYN != nil && c.newSYN.seg.Seq.Add(1) == s.Ack {
		n := *c.newSYN
		if !c.ended() && c.most.una > 0 {
			c.fail(SameISS, "a SYN-ACK for another connection")
			return false
		}
		c.forget()
		c.meetSYN(&n)
		c.begin(s)
		c.most.take(&n)
		c.least.take(&n)
		return true
	}
	if c.out.open && !answers && c.ended() {
		c.forget()
	}
	if c.out.open {
		c.fail(SameISS, "%d, not %d", s.Seq, c.out.iss)
		return false
	}
	if answers && (!c.in.open || c.in.iss.Add(1) != s.Ack) {
		c.fail(AckAhead, "a SYN-ACK without a SYN")
		return false
	}
	c.begin(s)
	if answers { // what the listener took before there was a connection
		n := input{at: c.at, clock: c.clock, seg: c.in.syn}
		c.most.take(&n)
		c.least.take(&n)
	}
	return true
}

// begin opens the host's direction.
func (c *Checker) begin(s *tcp.Segment) {
	c.out.open, c.out.iss, c.out.syn = true, s.Seq, *s
	c.out.syn.Payload, c.out.syn.Data = nil, nil
}

// ended reports whether another connection may follow: this one is closed, is
// in TIME-WAIT, or was reset.
func (c *Checker) ended() bool {
	return c.dead || c.most.reset || c.most.over() ||
		c.out.fin >= 0 && c.most.una > c.out.fin // FIN-WAIT-2 ends by itself
}

// sendAck judges acknowledgment and window.
func (c *Checker) sendAck(s *tcp.Segment) {
	ack := c.in.rel(s.Ack, c.most.nxt)
	switch {
	case !c.in.open || ack > c.most.nxt:
		c.fail(AckAhead, "%d, received is up to %d", ack, c.most.nxt)
		return
	case ack < c.ackSent:
		c.fail(AckBack, "%d after %d", ack, c.ackSent)
	case ack < c.least.nxt && !c.cfg.MayDrop:
		c.fail(AckBehind, "%d, received is up to %d", ack, c.least.nxt)
	}
	wnd := int64(s.Window)
	if s.Flags&tcp.SYN == 0 {
		wnd <<= c.scale(&c.out)
	}
	c.checkWindow(s, ack, wnd)
	c.ackSent = max(c.ackSent, ack)
	c.adv = max(c.adv, ack+wnd)
	c.unacked = max(0, c.most.nxt-ack)
	c.checkSACK(s, ack)
	c.debts, c.newest = c.debts[:0], span{}
	c.dups.trim(ack - 1<<20)
}

// checkWindow judges the window that is advertised.
func (c *Checker) checkWindow(s *tcp.Segment, ack, wnd int64) {
	edge, unit := ack+wnd, int64(1)<<c.scale(&c.out)
	if c.ackSent == 0 {
		return // the first one
	}
	// The window of a SYN has no scale, so it may be all that can be said.
	if edge < c.adv-(unit-1) && ack >= c.ackSent && (s.Flags&tcp.SYN == 0 || s.Window < 65535) {
		c.fail(Shrink, "the right edge goes from %d to %d, with a window of %d", c.adv, edge, wnd)
	}
	was := c.adv - ack // what the peer may still send
	worth := int64(c.out.syn.Options.MSS)
	if worth == 0 {
		worth = 536
	}
	// Half of the buffer, for which the first window stands.
	worth = min(worth, int64(c.out.syn.Window)/2)
	if was <= 0 && edge > c.adv && edge-c.adv+unit-1 < worth {
		c.fail(SillyWindow, "a closed window opens by %d", edge-c.adv)
	}
}

// sendReset judges a reset.
func (c *Checker) sendReset(s *tcp.Segment) {
	c.debts = nil
	alive := c.out.open && !c.dead && !c.least.reset
	c.resets--
	if !alive && c.resets < 0 {
		c.fail(ResetUnasked, "no segment waits for it")
		c.resets = 0
	}
	good := false
	for i := len(c.strays) - 1; i >= 0 && !good; i-- {
		x := &c.strays[i]
		if x.flags&tcp.ACK != 0 {
			good = s.Seq == x.ack
		} else {
			good = s.Flags&tcp.ACK != 0 && s.Seq == 0 && s.Ack == x.seq.Add(x.len)
		}
	}
	answer := good
	if alive && !good {
		seq := c.out.rel(s.Seq, c.out.next)
		good = seq >= min(c.least.una, c.out.next) && seq <= c.out.next
		if s.Flags&tcp.ACK != 0 && c.in.open {
			good = good && c.in.rel(s.Ack, c.most.nxt) <= c.most.nxt
		}
	}
	if !good {
		c.fail(ResetNumbers, "seq %d ack %d", s.Seq, s.Ack)
	}
	if alive && (c.synchronized() || !answer) {
		// What arrived before may still be answered, and what comes is.
		c.dead, c.resets = true, len(c.pending)
	}
}
