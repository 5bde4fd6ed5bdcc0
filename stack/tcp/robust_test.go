package tcp

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// Any one segment of a whole life may be lost, in either direction: SYN,
// SYN-ACK, data, acknowledgment, window update, FIN. The rest of the exchange
// makes up for it.
func TestAnySingleLossIsRepaired(t *testing.T) {
	for _, tc := range []struct {
		name string
		edit func(s *sim)
	}{
		{"fast reader", func(*sim) {}},
		{"slow reader", func(s *sim) { // windows close and open again
			b := s.ends[1]
			b.cfg.RcvBuf, b.readCap, b.readGap = 6000, 3000, 50*time.Millisecond
		}},
		{"no options", func(s *sim) {
			s.both(func(e *simEnd) { e.cfg.NoTimestamps, e.cfg.NoSACK, e.cfg.NoWindowScale = true, true, true })
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for end := range 2 {
				for lost := 1; ; lost++ {
					s := newSim(t, 1)
					dropped := false
					s.ends[end].imp.dropNth = func(n int, seg *Segment) bool {
						dropped = dropped || n == lost
						return n == lost
					}
					tc.edit(s)
					n := 30_000
					want := pattern(n, 1)
					s.ends[0].want, s.ends[0].closeW, s.ends[1].closeW = want, true, true
					s.start()
					s.run(10*time.Second, func() bool {
						return s.ends[0].eof && s.ends[1].eof && s.ends[0].conn.finAcked() && s.ends[1].conn.finAcked()
					})
					if string(s.ends[1].got) != string(want) {
						t.Fatalf("end %d, segment %d: %d octets arrived", end, lost, len(s.ends[1].got))
					}
					if !dropped {
						break
					}
				}
			}
		})
	}
}

// The sequence space wraps at 2^32, and signed comparisons would at 2^31.
func TestTransferAcrossTheWraps(t *testing.T) {
	for _, iss := range []Seq{0xffff_ffff, 0xffff_fffe, 0x7fff_ffff, 0x8000_0000, 0xfffe_0000, 0x7ffe_0000, 0} {
		s := newSim(t, uint64(iss))
		s.both(func(e *simEnd) {
			e.cfg.ISS = iss
			e.imp = impairment{delay: time.Millisecond, jitter: time.Millisecond, loss: 0.02, dup: 0.02}
		})
		s.transfer(300_000, 30*time.Second)
	}
}

// Timestamps wrap as well (RFC 7323 §5.4).
func TestTransferAcrossTheTimestampWrap(t *testing.T) {
	s := newSim(t, 1)
	s.both(func(e *simEnd) {
		e.cfg.TSOffset = 0xffff_ffff - 100
		e.imp.loss = 0.02
	})
	s.transfer(300_000, 30*time.Second)
}

func TestSlowReaderGetsEverything(t *testing.T) {
	for seed := range uint64(4) {
		s := newSim(t, seed)
		s.both(func(e *simEnd) {
			e.cfg.RcvBuf, e.readCap, e.readGap = 20000, 700, 2*time.Millisecond
			e.imp = impairment{delay: 3 * time.Millisecond, jitter: time.Millisecond, loss: 0.05}
		})
		s.transfer(200_000, 3*time.Minute)
	}
}

// Goodput through 5 % loss, reordering and duplication in both directions. The
// floor is a fifth of what Reno's response function (RFC 5348 §3.1 without
// timeouts: MSS/RTT*1.22/sqrt(p)) promises.
func TestGoodputThroughLoss(t *testing.T) {
	for seed := range uint64(2) {
		s := newSim(t, seed)
		s.both(func(e *simEnd) {
			e.imp = impairment{delay: 5 * time.Millisecond, jitter: time.Millisecond, loss: 0.05, dup: 0.05}
		})
		a, b := s.ends[0], s.ends[1]
		n := 4 << 20
		a.want, a.closeW = pattern(n, 1), true
		want := a.want
		s.start()
		s.run(5*time.Minute, func() bool { return b.eof })
		if string(b.got) != string(want) {
			t.Fatal("not what was sent")
		}
		rate := float64(n) / time.Duration(s.now).Seconds()
		t.Logf("%.0f kB/s in %d segments, %d sent again: %+v", rate/1e3, a.sent, a.info().Retransmits, a.info())
		if model := 1448 / 0.011 * 1.22 / 0.2236; rate < model/5 {
			t.Errorf("%.0f octets per second, the model says %.0f", rate, model)
		}
	}
}

// A bottleneck without random loss is used to the full.
func TestGoodputAtBottleneck(t *testing.T) {
	for _, cc := range []string{"cubic", "reno"} {
		s := newSim(t, 1)
		s.both(func(e *simEnd) {
			if cc == "reno" {
				e.cfg.CongestionControl = new(Reno)
			}
			e.imp = impairment{delay: 10 * time.Millisecond, rate: 1_250_000} // 10 Mbit/s
		})
		// A queue of 40 full packets in front of the wire, drop-tail.
		a, b := s.ends[0], s.ends[1]
		a.imp.dropNth = func(int, *Segment) bool { return a.busy.Sub(s.now) > 40*1200*time.Microsecond }
		n := 8 << 20
		a.want, a.closeW = pattern(n, 1), true
		s.start()
		s.run(time.Minute, func() bool { return b.eof })
		d := time.Duration(s.now)
		t.Logf("%s: %v, %d segments: %+v", cc, d, a.sent, a.info())
		if least := 8 << 20 * time.Second / 1_250_000 * 1500 / 1448; d > least*5/4 {
			t.Errorf("%s: %v, the wire needs %v", cc, d, least)
		}
	}
}

// Random paths, options, buffers and users: everything arrives, and both ends
// reach CLOSED by themselves.
func TestRandomPathsAndConfigurations(t *testing.T) {
	r := rand.New(rand.NewPCG(99, 98))
	third := func() bool { return r.IntN(3) == 0 }
	for seed := range uint64(200) {
		s := newSim(t, seed)
		var want [2][]byte
		for i, e := range s.ends {
			e.imp = impairment{
				delay: time.Duration(r.IntN(20_000)) * time.Microsecond, jitter: time.Duration(1+r.IntN(5000)) * time.Microsecond,
				loss: r.Float64() * 0.15, dup: r.Float64() * 0.2,
			}
			if third() {
				e.imp.rate = 100_000 + r.IntN(1_000_000)
			}
			c := &e.cfg
			c.NoSACK, c.NoTimestamps, c.NoWindowScale, c.NoDelay = third(), third(), third(), third()
			c.ISS, c.TSOffset, c.MSS = Seq(r.Uint32()), r.Uint32(), uint16(200+r.IntN(1261))
			if third() {
				c.CongestionControl = new(Reno)
			}
			if third() {
				c.RcvBuf = 500 + r.IntN(100_000)
			}
			if third() {
				c.SndBuf = 500 + r.IntN(100_000)
			}
			if third() {
				e.readCap, e.readGap = 200+r.IntN(5000), time.Duration(r.IntN(20_000))*time.Microsecond
			}
			want[i] = pattern(1+r.IntN(60_000), uint64(i+1))
			e.want, e.closeW = want[i], true
		}
		if third() {
			s.gso = 1 + r.IntN(65_000)
		}
		s.start()
		s.run(20*time.Minute, func() bool {
			return s.ends[0].conn.Done() && s.ends[1].conn != nil && s.ends[1].conn.Done()
		})
		for i, e := range s.ends {
			if string(e.got) != string(want[1-i]) || e.err != nil {
				t.Fatalf("seed %d, end %d: %d of %d octets, %v", seed, i, len(e.got), len(want[1-i]), e.err)
			}
		}
	}
}

func TestSimultaneousOpenOverLossyWire(t *testing.T) {
	for seed := range uint64(50) {
		s := newSim(t, seed)
		s.both(func(e *simEnd) { e.imp.loss, e.closeW, e.want = 0.2, true, []byte(fmt.Sprint(seed)) })
		s.ends[1].conn = NewActive(s.ends[1].cfg, s.now)
		s.serve(1)
		s.start()
		s.run(10*time.Minute, func() bool { return s.ends[0].conn.Done() && s.ends[1].conn.Done() })
		for i, e := range s.ends {
			if e.err != nil || string(e.got) != fmt.Sprint(seed) {
				t.Fatalf("seed %d, end %d: %v, %q", seed, i, e.err, e.got)
			}
		}
	}
}

func TestSimultaneousCloseOverLossyWire(t *testing.T) {
	for seed := range uint64(50) {
		s := newSim(t, seed)
		s.both(func(e *simEnd) { e.imp.loss, e.closeW, e.want = 0.2, true, []byte(fmt.Sprint(seed)) })
		s.start()
		s.run(10*time.Minute, func() bool {
			return s.ends[0].conn.Done() && s.ends[1].conn != nil && s.ends[1].conn.Done()
		})
		for i, e := range s.ends {
			if e.err != nil || string(e.got) != fmt.Sprint(seed) {
				t.Fatalf("seed %d, end %d: %v, %q", seed, i, e.err, e.got)
			}
		}
	}
}
