package tcp

import "time"

// rack is the state of RACK (RFC 8985 §5.3): a segment is lost when one that
// was sent sufficiently later has arrived. It needs SACK.
type rack struct {
	at     Instant       // RACK.xmit_ts: when the latest sent segment that has arrived was sent
	rtt    time.Duration // RACK.rtt: of the segment that arrived last
	minRTT time.Duration // RACK.min_RTT; 0 until something is measured
	minAt  Instant       // when minRTT was measured
	timer  Instant       // when detectLoss must run again
	end    Seq           // RACK.end_seq: where the latest sent segment that has arrived ends
	fack   Seq           // RACK.fack: end of the highest segment that has arrived
	round  Seq           // RACK.dsack_round

	behind    int32  // by how many octets a segment was overtaken at most
	seen      uint16 // acknowledgments that told of reordering, modulo 1<<16
	reordered bool   // RACK.reordering_seen
	inRound   bool   // RACK.dsack_round is set
	measured  bool   // a round trip since the last tail loss probe
	mult      uint8  // RACK.reo_wnd_mult less 1
	persist   uint8  // RACK.reo_wnd_persist
}

const (
	rackPersist = 16               // RFC 8985 §6.2 step 4: recoveries until a grown window is given up
	rackMaxMult = 63               // more quarters of the least round trip than a round trip can have is for nothing
	rackSlack   = time.Microsecond // by which the times of a sentList may be late
	minRTTLife  = 5 * time.Minute  // RFC 8985 §6.2 step 1: how old the least round trip may be
)

// rackArrived takes steps 1 to 3 of RFC 8985 §6.2 for text that arrived: the
// least round trip, the latest segment that arrived, reordering.
func (c *Conn) rackArrived(now Instant, seg *Segment, from, end Seq, d *delivery) {
	k := &c.rack
	for i := c.sent.search(from); i < len(c.sent.list) && from.Before(end); i++ {
		p := &c.sent.list[i]
		to := minSeq(p.end, end)
		rtt := max(0, now.Sub(p.at))
		if !p.again {
			if to.BeforeEq(c.recover) {
				d.original = true
			}
			if to.Before(d.fack) {
				if !d.late {
					k.seen++
				}
				k.reordered, d.late = true, true
				k.behind = max(k.behind, int32(d.fack.Sub(from)))
			}
			k.sampleMin(now, rtt)
			d.rtt = max(rtt, 1)
		}
		if !p.again || rtt >= k.minRTT-rackSlack && !c.echoesEarlier(seg, p.at) {
			k.rtt = rtt
			if sentAfter(p.at, to, k.at, k.end) {
				k.at, k.end = p.at, to
			}
		}
		k.fack = maxSeq(k.fack, to)
		from = to
	}
}

// sentAfter tells which of two segments was sent later; those of one time were
// sent in the order of their numbers (RFC 8985 §6.2 step 2).
func sentAfter(at1 Instant, end1 Seq, at2 Instant, end2 Seq) bool {
	return at1 > at2 || at1 == at2 && end1.After(end2)
}

// echoesEarlier reports whether seg answers what was sent before at: the
// original, not the retransmission (RFC 8985 §6.2 step 2).
func (c *Conn) echoesEarlier(seg *Segment, at Instant) bool {
	o := &seg.Options
	return c.timestamps && o.HasTimestamps && o.TSEcr != 0 && int32(o.TSEcr-c.tsNow(at)) < 0
}

func (k *rack) sampleMin(now Instant, rtt time.Duration) {
	if rtt = max(rtt, 1); k.minRTT == 0 || rtt <= k.minRTT || now.Sub(k.minAt) > minRTTLife {
		k.minRTT, k.minAt = rtt, now
	}
}

// rackDoubled is the part of step 4 that learns from duplicates: what was
// retransmitted in vain was late, so the window for reordering grows by a
// quarter of the least round trip, once in a round trip.
func (c *Conn) rackDoubled() {
	k := &c.rack
	if !k.inRound {
		k.inRound, k.round, k.persist = true, c.sndNxt, rackPersist
		k.mult = min(k.mult+1, rackMaxMult)
	}
}

// rackRecovered counts the recoveries after which the window for reordering
// shrinks again.
func (c *Conn) rackRecovered() {
	if k := &c.rack; k.persist > 0 {
		if k.persist--; k.persist == 0 {
			k.mult = 0
		}
	}
}

// reorderWindow is RACK_update_reo_wnd of RFC 8985 §6.2 step 4: how much later
// than the segments sent after it one may arrive. As long as no reordering was
// seen, three segments that have overtaken it are proof enough, and so is a
// loss elsewhere.
func (c *Conn) reorderWindow() time.Duration {
	k := &c.rack
	if !k.reordered && (c.loss != lossNone || c.enoughSacked()) {
		return 0
	}
	return min(time.Duration(k.mult+1)*k.minRTT/4, c.srtt)
}

// enoughSacked reports whether DupThresh segments are reported: as many spans,
// or more than the octets of one segment less (RFC 6675 §4, IsLost).
func (c *Conn) enoughSacked() bool {
	return len(c.board.s) >= dupThresh || int(c.board.octets) > (dupThresh-1)*c.win.MSS
}

// detectLoss is step 5 of RFC 8985 §6.2: what was sent long enough before the
// latest segment that has arrived is lost, what was not will be when the timer
// runs out. It reports whether a retransmission is among the lost that is a sign
// of congestion: one that left after the window was last lowered for another.
func (c *Conn) detectLoss(now Instant) (again bool) {
	k := &c.rack
	k.timer = 0
	if k.at == 0 || c.flight() == 0 {
		return false
	}
	wait := k.rtt + c.reorderWindow()
	for i := int(c.sent.first); i < len(c.sent.list); i++ {
		p := c.sent.list[i]
		from := c.sent.begin(i)
		if !p.again && p.at > k.at {
			break // nor can those behind it have been sent before
		}
		if !sentAfter(k.at, k.end, p.at, p.end) && !(p.at == k.at && from.Before(k.end)) {
			continue
		}
		to := p.end
		if p.at == k.at {
			to = minSeq(to, k.end) // the rest of what left at that time may still be under way
		}
		if !c.outstanding(from, to) {
			continue
		}
		if at := p.at.Add(wait); at > now {
			k.timer = max(k.timer, at)
			continue
		}
		before := c.lost.octets
		c.markLost(from, to)
		again = again || p.again && c.lost.octets > before && (c.send == nil || p.at >= c.send.relostAt)
	}
	return again
}

// outstanding reports whether some of [from, to) has neither arrived nor been
// taken for lost.
func (c *Conn) outstanding(from, to Seq) bool {
	return c.board.covered(from, to)+c.lost.covered(from, to) < to.Sub(from)
}

// markTimedOut is RACK_mark_losses_on_RTO of RFC 8985 §6.3.
func (c *Conn) markTimedOut(now Instant) {
	wait := c.rack.rtt + c.reorderWindow()
	for i := int(c.sent.first); i < len(c.sent.list); i++ {
		if p := c.sent.list[i]; i == int(c.sent.first) || p.at.Add(wait) <= now {
			c.markLost(c.sent.begin(i), p.end)
		}
	}
	c.rack.timer = 0
}

// reorderTimer runs when the time for reordering is over.
func (c *Conn) reorderTimer(now Instant) {
	c.recoverLoss(now, &delivery{fack: c.rack.fack}, false)
	if c.loss == lossRecovery {
		c.win.Cwnd = max(c.win.Cwnd, c.pipe()+c.win.MSS) // no acknowledgment may be left to clock this
	}
}
