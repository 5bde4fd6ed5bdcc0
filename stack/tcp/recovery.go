package tcp

// lossState is where loss recovery stands.
type lossState uint8

const (
	lossNone     lossState = iota
	lossRecovery           // fast recovery (RFC 6675 §5, RFC 6582 §3.2)
	lossTimeout            // after a retransmission timeout: slow start over what was lost (RFC 5681 §3.1)
)

const dupThresh = 3 // RFC 6675 §2

// updateBoard takes the SACK blocks of seg into the scoreboard (RFC 6675 §3) and
// returns how many octets they report for the first time. A block outside
// (SND.UNA, SND.NXT], such as a D-SACK (RFC 2883 §5), is ignored.
func (c *Conn) updateBoard(seg *Segment) (fresh int) {
	una := maxSeq(c.sndUna, seg.Ack)
	for _, b := range seg.Options.SACK[:seg.Options.NSACK] {
		if b.Start.Before(b.End) && b.Start.AfterEq(una) && b.End.BeforeEq(c.sndNxt) {
			n, _ := c.board.add(b.Start, b.End)
			fresh += n
		}
	}
	return fresh
}

// unsacked returns how many octets of [from, to) the peer has not reported.
func (c *Conn) unsacked(from, to Seq) int {
	return max(0, to.Sub(from)) - c.board.covered(from, to)
}

// lostEdge returns the sequence number below which octets that are not SACKed
// count as lost. In fast recovery it is IsLost of RFC 6675 §4, which is
// monotonic: DupThresh discontiguous blocks above, or more than
// (DupThresh-1)*SMSS octets in them. After a timeout all that was outstanding
// counts as lost (§5.1).
func (c *Conn) lostEdge() Seq {
	if c.loss == lossTimeout {
		return c.recover
	}
	octets := 0
	for i, above := len(c.board.s)-1, 1; i >= 0; i, above = i-1, above+1 {
		s := c.board.s[i]
		octets += s.end.Sub(s.start)
		if above >= dupThresh || octets > (dupThresh-1)*c.win.MSS {
			return s.start
		}
	}
	return c.sndUna
}

// pipe estimates the octets in flight: SetPipe of RFC 6675 §4 with SACK or
// after a timeout, else the flight less what duplicate acknowledgments say has
// left (RFC 6582 inflates the window by the same amount).
func (c *Conn) pipe() int {
	if c.loss == lossNone || (!c.sack && c.loss == lossRecovery) {
		return c.unsacked(c.sndUna, c.sndNxt) - c.inflate
	}
	return c.unsacked(maxSeq(c.sndUna, c.lostEdge()), c.sndNxt) + c.unsacked(c.sndUna, c.highRxt)
}

// duplicateAck counts a duplicate acknowledgment and enters fast recovery when
// it is time (RFC 6675 §5, RFC 6582 §3.2).
func (c *Conn) duplicateAck(now Instant) {
	switch c.loss {
	case lossTimeout:
	case lossRecovery:
		if !c.sack {
			c.inflate += c.win.MSS
		} else if c.retransmitLost() {
			// RFC 5681 §4.3: a second indication of congestion.
			c.cc.Lost(&c.win, now, min(c.flight(), c.win.Cwnd))
			c.rtxHead = true
		}
	case lossNone:
		c.dupAcks++
		enough := c.dupAcks >= dupThresh || (c.sack && c.lostEdge().After(c.sndUna))
		if !c.sack && !c.sndUna.After(c.recover) {
			// RFC 6582 §3.2 step 1: these may be echoes of the last recovery.
			return
		}
		switch {
		case enough:
			c.enterRecovery(now)
		case c.sack:
			c.armTailProbe(now)
		default:
			// RFC 3042: one new segment for each of the first two. With SACK
			// the pipe shrinks by itself.
			c.inflate += c.win.MSS
		}
	}
}

// retransmitLost reports whether the retransmission of the first hole was lost
// too: more than the octets that RFC 6675 §4 takes as proof were sent after it
// and have arrived. RFC 6675 itself leaves this to the timer.
func (c *Conn) retransmitLost() bool {
	return c.highRxt.After(c.sndUna) && !c.rtxHead &&
		c.board.covered(c.headNxt, c.sndNxt) > (dupThresh-1)*c.win.MSS
}

// enterRecovery starts fast recovery: the first lost segment is retransmitted
// whatever the window says (RFC 6675 §5 step 4).
func (c *Conn) enterRecovery(now Instant) {
	flight := c.flight()
	if !c.sack {
		flight -= c.inflate // RFC 5681 §3.2 step 2: without limited transmit
	}
	c.loss, c.recover, c.highRxt = lossRecovery, c.sndNxt, c.sndUna
	c.rescued, c.rtxHead, c.inflate, c.rttAt, c.tail = false, true, 0, 0, tailProbe{}
	c.cc.Lost(&c.win, now, flight)
	if !c.sack {
		c.inflate = dupThresh * c.win.MSS
	}
}

// recoveryAcked tells recovery and congestion control that n octets were
// acknowledged.
func (c *Conn) recoveryAcked(now Instant, n int) {
	if c.loss != lossNone && c.sndUna.AfterEq(c.recover) {
		if c.loss == lossRecovery && !c.sack {
			// RFC 6582 §3.2 step 3, full acknowledgment, option 1.
			c.win.Cwnd = min(c.win.Ssthresh, max(c.flight(), c.win.MSS)+c.win.MSS)
		}
		c.loss, c.dupAcks, c.inflate = lossNone, 0, 0
		return
	}
	switch c.loss {
	case lossRecovery:
		// Another hole is the first one now. It was retransmitted no later than
		// the last retransmission.
		c.headNxt = c.rxtNxt
		if !c.sack {
			// Partial acknowledgment: the next hole is lost too; deflate.
			c.inflate = max(0, c.inflate-n)
			if n >= c.win.MSS {
				c.inflate += c.win.MSS
			}
			c.rtxHead = true
		}
		return
	case lossNone:
		c.dupAcks, c.inflate = 0, 0
		if c.board.empty() {
			break
		}
		// RFC 6675 §5.1: an advance that leaves reports standing starts the
		// count again, unless they prove a loss already.
		if c.lostEdge().After(c.sndUna) {
			c.enterRecovery(now)
			return
		}
	}
	c.cc.Acked(&c.win, Ack{Now: now, Acked: n, SRTT: c.srtt, Limited: c.limited || c.loss == lossTimeout})
}

// timedOut is the retransmission timeout (RFC 6298 §5.4 to §5.6, RFC 5681
// §3.1): everything outstanding counts as lost, the window is one segment. What
// the peer has reported is still believed the first time; a second timeout, or
// a report that covers the first octet, means that it may have dropped it
// (RFC 2018 §8).
func (c *Conn) timedOut(now Instant) {
	if _, reneged := c.board.containing(c.sndUna); reneged || c.backoff > 0 {
		c.board.clear()
	}
	if c.backoff == 0 {
		// The flight counts what is SACKed, and recovery stretches it beyond
		// the window; the reduction starts from the window then.
		c.cc.TimedOut(&c.win, now, min(c.flight(), c.win.Cwnd))
	}
	c.backoff = min(c.backoff+1, maxBackoff)
	c.win.Cwnd = c.win.MSS
	c.resend(now)
}

// resend has everything outstanding sent again, as the congestion window
// allows.
func (c *Conn) resend(now Instant) {
	c.loss, c.recover, c.highRxt = lossTimeout, c.sndNxt, c.sndUna
	c.dupAcks, c.inflate, c.rttAt, c.rtxHead, c.tail = 0, 0, 0, true, tailProbe{}
	c.armRetransmit(now)
}

// nextRetransmit returns the range that is to be retransmitted next, NextSeg of
// RFC 6675 §4 without its rules for new data; ok is false when there is none.
// second asks for rule (3), retransmission of what is not yet deemed lost.
func (c *Conn) nextRetransmit(second bool) (from, to Seq, ok bool) {
	if c.loss == lossNone || (c.loss == lossRecovery && !c.sack) {
		return 0, 0, false
	}
	edge := c.lostEdge()
	if second {
		if c.loss != lossRecovery || c.board.empty() {
			return 0, 0, false
		}
		edge = minSeq(c.board.max(), c.recover)
	}
	return c.board.gap(maxSeq(c.sndUna, c.highRxt), edge)
}

// rescue returns the last unreported segment of a recovery that has nothing
// else to send, once (RFC 6675 §4 NextSeg rule (4)): without it a lost tail
// waits for the timer.
func (c *Conn) rescue() (from, to Seq, ok bool) {
	if c.loss != lossRecovery || !c.sack || c.rescued || c.board.empty() {
		return 0, 0, false
	}
	to = c.recover
	from = maxSeq(c.board.max(), c.highRxt)
	if !from.Before(to) {
		return 0, 0, false
	}
	return maxSeq(from, to.Add(c.sackOctets()-c.win.MSS)), to, true
}

// reportsDuplicate reports whether the first SACK block is a D-SACK: below the
// cumulative acknowledgment, or within the second block (RFC 2883 §4).
func (s *Segment) reportsDuplicate() bool {
	b := &s.Options.SACK
	return s.Options.NSACK > 0 && b[0].Start.Before(s.Ack) ||
		s.Options.NSACK > 1 && b[0].Start.AfterEq(b[1].Start) && b[0].End.BeforeEq(b[1].End)
}
