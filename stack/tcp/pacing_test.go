package tcp

import (
	"fmt"
	"testing"
	"time"
)

// What leaves keeps to the rate, with what is sent again included: over 10 s
// within 1 %, and never more than a step and the slack beyond it.
func TestPacingRate(t *testing.T) {
	for _, tc := range []struct {
		rate, gso int
		loss      float64
		edit      func(c *Config)
	}{
		{rate: 20_000},
		{rate: 1_000_000},
		{rate: 1_000_000, loss: 0.02},
		{rate: 1_000_000, loss: 0.02, edit: func(c *Config) { c.NoSACK = true }},
		{rate: 4_000_000, gso: 65_000},
	} {
		t.Run(fmt.Sprintf("%d %v", tc.rate, tc.loss), func(t *testing.T) {
			s := newSim(t, 3)
			s.gso = tc.gso
			rate := float64(tc.rate)
			burst := max(rate*paceStep.Seconds(), 2*1460) + rate*paceSlack.Seconds()
			a := s.ends[0]
			a.cfg.MaxPacingRate, a.cfg.SndBuf = uint64(tc.rate), 1<<20
			s.ends[1].cfg.RcvBuf = 4 << 20
			a.imp.loss = tc.loss
			if tc.edit != nil {
				s.both(func(e *simEnd) { tc.edit(&e.cfg) })
			}
			a.want = make([]byte, 13*tc.rate+1<<20)
			var sent, begin float64 // octets, and how many at the start of the measure
			var debt float64        // of a leaky bucket
			var last Instant
			again := 0
			seen := map[Seq]bool{}
			a.imp.dropNth = func(_ int, seg *Segment) bool {
				n := float64(seg.DataLen())
				if n == 0 {
					return false
				}
				if seen[seg.Seq] {
					again++
				}
				seen[seg.Seq] = true
				sent += n
				debt = max(0, debt-rate*s.now.Sub(last).Seconds()) + n
				last = s.now
				if debt > burst+1 {
					t.Fatalf("%v: %.0f octets ahead of the rate, %.0f allowed", time.Duration(s.now), debt, burst)
				}
				return false
			}
			s.start()
			s.run(time.Hour, func() bool { return s.now > Instant(2*time.Second) })
			begin = sent
			from := s.now
			s.run(time.Hour, func() bool { return s.now > from.Add(10*time.Second) })
			got := (sent - begin) / s.now.Sub(from).Seconds()
			if got > rate*1.01 || got < rate*0.99 && tc.loss == 0 || got < rate*0.5 {
				t.Errorf("%.0f octets a second, want %d", got, tc.rate)
			}
			if i := a.info(); i.MaxPacingRate != uint64(tc.rate) || tc.loss > 0 && again < 10 {
				t.Errorf("%d sent again, %+v", again, i)
			}
		})
	}
}

// The rate that pacing has is what Linux computes, and its bound.
func TestPacingRateOfWindow(t *testing.T) {
	p := inEstablished(t)
	c := p.c
	c.srtt = 0
	if r := c.Info().PacingRate; r != 0 {
		t.Errorf("%d although no round trip is known", r)
	}
	c.srtt, c.win.Cwnd = 100*time.Millisecond, 20_000
	for ssthresh, want := range map[int]uint64{maxWindow: 400_000, 50_000: 400_000, 40_000: 240_000, 10_000: 240_000} {
		c.win.Ssthresh = ssthresh
		if r := c.Info().PacingRate; r != want {
			t.Errorf("threshold %d: %d octets a second, want %d", ssthresh, r, want)
		}
	}
	c.win.Ssthresh = 10_000
	c.SetMaxPacingRate(100_000)
	if i := c.Info(); i.PacingRate != 100_000 || i.MaxPacingRate != 100_000 {
		t.Errorf("%+v", i)
	}
	c.SetMaxPacingRate(0)
	if i := c.Info(); i.PacingRate != 240_000 || i.MaxPacingRate != 0 {
		t.Errorf("%+v", i)
	}
}

// Text that waits for its time wakes the owner once, and waits for nothing when
// the bound goes or rises; what is acknowledged meanwhile leaves no timer behind.
func TestPacingWaits(t *testing.T) {
	p := inEstablished(t, config(func(c *Config) { c.NoDelay, c.MaxPacingRate = true, 10_000 }))
	p.write(5000) // segments of 1000
	p.expect("[.] 1+1000 ack 1")
	if i := p.c.Info(); i.Timer != TimerPacing || i.Timer.String() != "pacing" {
		t.Errorf("waits for %v", i.Timer)
	}
	p.after(98 * time.Millisecond)
	p.expect()
	p.after(2 * time.Millisecond)
	p.expect("[.] 1001+1000 ack 1")
	p.c.SetMaxPacingRate(20_000)
	p.flush()
	p.expect("[.] 2001+1000 ack 1")
	p.after(50 * time.Millisecond)
	p.expect("[.] 3001+1000 ack 1")
	p.c.SetMaxPacingRate(0)
	p.flush()
	p.expect("[P.] 4001+1000 ack 1")
	p.recv(ACK, 1, 5001, 0)
	p.c.SetMaxPacingRate(100)
	p.write(1000)
	p.expect("[P.] 5001+1000 ack 1")
	p.write(10) // in ten seconds
	p.expect()
	p.recv(ACK, 1, 6001, 0)
	p.after(5 * time.Second)
	p.expect()
	p.c.Abort(p.now)
	p.flush()
	if d := p.c.Deadline(); d != 0 {
		t.Errorf("a timer at %v is left behind", d)
	}
}

// A retransmission timeout does not run while text waits for its time: a rate of
// less than a segment a second is no loss.
func TestPacingIsNoTimeout(t *testing.T) {
	s := newSim(t, 1)
	s.both(func(e *simEnd) { e.cfg.Pool = new(Pool) })
	s.ends[0].cfg.MaxPacingRate = 500
	s.ends[0].want = make([]byte, 20_000)
	s.start()
	s.run(time.Hour, func() bool { return len(s.ends[1].got) == 20_000 })
	if took := s.now.Sub(0); took < 34*time.Second || took > 42*time.Second {
		t.Errorf("20,000 octets took %v at 500 a second", took)
	}
	if n := s.ends[0].cfg.Pool.Counters; n.Timeouts != 0 || n.RetransSegs != 0 {
		t.Errorf("%+v", n)
	}
}

// A retransmission that waits for its time is not lost again meanwhile, although
// the timeout is shorter.
func TestPacingOfRetransmission(t *testing.T) {
	s := newSim(t, 1)
	s.both(func(e *simEnd) { e.cfg.Pool = new(Pool) })
	a := s.ends[0]
	a.cfg.MaxPacingRate = 500
	a.want = make([]byte, 30_000)
	texts := 0
	a.imp.dropNth = func(_ int, seg *Segment) bool {
		if seg.DataLen() > 0 {
			texts++
		}
		return seg.DataLen() > 0 && texts == 3
	}
	s.start()
	s.run(time.Hour, func() bool { return len(s.ends[1].got) == 30_000 })
	if n := a.cfg.Pool.Counters; n.Timeouts > 1 || n.RetransSegs != 1 || n.BlackHoles != 0 {
		t.Errorf("%+v", n)
	}
}

// A retransmission that waits for its time does not outlast the user timeout.
func TestPacingUserTimeout(t *testing.T) {
	p := inEstablished(t, config(func(c *Config) { c.NoDelay, c.MaxPacingRate, c.UserTimeout = true, 10, 30*time.Second }))
	p.write(2000) // in 200 s
	from := p.now
	for p.c.State() != Closed {
		p.now = max(p.now, p.c.Deadline())
		p.flush()
	}
	if took := p.now.Sub(from); took != 30*time.Second || p.c.Err() != ErrTimeout {
		t.Errorf("given up after %v with %v", took, p.c.Err())
	}
	if i := p.c.Info(); i.MaxPacingRate != 10 {
		t.Errorf("a bound of %d after the end", i.MaxPacingRate)
	}
}
