package tcp

import (
	"math"
	"time"
)

const (
	// paceStep is how much time's worth of text leaves at once, at least two
	// segments: timers are no finer (Linux's TSO autosizing has the same).
	paceStep = time.Millisecond
	// paceSlack is how much later than it may text may leave without a loss of
	// rate: run loops are woken late. It is also the burst after a pause.
	paceSlack = time.Millisecond
)

// pacing spreads what a connection sends over time.
type pacing struct {
	max     uint64  // octets a second
	at      Instant // when text may leave next
	waiting bool    // some does wait
}

// SetMaxPacingRate bounds the octets of text, new and sent again, that leave in a
// second (SO_MAX_PACING_RATE); 0 is no bound, as it is from the start. With a bound
// text is paced: it leaves in steps of a millisecond's worth or two segments,
// whichever is more.
func (c *Conn) SetMaxPacingRate(rate uint64) {
	switch {
	case rate == 0:
		c.pace = nil
	case c.pace == nil:
		c.pace = &pacing{max: rate}
	default:
		if rate > c.pace.max {
			c.pace.at = 0
		}
		c.pace.max = rate
	}
}

// stopPacing forgets that text waits; the bound stays known.
func (c *Conn) stopPacing() {
	if c.pace != nil {
		c.pace.at, c.pace.waiting = 0, false
	}
}

func (c *Conn) maxPacingRate() uint64 {
	if c.pace == nil {
		return 0
	}
	return c.pace.max
}

// pacingRate returns what Linux would pace at: twice the congestion window in a
// round trip, 1.2 times outside of slow start, and not more than the bound, which is
// all that is enforced here: acknowledgments clock the rest. It is 0 while it is
// unknown.
func (c *Conn) pacingRate() uint64 {
	most := c.maxPacingRate()
	if c.srtt == 0 {
		return most
	}
	ratio := 1.2
	if c.win.Cwnd < c.win.Ssthresh/2 {
		ratio = 2
	}
	rate := uint64(ratio * float64(max(c.win.Cwnd, c.flight())) / c.srtt.Seconds())
	if most != 0 {
		rate = min(rate, most)
	}
	return max(rate, 1)
}

// paceQuantum returns how much text may leave at once of the n octets that the
// owner would take.
func (c *Conn) paceQuantum(n int) int {
	if c.pace == nil {
		return n
	}
	step := c.pace.max / uint64(time.Second/paceStep)
	return min(n, max(int(min(step, math.MaxInt32)), 2*c.win.MSS))
}

// paceClosed reports whether text must wait at now.
func (c *Conn) paceClosed(now Instant) bool { return c.pace != nil && now < c.pace.at }

// paceWaits is paceClosed for text that waits if so: Output is due when it may
// leave.
func (c *Conn) paceWaits(now Instant) bool {
	if c.pace == nil {
		return false
	}
	c.pace.waiting = now < c.pace.at
	return c.pace.waiting
}

// paceAt returns when text that waits may leave, 0 when none waits.
func (c *Conn) paceAt() Instant {
	if c.pace == nil || !c.pace.waiting {
		return 0
	}
	return c.pace.at
}

// pacedOut notes that n octets have left.
func (c *Conn) pacedOut(now Instant, n int) {
	if p := c.pace; p != nil {
		p.at = max(p.at, now.Add(-paceSlack)).Add(time.Duration(uint64(n) * uint64(time.Second) / p.max))
	}
}
