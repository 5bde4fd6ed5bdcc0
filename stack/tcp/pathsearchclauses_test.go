package tcp

import (
	"testing"
	"time"
)

// What a search for the path's size costs: when probes go, how large they are, and
// what follows from what becomes of them (RFC 4821).

// probe has the script send a probe of 1460 octets and n segments behind it, and
// returns the relative number behind them.
func (p *script) probe(n int) (end int) {
	p.t.Helper()
	at, before := p.c.sndNxt.Sub(ourISS), p.c.pool.Counters.PathProbes
	p.write(1460 + n*pathBase)
	if p.c.pool.Counters.PathProbes != before+1 || p.c.pmtu.size != 1460 {
		p.t.Fatalf("no probe: %q", p.out)
	}
	p.out = nil
	return at + 1460 + n*pathBase
}

// A loss that was forgiven is the only one for as many round trips as segments may
// be in flight; after a timeout the search rests five times as long.
//
//rfc:4821 headway rest
func TestRFC4821Headway(t *testing.T) { // §4, §7.6.2, §7.6.3
	for name, rests := range map[string]int{"lost alone": 1, "timed out": 5} {
		p := inPathSearch(t)
		p.c.srtt, p.c.rttvar = 10*time.Millisecond, time.Millisecond
		least := time.Duration(rests) * p.c.srtt * time.Duration(p.c.win.Cwnd/p.c.win.MSS)
		end := p.probe(4)
		if rests == 1 {
			p.recv(ACK, 1, 1461, 0, sacking([2]int{1461 + 1460, end}))
			p.after(5 * time.Millisecond)
		} else {
			for p.c.pool.Counters.Timeouts < 4 { // three were the black hole's
				p.now = p.c.Deadline()
				p.flush()
			}
		}
		from := p.now
		p.recv(ACK, 1, end, 0)
		p.c.win.Cwnd = 20_000
		before := p.c.pool.Counters.PathProbes
		for p.c.pool.Counters.PathProbes == before {
			if p.now.Sub(from) > time.Minute {
				t.Fatalf("%s: no probe in a minute", name)
			}
			at := p.c.sndNxt
			p.write(1460 + 4*pathBase)
			p.recv(ACK, 1, at.Sub(ourISS)+1460+4*pathBase, 0)
			p.now = p.now.Add(10 * time.Millisecond)
		}
		if d := p.now.Sub(from); d < least {
			t.Errorf("%s: a probe %v after the last, want %v at least", name, d, least)
		}
	}
}

// Segments do not grow beyond the window, for that would make the window larger.
//
//rfc:4821 same-window
func TestRFC4821LargerSegmentsInTheSameWindow(t *testing.T) { // §4
	p := inPathSearch(t)
	end := p.probe(4)
	p.c.win.Cwnd, p.c.win.Ssthresh = pathBase, pathBase
	p.recv(ACK, 1, end, 0)
	if p.c.win.MSS != pathBase {
		t.Errorf("segments of %d octets in a window of %d", p.c.win.MSS, p.c.win.Cwnd)
	}
}

// Without SACK a lost probe could not be told from others, and none goes.
//
//rfc:4821 loss-reports
func TestRFC4821NoSearchWithoutSACK(t *testing.T) { // §4, §6.1
	p := inEstablished(t, withMSS(1460), config(func(c *Config) { c.MSS = 1460 }))
	p.mss = 1460
	p.write(1460)
	p.after(2 * time.Second)
	p.recv(ACK, 1, 1461, 0)
	p.c.win.Cwnd, p.c.win.Ssthresh = 20_000, 20_000
	p.write(1460 + 4*pathBase)
	if n := p.c.pool.Counters; n.BlackHoles != 1 || n.PathProbes != 0 {
		t.Errorf("%+v", n)
	}
}

// A probe has its size with all headers.
//
//rfc:4821 accounting
func TestRFC4821ProbesCountOptions(t *testing.T) { // §5.1
	most := 1460
	s := upload(t, &most, 20_000, slowWay, func(s *sim) {
		s.both(func(e *simEnd) { e.cfg.NoTimestamps = false })
	})
	most = 1300
	largest := 0
	s.ends[0].imp.dropNth = func(n int, seg *Segment) bool {
		if seg.DataLen() > 0 && s.ends[0].conn.pmtu != nil {
			largest = max(largest, seg.DataLen()+seg.Options.len())
		}
		return swallow(&most)(n, seg)
	}
	s.run(time.Hour, func() bool { return s.ends[0].info().PathMSS < 1460 })
	largest = 0
	s.run(time.Hour, func() bool { return s.ends[0].cfg.Pool.Counters.PathProbes > 0 })
	if largest != 1460 {
		t.Errorf("a probe of %d octets with options, want 1460", largest)
	}
}

// A segment that is no probe and gets lost says nothing about the search.
//
//rfc:4821 not-a-probe
func TestRFC4821OrdinaryLoss(t *testing.T) { // §7.1
	p := inPathSearch(t)
	p.write(pathBase)
	end := p.probe(4)
	p.recv(ACK, 1, 1461, 0, sacking([2]int{1461 + pathBase, end}))
	p.after(5 * time.Millisecond)
	if n := p.c.pool.Counters; n.PathProbesLost != 0 || p.c.pmtu.failed != 0 || p.c.loss != lossRecovery {
		t.Errorf("%+v, %v, %+v", p.c.pmtu, p.c.loss, n)
	}
}

// The search ends when little is left to win, and begins again ten minutes later,
// with the largest size that there can be.
//
//rfc:4821 converged not-soon
func TestRFC4821SearchEnds(t *testing.T) { // §7.3
	now := Instant(time.Hour)
	p := pathProbe{low: 1000, high: 1000 + pathStep - 1, verified: true}
	for _, tc := range []struct {
		after time.Duration
		want  uint16
	}{{0, 0}, {5 * time.Minute, 0}, {10*time.Minute - 1, 0}, {10 * time.Minute, 1460}} {
		if size := p.next(now.Add(tc.after), 1460); size != tc.want {
			t.Errorf("after %v: a probe of %d octets, want %d", tc.after, size, tc.want)
		}
	}
}

// One probe is under way at a time. Where the window has no room for the next,
// smaller segments do not take what becomes free.
//
//rfc:4821 one-at-a-time patience
func TestRFC4821ProbeWaits(t *testing.T) { // §7.4
	p := inPathSearch(t)
	p.c.win.Cwnd, p.c.win.Ssthresh = 40_000, 40_000
	p.probe(4)
	p.write(1460 + 4*pathBase)
	if n := p.c.pool.Counters.PathProbes; n != 1 {
		t.Errorf("%d probes at once", n)
	}

	p = inPathSearch(t)
	p.c.pmtu.wait = p.now.Add(time.Millisecond)
	p.write(10 * pathBase)
	p.now = p.now.Add(time.Millisecond)
	p.c.win.Cwnd = 10*pathBase + 1300
	p.out = nil
	p.write(10 * pathBase) // 1300 octets fit, a probe of 1460 does not
	p.expect()
	p.recv(ACK, 1, 1461+2*pathBase, 0)
	if n := p.c.pool.Counters.PathProbes; n != 1 || p.segs[len(p.segs)-1].DataLen() < pathBase {
		t.Errorf("%d probes: %q", n, p.out)
	}
}

// What a router says bounds the search.
//
//rfc:4821 routers-help
func TestRFC4821RouterDuringSearch(t *testing.T) { // §7.6.2
	p := inPathSearch(t)
	p.c.SetPathMSS(p.now, 1300)
	if n := p.c.PathLimit(); n != 1300 {
		t.Errorf("the search goes up to %d", n)
	}
	p.write(1300 + 4*pathBase)
	if p.c.pmtu.size == 0 || p.c.pmtu.size > 1300 {
		t.Errorf("a probe of %d octets", p.c.pmtu.size)
	}
}

// Where one of several ways does not carry a size that a probe has found, segments
// get smaller again.
//
//rfc:4821 verified
func TestRFC4821Verification(t *testing.T) { // §7.8
	most := 1460
	s := upload(t, &most, 20_000, slowWay)
	most = 1200
	s.run(time.Hour, func() bool { return s.ends[0].info().PathMSS < 1200 })
	large := 0
	s.ends[0].imp.dropNth = func(n int, seg *Segment) bool {
		if seg.DataLen()+seg.Options.len() <= 1300 {
			return false
		}
		large++
		return large%4 == 0
	}
	s.run(time.Hour, func() bool { return s.ends[0].info().PathMSS > 1300 })
	s.searched(5 * time.Minute)
	if n := s.ends[0].info().PathMSS; n > 1300 {
		t.Errorf("segments of %d octets, every fourth of which is lost", n)
	}
}

// A size that nothing was sent with has lost nothing.
func TestRFC4821VerificationWithoutText(t *testing.T) { // §7.8
	p := inPathSearch(t)
	p.recv(ACK, 1, p.probe(4), 0)
	p.now = p.now.Add(time.Minute)
	if p.write(1000); p.c.win.MSS != 1460 {
		t.Errorf("segments of %d octets after a pause", p.c.win.MSS)
	}
}

// The program says with which size a connection begins, and the largest that is
// tried.
//
//rfc:4821 configured
func TestRFC4821Configured(t *testing.T) { // §4, §7.2
	p := inEstablished(t, withSACK, withMSS(1460), config(func(c *Config) { c.MSS, c.PathMSS = 1300, 1000 }))
	p.mss = 1300
	p.c.win.Cwnd = 20_000
	p.write(5000)
	if n := len(p.segs[2].Payload); n != 1000 {
		t.Errorf("the first segment has %d octets", n)
	}
	p.recv(ACK, 1, 5001, 0)
	p.now = p.now.Add(pathAgain)
	p.out = nil
	p.write(1300 + 4000)
	if n := p.c.pmtu.size; n != 1300 {
		t.Errorf("a probe of %d octets: %q", n, p.out)
	}
}
