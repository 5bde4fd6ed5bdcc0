package tcp

// ack is the fifth step of RFC 9293 §3.10.7.4 in the synchronized states, and
// reports whether the segment goes on.
func (c *Conn) ack(now Instant, seg *Segment) bool {
	if !c.ackAcceptable(seg) {
		c.pool.Counters.BadAcks++
		c.challenge(now)
		return false
	}
	wnd := int(seg.Window) << c.sndScale
	flight := c.flight()
	d := delivery{fack: c.rack.fack, echo: c.ecn.ok && seg.Flags&ECE != 0, answers: seg.Options.TSEcr}
	if d.echo {
		c.keepReduction() // for the mark, which asks for one as well (RFC 3168 §6.1.2)
	}
	if seg.Ack.Before(c.sndUna) { // an old one, but its SACK blocks may be news
		if c.sack && seg.Options.NSACK > 0 {
			c.updateBoard(now, seg, &d)
			if d.octets > 0 {
				c.countDelivered(d.segments)
				c.recoverLoss(now, &d, false)
				c.armTailProbe(now)
			}
		}
		return true
	}
	duplicate := c.isDuplicate(seg, wnd)
	if c.sack && seg.Options.NSACK > 0 {
		c.updateBoard(now, seg, &d)
	}
	probed := c.tail.open && c.tail.resent
	c.tailProbeAcked(now, seg)
	advanced := seg.Ack.After(c.sndUna)
	if advanced {
		c.acked(now, seg, &d)
	}
	if c.sack && seg.reportsDuplicate() && !probed {
		c.rackDoubled()
		c.undoDoubled(seg.Options.SACK[0])
	}
	c.countDelivered(d.segments)
	c.recoverLoss(now, &d, duplicate)
	c.ecnEcho(now, seg, flight)
	if advanced {
		c.growSend()
		c.armAfterAck(now)
	} else if d.octets > 0 {
		c.armTailProbe(now)
	}
	c.updateSendWindow(now, seg, wnd, advanced)
	return true
}

// ackAcceptable is the test of RFC 5961 §5.2: an acknowledgment older than the
// largest window, or of something not yet sent, is a stray or a forgery, and so is
// all that comes with it.
func (c *Conn) ackAcceptable(seg *Segment) bool {
	return seg.Ack.AfterEq(c.sndUna.Add(-int(c.sndMaxWnd))) && seg.Ack.BeforeEq(c.sndMax)
}

// isDuplicate tells a duplicate acknowledgment where there is no SACK, by the
// definition of RFC 5681 §2.
func (c *Conn) isDuplicate(seg *Segment, wnd int) bool {
	return !c.sack && seg.Ack == c.sndUna && c.flight() > 0 && seg.Len() == 0 && wnd == int(c.sndWnd) && wnd > 0
}

// updateSendWindow takes the window of the newest segment: "to prevent old
// segments from updating the window" it compares SND.WL1 and SND.WL2. What
// acknowledges something new is the newest also when its text is sent again.
// By the letter SND.WND would stay then, and the window move with SND.UNA
// beyond the edge that the peer has offered.
func (c *Conn) updateSendWindow(now Instant, seg *Segment, wnd int, advanced bool) {
	if seg.Ack.Before(c.sndUna) || !advanced &&
		!(c.sndWL1.Before(seg.Seq) || c.sndWL1 == seg.Seq && c.sndWL2.BeforeEq(seg.Ack)) {
		return
	}
	c.sndWL1, c.sndWL2 = maxSeq(c.sndWL1, seg.Seq), seg.Ack
	opened := wnd > 0 && c.sndWnd == 0
	c.sndWnd, c.sndMaxWnd = int32(wnd), max(c.sndMaxWnd, int32(wnd))
	switch {
	case c.persist && wnd == 0:
		// The answer to a probe: the peer lives, so the probing goes on
		// without end (RFC 9293 §3.8.6.1, MUST-37).
		cut := c.cutShort()
		if c.progressAt = now; cut {
			c.armRetransmit(now)
		}
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
func (c *Conn) acked(now Instant, seg *Segment, d *delivery) {
	backoff := c.backoff
	c.rttFromAck(now, seg)
	c.arrived(now, seg, c.sndUna, minSeq(seg.Ack, c.sndNxt), d)
	if seg.Ack.After(c.sndNxt) {
		d.segments++ // the octet of a window probe
	}
	d.acked = seg.Ack.Sub(c.sndUna)
	d.since = min(max(0, seg.Ack.Sub(c.recover)), d.acked)
	c.traffic.bytesAcked += uint64(d.acked)
	c.sndUna = seg.Ack
	c.sndNxt = maxSeq(c.sndNxt, c.sndUna)
	c.passed()
	c.sndq.advance(c.pool, c.sndUna)
	c.sent.trim(c.pool, c.sndUna)
	c.board.trim(c.sndUna)
	c.lost.trim(c.sndUna)
	if c.urging() && c.sndUna.AfterEq(c.urg.sndUp) {
		c.urg.sending = false
	}
	c.progressAt, c.ackedNew, c.softErr = now, true, nil
	c.rtxHead = false
	if k := c.cork; k != nil && k.more {
		*k = cork{}
	}
	c.carries(d)
	if c.pmtu != nil {
		c.pathAcked()
	}
	if c.persist {
		c.probeTaken(now, seg, backoff)
	}
}

// passed keeps what stands for numbers that SND.UNA has passed close behind it:
// comparisons hold for 2^31 octets, and a connection sends more than that without a
// loss or a mark.
func (c *Conn) passed() {
	last := c.sndUna.Add(-1)
	c.recover, c.ecn.until = maxSeq(c.recover, last), maxSeq(c.ecn.until, last)
	c.sndSmall = maxSeq(c.sndSmall, c.sndUna)
	if k := &c.rack; k.inRound && c.sndUna.AfterEq(k.round) {
		k.inRound = false
	}
}

// probeTaken is the acknowledgment of an octet that was sent as a probe. While
// the window stays closed the next probe still comes later than the last one
// (RFC 9293 §3.8.6.1, SHLD-30): a peer that takes octet by octet is no reason to
// send it five a second. backoff is what it was before this acknowledgment.
func (c *Conn) probeTaken(now Instant, seg *Segment, backoff uint8) {
	c.stopPersist()
	text := c.sndq.end().Sub(c.sndNxt)
	if seg.Window == 0 && (text > 0 || text == 0 && c.closing) {
		c.startPersist(now)
		c.backoff = backoff
		c.armRetransmit(now)
	}
}

// armAfterAck sets the timers after SND.UNA has advanced.
func (c *Conn) armAfterAck(now Instant) {
	// RFC 6298 §5.2 and §5.3.
	switch {
	case c.flight() > 0 || c.ecnHold:
		c.armRetransmit(now)
	case !c.persist:
		c.rtxAt = 0
		c.armKeepAlive(now)
	}
	c.armTailProbe(now)
}
