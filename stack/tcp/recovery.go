package tcp

import "time"

// lossState is where loss recovery stands.
type lossState uint8

const (
	lossNone     lossState = iota
	lossRecovery           // fast recovery (RFC 6675 §5, RFC 6582 §3.2)
	lossTimeout            // after a retransmission timeout: slow start over what was lost (RFC 5681 §3.1)
)

const dupThresh = 3 // RFC 6675 §2

// delivery is what one acknowledgment tells about text in flight.
type delivery struct {
	acked    int           // octets by which SND.UNA has advanced
	since    int           // of these, those beyond the recovery point
	octets   int           // octets that arrived, cumulatively acknowledged or SACKed, each counted once
	segments uint32        // and segments
	lost     bool          // and what it says is lost that was not known
	original bool          // some of those before the recovery point were transmitted only once
	fack     Seq           // RACK.fack before
	late     bool          // a segment was overtaken and arrived
	echo     bool          // of a mark: the window does not grow with it (RFC 3168 §6.1.2)
	answers  uint32        // the timestamp that it echoes; 0 when there is none
	rtt      time.Duration // of the newest segment that arrived, if it was transmitted only once; 0 without SACK
}

// updateBoard takes the SACK blocks of seg into the scoreboard (RFC 6675 §3). A
// block outside (SND.UNA, SND.NXT], such as a D-SACK (RFC 2883 §5), is ignored.
// An acknowledgment that was overtaken may still report something new.
func (c *Conn) updateBoard(now Instant, seg *Segment, d *delivery) {
	una := maxSeq(c.sndUna, seg.Ack)
	for _, b := range seg.Options.SACK[:seg.Options.NSACK] {
		if !b.Start.Before(b.End) || b.Start.Before(una) || b.End.After(c.sndNxt) {
			continue
		}
		c.arrived(now, seg, b.Start, b.End, d)
		if _, ok := c.board.add(b.Start, b.End); ok {
			c.lost.remove(b.Start, b.End)
		}
	}
}

// arrived learns from those octets of [from, end) that were not known to have
// arrived.
func (c *Conn) arrived(now Instant, seg *Segment, from, end Seq, d *delivery) {
	for {
		a, b, ok := c.board.gap(from, end)
		if !ok {
			return
		}
		d.octets += b.Sub(a)
		d.segments += c.sent.segsIn(a, b)
		if c.sack {
			c.rackArrived(now, seg, a, b, d)
		}
		from = b
	}
}

// pipe estimates the octets in flight (RFC 6675 §4): what was sent and neither
// reported nor taken for lost since it was last sent. Without SACK, duplicate
// acknowledgments say how much has left (RFC 6582 inflates the window by it).
func (c *Conn) pipe() int { return c.flight() - int(c.board.octets+c.lost.octets+c.inflate) }

// recoverLoss is what an acknowledgment means for loss recovery and for the
// congestion window. duplicate is one by the definition of RFC 5681 §2, which
// counts where there is no SACK.
func (c *Conn) recoverLoss(now Instant, d *delivery, duplicate bool) {
	if c.frto != frtoNone && c.checkTimeout(d, duplicate) {
		return
	}
	if c.loss != lossNone && c.sndUna.AfterEq(c.recover) {
		// It does not grow the window by what recovery was about: what was sent
		// since was sent within the new one.
		d.acked = d.since
		undo := c.loss == lossRecovery && c.recoveredForNothing(d)
		c.leaveRecovery()
		if undo {
			c.undoRecovery()
		}
	}
	if c.loss == lossNone {
		c.settleReduction()
	}
	relost := false
	if c.sack {
		room, known := c.win.Cwnd-c.pipe(), c.lost.octets
		relost = c.detectLoss(now)
		d.lost = c.lost.octets > known
		if c.loss == lossRecovery {
			// Losses make no room: what arrives does.
			c.win.Cwnd = max(c.pipe()+room, c.win.MSS)
		}
	}
	switch c.loss {
	case lossNone:
		c.recoverNone(now, d, duplicate)
	case lossRecovery:
		switch {
		case !c.sack:
			c.newReno(d, duplicate)
		case relost:
			// RFC 5681 §4.3: the loss of a retransmission is a second sign of
			// congestion, one for those of a window (RFC 8985 §9.3).
			c.ofSending().relostAt = now
			c.keepReduction()
			c.win.Cwnd = c.reducedFrom()
			c.cc.Lost(&c.win, now, min(c.flight(), c.win.Cwnd))
			c.beginPRR(d)
		default:
			c.prr(d)
		}
	case lossTimeout:
		if d.acked > 0 {
			c.cc.Acked(&c.win, c.ackOf(now, d, true))
		}
	}
}

// recoverNone grows the window, or enters fast recovery when it is time.
func (c *Conn) recoverNone(now Instant, d *delivery, duplicate bool) {
	switch {
	case !c.lost.empty():
		if !c.pathProbeLost(now) {
			c.enterRecovery(now, d)
		}
	case d.acked > 0:
		// What was reported before its turn came has made no room then, and makes
		// none now: limited transmit has sent for it.
		if d.acked = max(0, d.acked-int(c.inflate)); c.sack {
			d.acked = min(d.acked, d.octets)
		}
		c.dupAcks, c.inflate = 0, 0
		c.cc.Acked(&c.win, c.ackOf(now, d, c.limited()))
	case duplicate:
		c.dupAcks++
		if !c.sndUna.After(c.recover) {
			return // RFC 6582 §3.2 step 1: these may be echoes of the last recovery
		}
		if c.dupAcks >= dupThresh {
			c.enterRecovery(now, d)
			return
		}
		c.inflate += int32(c.win.MSS) // RFC 3042: one new segment for each of the first two
	}
}

func (c *Conn) ackOf(now Instant, d *delivery, limited bool) Ack {
	return Ack{Now: now, Acked: d.acked, SRTT: c.srtt, RTT: d.rtt, Una: c.sndUna, Nxt: c.sndNxt, Limited: limited && !d.echo}
}

// enterRecovery starts fast recovery: the first lost segment is retransmitted
// whatever the window says (RFC 6675 §5 step 4, RFC 6582 §3.2 step 2).
func (c *Conn) enterRecovery(now Instant, d *delivery) {
	// RFC 5681 §3.2 step 2: without what was sent while segments left out of
	// order (RFC 3042).
	flight := c.flight() - int(c.inflate)
	if c.sack {
		flight = min(flight, c.win.Cwnd)
	}
	c.pool.Counters.Recoveries++
	c.lossSeen()
	c.loss, c.recover = lossRecovery, c.sndNxt
	c.rtxHead, c.inflate, c.rttAt, c.tail = true, 0, 0, tailProbe{}
	c.saveWindow(true)
	c.cc.Lost(&c.win, now, flight)
	c.ecnReduced()
	if c.sack {
		c.beginPRR(d)
	} else {
		c.inflate = dupThresh * int32(c.win.MSS)
	}
}

// reducedFrom returns the window that a reduction begins with. In recovery the
// congestion window is what the flight may be at the moment; what it comes down
// to is the threshold.
func (c *Conn) reducedFrom() int {
	if c.loss == lossNone {
		return c.win.Cwnd
	}
	return max(c.win.Cwnd, c.win.Ssthresh)
}

// newReno is what an acknowledgment means in fast recovery without SACK
// (RFC 6582 §3.2 steps 3 to 5): a duplicate inflates the window, a partial
// acknowledgment says that the next segment is lost too and deflates it.
func (c *Conn) newReno(d *delivery, duplicate bool) {
	switch {
	case duplicate:
		c.inflate += int32(c.win.MSS)
	case d.acked > 0:
		c.inflate = max(0, c.inflate-int32(d.acked))
		if d.acked >= c.win.MSS {
			c.inflate += int32(c.win.MSS)
		}
		c.rtxHead = true
	}
}

// leaveRecovery ends recovery: all that was outstanding when it began has
// arrived.
func (c *Conn) leaveRecovery() {
	if c.loss == lossRecovery {
		c.win.Cwnd = c.win.Ssthresh // RFC 9937 §6.2: on completion
		if !c.sack {
			// RFC 6582 §3.2 step 3, full acknowledgment, option 1.
			c.win.Cwnd = min(c.win.Ssthresh, max(c.flight(), c.win.MSS)+c.win.MSS)
		}
	}
	if u := c.undoable(); u != nil {
		u.end = c.sndNxt
	}
	c.loss, c.frto, c.dupAcks, c.inflate = lossNone, frtoNone, 0, 0
	c.rackRecovered()
}

// timedOut is the retransmission timeout (RFC 6298 §5.4 to §5.6, RFC 5681
// §3.1): the window is one segment, and what is outstanding counts as lost,
// with SACK only as far as it has been under way for long enough (RFC 8985
// §6.3). What the peer has reported is still believed the first time; a second
// timeout, or a report that covers the first octet, means that it may have
// dropped it (RFC 2018 §8).
func (c *Conn) timedOut(now Instant) {
	if _, reneged := c.board.containing(c.sndUna); reneged || c.backoff > 0 {
		c.board.clear()
	}
	c.pool.Counters.Timeouts++
	c.lossSeen()
	c.keepReduction()
	c.beginFRTO()
	c.pathClaimTimedOut(now)
	c.pathTimedOut(now)
	c.blackHole()
	if c.backoff == 0 {
		// The flight counts what is SACKed, and recovery stretches it beyond
		// the window; the reduction starts from the window then.
		c.win.Cwnd = c.reducedFrom()
		c.cc.TimedOut(&c.win, now, min(c.flight(), c.win.Cwnd))
	}
	c.ecnReduced()
	c.backoff = min(c.backoff+1, maxBackoff)
	c.win.Cwnd = c.win.MSS
	if c.sack {
		c.markTimedOut(now)
	} else {
		c.markLost(c.sndUna, c.sndNxt)
	}
	c.startResend(now)
}

// resend has everything outstanding sent again, as the congestion window
// allows: not because it timed out, but because it is known not to have
// arrived.
func (c *Conn) resend(now Instant) {
	c.frto = frtoNone
	c.markLost(c.sndUna, c.sndNxt)
	c.startResend(now)
}

// SendAgain has the SYN, what is in flight, or the window probe go again at once:
// the owner knows that it has not left the host, and that now it would. That says
// nothing about congestion, but what follows begins like after a pause
// (RFC 5681 §4.1). Timeouts stay as long as they have become; a SYN that has only
// now left was not lost, and begins with the window and the timeout of every
// connection (RFC 6298 §5.7 is about a timer that expires).
func (c *Conn) SendAgain(now Instant) {
	switch {
	case c.state == SynSent || c.state == SynReceived:
		if c.sndMax == c.iss {
			return
		}
		if c.synDue, c.rttAt = true, 0; !c.synAgain && (c.state == SynSent || c.sndMax == c.iss.Add(1)) {
			c.sndNxt, c.sndMax = c.iss, c.iss // this one is the first
		}
	case c.persist:
		c.probeDue = true
	case c.state.Synchronized() && c.state != TimeWait && c.flight() > 0:
		c.win.Cwnd = min(c.win.Cwnd, initialWindow(c.win.MSS))
		c.resend(now)
	}
}

func (c *Conn) startResend(now Instant) {
	c.loss, c.recover = lossTimeout, c.sndNxt
	c.dupAcks, c.inflate, c.rttAt, c.rtxHead, c.tail = 0, 0, 0, true, tailProbe{}
	c.armRetransmit(now)
}

// markLost takes what was not reported of [from, to) for lost.
func (c *Conn) markLost(from, to Seq) {
	for {
		a, b, ok := c.board.gap(from, to)
		if !ok {
			return
		}
		if _, ok := c.lost.add(a, b); !ok {
			return // too scattered: the rest is marked when some of it has arrived
		}
		from = b
	}
}

// nextLost returns the first range that is to be retransmitted.
func (c *Conn) nextLost() (from, to Seq, ok bool) {
	if c.lost.empty() {
		return 0, 0, false
	}
	s := c.lost.s[0]
	return s.start, s.end, true
}

// reportsDuplicate reports whether the first SACK block is a D-SACK: below the
// cumulative acknowledgment, or within the second block (RFC 2883 §4).
func (s *Segment) reportsDuplicate() bool {
	b := &s.Options.SACK
	if s.Options.NSACK == 0 || !b[0].Start.Before(b[0].End) {
		return false
	}
	return b[0].Start.Before(s.Ack) || s.Options.NSACK > 1 && b[0].Start.AfterEq(b[1].Start) && b[0].End.BeforeEq(b[1].End)
}
