package tcp

// ack is the fifth step of RFC 9293 §3.10.7.4 in the synchronized states, and
// reports whether the segment goes on.
func (c *Conn) ack(now Instant, seg *Segment) bool {
	// RFC 5961 §5.2: an acknowledgment older than the largest window, or of
	// something not yet sent, is a stray or a forgery.
	if seg.Ack.Before(c.sndUna.Add(-c.sndMaxWnd)) || seg.Ack.After(c.sndMax) {
		c.challenge(now)
		return false
	}
	wnd := int(seg.Window) << c.sndScale
	fresh := 0
	if c.sack && seg.Options.NSACK > 0 {
		fresh = c.updateBoard(seg)
	}
	c.tailProbeAcked(now, seg)
	switch {
	case seg.Ack.After(c.sndUna):
		c.acked(now, seg)
	case seg.Ack == c.sndUna && c.isDuplicate(seg, wnd, fresh):
		c.duplicateAck(now)
	}
	c.updateSendWindow(now, seg, wnd)
	return true
}

// isDuplicate tells a duplicate acknowledgment: with SACK one that reports
// octets for the first time (RFC 6675 §2), else by the definition of RFC 5681
// §2.
func (c *Conn) isDuplicate(seg *Segment, wnd, fresh int) bool {
	if c.sack {
		return fresh > 0
	}
	return c.flight() > 0 && seg.Len() == 0 && wnd == c.sndWnd && wnd > 0
}

// updateSendWindow takes the window of the newest segment: "to prevent old
// segments from updating the window" it compares SND.WL1 and SND.WL2.
func (c *Conn) updateSendWindow(now Instant, seg *Segment, wnd int) {
	if seg.Ack.Before(c.sndUna) ||
		!(c.sndWL1.Before(seg.Seq) || c.sndWL1 == seg.Seq && c.sndWL2.BeforeEq(seg.Ack)) {
		return
	}
	c.sndWL1, c.sndWL2 = seg.Seq, seg.Ack
	opened := wnd > 0 && c.sndWnd == 0
	c.sndWnd, c.sndMaxWnd = wnd, max(c.sndMaxWnd, wnd)
	switch {
	case c.persist && wnd == 0:
		// The answer to a probe: the peer lives, so the probing goes on
		// without end (RFC 9293 §3.8.6.1, MUST-37).
		c.progressAt = now
	case opened && c.persist:
		c.stopPersist()
	case opened && c.flight() > 0:
		// The window had closed over data in flight: they were dropped there,
		// and what timed out says nothing about the path.
		c.backoff = 0
		c.resend(now)
	}
}

// acked advances SND.UNA (first arm of the fifth step) and everything that
// hangs on it.
func (c *Conn) acked(now Instant, seg *Segment) {
	n := seg.Ack.Sub(c.sndUna)
	c.rttFromAck(now, seg)
	c.sndUna = seg.Ack
	c.sndNxt = maxSeq(c.sndNxt, c.sndUna)
	c.highRxt = maxSeq(c.highRxt, c.sndUna)
	c.sndq.advance(c.pool, c.sndUna)
	c.board.trim(c.sndUna)
	c.progressAt, c.ackedNew = now, true
	c.rtxHead = false
	if c.persist {
		c.stopPersist()
	}
	c.recoveryAcked(now, n)
	// RFC 6298 §5.2 and §5.3.
	if c.flight() == 0 {
		c.rtxAt = 0
		c.armKeepAlive(now)
	} else {
		c.armRetransmit(now)
	}
	c.armTailProbe(now)
}
