package tcp

import (
	"testing"
	"time"
)

// starter plays rounds of slow start to a Cubic: in each, the whole window is
// acknowledged segment by segment.
type starter struct {
	cc  *Cubic
	w   *Window
	una Seq
	now Instant
}

func newStarter() *starter {
	return &starter{cc: new(Cubic), w: &Window{MSS: 1000, Cwnd: 20_000, Ssthresh: maxWindow}, now: 1}
}

// round acknowledges one window whose round-trip times are rtts in turn, the
// last of them for what is left, and returns by what the window has grown.
func (s *starter) round(rtts ...time.Duration) float64 {
	const size = 1 << 20 // each round has as many numbers, and ends with the last of them
	before := s.w.Cwnd
	n := before / 1000
	for i := range n {
		a := Ack{Now: s.now, Acked: 1000, SRTT: rtts[0], RTT: rtts[min(i, len(rtts)-1)], Limited: true}
		a.Una, a.Nxt = s.una.Add(i+1), s.una.Add(size)
		if i == n-1 {
			s.una = a.Nxt
			a.Una, a.Nxt = s.una, s.una.Add(size)
		}
		s.cc.Acked(s.w, a)
	}
	s.now = s.now.Add(rtts[0])
	return float64(s.w.Cwnd) / float64(before)
}

const ms = time.Millisecond

// A round whose least round-trip time is an eighth above that of the round before
// ends doubling: from there on the window grows by a quarter a round, and after
// five rounds slow start is over.
//
//rfc:9406 delay-increase growth css-rounds
//rfc:9438 hystart
func TestRFC9406DelayEndsSlowStart(t *testing.T) { // §4.2
	s := newStarter()
	for i := range 3 {
		if g := s.round(80 * ms); g < 1.95 {
			t.Fatalf("round %d grew by %.2f", i, g)
		}
	}
	s.round(90 * ms) // an eighth more: noticed after eight samples
	for i := range 3 {
		if g := s.round(90 * ms); g < 1.2 || g > 1.3 {
			t.Fatalf("conservative round %d grew by %.2f", i, g)
		}
		if s.w.Ssthresh != maxWindow {
			t.Fatalf("slow start was over after %d rounds", i+2)
		}
	}
	if s.round(90 * ms); s.w.Ssthresh != s.w.Cwnd {
		t.Errorf("after the fifth round the threshold is %d and the window %d", s.w.Ssthresh, s.w.Cwnd)
	}
}

// The rise that counts is an eighth of the round-trip time, but not less than 4
// and not more than 16 ms.
//
//rfc:9406 constants
func TestRFC9406Threshold(t *testing.T) { // §4.2, §4.3
	for _, tc := range []struct{ first, then time.Duration }{
		{1 * ms, 5 * ms}, {16 * ms, 20 * ms}, {80 * ms, 90 * ms}, {400 * ms, 416 * ms},
	} {
		for _, less := range []time.Duration{0, time.Microsecond} {
			s := newStarter()
			s.round(tc.first)
			s.round(tc.first)
			s.round(tc.then - less)
			if slow := s.round(tc.then-less) < 1.5; slow == (less > 0) {
				t.Errorf("from %v to %v: conservative %v", tc.first, tc.then-less, slow)
			}
		}
	}
}

// A round is judged by eight samples at least, and by the least of them: what one
// or seven acknowledgments say is jitter.
//
//rfc:9406 samples
func TestRFC9406NeedsSamples(t *testing.T) { // §4.2
	for n, want := range map[int]bool{7: false, 8: true, 20: true} {
		s := newStarter()
		s.w.Cwnd = n * 1000
		s.round(10 * ms)
		s.w.Cwnd = n * 1000
		s.round(30 * ms)
		if slow := s.round(30*ms) < 1.5; slow != want {
			t.Errorf("%d samples a round: conservative %v", n, slow)
		}
	}
	s := newStarter()
	s.round(10 * ms)
	s.round(30*ms, 30*ms, 30*ms, 10*ms, 30*ms)
	if g := s.round(10 * ms); g < 1.95 {
		t.Errorf("one low sample of a round was not believed: %.2f", g)
	}
}

// When the round-trip time falls below that of the round that began it,
// conservative slow start is over, and slow start goes on as before.
//
//rfc:9406 resume
func TestRFC9406JitterResumes(t *testing.T) { // §4.2
	s := newStarter()
	s.round(40 * ms)
	s.round(50 * ms)
	if g := s.round(50 * ms); g > 1.3 {
		t.Fatalf("grew by %.2f", g)
	}
	s.round(40 * ms)
	for i := range 7 {
		if g := s.round(40 * ms); g < 1.95 {
			t.Errorf("round %d after the jitter grew by %.2f", i, g)
		}
	}
	s.round(60 * ms)
	if g := s.round(60 * ms); g > 1.3 {
		t.Errorf("the next rise went unnoticed: %.2f", g)
	}
}

// What is known of the path after a loss is the threshold; slow start up to it
// doubles, whatever the round-trip times.
//
//rfc:9406 initial-only
func TestRFC9406OnlyInitialSlowStart(t *testing.T) { // §4.3
	s := newStarter()
	s.round(40 * ms)
	s.w.Cwnd = 400_000
	s.cc.TimedOut(s.w, s.now, 400_000)
	s.w.Cwnd = 20_000
	for i := range 3 {
		if g := s.round(time.Duration(40+20*i) * ms); g < 1.95 {
			t.Errorf("round %d grew by %.2f", i, g)
		}
	}
}

// A large acknowledgment counts whole, also of text that is paced.
//
//rfc:9406 paced
func TestRFC9406LargeAcknowledgment(t *testing.T) { // §4.3
	p := inEstablished(t, config(func(c *Config) { c.MaxPacingRate = 100 << 20 }))
	p.c.win.Cwnd = 40_000
	p.write(40_000)
	p.after(time.Millisecond)
	if p.c.flight() != 40_000 {
		t.Fatalf("%d octets in flight", p.c.flight())
	}
	p.recv(ACK, 1, 40_001, 0)
	if p.c.win.Cwnd != 80_000 {
		t.Errorf("the window is %d", p.c.win.Cwnd)
	}
}
