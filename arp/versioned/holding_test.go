package versioned

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// TestHoldings: who had an address when, from commits of their own and from the
// summary of a flood, with a time at which nobody had it.
func TestHoldings(t *testing.T) {
	j, s := openJournal(t, mem.New(), JournalConfig{})
	defer finish(t, j, s)
	a, b, c := mac(1), mac(2), mac(3)
	base := sighted(0, "10.9.0.7", a, b).Time.Truncate(time.Millisecond) // an entry holds milliseconds
	at := func(d time.Duration) time.Time { return base.Add(d) }
	see := func(d time.Duration, ip string, who, old ethernet.Addr) *Observation {
		o := sighted(d, ip, who, old)
		o.Time, o.LastSeen, o.Frames = at(d), time.Time{}, 0
		return o
	}
	first := write(t, j, see(0, "10.9.0.7", a, ethernet.Addr{}))
	write(t, j, see(10*time.Second, "10.9.0.8", c, ethernet.Addr{}))
	moved := see(60*time.Second+250*time.Millisecond, "10.9.0.7", b, a)
	moved.LastSeen, moved.Frames = at(55*time.Second), 12
	second := write(t, j, moved)
	gone := see(120*time.Second, "10.9.0.7", ethernet.Addr{}, b)
	gone.Op = arp.OpExpired
	third := write(t, j, gone)
	folded := see(180*time.Second, "10.9.0.7", c, ethernet.Addr{})
	folded.Folded = true
	write(t, j, folded)
	summary, err := j.Flush(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	k := key("10.9.0.7")
	var got []Holding
	for h, err := range Holdings(t.Context(), j.Repo(), k, j.Head()) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, h)
	}
	want := []struct {
		mac           ethernet.Addr
		from, until   time.Duration // until 0: none
		seen          time.Duration
		frames        uint64
		commit, ended vcs.ID
	}{
		{c, 180 * time.Second, 0, 0, 0, summary, vcs.ID{}},
		{b, 60*time.Second + 250*time.Millisecond, 120 * time.Second, 0, 0, second, third},
		{a, 0, 60*time.Second + 250*time.Millisecond, 55 * time.Second, 12, first, second},
	}
	if len(got) != len(want) {
		t.Fatalf("%d holdings: %+v", len(got), got)
	}
	for i, w := range want {
		g := got[i]
		until, seen := time.Time{}, time.Time{}
		if w.until != 0 {
			until = at(w.until)
		}
		if w.seen != 0 {
			seen = at(w.seen)
		}
		if g.MAC != w.mac || !g.From.Equal(at(w.from)) || !g.Until.Equal(until) || !g.Seen.Equal(seen) ||
			g.Frames != w.frames || g.Commit != w.commit || g.Ended != w.ended {
			t.Errorf("holding %d is %v from %v until %v, seen %v in %d frames, %v to %v; want %+v",
				i, g.MAC, g.From, g.Until, g.Seen, g.Frames, g.Commit.Short(), g.Ended.Short(), w)
		}
	}

	for _, q := range []struct {
		at        time.Duration
		holder    ethernet.Addr // zero: nobody
		claimants int
	}{
		{-time.Second, ethernet.Addr{}, 1}, // a came within the window after
		{-time.Hour, ethernet.Addr{}, 0},
		{0, a, 1},
		{30 * time.Second, a, 1},
		{60*time.Second + 249*time.Millisecond, a, 2},
		{60*time.Second + 250*time.Millisecond, b, 2},
		{100 * time.Second, b, 1},
		{121 * time.Second, ethernet.Addr{}, 1},
		{150 * time.Second, ethernet.Addr{}, 0},
		{time.Hour, c, 1},
	} {
		ans, err := HolderAt(t.Context(), j.Repo(), k, at(q.at), 10*time.Second, j.Head())
		if err != nil {
			t.Fatal(err)
		}
		var holder ethernet.Addr
		if ans.Holder != nil {
			holder = ans.Holder.MAC
		}
		if holder != q.holder || len(ans.Claimants) != q.claimants {
			t.Errorf("at %v: %v and %d claimants, want %v and %d", q.at, holder, len(ans.Claimants), q.holder, q.claimants)
		}
	}
}

// TestAnswers: what came before and after, and what is a dispute.
func TestAnswers(t *testing.T) {
	base := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	at := func(s int) time.Time { return base.Add(time.Duration(s) * time.Second) }
	hold := func(n byte, from, until int) Holding {
		h := Holding{MAC: mac(int(n)), From: at(from)}
		if until > 0 {
			h.Until = at(until)
		}
		return h
	}
	type answer struct {
		holder, before, after byte
		macs                  int
		disputed              bool
	}
	for name, c := range map[string]struct {
		all  []Holding // newest first
		at   int
		want answer
	}{
		"nobody ever":             {nil, 5, answer{}},
		"before the first":        {[]Holding{hold(1, 10, 0)}, 5, answer{after: 1}},
		"of three":                {[]Holding{hold(3, 300, 0), hold(2, 200, 300), hold(1, 100, 200)}, 250, answer{holder: 2, before: 1, after: 3, macs: 1}},
		"a gap":                   {[]Holding{hold(2, 900, 0), hold(1, 100, 200)}, 500, answer{before: 1, after: 2}},
		"handed over just now":    {[]Holding{hold(2, 210, 0), hold(1, 100, 210)}, 209, answer{holder: 1, after: 2, macs: 1}},
		"taken and taken back":    {[]Holding{hold(1, 230, 0), hold(2, 210, 230), hold(1, 100, 210)}, 215, answer{holder: 2, before: 1, after: 1, macs: 2, disputed: true}},
		"taken back much later":   {[]Holding{hold(1, 900, 0), hold(2, 210, 900), hold(1, 100, 210)}, 215, answer{holder: 2, before: 1, after: 1, macs: 1}},
		"gone and come back":      {[]Holding{hold(1, 230, 0), hold(1, 100, 210)}, 220, answer{before: 1, after: 1}},
		"three of them in a ring": {[]Holding{hold(1, 130, 0), hold(3, 120, 130), hold(2, 110, 120), hold(1, 100, 110)}, 200, answer{holder: 1, before: 3, macs: 1}},
	} {
		a, err := AnswerAt(func(yield func(Holding, error) bool) {
			for _, h := range c.all {
				if !yield(h, nil) {
					return
				}
			}
		}, at(c.at), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		id := func(h *Holding) byte {
			for n := range byte(4) {
				if h != nil && h.MAC == mac(int(n)) {
					return n
				}
			}
			return 0
		}
		if got := (answer{id(a.Holder), id(a.Before), id(a.After), len(a.MACs()), a.Disputed()}); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// TestHoldingsPin: a pin does not divide what one MAC held.
func TestHoldingsPin(t *testing.T) {
	tab, s := openStore(t, mem.New(), Config{})
	defer closeBoth(t, tab, s)
	k := key("10.9.0.7")
	for i, op := range []arp.ChangeOp{arp.OpLearned, arp.OpPinned, arp.OpUnpinned} {
		tab.Put(arp.Change{Op: op, Key: k, MAC: mac(1), Time: t0.Add(time.Duration(i) * time.Minute)})
		if err := tab.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	head, err := tab.Repo().Head(Primary)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for h, err := range Holdings(t.Context(), tab.Repo(), k, head) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; !h.From.Equal(t0) || !h.Until.IsZero() || h.State != Dynamic {
			t.Errorf("%+v", h)
		}
	}
	if n != 1 {
		t.Errorf("%d holdings", n)
	}
}

// BenchmarkHolderAt: a question to a history of 100,000 changes.
func BenchmarkHolderAt(b *testing.B) {
	j, s := openJournal(b, mem.New(), JournalConfig{})
	defer finish(b, j, s)
	const stations = 500
	for i := range 10_000 {
		ip := fmt.Sprintf("10.9.%d.%d", i%stations/250, 1+i%250)
		old := ethernet.Addr{}
		if i >= stations {
			old = mac(i - stations)
		}
		write(b, j, sighted(time.Duration(i)*time.Second, ip, mac(i), old))
	}
	if err := j.Sync(b.Context()); err != nil {
		b.Fatal(err)
	}
	i := 0
	for b.Loop() {
		i = (i + 7919) % 10_000
		k := key(fmt.Sprintf("10.9.%d.%d", i%stations/250, 1+i%250))
		a, err := HolderAt(b.Context(), j.Repo(), k, journalStart.Add(time.Duration(i)*time.Second+time.Second), time.Minute, j.Head())
		if err != nil || a.Holder == nil {
			b.Fatal(a, err)
		}
	}
}

// Two observers whose clocks disagree: no stretch ends before it begins, and none
// is without an end that has a successor.
func TestHoldingsOfClocksThatDisagree(t *testing.T) {
	j, s := openJournal(t, mem.New(), JournalConfig{})
	defer finish(t, j, s)
	a, b, c := mac(1), mac(2), mac(3)
	write(t, j, sighted(time.Hour, "10.9.0.7", a, ethernet.Addr{}))
	moved := sighted(0, "10.9.0.7", b, a) // an hour behind
	moved.LastSeen = moved.Time.Add(-time.Hour)
	write(t, j, moved)
	write(t, j, sighted(2*time.Hour, "10.9.0.7", c, b))
	var next time.Time
	var macs []ethernet.Addr
	for h, err := range Holdings(t.Context(), j.Repo(), key("10.9.0.7"), j.Head()) {
		if err != nil {
			t.Fatal(err)
		}
		if !h.Until.Equal(next) || !next.IsZero() && h.From.After(h.Until) || !h.Seen.IsZero() && h.Seen.Before(h.From) {
			t.Errorf("%v from %v until %v, last seen %v", h.MAC, h.From, h.Until, h.Seen)
		}
		next = h.From
		macs = append(macs, h.MAC)
	}
	if fmt.Sprint(macs) != fmt.Sprint([]ethernet.Addr{c, b, a}) {
		t.Errorf("held by %v", macs)
	}
}

// FirstHeld finds the first stretch of the same MAC address, over others and a
// time at which nobody had the address, and gives up after some changes.
func TestFirstHeld(t *testing.T) {
	j, s := openJournal(t, mem.New(), JournalConfig{})
	defer finish(t, j, s)
	a, b, c := mac(1), mac(2), mac(3)
	at := time.Duration(0)
	move := func(ip string, who, old ethernet.Addr) {
		at += time.Second
		o := sighted(at, ip, who, old)
		if who.IsZero() {
			o.Op = arp.OpExpired
		}
		write(t, j, o)
	}
	for _, m := range [][2]ethernet.Addr{{a, {}}, {b, a}, {c, b}, {{}, c}, {a, {}}, {c, a}, {a, c}} {
		move("10.9.0.7", m[0], m[1])
	}
	move("10.9.0.8", a, ethernet.Addr{})
	for range 100 {
		move("10.9.0.8", b, a)
		move("10.9.0.8", a, b)
	}
	first := func(ip string) (first []time.Duration) {
		for h, err := range Holdings(t.Context(), j.Repo(), key(ip), j.Head()) {
			if err != nil {
				t.Fatal(err)
			}
			got, err := FirstHeld(t.Context(), j.Repo(), &h)
			if err != nil {
				t.Fatal(err)
			}
			if first = append(first, got.Sub(journalStart)); len(first) == 10 {
				break
			}
		}
		return first
	}
	// newest first: a, c, a, (nobody,) c, b, a
	want := []time.Duration{1, 3, 1, 3, 2, 1}
	for i := range want {
		want[i] *= time.Second
	}
	if got := first("10.9.0.7"); !slices.Equal(got, want) {
		t.Errorf("first held %v, want %v", got, want)
	}
	if got := first("10.9.0.8"); got[0] != at-maxFirstHeld*time.Second {
		t.Errorf("after 200 changes: %v, want %v", got[0], at-maxFirstHeld*time.Second)
	}
}

// A live table's moves and expiries say when the loser was last seen.
func TestTableTellsLastSight(t *testing.T) {
	tab, s := openStore(t, mem.New(), Config{})
	defer closeBoth(t, tab, s)
	k, at := key("10.9.0.7"), journalStart.Truncate(time.Millisecond)
	tab.Put(arp.Change{Op: arp.OpLearned, Key: k, MAC: mac(1), Time: at})
	tab.Put(arp.Change{Op: arp.OpMoved, Key: k, MAC: mac(2), Old: mac(1), Time: at.Add(time.Minute), LastSeen: at.Add(9 * time.Second)})
	tab.Expire(arp.Change{Op: arp.OpExpired, Key: k, Old: mac(2), Time: at.Add(time.Hour), LastSeen: at.Add(50 * time.Minute)})
	if err := tab.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	head, err := tab.Repo().Head(Primary)
	if err != nil {
		t.Fatal(err)
	}
	var seen []time.Duration
	for h, err := range Holdings(t.Context(), tab.Repo(), k, head) {
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, h.Seen.Sub(at))
	}
	if !slices.Equal(seen, []time.Duration{50 * time.Minute, 9 * time.Second}) {
		t.Errorf("last seen %v", seen)
	}
}
