package tcp

import (
	"testing"
	"time"
)

// swallow drops segments with text whose payload and options exceed *most.
func swallow(most *int) func(int, *Segment) bool {
	return func(_ int, s *Segment) bool { return s.DataLen() > 0 && s.DataLen()+s.Options.len() > *most }
}

// upload has end 0 send without end over a path that swallows what is larger than
// *most, until n octets have arrived.
func upload(t *testing.T, most *int, n int, edit ...func(s *sim)) *sim {
	s := newSim(t, 1)
	s.both(func(e *simEnd) { e.cfg.Pool = new(Pool) })
	s.ends[0].imp.dropNth = swallow(most)
	s.ends[0].want = make([]byte, 64<<20)
	for _, f := range edit {
		f(s)
	}
	s.start()
	s.run(time.Hour, func() bool { return len(s.ends[1].got) >= n })
	return s
}

// slowWay has little in flight: a search goes on after as many round trips.
func slowWay(s *sim) { s.ends[0].imp.rate, s.ends[1].cfg.RcvBuf = 40_000, 8000 }

// searched goes on until end 0 has ended its search for the path's size.
func (s *sim) searched(limit time.Duration) {
	s.t.Helper()
	end := s.now.Add(limit)
	s.run(time.Hour, func() bool { return s.now > end || s.ends[0].conn.pmtu.at != 0 })
	if s.now > end {
		s.t.Errorf("the search is not over after %v", limit)
	}
}

// A path that swallows large packets without a word is noticed after three
// timeouts, and the size that it carries is found without a loss of rate.
func TestRFC4821BlackHole(t *testing.T) {
	for _, most := range []int{1459, 1400, 1161, 1160, 900} {
		s := upload(t, &most, 100_000, slowWay)
		s.searched(10 * time.Minute)
		i, n := s.ends[0].info(), &s.ends[0].cfg.Pool.Counters
		t.Logf("%d: path %d, %v, %+v", most, i.PathMSS, time.Duration(s.now), n)
		if i.PathMSS > most || i.PathMSS <= most-pathStep {
			t.Errorf("the path carries %d, found %d", most, i.PathMSS)
		}
		if n.BlackHoles == 0 || n.Recoveries != 0 || int(n.Timeouts) > 1+baseTimeouts && most >= pathBase || time.Duration(s.now) > 2*time.Minute {
			t.Errorf("%v, %+v", time.Duration(s.now), n)
		}
		if size, ok := s.ends[0].conn.PathNews(); !ok || size != i.PathMSS {
			t.Errorf("news: %d, %v", size, ok)
		}
	}
}

// An outage looks like a black hole; segments are as large as before soon after
// it, by the first probe.
//
//rfc:4821 black-hole halved success
func TestRFC4821Outage(t *testing.T) {
	most := 1460
	s := upload(t, &most, 300_000)
	most = 0
	end := s.now.Add(20 * time.Second)
	s.run(time.Hour, func() bool { return s.now >= end })
	if i := s.ends[0].info(); i.PathMSS != pathLeast {
		t.Errorf("path %d in the outage", i.PathMSS)
	}
	most = 1460
	s.run(time.Hour, func() bool { return s.ends[0].info().Recovery == RecoveryNone })
	end = s.now.Add(100 * time.Millisecond)
	s.run(time.Hour, func() bool { return s.now > end })
	n := &s.ends[0].cfg.Pool.Counters
	if i := s.ends[0].info(); i.PathMSS != 1460 || n.PathProbes != 1 || n.PathProbesLost != 0 {
		t.Errorf("path %d, %+v", i.PathMSS, n)
	}
}

// Ten minutes after a search, or after an ICMP message, the path may carry more.
//
//rfc:4821 again
//rfc:1191 not-soon
func TestRFC4821SearchesAgain(t *testing.T) {
	for name, learn := range map[string]func(s *sim, most *int){
		"black hole": func(s *sim, most *int) {},
		"ICMP":       func(s *sim, most *int) { s.ends[0].conn.SetPathMSS(s.now, *most) },
	} {
		t.Run(name, func(t *testing.T) {
			most := 1460
			slow := func(s *sim) { s.ends[0].imp.rate, s.ends[1].cfg.RcvBuf = 10_000, 16_000 }
			s := upload(t, &most, 100_000, slow)
			most = 1200
			learn(s, &most)
			have := len(s.ends[1].got)
			s.run(time.Hour, func() bool { return len(s.ends[1].got) > have+128<<10 })
			s.searched(10 * time.Minute)
			before, at := s.ends[0].info(), s.now
			most = 1460
			s.run(time.Hour, func() bool { return s.now > at.Add(8*time.Minute) })
			if i := s.ends[0].info(); i.PathMSS != before.PathMSS || i.PathMSS > 1200 {
				t.Errorf("path %d, then %d", before.PathMSS, i.PathMSS)
			}
			s.run(time.Hour, func() bool { return s.now > at.Add(11*time.Minute) })
			if i := s.ends[0].info(); i.PathMSS != 1460 {
				t.Errorf("path %d after ten minutes", i.PathMSS)
			}
		})
	}
}

// inPathSearch returns a connection in a black hole's base size that is about to
// probe.
func inPathSearch(t *testing.T) *script {
	t.Helper()
	p := inEstablished(t, withSACK, withMSS(1460), config(func(c *Config) { c.MSS = 1460 }))
	p.mss = 1460
	p.write(1460)
	p.after(2 * time.Second)
	p.recv(ACK, 1, 1461, 0)
	if p.c.win.MSS != pathBase {
		t.Fatalf("segments of %d octets", p.c.win.MSS)
	}
	p.c.win.Cwnd, p.c.win.Ssthresh = 20_000, 20_000
	p.out = nil
	return p
}

// A probe that is lost alone is sent again in segments that fit, and the window
// stays; three losses in a row say that its size is too large.
//
//rfc:4821 no-congestion range ordinary
func TestRFC4821ProbeIsLost(t *testing.T) { // §7.5
	p := inPathSearch(t)
	at := 1461
	for k := range pathTries {
		p.write(1460 + 4*pathBase)
		if len(p.out) != 5 || p.segs[len(p.segs)-5].DataLen() != 1460 {
			t.Fatalf("attempt %d: %q", k, p.out)
		}
		p.out = nil
		p.now = p.now.Add(10 * time.Millisecond)
		end := at + 1460 + 4*pathBase
		cwnd, ssthresh := p.c.win.Cwnd, p.c.win.Ssthresh
		p.recv(ACK, 1, at, 0, sacking([2]int{at + 1460, end}))
		p.after(5 * time.Millisecond)
		if p.c.win.Cwnd < cwnd || p.c.win.Ssthresh != ssthresh || len(p.out) != 2 {
			t.Fatalf("attempt %d: window %+v, before %d; %q", k, p.c.win, cwnd, p.out)
		}
		p.recv(ACK, 1, end, 0)
		p.out = nil
		at = end
	}
	p.write(1460 + 4*pathBase)
	if n, want := p.segs[len(p.segs)-5].DataLen(), pathBase+(1459-pathBase+1)/2; n != want {
		t.Errorf("a probe of %d octets, want %d", n, want)
	}
}

// A probe that is lost together with others, or sent again for whatever reason,
// says nothing.
//
//rfc:4821 inconclusive
func TestRFC4821ProbeIsInconclusive(t *testing.T) { // §7.6
	p := inPathSearch(t)
	p.write(1460 + 5*pathBase)
	p.now = p.now.Add(10 * time.Millisecond)
	end := 1461 + 1460 + 5*pathBase
	p.recv(ACK, 1, 1461, 0, sacking([2]int{1461 + 1460 + pathBase, end}))
	p.after(5 * time.Millisecond)
	n := &p.c.pool.Counters
	if p.c.loss != lossRecovery || n.PathProbesLost != 0 {
		t.Fatalf("%v, %+v", p.c.loss, n)
	}
	p.recv(ACK, 1, end, 0)
	if p.c.pmtu.size != 0 || p.c.pmtu.failed != 0 || p.c.pmtu.low != pathBase {
		t.Errorf("%+v", p.c.pmtu)
	}
}

// No probe goes where too little follows it to tell of its loss.
//
//rfc:4821 company
func TestRFC4821ProbeNeedsCompany(t *testing.T) {
	p := inPathSearch(t)
	p.write(1460 + 3*pathBase - 1)
	if p.c.pool.Counters.PathProbes != 0 {
		t.Errorf("%q", p.out)
	}
}

// Small segments that time out are no black hole.
//
//rfc:4821 small-segments
func TestRFC4821SmallSegments(t *testing.T) {
	p := inEstablished(t, withSACK, withMSS(1460), config(func(c *Config) { c.MSS = 1460 }))
	p.mss = 1460
	p.write(1000)
	p.after(time.Minute)
	if p.c.win.MSS != 1460 || p.c.pool.Counters.BlackHoles != 0 {
		t.Errorf("segments of %d octets", p.c.win.MSS)
	}
}
