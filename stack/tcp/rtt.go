package tcp

import "time"

// Constants of RFC 6298.
const (
	initialRTO = time.Second      // §2.1
	clockG     = time.Millisecond // §2.2: granularity G; that of our timestamps
	maxBackoff = 16               // doublings that are counted; MaxRTO is reached before
)

// sampleRTT takes a measurement into SRTT, RTTVAR and RTO (RFC 6298 §2.2 and
// §2.3) and ends the back-off (§5.7 and Karn's algorithm). The minimum applies
// to the variance term, where the RFC applies it to the sum: on a steady path
// whose SRTT alone exceeds a floor below a second, the variance fades and the
// first delayed acknowledgment would be a timeout.
func (c *Conn) sampleRTT(r time.Duration) {
	r = min(max(r, time.Microsecond), c.maxRTO.duration()) // more says nothing of the timeout: the clock has jumped
	if c.srtt == 0 {
		c.srtt, c.rttvar = r, r/2
	} else {
		c.rttvar += ((c.srtt - r).Abs() - c.rttvar) / 4
		c.srtt += (r - c.srtt) / 8
	}
	c.rtoBase = min(c.srtt+max(clockG, c.minRTO.duration(), 4*c.rttvar), c.maxRTO.duration())
	c.backoff, c.rack.measured = 0, true
}

// rto returns the timeout with its back-off (RFC 6298 §5.5).
func (c *Conn) rto() time.Duration {
	return min(c.rtoBase<<min(c.backoff, maxBackoff), c.maxRTO.duration())
}

// timeSegment starts to time the segment that ends at end, unless one is timed
// already: one sample a round trip (RFC 6298 §3), in nanoseconds.
func (c *Conn) timeSegment(now Instant, end Seq) {
	if c.rttAt == 0 {
		c.rttSeq, c.rttAt = end, now
	}
}

// rttFromAck measures when the acknowledgment of new data up to ack arrives.
// Nothing retransmitted is timed (Karn's algorithm), except through the
// timestamp that comes back, which tells the copies apart (RFC 7323 §4.1). When
// a duplicate is reported, the acknowledgment of the first copy was lost and
// the echo may be that old.
func (c *Conn) rttFromAck(now Instant, seg *Segment) {
	switch {
	case c.rttAt != 0 && seg.Ack.AfterEq(c.rttSeq):
		c.sampleRTT(now.Sub(c.rttAt))
		c.rttAt = 0
	case c.rttAt == 0 && c.timestamps && !seg.reportsDuplicate() && seg.Options.HasTimestamps && seg.Options.TSEcr != 0:
		if ms := int32(c.tsNow(now) - seg.Options.TSEcr); ms >= 0 && ms < 1<<24 {
			c.sampleRTT(time.Duration(ms) * time.Millisecond)
		}
	}
}

// tsNow returns the timestamp clock: milliseconds from a secret origin
// (RFC 7323 §5.4).
func (c *Conn) tsNow(now Instant) uint32 {
	return uint32(now/Instant(time.Millisecond)) + c.tsOffset
}
