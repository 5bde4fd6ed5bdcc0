package versioned

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

func learned(k arp.Key, mac, old ethernet.Addr, at time.Time) arp.Change {
	c := arp.Change{Op: arp.OpLearned, Key: k, MAC: mac, Old: old, Time: at, Interface: "eth0", Rule: "solicited",
		Deadline: at.Add(20 * time.Minute)}
	if !old.IsZero() {
		c.Op = arp.OpMoved
	}
	h := ethernet.Header{Dst: aMAC, Src: mac, Type: ethernet.TypeARP}
	p := arp.Packet{Op: arp.OpReply, SenderMAC: mac, SenderIP: k.Addr, TargetMAC: aMAC, TargetIP: key("10.9.0.1").Addr}
	b := p.AppendTo(h.AppendTo(c.Evidence.Frame[:0]))
	c.Evidence.Len, c.Evidence.Kind, c.Evidence.Solicited, c.Evidence.Source = uint8(len(b)), arp.KindReply, true, mac
	return c
}

func settle(t *testing.T, tab *Table) {
	t.Helper()
	if err := tab.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func subjects(t *testing.T, tab *Table) (out []string) {
	t.Helper()
	for c, err := range tab.Commits() {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, c.Subject())
	}
	return out
}

func TestCommitsTellWhatHappened(t *testing.T) {
	b := mem.New()
	tab, s := openStore(t, b, Config{Node: "site-a", Domain: "example"})
	k := key("10.9.0.7")
	tab.Put(learned(k, aMAC, ethernet.Addr{}, t0))
	tab.Put(learned(k, aMAC, ethernet.Addr{}, t0.Add(time.Minute))) // no change
	tab.Put(learned(k, bMAC, aMAC, t0.Add(2*time.Minute)))
	tab.Record(arp.Change{Op: arp.OpRefused, Key: k, MAC: aMAC, Old: bMAC, Time: t0.Add(3 * time.Minute), Rule: "strict"})
	tab.Record(arp.Change{Op: arp.OpConflict, Key: key("10.9.0.1"), MAC: aMAC, Old: bMAC, Time: t0.Add(3 * time.Minute)})
	tab.Expire(arp.Change{Op: arp.OpExpired, Key: k, Old: bMAC, Time: t0.Add(4 * time.Minute), Rule: "deadline"})
	tab.Record(arp.Change{Op: arp.OpQueryFailed, Key: key("10.9.0.9"), Time: t0.Add(4 * time.Minute)})
	settle(t, tab)
	want := []string{
		"arp: 10.9.0.9 query timed out",
		"arp: 10.9.0.7 expired (was 02:50:00:00:00:0b)",
		"arp: 10.9.0.1 is ours and claimed by 02:50:00:00:00:0a",
		"arp: 10.9.0.7 claim of 02:50:00:00:00:0a refused, 02:50:00:00:00:0b keeps it",
		"arp: 10.9.0.7 -> 02:50:00:00:00:0b (was 02:50:00:00:00:0a)",
		"arp: 10.9.0.7 -> 02:50:00:00:00:0a",
	}
	got := subjects(t, tab)
	if len(got) != 7 || got[6] != "arp: initial empty cache" {
		t.Fatalf("history:\n%s", strings.Join(got, "\n"))
	}
	for i, w := range want {
		if got[i] != w {
			t.Errorf("commit %d: %q, want %q", i, got[i], w)
		}
	}
	var log []*vcs.Commit
	for c, err := range tab.Log(k) {
		if err != nil {
			t.Fatal(err)
		}
		log = append(log, c)
	}
	if len(log) != 3 {
		t.Fatalf("%d commits changed the entry, want 3", len(log))
	}
	first := log[2]
	if first.Author.String() != "site-a <site-a@example>" || !first.Time().Before(time.Now().Add(time.Hour)) {
		t.Errorf("author %v, time %v", first.Author, first.Time())
	}
	for key, want := range map[string]string{TrailerCause: "learned", TrailerNode: "site-a", TrailerRule: "solicited",
		TrailerKind: "solicited reply", TrailerAddress: "10.9.0.7", TrailerMAC: "02:50:00:00:00:0a", TrailerTime: "2026-01-02T03:04:05Z"} {
		if v := first.Trailer(key); v != want {
			t.Errorf("trailer %s: %q, want %q", key, v, want)
		}
	}
	if f := first.Trailer(TrailerFrame); !strings.HasPrefix(f, "02500000000a02500000000a0806") || len(f) != 84 {
		t.Errorf("evidence: %s", f)
	}
	closeBoth(t, tab, s)

	dir := export(t, "site-a", s)
	leaf := "lan/v4/10.9.0.0_16/10.9.0.0_20/10.9.0.0_24/10.9.0.0_28/10.9.0.7"
	blame := lines(t, dir, "blame", "-s", "primary", "--", leaf)
	wantLine(t, blame, "state expired")
	wantLine(t, blame, "earlier 02:50:00:00:00:0a")
	if n := len(lines(t, dir, "log", "--oneline", "primary", "--", "*/10.9.0.7")); n != 3 {
		t.Errorf("git log of the leaf shows %d commits", n)
	}
}

func TestTimeNeverGoesBackwards(t *testing.T) {
	tab := openMem(t, Config{Clock: func() time.Time { return t0 }})
	tab.Put(learned(key("10.9.0.7"), aMAC, ethernet.Addr{}, t0.Add(time.Hour)))
	settle(t, tab)
	tab.Put(learned(key("10.9.0.8"), aMAC, ethernet.Addr{}, t0)) // the clock was set back
	settle(t, tab)
	var last time.Time
	for c, err := range tab.Commits() {
		if err != nil {
			t.Fatal(err)
		}
		if !last.IsZero() && c.Time().After(last) {
			t.Errorf("%s is younger than its child", c.Subject())
		}
		last = c.Time()
	}
}

func TestAt(t *testing.T) {
	tab := openMem(t, Config{Clock: func() time.Time { return t0 }})
	k := key("10.9.0.7")
	tab.Put(learned(k, aMAC, ethernet.Addr{}, t0.Add(time.Minute)))
	settle(t, tab)
	tab.Put(learned(k, bMAC, aMAC, t0.Add(3*time.Minute)))
	settle(t, tab)
	for _, c := range []struct {
		after time.Duration
		mac   ethernet.Addr
	}{{0, ethernet.Addr{}}, {time.Minute - 1, ethernet.Addr{}}, {time.Minute, aMAC}, {2 * time.Minute, aMAC}, {3 * time.Minute, bMAC}, {time.Hour, bMAC}} {
		snap, err := tab.At(t.Context(), t0.Add(c.after))
		if err != nil {
			t.Fatal(err)
		}
		if e, _, err := snap.Get(k); err != nil || e.MAC != c.mac {
			t.Errorf("after %v: %v, %v; want %v", c.after, e.MAC, err, c.mac)
		}
	}
	if _, err := tab.At(t.Context(), t0.Add(-time.Second)); !errors.Is(err, vcs.ErrNotFound) {
		t.Errorf("before the first commit: %v", err)
	}
}

func TestRefusalsAreFolded(t *testing.T) {
	tab := openMem(t, Config{})
	k := key("10.9.0.7")
	for i := range 250 { // 25 s of ten claims a second
		tab.Record(arp.Change{Op: arp.OpRefused, Key: k, MAC: bMAC, Old: aMAC, Time: t0.Add(time.Duration(i) * 100 * time.Millisecond)})
	}
	settle(t, tab)
	var folded []string
	for c, err := range tab.Commits() {
		if err != nil {
			t.Fatal(err)
		}
		if c.Trailer(TrailerCause) == "refused" {
			folded = append(folded, c.Trailer(TrailerFolded))
		}
	}
	if fmt.Sprint(folded) != "[48 99 99 ]" {
		t.Errorf("folded: %q, want four commits that stand for 1, 100, 100 and 49 claims", folded)
	}
}

func TestFullRingFoldsByKeyAndSaysSo(t *testing.T) {
	var r ring
	r.max = 4
	write := func(ip string, n int) {
		r.push(item{kind: itemWrite, change: arp.Change{Key: key(ip)}, entry: Entry{Clock: int64(n)}})
	}
	for i := range 4 {
		write("10.0.0.1", i)
	}
	for i := range 10 {
		write("10.0.0.2", 10+i)
		write("10.0.0.3", 20+i)
		r.push(item{kind: itemRecord})
	}
	r.push(item{kind: itemEnd})
	if r.len() != 7 {
		t.Fatalf("%d items are queued", r.len())
	}
	var got []string
	for it, ok := r.pop(); ok; it, ok = r.pop() {
		got = append(got, fmt.Sprintf("%d:%d+%d-%d", it.kind, it.entry.Clock, it.folded, it.lost))
	}
	if want := "[1:0+0-10 1:1+0-0 1:2+0-0 1:3+0-0 1:19+9-0 1:29+9-0 4:0+0-0]"; fmt.Sprint(got) != want {
		t.Errorf("popped %v, want %v", got, want)
	}
	write("10.0.0.1", 30)
	if it, ok := r.pop(); !ok || it.entry.Clock != 30 {
		t.Error("after the spill the ring does not work again")
	}
}

func TestFullRingEndsAtTheNewestState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := vcs.OpenStore(context.Background(), mem.New(), vcs.StoreConfig{})
		if err != nil {
			t.Fatal(err)
		}
		tab, err := open(context.Background(), s, Config{Ring: 8, Noise: Noise{Unbounded: true}}, dawdle(1))
		if err != nil {
			t.Fatal(err)
		}
		for i := range 5000 {
			k := key(fmt.Sprintf("10.9.0.%d", i%10))
			tab.Put(arp.Change{Op: arp.OpMoved, Key: k, MAC: ethernet.Addr{2, byte(i >> 8), byte(i)}, Time: time.Now()})
		}
		settle(t, tab)
		synctest.Wait()
		sameAsHead(t, tab)
		st := tab.Stats()
		if st.Folded == 0 || st.Commits+st.Folded != 5000 {
			t.Errorf("5000 changes, %d commits, %d folded", st.Commits, st.Folded)
		}
		told := 0
		for c, err := range tab.Commits() {
			if err != nil {
				t.Fatal(err)
			}
			var n int
			fmt.Sscan(c.Trailer(TrailerFolded), &n)
			told += n
		}
		if uint64(told) != st.Folded {
			t.Errorf("%d changes were folded, the commits tell of %d", st.Folded, told)
		}
		closeBoth(t, tab, s)
	})
}

func TestPutOfWhatHoldsAllocatesNothing(t *testing.T) {
	tab := openMem(t, Config{})
	c := learned(key("10.9.0.7"), aMAC, ethernet.Addr{}, t0)
	tab.Put(c)
	settle(t, tab)
	if n := testing.AllocsPerRun(100, func() { tab.Put(c); tab.Get(c.Key) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A Sync waits for what was there, not for what comes meanwhile.
func TestSyncDoesNotStarve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := vcs.OpenStore(context.Background(), mem.New(), vcs.StoreConfig{})
		if err != nil {
			t.Fatal(err)
		}
		tab, err := open(context.Background(), s, Config{}, dawdle(3))
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			for i := range 2000 {
				tab.Put(arp.Change{Op: arp.OpMoved, Key: key(fmt.Sprintf("10.9.0.%d", i%200)), MAC: ethernet.Addr{2, byte(i >> 8), byte(i)}, Time: time.Now()})
				time.Sleep(time.Millisecond)
			}
		}()
		time.Sleep(20 * time.Millisecond)
		start := time.Now()
		settle(t, tab)
		if d := time.Since(start); d > time.Second {
			t.Errorf("Sync took %v while changes kept coming", d)
		}
		<-done
		closeBoth(t, tab, s)
		sameAsHead(t, tab)
	})
}
