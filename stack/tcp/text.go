package tcp

// maxAcksDue bounds the acknowledgments that one Output emits for segments that
// arrived out of order.
const maxAcksDue = 8

// text is the seventh step of RFC 9293 §3.10.7.4: the segment's text within
// the window goes to the receive queue.
func (c *Conn) text(now Instant, seg *Segment) {
	p, seq := seg.Payload, seg.Seq
	if len(p) == 0 || c.state == Closed {
		return
	}
	if (c.orphan || c.noReader && c.closing) && seq.Add(len(p)).After(c.rcvNxt) {
		c.pool.Counters.LateText++
		// §3.6.1: nobody will ever read it; the peer must know. The reset has
		// the number that the peer waits for, which a FIN under way may have
		// passed: another one would only be challenged (RFC 5961 §3.2).
		err := ErrAborted
		if !c.orphan {
			err = ErrReset // the user is still there, and learns of it as on Linux
		}
		c.end(err)
		if r, ok := ResetFor(seg); ok {
			c.reply = resetReply{true, false, r.Flags, r.Seq, r.Ack}
		}
		return
	}
	due := c.ackDue
	// What is there already is reported (RFC 2883 §4) and cut off.
	old := c.rcvNxt.Sub(seq)
	if old > 0 {
		c.pool.Counters.TextRepeated++
		dup := min(old, len(p))
		c.reportDuplicate(seq, seq.Add(dup))
		c.ackDue = max(c.ackDue, 1)
		c.hurry()
		p, seq = p[dup:], seq.Add(dup)
	}
	// What lies beyond the window is cut off, and with it what lies beyond
	// the peer's own FIN.
	edge := c.rcvAdv
	if c.finReceived {
		edge = minSeq(edge, c.rcvFin)
	}
	if over := seq.Add(len(p)).Sub(edge); over > 0 {
		c.pool.Counters.TextBeyond++
		p = p[:max(0, len(p)-over)]
		c.ackDue = max(c.ackDue, 1) // a window probe wants its answer
	}
	if len(p) == 0 {
		if old <= 0 && seq == c.rcvNxt {
			c.ecnText(seg) // a window probe (RFC 3168 §6.1.6)
		}
		return
	}
	if n := min(len(p), c.mostText()); n > int(c.rcvMSS) {
		c.rcvMSS = uint16(n)
	}
	if p = c.affordable(seq, p); len(p) == 0 {
		return
	}
	c.ecnText(seg)
	inOrder, gaps := seq == c.rcvNxt, !c.rcvq.early.empty()
	if c.sack && old <= 0 {
		c.reportOverlap(seq, seq.Add(len(p)))
	}
	if !c.rcvq.insert(c.pool, seq, p) {
		c.pool.Counters.TextScattered++
		c.ackDue = max(c.ackDue, 1)
		return
	}
	c.rcvUnacked += int32(c.rcvq.nxt().Sub(c.rcvNxt))
	c.traffic.bytesIn += uint64(c.rcvq.nxt().Sub(c.rcvNxt))
	switch {
	case !inOrder:
		c.hurry()
	case c.opensRun(now, seg, len(p)):
		c.quickAcks = max(c.quickAcks, quickAckRun)
	}
	c.lastText = now
	c.rcvNxt = c.rcvq.nxt()
	if inOrder {
		c.seeRTT(now, seg)
	}
	c.scheduleAck(now, inOrder, gaps, due)
}

// scheduleAck decides when the text that just came is acknowledged: at once
// when it is out of order or fills a gap (RFC 5681 §4.2), at once for every
// second full segment, and for each while the peer waits for them (quickack.go),
// else within the delay (RFC 9293 §3.8.6.3). A peer without SACK counts
// acknowledgments, so each early segment gets its own, one more than were due
// before it.
func (c *Conn) scheduleAck(now Instant, inOrder, gaps bool, due uint8) {
	quick := inOrder && !gaps && c.countQuickAck()
	switch {
	case !inOrder && !c.sack:
		c.ackDue = min(due+1, maxAcksDue)
	case !inOrder || gaps, c.rcvUnacked >= 2*int32(c.rcvMSS), quick:
		c.ackDue = max(c.ackDue, 1)
	case c.ackAt == 0:
		c.ackAt = now.Add(c.ackDelay.duration())
	}
}

// fin is the eighth step of RFC 9293 §3.10.7.4. A FIN that comes before the
// text in front of it waits.
func (c *Conn) fin(now Instant, seg *Segment) {
	if c.state == Closed {
		return
	}
	if seg.Flags&FIN != 0 && !c.finReceived {
		// It is accepted in the window, or right behind it with no text in
		// front (closed window).
		at := seg.Seq.Add(len(seg.Payload))
		if at.BeforeEq(c.rcvAdv) && at.AfterEq(c.rcvq.nxt()) && (c.rcvq.early.empty() || at.AfterEq(c.rcvq.early.max())) {
			c.finReceived, c.rcvFin = true, at
			c.ackDue = max(c.ackDue, 1)
		}
	}
	if !c.finReceived || c.rcvNxt != c.rcvFin {
		return
	}
	// "Advance RCV.NXT over the FIN, and send an acknowledgment for the FIN."
	c.rcvNxt = c.rcvNxt.Add(1)
	c.ackDue = max(c.ackDue, 1)
	switch c.state {
	case Established:
		c.setState(now, CloseWait)
	case FinWait1:
		c.setState(now, Closing)
	case FinWait2:
		c.setState(now, TimeWait)
	}
}

// reportDuplicate remembers [start, end) for the next acknowledgment as a
// duplicate (RFC 2883).
func (c *Conn) reportDuplicate(start, end Seq) {
	if c.sack {
		c.hasDSACK, c.dsack = true, SACKBlock{start, end}
	}
}

// reportOverlap reports the first part of [start, end) that the out-of-order
// queue holds already (RFC 2883 §4.2).
func (c *Conn) reportOverlap(start, end Seq) {
	for _, s := range c.rcvq.early.s {
		if a, b := maxSeq(start, s.start), minSeq(end, s.end); a.Before(b) {
			c.reportDuplicate(a, b)
			return
		}
	}
}

// mostText returns how many octets of text a segment of the peer's carries at most:
// a super-segment is cut into such ones.
func (c *Conn) mostText() int {
	if c.timestamps {
		return int(c.maxMSS) - timestampsLen
	}
	return int(c.maxMSS)
}
