package tcp

import (
	"testing"
	"time"
)

// stamped has both ends agree on timestamps, beside which segments carry 1000
// octets.
func stamped(cfg *Config, syn *Options) {
	withTimestamps(cfg, syn)
	cfg.MSS, syn.MSS = 1000+timestampsLen, 1000+timestampsLen
}

// echoing has a segment answer what was sent at the given time.
func (p *script) echoing(at Instant) func(*Segment) {
	return func(s *Segment) { s.Options.TSEcr = p.c.tsNow(at) }
}

// inRecovery returns a connection with ten segments in flight, of which the peer
// has reported three behind the first, and the window and the curve that it had
// before. The first was sent again.
func inRecovery(t *testing.T, opts ...option) (p *script, before Window, was curve) {
	t.Helper()
	p = inFlight(t, 10, opts...)
	was = curve{wMax: 30, prior: 31, k: 2, wEst: 9, epoch: 5, last: 6, frac: 0.5}
	before, p.c.cc = p.c.win, &Cubic{curve: was}
	p.recv(ACK, 1, 1001, 0, sacking([2]int{2001, 5001}), p.echoing(p.now.Add(-roundTrip)))
	p.expect("[.] 1001+1000 ack 1")
	if p.c.loss != lossRecovery || p.c.win.Cwnd >= before.Cwnd {
		t.Fatalf("state %v, cwnd %d", p.c.loss, p.c.win.Cwnd)
	}
	p.now = p.now.Add(roundTrip / 4)
	return p, before, was
}

// undone fails unless the recovery is over and everything is as before it (want),
// or the reduction has stayed.
func (p *script) undone(want bool, before Window, was curve) {
	p.t.Helper()
	n := p.c.pool.Counters.SpuriousRecoveries
	same := p.c.win == before && p.c.cc.(*Cubic).curve == was
	if p.c.loss != lossNone || want != same || (n == 1) != want || p.c.rack.reordered != want {
		p.t.Errorf("state %v, window %+v, before %+v; curve %+v, before %+v; %d undone, reordering %v", p.c.loss, p.c.win, before, p.c.cc.(*Cubic).curve, was, n, p.c.rack.reordered)
	}
}

// The acknowledgment that ends a fast recovery answers the original of what was sent
// again: that was overtaken, not lost. The window is as before.
//
//rfc:9438 spurious-loss spurious-loss-curve
func TestRFC9438SpuriousRecoveryByTimestamp(t *testing.T) { // §4.9.2
	for _, original := range []bool{true, false} {
		p, before, was := inRecovery(t, stamped)
		at := p.now.Add(-roundTrip / 4) // of the retransmission
		if original {
			at = p.now.Add(-roundTrip)
		}
		p.recv(ACK, 1, 11001, 0, p.echoing(at))
		p.undone(original, before, was)
	}
}

// What was sent again is reported as a duplicate, whole, in recovery or afterwards.
//
//rfc:9438 spurious-loss
func TestRFC9438SpuriousRecoveryByDSACK(t *testing.T) { // §4.9.2
	for name, tc := range map[string]struct {
		during, after [2]int
		want          bool
	}{
		"in recovery": {during: [2]int{1001, 2001}, want: true},
		"afterwards":  {after: [2]int{1001, 2001}, want: true},
		"a part":      {after: [2]int{1001, 1901}},
		"another":     {after: [2]int{2001, 3001}},
		"none":        {},
	} {
		p, before, was := inRecovery(t)
		if tc.during[1] > 0 {
			p.recv(ACK, 1, 5001, 0, sacking(tc.during))
		}
		p.recv(ACK, 1, 11001, 0)
		if tc.after[1] > 0 {
			p.recv(ACK, 1, 11001, 0, sacking(tc.after))
		}
		t.Log(name)
		p.undone(tc.want, before, was)
	}
}

// A window that has grown beyond the former one meanwhile stays.
//
//rfc:9438 spurious-loss-outgrown
func TestRFC9438SpuriousRecoveryOutgrown(t *testing.T) { // §4.9.2
	p, before, _ := inRecovery(t)
	p.recv(ACK, 1, 11001, 0)
	p.c.win.Cwnd, p.c.win.Ssthresh = before.Cwnd+1, 5000
	p.recv(ACK, 1, 11001, 0, sacking([2]int{1001, 2001}))
	if w := p.c.win; w.Cwnd != before.Cwnd+1 || w.Ssthresh != 5000 || !p.c.rack.reordered {
		t.Errorf("window %+v", w)
	}
}

// Whatever else has reduced the window since, or shows that there was a loss, ends
// the doubt: a D-SACK comes too late then.
func TestReductionIsKept(t *testing.T) {
	for name, event := range map[string]func(p *script){
		"timeout": func(p *script) { p.c.timedOut(p.now) },
		"timeout in recovery": func(p *script) {
			p.c.loss = lossRecovery
			p.c.timedOut(p.now)
			p.c.leaveRecovery()
		},
		"mark": func(p *script) {
			p.c.ecn.ok, p.c.ecn.until = true, p.c.sndUna.Add(-1)
			p.recv(ACK|ECE, 1, 11001, 0)
		},
		"lost probe": func(p *script) {
			p.c.tail = tailProbe{open: true, resent: true, end: p.c.sndUna.Add(-1)}
			p.c.tailProbeAcked(p.now, &Segment{Flags: ACK, Ack: p.c.sndUna})
		},
		"round trip": func(p *script) {
			p.write(1000)
			p.recv(ACK, 1, 12001, 0)
			if p.c.send.before.again.s != nil {
				p.t.Error("it keeps memory")
			}
		},
		"silence": func(p *script) {
			p.now = p.now.Add(time.Minute)
			p.write(1000)
		},
	} {
		p, _, _ := inRecovery(t)
		p.recv(ACK, 1, 11001, 0)
		if p.c.undoable() == nil {
			t.Fatal("no doubt at the end")
		}
		event(p)
		w := p.c.win
		p.c.undoDoubled(SACKBlock{ourISS.Add(1001), ourISS.Add(2001)})
		if p.c.win != w || p.c.pool.Counters.SpuriousRecoveries != 0 {
			t.Errorf("%s: window %+v, was %+v", name, p.c.win, w)
		}
	}
	// A retransmission that is lost, too.
	p, before, was := inRecovery(t)
	p.write(20_000)
	for to := 6001; to <= 11001; to += 1000 {
		p.recv(ACK, 1, 1001, 0, sacking([2]int{2001, to}))
	}
	p.now = p.now.Add(roundTrip)
	p.recv(ACK, 1, 1001, 0, sacking([2]int{2001, p.c.sndNxt.Sub(ourISS)}))
	p.recv(ACK, 1, p.c.sndNxt.Sub(ourISS), 0, sacking([2]int{1001, 2001}))
	p.undone(false, before, was)
}

// A mark that is echoed in recovery asks for a reduction by itself, be it for nothing
// that the recovery was.
func TestReductionIsKeptForMark(t *testing.T) {
	for _, first := range []bool{true, false} { // or on the last acknowledgment only
		p, before, was := inRecovery(t, stamped)
		p.c.ecn.ok, p.c.ecn.until = true, p.c.recover // as ecnReduced has it
		last := ACK
		if first {
			p.recv(ACK|ECE, 1, 1001, 0, sacking([2]int{2001, 6001}))
		} else {
			last |= ECE
		}
		p.recv(last, 1, 11001, 0, p.echoing(p.now.Add(-roundTrip)))
		p.undone(false, before, was)
	}
}

// What was sent again at many places and is never reported takes no memory when the
// connection is idle.
func TestIdleAfterScatteredRecovery(t *testing.T) {
	for _, tc := range []struct {
		n, more int
		want    bool
	}{{maxIdleSpans, 0, true}, {maxIdleSpans + 1, 0, false}, {maxIdleSpans + 1, 1000, true}} {
		p, _, _ := inRecovery(t)
		for i := range tc.n - 1 {
			p.c.undoResent(p.now, ourISS.Add(3001+20*i), ourISS.Add(3011+20*i))
		}
		p.c.win.Cwnd += tc.more
		p.write(tc.more)
		p.recv(ACK, 1, 11001, 0)
		if u := p.c.undoable(); (u != nil) != tc.want || u == nil && p.c.send.before.again.s != nil {
			t.Errorf("%d places, %d octets in flight: %+v", tc.n, p.c.flight(), p.c.send.before)
		}
	}
}

// A report that ends before it begins is none.
func TestReversedDSACK(t *testing.T) {
	p, before, was := inRecovery(t)
	p.recv(ACK, 1, 11001, 0)
	p.recv(ACK, 1, 11001, 0, sacking([2]int{1901, 1101}))
	if a := &p.c.send.before.again; len(a.s) != 1 || a.octets != 1000 || p.c.rack.inRound {
		t.Errorf("%+v, in a round: %v", a, p.c.rack.inRound)
	}
	p.undone(false, before, was)
}

// Segments that become smaller in the meantime leave as many of them.
func TestUndoAfterSmallerSegments(t *testing.T) {
	p, before, _ := inRecovery(t)
	p.recv(ACK, 1, 11001, 0)
	p.c.SetLinkMSS(p.now, 500)
	p.recv(ACK, 1, 11001, 0, sacking([2]int{1001, 2001}))
	if w := p.c.win; w.Cwnd != before.Cwnd/2 || w.MSS != 500 {
		t.Errorf("window %+v, before %+v", w, before)
	}
}

// A path that only reorders is used nearly as well as one that does not: the first
// recoveries are undone, then there are none.
func TestReorderingCostsLittle(t *testing.T) {
	for _, stamps := range []bool{true, false} {
		var took [2]time.Duration
		for i, jitter := range []time.Duration{0, 4 * time.Millisecond} {
			s := newSim(t, 7)
			s.both(func(e *simEnd) { e.cfg.NoTimestamps = !stamps })
			s.ends[0].imp = impairment{delay: 10 * time.Millisecond, jitter: jitter, rate: 4 << 20}
			want := pattern(8<<20, 1)
			s.ends[0].want, s.ends[0].closeW, s.ends[1].closeW = want, true, true
			s.start()
			s.run(time.Minute, func() bool { return s.ends[1].eof && s.ends[0].conn.finAcked() })
			took[i] = time.Duration(s.now)
			if n := s.ends[0].conn.pool.Counters; i == 1 && n.SpuriousRecoveries == 0 {
				t.Errorf("%d recoveries, none undone", n.Recoveries)
			}
		}
		t.Logf("timestamps %v: %v, and %v with reordering", stamps, took[0], took[1])
		if took[1] > took[0]*5/4 {
			t.Errorf("timestamps %v: %v, and %v with reordering", stamps, took[0], took[1])
		}
	}
}
