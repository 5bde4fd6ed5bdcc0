package tcp

import (
	"math"
	"testing"
	"time"
)

// grow acknowledges one window per round trip of rtt for d, starting at now.
func grow(cc CongestionControl, w *Window, now Instant, rtt, d time.Duration) Instant {
	for end := now.Add(d); now < end; {
		for acked := 0; acked < w.Cwnd; acked += 2 * w.MSS {
			cc.Acked(w, Ack{Now: now, Acked: 2 * w.MSS, SRTT: rtt, Limited: true})
		}
		now = now.Add(rtt)
	}
	return now
}

//rfc:9293 MUST-19
//rfc:5681 slow-start
//rfc:9438 slow-start
func TestRFC5681SlowStartDoubles(t *testing.T) {
	for _, cc := range []CongestionControl{new(Reno), new(Cubic)} {
		w := &Window{MSS: 1000, Cwnd: 10_000, Ssthresh: 40_000}
		cc.Acked(w, Ack{Now: 1, Acked: 10_000, Limited: true})
		if w.Cwnd != 20_000 {
			t.Errorf("%s: %d", cc.Name(), w.Cwnd)
		}
		cc.Acked(w, Ack{Now: 2, Acked: 10_000})
		if w.Cwnd != 20_000 {
			t.Errorf("%s: grew to %d although nothing limited the sender", cc.Name(), w.Cwnd)
		}
		cc.Acked(w, Ack{Now: 3, Acked: 25_000, Limited: true})
		if w.Cwnd < 40_000 || w.Cwnd > 41_000 {
			t.Errorf("%s: %d beyond the threshold", cc.Name(), w.Cwnd)
		}
	}
}

//rfc:9293 MUST-19
//rfc:5681 avoidance loss-ssthresh counting
func TestRFC5681CongestionAvoidance(t *testing.T) {
	w := &Window{MSS: 1000, Cwnd: 20_000, Ssthresh: 10_000}
	r := new(Reno)
	grow(r, w, 1, time.Second, 10*time.Second)
	if w.Cwnd < 29_000 || w.Cwnd > 31_000 {
		t.Errorf("%d after ten round trips", w.Cwnd)
	}
	r.Lost(w, 1, 30_000)
	if w.Cwnd != 15_000 || w.Ssthresh != 15_000 {
		t.Errorf("%+v", w)
	}
	r.TimedOut(w, 1, 3_000)
	if w.Ssthresh != 2_000 {
		t.Errorf("%+v", w)
	}
}

//rfc:9293 MAY-18
func TestRFC9438IsTheDefault(t *testing.T) { // §1
	if name := inEstablished(t).c.Info().CongestionControl; name != "cubic" {
		t.Errorf("%s", name)
	}
}

// RFC 9438 §4.2: after a reduction the window is back at W_max after K =
// cbrt(W_max*(1-beta)/C) seconds, flat around there and steep beyond.
//
//rfc:9438 curve target beta reduction constant
func TestRFC9438Curve(t *testing.T) {
	const mss, rtt = 1000, 50 * time.Millisecond
	w := &Window{MSS: mss, Cwnd: 1000 * mss, Ssthresh: 1000 * mss}
	c := new(Cubic)
	c.Lost(w, 1, w.Cwnd)
	if w.Cwnd != 700*mss || w.Ssthresh != 700*mss {
		t.Fatalf("%+v", w)
	}
	k := time.Duration(math.Cbrt(1000*0.3/0.4) * float64(time.Second))
	at := func(now Instant, d time.Duration, want float64) Instant {
		t.Helper()
		now = grow(c, w, now, rtt, d)
		if got := float64(w.Cwnd) / mss; math.Abs(got-want) > want*0.02 {
			t.Errorf("after %v: %.0f segments, want %.0f", time.Duration(now), got, want)
		}
		return now
	}
	now := at(1, k/2, 1000-0.4*math.Pow(k.Seconds()/2, 3))
	now = at(now, k/2, 1000)
	at(now, k/2, 1000+0.4*math.Pow(k.Seconds()/2, 3))
}

// The window counts where only a fraction of a segment kept the flight from
// filling it, the flight where the application did (RFC 9438 §4.6).
func TestRFC9438ReductionOfSmallWindows(t *testing.T) {
	for _, tc := range []struct{ flight, want int }{{4000, 3430}, {3000, 2100}, {1000, 2000}} {
		w := &Window{MSS: 1000, Cwnd: 4900, Ssthresh: 4900}
		new(Cubic).Lost(w, 1, tc.flight)
		if w.Cwnd != tc.want || w.Ssthresh != tc.want {
			t.Errorf("flight %d: %+v, want %d", tc.flight, w, tc.want)
		}
	}
}

//rfc:9438 fast-convergence
func TestRFC9438FastConvergence(t *testing.T) { // §4.7
	w := &Window{MSS: 1000, Cwnd: 100_000, Ssthresh: 100_000}
	c := new(Cubic)
	c.Lost(w, 1, w.Cwnd)
	c.Lost(w, 1, w.Cwnd)
	if want := 70 * (1 + 0.7) / 2; math.Abs(c.wMax-want) > 0.01 {
		t.Errorf("W_max %v, want %v", c.wMax, want)
	}
}

//rfc:9438 reno-friendly
func TestRFC9438RenoFriendly(t *testing.T) { // §4.3: short round trips, small windows
	w := &Window{MSS: 1000, Cwnd: 20_000, Ssthresh: 20_000}
	c := new(Cubic)
	c.Lost(w, 1, w.Cwnd)
	grow(c, w, 1, time.Millisecond, 20*time.Millisecond)
	// 0.53 segments a round trip until W_max; the cubic curve would not move.
	if got := float64(w.Cwnd) / 1000; got < 14+20*0.5 || got > 14+20*1.0 {
		t.Errorf("%.1f segments after 20 round trips", got)
	}
}

// The estimate grows by 0.53 segments a round trip until it has reached the window
// before the last reduction, whatever fast convergence makes of W_max, and by one
// from there on.
//
//rfc:9438 alpha
func TestRFC9438AlphaUntilThePriorWindow(t *testing.T) { // §4.3
	w := &Window{MSS: 1000, Cwnd: 30_000, Ssthresh: 30_000}
	c := new(Cubic)
	c.Lost(w, 1, w.Cwnd)
	w.Cwnd, w.Ssthresh = 20_000, 20_000
	c.Lost(w, 1, w.Cwnd) // W_max is 17 now
	now := grow(c, w, 1, time.Millisecond, 10*time.Millisecond)
	first := c.wEst - 14
	for c.wEst < 20 {
		now = grow(c, w, now, time.Millisecond, time.Millisecond)
	}
	before := c.wEst
	grow(c, w, now, time.Millisecond, 10*time.Millisecond)
	if second := c.wEst - before; first > 6.5 || second < 10*0.9 {
		t.Errorf("by %.1f segments in ten round trips, later by %.1f", first, second)
	}
}

//rfc:9438 application-limited
func TestRFC9438IdleTimeDoesNotCount(t *testing.T) { // §5.8
	w := &Window{MSS: 1000, Cwnd: 100_000, Ssthresh: 100_000}
	c := new(Cubic)
	c.Lost(w, 1, w.Cwnd)
	now := grow(c, w, 1, 50*time.Millisecond, time.Second)
	before := w.Cwnd
	for range 100 {
		now = now.Add(time.Second)
		c.Acked(w, Ack{Now: now, Acked: 1000, SRTT: 50 * time.Millisecond})
	}
	grow(c, w, now, 50*time.Millisecond, 200*time.Millisecond)
	if w.Cwnd < before || w.Cwnd > before+6000 { // the curve is flat here
		t.Errorf("from %d to %d by idling", before, w.Cwnd)
	}
}

//rfc:5681 restart
//rfc:6928 restart
func TestRFC5681RestartAfterIdle(t *testing.T) { // §4.1
	p := inEstablished(t, reno)
	p.c.win.Cwnd = 50_000
	p.write(1000)
	p.recv(ACK, 1, 1001, 0)
	p.after(time.Minute)
	p.out = nil
	p.write(60_000)
	if n := len(p.out); n != 10 {
		t.Errorf("a burst of %d segments after a minute", n)
	}
}
