package tcp

import "time"

// tailProbe is a tail loss probe (RFC 8985 §7): when an acknowledgment is long
// overdue, one segment is sent to get one, well before the retransmission
// timeout. The loss of the last segments of a flight, or of the only
// acknowledgment of a flight, costs two round trips then, not MinRTO.
type tailProbe struct {
	at     Instant // when it is due: the PTO timer
	due    bool
	open   bool // one is under way: TLP.end_seq is valid
	resent bool // TLP.is_retrans
	end    Seq  // TLP.end_seq
}

// tailSlack is added to the two round trips: peers that collect segments, and
// timers, are late by that much.
const tailSlack = 2 * time.Millisecond

// tailAckDelay is TLP.max_ack_delay: how long an acknowledgment may wait for
// company (RFC 8985 §7.2).
const tailAckDelay = 200 * time.Millisecond

// armTailProbe starts the PTO timer anew, after new text was sent and after an
// advance of SND.UNA (RFC 8985 §7.2). Where the peer reports text behind a hole
// there is no need of a probe: time decides what is lost. A single segment may
// be waiting for the peer's delayed acknowledgment. The probe goes in the
// retransmission timeout's place when that would come first, unless what it
// would send again has just left. In recovery, where probesRecovery allows one, the
// timeout keeps its place.
func (c *Conn) armTailProbe(now Instant) {
	c.tail.at = 0
	recovers := c.probesRecovery()
	if !c.sack || c.loss != lossNone && !recovers || c.backoff > 0 || c.srtt == 0 || !c.state.Synchronized() {
		return
	}
	if !c.board.empty() && !recovers || c.tail.open || c.flight() == 0 {
		return
	}
	wait := 2*c.srtt + tailSlack
	if c.flight() <= c.win.MSS && !recovers {
		wait += tailAckDelay
	}
	switch at := now.Add(wait); {
	case c.rtxAt == 0 || at <= c.rtxAt:
		c.tail.at = at
	case c.rtxAt.Sub(c.lastSend) >= c.srtt && !recovers:
		c.tail.at = c.rtxAt
	}
}

// tailProbeTimer runs when the PTO timer has passed. The retransmission timer
// begins anew: it is the last resort (RFC 8985 §7.3). Probes that are copies
// must not keep round trips from being measured, or a longer path would be
// probed too early for ever: between two of them there is a measurement.
func (c *Conn) tailProbeTimer(now Instant) {
	c.tail.at = 0
	if now.Sub(c.progressAt) < c.userTimeout.duration() && (c.loss == lossNone || c.probesRecovery()) && c.flight() > 0 && c.sndNxt.BeforeEq(c.sndEdge()) { // else the peer would not take it
		c.tail.due = c.rack.measured
		c.armRetransmit(now)
	}
}

// sendTailProbe sends a segment of new text when the peer's window has room for
// one, whatever the congestion window says, else the last segment again
// (RFC 8985 §7.3).
func (c *Conn) sendTailProbe(t *transmitter) bool {
	mss, _ := c.segLimit(t)
	text := c.sndq.end().Sub(c.sndNxt)
	usable := c.sndEdge().Sub(c.sndNxt)
	resent := text <= 0 || usable < min(mss, text)
	if resent && c.loss != lossNone {
		c.tail.due = false
		return true
	}
	if resent {
		from := maxSeq(c.sndUna, maxSeq(c.sndNxt.Add(-mss), c.sent.lastSegment(mss)))
		if !c.resendRange(t, c.sndq.lastRecord(from, c.sndNxt), c.sndNxt) {
			return false
		}
	} else if n := min(mss, text); !c.sendNext(t, n, n == text, false, mss) {
		return false
	}
	c.tailProbeSent(t.now, resent)
	return true
}

func (c *Conn) tailProbeSent(now Instant, resent bool) {
	c.pool.Counters.TailProbes++
	c.tail = tailProbe{open: true, resent: resent, end: c.sndNxt}
	c.rack.measured = false
	c.armRetransmit(now)
}

// tailProbeAcked ends a probe that seg answers (RFC 8985 §7.4): when the
// segment that was sent again has repaired a loss, nobody else notices it, and
// the congestion window must.
func (c *Conn) tailProbeAcked(now Instant, seg *Segment) {
	switch {
	case !c.tail.open || seg.Ack.Before(c.tail.end):
	case !c.tail.resent || seg.reportsDuplicate():
		c.tail.open = false
	case seg.Ack.After(c.tail.end):
		c.tail.open = false
		if c.loss == lossNone {
			c.keepReduction()
			c.cc.Lost(&c.win, now, min(c.flight(), c.win.Cwnd))
		}
	case seg.Ack == c.sndUna && seg.Len() == 0 && seg.Options.NSACK == 0:
		c.tail.open = false // a duplicate from a peer without D-SACK: nothing was lost
	}
}
