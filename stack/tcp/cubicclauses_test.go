package tcp

import (
	"testing"
	"time"
)

// After a timeout the curve begins where slow start ends: W_max and the estimate
// of Reno's window are the window there, and K is zero.
//
//rfc:9438 timeout timeout-estimate
func TestRFC9438AfterATimeout(t *testing.T) { // §4.8
	w := &Window{MSS: 1000, Cwnd: 100_000, Ssthresh: 100_000}
	c := new(Cubic)
	c.Lost(w, 1, w.Cwnd)
	c.TimedOut(w, 1, w.Cwnd)
	if w.Ssthresh != 49_000 {
		t.Fatalf("%+v", w)
	}
	w.Cwnd = w.Ssthresh
	c.Acked(w, Ack{Now: Instant(time.Second), Acked: 1, SRTT: 50 * time.Millisecond, Limited: true})
	if c.k != 0 || c.wMax != 49 || c.wEst < 49 || c.wEst > 49.001 {
		t.Errorf("K %v, W_max %v, W_est %v", c.k, c.wMax, c.wEst)
	}
}

// A window that is not used does not grow (RFC 9438 §4.6).
//
//rfc:9438 unused
func TestRFC9438UnusedWindowDoesNotGrow(t *testing.T) {
	for _, ssthresh := range []int{10_000, 100_000} {
		w := &Window{MSS: 1000, Cwnd: 10_000, Ssthresh: ssthresh}
		c := new(Cubic)
		for i := range 1000 {
			c.Acked(w, Ack{Now: Instant(i * int(time.Second)), Acked: 1000, SRTT: 50 * time.Millisecond})
		}
		if w.Cwnd != 10_000 {
			t.Errorf("threshold %d: %d", ssthresh, w.Cwnd)
		}
	}
}
