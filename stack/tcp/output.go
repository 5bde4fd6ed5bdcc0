package tcp

// transmitter is one call of Output: what the owner gave, and whether it still
// takes segments.
type transmitter struct {
	now  Instant
	max  int // payload of the largest segment or super-segment
	emit func(*Segment) bool
}

// Output runs the timers that have passed and emits all segments that are due at
// now. Payloads are at most the connection's MSS, or, when maxPayload is
// greater, super-segments of at most maxPayload octets with GSOSize set. The
// segment given to emit is reused: emit keeps nothing of it and calls no
// Conn of the same Pool. When emit returns false the segment counts as not sent and Output
// returns; the owner calls again when there is room.
func (c *Conn) Output(now Instant, maxPayload int, emit func(*Segment) bool) {
	c.runTimers(now)
	c.tuneReceive(now)
	c.output(&transmitter{now, maxPayload, emit})
	c.countTimes(now)
}

// output emits what is due.
func (c *Conn) output(t *transmitter) {
	if c.reply.due && !c.sendReset(t) {
		return
	}
	switch c.state {
	case Closed:
		return
	case SynSent, SynReceived:
		c.deferredSyn(t.now)
		if c.synDue && !c.sendSyn(t) || c.openEarly() && !c.sendText(t) {
			return
		}
	case TimeWait, FinWait2:
	default:
		if !c.sendText(t) {
			return
		}
	}
	if c.probeDue && !c.sendWindowProbe(t) || c.keepDue && !c.sendKeepAlive(t) {
		return
	}
	c.sendAcks(t)
}

// put has the owner send s, and counts it.
func (c *Conn) put(t *transmitter, s *Segment) bool {
	n, k := s.DataLen(), uint32(s.Pieces())
	if !t.emit(s) {
		return false
	}
	c.countOut(s)
	c.traffic.segsOut += k
	if n > 0 {
		c.traffic.dataSegsOut += k
		c.traffic.bytesOut += uint64(n)
	}
	return true
}

// segment returns the pool's scratch segment with the fields that every segment
// of this connection shares.
func (c *Conn) segment(t *transmitter, flags Flags, seq Seq) *Segment {
	s := &c.pool.seg
	*s = Segment{SrcPort: c.local.Port(), DstPort: c.remote.Port(), Flags: flags, Seq: seq}
	if c.urging() && flags&SYN == 0 {
		c.point(s)
	}
	if c.timestamps {
		s.Options.HasTimestamps = true
		s.Options.TSVal = c.tsNow(t.now)
	}
	return s
}

// withAck completes s with acknowledgment, window, timestamp echo and SACK
// blocks.
func (c *Conn) withAck(s *Segment) (edge Seq) {
	s.Flags |= ACK
	s.Ack = c.rcvNxt
	if c.timestamps {
		s.Options.TSEcr = c.tsRecent
		if c.tsEcho != 0 {
			s.Options.TSEcr = c.tsEcho
		}
	}
	s.Window, edge = c.window()
	if c.ecn.echo {
		s.Flags |= ECE
	}
	if c.sack {
		c.fillSACK(&s.Options)
	}
	return edge
}

// acknowledged takes note that a segment with our latest acknowledgment and
// window has been emitted.
func (c *Conn) acknowledged(edge Seq) {
	c.rcvAdv = maxSeq(c.rcvAdv, edge)
	c.lastAckSent = c.rcvNxt
	c.ackDue, c.ackAt, c.rcvUnacked, c.hasDSACK, c.tsEcho = 0, 0, 0, false, 0
}

// sendReset emits the reset that waits, with timestamps where they were agreed on
// (RFC 7323 §3.2).
func (c *Conn) sendReset(t *transmitter) bool {
	s := &c.pool.seg
	*s = Segment{SrcPort: c.local.Port(), DstPort: c.remote.Port(),
		Flags: c.reply.flags, Seq: c.reply.seq, Ack: c.reply.ack}
	if c.timestamps && c.reply.agreed {
		s.Options.HasTimestamps, s.Options.TSVal, s.Options.TSEcr = true, c.tsNow(t.now), c.tsRecent
	}
	if !c.put(t, s) {
		return false
	}
	c.reply.due = false
	return true
}

// sendSyn emits SYN or SYN-ACK. Each retransmission carries the same options as
// the first: the peer may only ever see this one.
func (c *Conn) sendSyn(t *transmitter) bool {
	s := c.segment(t, SYN, c.iss)
	o := &s.Options
	o.MSS = c.maxMSS
	o.SACKPermitted = c.sack
	o.HasWindowScale, o.WindowScale = c.scaling, c.rcvScale
	s.Window = uint16(c.synWindow())
	c.ecnSyn(s)
	n := c.fastOpenSyn(s)
	if c.state == SynReceived {
		s.Flags |= ACK
		s.Ack = c.rcvNxt
		if c.timestamps {
			o.TSEcr = c.tsRecent
		}
	}
	took := c.put(t, s)
	clear(s.Data)
	if !took {
		return false
	}
	if n > 0 {
		c.fast.result.Tried = true
	}
	if c.state == SynReceived {
		c.rcvAdv = maxSeq(c.rcvAdv, c.rcvNxt.Add(int(s.Window)))
	} else {
		c.rcvAdv = Seq(s.Window)
	}
	if c.sndMax != c.iss {
		c.retransmits++
		c.synAgain = true
	} else {
		c.timeSegment(t.now, c.iss.Add(1))
	}
	if c.state == SynSent || c.sndNxt == c.iss {
		c.sndNxt = c.iss.Add(1 + n)
	}
	c.sndMax = maxSeq(c.sndMax, c.sndNxt)
	c.synDue, c.ackDue = false, 0
	c.armRetransmit(t.now)
	return true
}

// sendAcks emits what acknowledgments and window updates remain when nothing
// else carried them.
func (c *Conn) sendAcks(t *transmitter) {
	if c.state == SynSent || (c.state == SynReceived && c.synDue) {
		c.ackDue = 0
		return
	}
	if c.ackDue == 0 && c.windowUpdateDue() {
		c.ackDue = 1
	}
	for n := c.ackDue; n > 0 && c.state != Closed; n-- {
		s := c.segment(t, ACK, c.ackSeq())
		edge := c.withAck(s)
		if !c.put(t, s) {
			c.ackDue = n
			return
		}
		c.acknowledged(edge)
	}
}

// ackSeq returns the sequence number of an empty segment: SND.NXT, or the right
// edge of the peer's window when that has moved left of it. A peer that drops
// text for lack of memory and shrinks its window would drop an acknowledgment
// from beyond it too, and then lack the acknowledgment of its own text.
//
// An edge that is short of SND.NXT by less than the unit of the peer's window
// scale has not moved, it was rounded (RFC 7323 §2.3): the peer may have taken
// all up to SND.NXT, and what lies before that is old to it.
func (c *Conn) ackSeq() Seq {
	edge := c.sndEdge()
	if c.sndNxt.Sub(edge) < 1<<c.sndScale {
		return c.sndNxt
	}
	return edge
}

// sendWindowProbe emits one octet beyond the window, or the FIN when no text is
// left (RFC 9293 §3.8.6.1, MUST-36). SND.NXT stays: the octet goes again with
// its successors when the window opens, and if it was taken the
// acknowledgment says so. When there is a window, only too small to be worth
// it, this is the override timeout of §3.8.6.2.1: what fits is sent.
func (c *Conn) sendWindowProbe(t *transmitter) bool {
	text := c.sndq.end().Sub(c.sndNxt)
	if usable := c.sndEdge().Sub(c.sndNxt); usable > 0 && text > 0 {
		c.stopPersist()
		mss, _ := c.segLimit(t)
		n := min(text, usable, mss)
		return c.sendNext(t, n, n == text, false, mss)
	}
	n, flags := 1, PSH
	if text <= 0 {
		n, flags = 0, FIN
	}
	if _, ok := c.emitPart(t, c.sndNxt, n, flags); !ok {
		return false
	}
	c.sndMax = maxSeq(c.sndMax, c.sndNxt.Add(1))
	c.pool.Counters.WindowProbes++
	c.probeDue = false
	c.backoff = min(c.backoff+1, maxBackoff)
	for c.backoff > 0 && c.rto() > c.userTimeout.duration()/2 {
		c.backoff-- // a peer that lives is asked before the user timeout ends
	}
	c.armRetransmit(t.now)
	return true
}

// sendKeepAlive emits a probe: no text, one number before what the peer expects
// (RFC 9293 §3.8.4).
func (c *Conn) sendKeepAlive(t *transmitter) bool {
	s := c.segment(t, ACK, c.sndNxt.Add(-1))
	edge := c.withAck(s)
	if !c.put(t, s) {
		return false
	}
	c.acknowledged(edge)
	c.pool.Counters.KeepAliveProbes++
	c.keepDue = false
	c.keepProbes++
	return true
}
