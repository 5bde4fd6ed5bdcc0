package tcp

import "time"

const (
	// pawsIdle is how long a timestamp stays comparable (RFC 7323 §5.5).
	pawsIdle = uint32(24 * 24 * time.Hour / time.Second)
)

// checkSegment takes the first four steps of RFC 9293 §3.10.7.4 and the
// presence check of the fifth, and reports whether the segment goes on.
func (c *Conn) checkSegment(now Instant, seg *Segment) bool {
	if !c.checkTimestamps(now, seg) {
		return false
	}
	// First, check sequence number.
	n := &c.pool.Counters
	if !c.acceptable(seg) {
		n.OutOfWindow++
		if seg.Flags&RST != 0 {
			return false
		}
		c.ackUnacceptable(now, seg)
		return false
	}
	// Second, check the RST bit: only the exact number resets, another one in
	// the window is challenged (RFC 5961 §3.2).
	if seg.Flags&RST != 0 {
		if seg.Seq == c.rcvNxt {
			c.reset()
		} else {
			n.BlindResets++
			c.challenge(now)
		}
		return false
	}
	// Fourth, check the SYN bit (the third check, security, is not ours): in
	// SYN-RECEIVED a passive open returns to LISTEN, unless its user has it already
	// (Fast Open); else challenge, whatever the number (RFC 5961 §4.2).
	if seg.Flags&SYN != 0 {
		if c.state == SynReceived && c.passive && !c.openEarly() {
			c.end(ErrReset) // the owner forgets the Conn
			return false
		}
		n.BlindSyns++
		c.challenge(now)
		return false
	}
	// Fifth: "if the ACK bit is off, drop the segment and return".
	if seg.Flags&ACK == 0 {
		n.NoAcks++
		return false
	}
	c.lastRecv, c.keepProbes = now, 0
	if c.ackAcceptable(seg) { // else it is a forgery, and no timestamp to believe
		c.updateTSRecent(now, seg)
	}
	return true
}

// acceptable is the table of RFC 9293 §3.4 with two courtesies: a pure
// acknowledgment may lie at the window's right edge, where a peer stands that
// has filled the window; and with a closed window a segment at RCV.NXT is let
// through for its ACK field (§3.10.7.4 asks for "special allowance"), its text
// is dropped later.
func (c *Conn) acceptable(seg *Segment) bool {
	wnd := max(0, c.rcvAdv.Sub(c.rcvNxt))
	n := seg.Len()
	if seg.Seq == c.rcvNxt {
		return true
	}
	if n == 0 {
		if seg.Flags&RST == 0 {
			wnd++
		}
		return seg.Seq.In(c.rcvNxt, wnd)
	}
	return wnd > 0 && (seg.Seq.In(c.rcvNxt, wnd) || seg.Seq.Add(n-1).In(c.rcvNxt, wnd))
}

// ackUnacceptable answers a segment outside the window with an acknowledgment.
// Text that is there already is reported as a duplicate (RFC 2883 §4); it means
// that our acknowledgment was lost, so it is always answered. Empty segments
// are answered within the limit, so that two ends never acknowledge each
// other's acknowledgments for ever.
func (c *Conn) ackUnacceptable(now Instant, seg *Segment) {
	if seg.Len() == 0 || seg.Flags&SYN != 0 {
		// Keep-alive probes of other stacks are of this form too.
		c.lastRecv, c.keepProbes = now, 0
		c.challenge(now)
		return
	}
	if n := seg.DataLen(); n > 0 && seg.Seq.Add(n).BeforeEq(c.rcvNxt) {
		c.reportDuplicate(seg.Seq, seg.Seq.Add(n))
		c.hurry()
		// Echo the retransmission's timestamp, not that of the original: else
		// the sender would take the time since the lost acknowledgment for a
		// round trip. A window's worth behind is as hard to hit for an attacker
		// as one ahead. TS.Recent stays (RFC 7323 §5.3 R2 and R3): what was
		// sent before the retransmission and overtaken by it is still good.
		if seg.Options.HasTimestamps && int32(seg.Options.TSVal-c.tsRecent) >= 0 &&
			seg.Seq.BeforeEq(c.lastAckSent) && seg.Seq.AfterEq(c.rcvNxt.Add(-int(c.rcvBuf))) {
			c.tsEcho = seg.Options.TSVal
		}
	}
	c.lastRecv, c.keepProbes = now, 0
	c.ackDue = 1
}

// echoesOurSyn reports whether the timestamp that a SYN-ACK echoes, if it does, is
// one of those that SYNs of ours had.
func (c *Conn) echoesOurSyn(now Instant, seg *Segment) bool {
	o := &seg.Options
	if !c.timestamps || !o.HasTimestamps || o.TSEcr == 0 {
		return true
	}
	return int32(o.TSEcr-c.tsNow(c.progressAt)) >= 0 && int32(o.TSEcr-c.tsNow(now)) <= 0
}

// checkTimestamps is the test of RFC 7323 §5.3, R1: with timestamps agreed, a
// segment without them is dropped (§3.2), and one that is older than what was
// seen is acknowledged and dropped (PAWS). Resets are exempt.
func (c *Conn) checkTimestamps(now Instant, seg *Segment) bool {
	if !c.timestamps || seg.Flags&RST != 0 {
		return true
	}
	if !seg.Options.HasTimestamps {
		c.pool.Counters.NoTimestamps++
		return false
	}
	if int32(seg.Options.TSVal-c.tsRecent) < 0 && seconds(now)-c.tsRecentAt < pawsIdle {
		c.pool.Counters.OldTimestamps++
		if seg.Len() > 0 {
			c.ackUnacceptable(now, seg)
		} else {
			c.challenge(now)
		}
		return false
	}
	return true
}

// updateTSRecent is RFC 7323 §4.3: the timestamp to echo is that of the
// segment that begins where the last acknowledgment ended, or before.
func (c *Conn) updateTSRecent(now Instant, seg *Segment) {
	if c.timestamps && seg.Seq.BeforeEq(c.lastAckSent) {
		c.setTSRecent(now, seg.Options.TSVal)
	}
}

func (c *Conn) setTSRecent(now Instant, val uint32) {
	c.tsRecent, c.tsRecentAt = val, seconds(now)
}

func seconds(now Instant) uint32 { return uint32(now / Instant(time.Second)) }

// reset is the second step's arm for an acceptable RST, by state.
func (c *Conn) reset() {
	switch {
	case c.state == SynReceived && c.passive:
		c.end(ErrReset) // "return to LISTEN": the owner forgets the Conn
	case c.state == SynReceived:
		c.end(ErrRefused)
	default: // in CLOSING and LAST-ACK too: what was sent last may not have arrived
		c.end(ErrReset)
	}
}

// challenge asks for an acknowledgment that tells the peer where we are
// (RFC 5961 §3 to §5), within the pool's bound.
func (c *Conn) challenge(now Instant) {
	if period := uint32(now / Instant(or(c.pool.ChallengePeriod, time.Second))); period != c.challengeAt {
		c.challengeAt, c.challenges = period, 0
	}
	if c.challenges >= uint8(min(or(c.pool.ChallengeLimit, DefaultChallengeLimit), 255)) {
		c.pool.Counters.ChallengesSpared++
		return
	}
	c.pool.Counters.ChallengeAcks++
	c.challenges++
	c.ackDue = max(c.ackDue, 1)
}
