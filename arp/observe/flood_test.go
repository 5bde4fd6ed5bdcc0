package observe

import (
	"testing"
	"time"

	"arpeggio/stack/ethernet"
)

// 5,000 new stations are one line; the record has each of them.
func TestFloodIsOneLine(t *testing.T) {
	l := newLab(t, Config{})
	l.says(mac(1), ip(1))
	l.wait(time.Hour)
	for n := range 5000 {
		l.says(mac(10_000+n), ip(10_000+n))
		l.wait(time.Millisecond)
	}
	l.wait(time.Minute)
	l.says(mac(2), ip(2))
	l.wantLines("new-station 10.9.0.1 1 learned !", "flood/began !", "new-station 10.9.0.2 2 learned !")
	learned, folded := 0, 0
	for i := range l.all {
		r := &l.all[i]
		switch {
		case r.Type == NewStation && r.Folded:
			folded++
			fallthrough
		case r.Type == NewStation:
			learned++
		case r.Type == Flood && r.Phase == PhaseBegan && (r.Count != 100 || r.First != labStart.Add(time.Hour)):
			t.Errorf("the flood began with %d stations at %v", r.Count, r.First)
		case r.Type == Flood && r.Phase == PhaseEnded && r.Count != 5000:
			t.Errorf("the flood ended with %d stations", r.Count)
		}
	}
	if learned != 5002 || folded != 4901 {
		t.Errorf("%d learned, %d of them folded", learned, folded)
	}
}

// 99 new stations in 10 s are no flood.
func TestNoFlood(t *testing.T) {
	l := newLab(t, Config{})
	for n := range 1000 {
		l.says(mac(n+1), ip(n))
		l.wait(10*time.Second/99 + time.Millisecond)
	}
	l.finish()
	if n := len(l.lines); n != 1000 || l.e.Stats().Events[Flood] != 0 {
		t.Errorf("%d lines, %d floods", n, l.e.Stats().Events[Flood])
	}
}

// Random MACs for few addresses are a flood too: the stations are new, the
// addresses are not.
func TestMACFloodIsOneLine(t *testing.T) {
	l := newLab(t, Config{})
	for n := range 50 {
		l.says(mac(n+1), ip(n))
		l.wait(time.Second)
	}
	before := len(l.lines)
	l.wait(time.Minute)
	for n := range 10_000 {
		l.says(mac(100_000+n), ip(n%50))
		l.wait(100 * time.Microsecond)
	}
	l.finish()
	if before > 50 || len(l.lines) != 51 || l.lines[50].Record.Type != Flood {
		t.Errorf("%d lines", len(l.lines))
	}
}

// Floods of two VLANs at a time are two; one that spreads over all VLANs is one.
func TestFloodsOfVLANs(t *testing.T) {
	l := newLab(t, Config{})
	for n := range 300 {
		for _, v := range []uint16{10, 20} {
			l.vlan = ethernet.VLAN{Inner: v}
			l.says(mac(n+1), ip(n))
		}
		l.wait(10 * time.Millisecond)
	}
	l.wantLines("flood/began !", "flood/began !")
	if a, b := l.lines[0].Record, l.lines[1].Record; a.Key.VLAN == b.Key.VLAN || a.Episode == b.Episode {
		t.Errorf("%v %v, %v %v", a.Key.VLAN, a.Episode, b.Key.VLAN, b.Episode)
	}

	l = newLab(t, Config{})
	for n := range 4000 {
		l.vlan = ethernet.VLAN{Inner: uint16(n + 1)}
		l.says(mac(n+1), ip(n))
		l.wait(time.Millisecond)
	}
	l.wantLines("flood/began !")
}

// What known stations do while a flood goes on is told as ever.
func TestFloodHidesNobodyElse(t *testing.T) {
	l := poison(t, Config{})
	l.wait(time.Hour)
	for n := range 1000 {
		switch l.says(mac(10_000+n), ip(10_000+n)); n {
		case 50, 400:
			l.says(mac(66), ip(1+6*(n/400))) // a card was exchanged
		}
		l.wait(time.Millisecond)
	}
	l.wantLines(append(known, "changed 10.9.0.1 66 (1) moved !", "flood/began !", "changed 10.9.0.7 66 (7) moved !")...)
}

// A live holder lets a line go when its patience ends, and what explains it
// earlier takes it away.
func TestPatience(t *testing.T) {
	h := Holder{Patience: 2 * time.Second}
	at := func(s int) time.Time { return labStart.Add(time.Duration(s) * time.Second) }
	take := func(s int) string {
		var rs []Record
		for _, l := range h.Take(at(s)) {
			rs = append(rs, l.Record)
		}
		return texts(rs)
	}
	add := func(s int, typ Type, hold int) {
		r := Record{Event: Event{Type: typ, Time: at(s), First: labStart, MAC: mac(1)}, Alert: true}
		if hold > 0 {
			r.HoldUntil = at(hold)
		}
		if r.newcomer = typ == NewStation; typ == Flood {
			r.Phase = PhaseBegan
		}
		h.Add(&r, "")
	}
	add(0, NewStation, 10)
	add(0, Scan, 0)
	if got := take(1); got != "scan 1 !" { // it does not wait for the line before it
		t.Errorf("after 1 s: %s", got)
	}
	if got := take(2); got != "new-station 1 !" {
		t.Errorf("after 2 s: %s", got)
	}
	add(3, NewStation, 13)
	add(4, Flood, 0)
	if got := take(10); got != "flood/began 1 !" {
		t.Errorf("after 10 s: %s", got)
	}
	h.Limit = 3
	for range 5 {
		add(20, NewStation, 30)
	}
	if n := len(h.Take(at(20))); n != 2 {
		t.Errorf("%d lines beyond the limit", n)
	}
	if n := len(h.Flush()); n != 3 {
		t.Errorf("%d lines left", n)
	}
}

// Many episodes of one type are told once; the record has them, folded.
func TestManyEpisodesFold(t *testing.T) {
	l := newLab(t, Config{}, "192.168.0.0/24")
	for n := range 90 {
		l.says(mac(n+1), ip(n))
		l.wait(time.Millisecond)
	}
	l.finish()
	if n := len(l.lines); n != 31 {
		t.Errorf("%d lines", n)
	}
	if n := l.e.Stats().Events[Bogon]; n != 91 {
		t.Errorf("%d episodes in the record", n)
	}
}

// VLANs that an attacker makes up take each other's counters, not those of
// VLANs where something happens.
func TestFloodCountersAreBounded(t *testing.T) {
	var f floods
	window := int64(10 * time.Second)
	busy := f.get(0, 0, window)
	busy.episode = &episode{}
	for seg := range uint64(maxFloods) {
		f.get(seg, 0, window).add(0, 100, window)
	}
	if f.get(1<<20, window, window) != nil {
		t.Error("a busy counter was given up")
	}
	for seg := range uint64(2 * maxFloods) {
		if f.get(1<<21|seg, 2*window, window) == nil {
			t.Fatalf("no counter for the %dth", seg)
		}
	}
	if len(f.all) != maxFloods || len(f.of) != maxFloods || f.of[0] != busy {
		t.Errorf("%d counters, %d segments", len(f.all), len(f.of))
	}
}

// A known station that takes very many known addresses is told 100 times and
// once more.
func TestManyMovesFold(t *testing.T) {
	l := newLab(t, Config{})
	for n := range 1000 {
		l.says(mac(n+1), ip(n))
		l.wait(time.Second)
	}
	l.says(mac(5000), ip(5000))
	l.wait(time.Hour)
	for n := range 1000 {
		l.says(mac(5000), ip(n))
		l.wait(time.Millisecond)
	}
	l.wait(time.Hour)
	l.want(l.says(mac(5001), ip(5000)), "changed/ended 5000", "changed 10.9.19.136 5001 (5000) moved !")
	l.finish()
	moves, sums := 0, 0
	for _, line := range l.lines {
		switch r := &line.Record; {
		case r.Type == Changed && r.Phase == PhaseBegan:
			sums++
		case r.Type == Changed:
			moves++
		}
	}
	if moves != 101 || sums != 1 || l.e.Stats().Events[Changed] != 1002 {
		t.Errorf("%d moves and %d sums are told, %d recorded", moves, sums, l.e.Stats().Events[Changed])
	}
}
