package tcp

import "math"

// Constants of RFC 9438.
const (
	cubicC     = 0.4                                   // §5: aggressiveness
	cubicBeta  = 0.7                                   // §4.6: multiplicative decrease
	cubicAlpha = 3 * (1 - cubicBeta) / (1 + cubicBeta) // §4.3: additive increase of the Reno-friendly region
)

// Cubic is the congestion control of RFC 9438, the default. The zero value is
// ready. Windows inside are in segments and times in seconds, as in the RFC.
type Cubic struct {
	curve
	before *curve // ahead of the last reduction; nil until there is one
	start  hyStart
}

// curve is what the growth of the window depends on.
type curve struct {
	wMax  float64 // window before the last reduction, or less (fast convergence)
	prior float64 // window before the last reduction: cwnd_prior
	k     float64 // time in which the curve reaches wMax
	wEst  float64 // what Reno would have
	epoch Instant // start of the present congestion avoidance stage; 0 when none
	last  Instant // the last acknowledgment of this epoch that counted
	frac  float64 // part of an octet not yet added to Cwnd
}

// Name returns "cubic".
func (c *Cubic) Name() string { return "cubic" }

// Acked grows the window along the cubic curve (RFC 9438 §4.2 to §4.5).
func (c *Cubic) Acked(w *Window, a Ack) {
	if !a.Limited {
		c.start.end = maxSeq(c.start.end, a.Una) // comparisons hold for 2^31 octets
		// §5.8: time in which the application sent little does not count.
		if c.epoch != 0 && c.last != 0 {
			c.epoch += a.Now - c.last
			c.last = a.Now
		}
		return
	}
	n := a.Acked
	if w.SlowStart() {
		n = c.start.slowStart(w, a)
		if n == 0 {
			return
		}
	}
	mss := float64(w.MSS)
	cwnd, acked := float64(w.Cwnd)/mss, float64(n)/mss
	if c.epoch == 0 {
		c.begin(cwnd, a.Now)
	}
	c.last = a.Now

	// §4.3: the Reno-friendly estimate.
	alpha := cubicAlpha
	if c.wEst >= c.prior {
		alpha = 1
	}
	c.wEst += alpha * acked / cwnd

	// §4.2: the target is the curve one round trip ahead, within [cwnd, 1.5 cwnd].
	t := a.Now.Sub(c.epoch).Seconds()
	d := t + a.SRTT.Seconds() - c.k
	target := min(max(cubicC*d*d*d+c.wMax, cwnd), 1.5*cwnd)
	next := cwnd + (target-cwnd)/cwnd*acked
	if now := t - c.k; cubicC*now*now*now+c.wMax < c.wEst {
		next = max(cwnd, c.wEst)
	}
	grow := (next-cwnd)*mss + c.frac
	whole := math.Floor(grow)
	c.frac = grow - whole
	w.Cwnd = min(w.Cwnd+int(whole), maxWindow)
}

// begin starts a congestion avoidance stage (§4.2).
func (c *Cubic) begin(cwnd float64, now Instant) {
	c.epoch, c.last, c.wEst, c.frac = now, now, cwnd, 0
	if c.wMax <= cwnd {
		c.wMax, c.k = cwnd, 0
		return
	}
	c.k = math.Cbrt((c.wMax - cwnd) / cubicC)
}

// Lost reduces the window to 0.7 of itself (§4.6), and remembers a lower peak
// when the last one was not reached (§4.7, fast convergence).
func (c *Cubic) Lost(w *Window, now Instant, flight int) {
	c.reduce(w, flight)
	w.Cwnd = w.Ssthresh
}

// TimedOut reduces the threshold likewise, and forgets the peak: the congestion
// avoidance that follows begins where slow start ends (§4.8).
func (c *Cubic) TimedOut(w *Window, now Instant, flight int) {
	c.reduce(w, flight)
	c.wMax = 0
}

// Undo takes back the last reduction (§4.9): the curve goes on.
func (c *Cubic) Undo() {
	if c.before != nil {
		c.curve = *c.before
	}
}

func (c *Cubic) reduce(w *Window, flight int) {
	if c.before == nil {
		c.before = new(curve)
	}
	*c.before = c.curve
	cwnd := float64(w.Cwnd) / float64(w.MSS)
	c.prior = cwnd
	if cwnd < c.wMax {
		c.wMax = cwnd * (1 + cubicBeta) / 2
	} else {
		c.wMax = cwnd
	}
	c.epoch = 0
	if flight+w.MSS > w.Cwnd {
		flight = w.Cwnd // the window was full, but for less than a segment
	}
	w.Ssthresh = max(int(float64(flight)*cubicBeta), 2*w.MSS)
}
