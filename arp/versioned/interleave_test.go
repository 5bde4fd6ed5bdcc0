package versioned

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// dawdle returns a pause that keeps each writer back for a while drawn from the
// seed, so that the writers overtake each other in every order.
func dawdle(seed uint64) func(string) {
	var mu sync.Mutex
	r := rand.New(rand.NewPCG(seed, 1))
	return func(string) {
		mu.Lock()
		d := time.Duration(r.IntN(20)) * time.Millisecond
		mu.Unlock()
		time.Sleep(d)
	}
}

// reached returns the messages of all commits that the branch contains.
func reached(t *testing.T, tab *Table) map[string]int {
	t.Helper()
	out := map[string]int{}
	for c, err := range tab.Commits() {
		if err != nil {
			t.Fatal(err)
		}
		out[c.Message]++
	}
	return out
}

// sameAsHead checks that the live table is what the branch's head holds.
func sameAsHead(t *testing.T, tab *Table) {
	t.Helper()
	snap, err := tab.Repo().At(Primary)
	if err != nil {
		t.Fatal(err)
	}
	head, err := snap.Map()
	if err != nil {
		t.Fatal(err)
	}
	rows := tab.Entries()
	if len(rows) != len(head) {
		t.Errorf("%d live entries, %d in the head", len(rows), len(head))
	}
	for _, r := range rows {
		if head[r.Key] != r.Entry {
			t.Errorf("%v\n live %+v\n head %+v", r.Key, r.Entry, head[r.Key])
		}
	}
}

// script plays a random history with queries, expiries, an operator's pins and
// hearsay that overlap and often concern the same address, and returns the
// changes that made it.
func script(seed uint64, tab *Table) (made []arp.Change) {
	r := rand.New(rand.NewPCG(seed, 2))
	var works []arp.Work
	var id uint64
	mac := func() ethernet.Addr { return ethernet.Addr{2, 0, 0, 0, 0, byte(1 + r.IntN(4))} }
	note := func(c arp.Change) arp.Change {
		c.Time = time.Now()
		c.Rule = fmt.Sprintf("%d/%d", seed, len(made)) // makes each message unique
		made = append(made, c)
		return c
	}
	for range 60 {
		k := key(fmt.Sprintf("10.9.0.%d", 1+r.IntN(4)))
		old, bound := tab.Get(k)
		switch r.IntN(5) {
		case 4:
			if m := mac(); old.Static && r.IntN(2) == 0 {
				tab.Put(note(arp.Change{Op: arp.OpUnpinned, Key: k, MAC: old.MAC, Old: old.MAC}))
			} else if !old.Static || old.MAC != m {
				tab.Put(note(arp.Change{Op: arp.OpPinned, Key: k, MAC: m, Old: old.MAC}))
			}
		case 0, 1:
			if m := mac(); !bound || old.MAC != m {
				tab.Put(note(arp.Change{Op: arp.OpMoved, Key: k, MAC: m, Old: old.MAC}))
			}
		case 2:
			id++
			kind := arp.WorkQuery
			if bound {
				kind = arp.WorkExpiry
			}
			w := arp.Work{ID: id, Kind: kind, Key: k, MAC: old.MAC, Time: time.Now()}
			tab.Begin(w)
			works = append(works, w)
		case 3:
			if len(works) == 0 {
				break
			}
			i := r.IntN(len(works))
			w := works[i]
			works = append(works[:i], works[i+1:]...)
			now, bound := tab.Get(w.Key)
			switch {
			case w.Kind == arp.WorkQuery && r.IntN(2) == 0:
				tab.Record(note(arp.Change{Op: arp.OpQueryFailed, Key: w.Key, Work: w.ID}))
			case w.Kind == arp.WorkQuery:
				if m := mac(); !bound || now.MAC != m {
					tab.Put(note(arp.Change{Op: arp.OpLearned, Key: w.Key, MAC: m, Work: w.ID}))
				}
			case bound:
				tab.Expire(note(arp.Change{Op: arp.OpExpired, Key: w.Key, Old: now.MAC, Work: w.ID}))
			}
			tab.End(w, arp.OutcomeAnswered)
		}
		time.Sleep(time.Duration(r.IntN(15)) * time.Millisecond)
	}
	for _, w := range works {
		tab.End(w, arp.OutcomeDropped)
	}
	return made
}

// Nothing is lost between writers: each change has its commit, all of them are
// reachable from the head, and the head holds what the table holds.
func TestWritersLoseNothing(t *testing.T) {
	var merges uint64
	seeds := uint64(100)
	if raceOn {
		seeds = 30
	}
	for seed := range seeds {
		synctest.Test(t, func(t *testing.T) {
			var cfg vcs.StoreConfig
			if seed%2 == 1 { // an epoch for every ten commits
				cfg.Retention = vcs.Retention{MaxCommits: 60000, Epochs: 6000}
			}
			s, err := vcs.OpenStore(context.Background(), mem.New(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			tab, err := open(context.Background(), s, Config{KeepBranches: 5}, dawdle(seed))
			if err != nil {
				t.Fatal(err)
			}
			made := script(seed, tab)
			if err := tab.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			got := reached(t, tab)
			for _, c := range made {
				it := item{change: c}
				if n := got[tab.message(&it)]; n != 1 {
					t.Errorf("seed %d: %d commits for %v of %v at %v", seed, n, c.Op, c.Key, c.Time)
				}
			}
			sameAsHead(t, tab)
			if seed%10 == 0 {
				checkHistory(t, tab)
			}
			st := tab.Stats()
			if int(st.Commits) != len(made) || st.Foreign != 0 {
				t.Errorf("seed %d: %d changes, stats %+v", seed, len(made), st)
			}
			merges += st.Merges
			if n := len(tab.Repo().Branches()); n > 2+5+int(seed%2) { // the ledger's
				t.Errorf("seed %d: %d branches are left", seed, n)
			}
			if seed%10 != 0 { // leave every tenth
				if err := errors.Join(tab.Close(), s.Close()); err != nil {
					t.Error(err)
				}
				return
			}
			closeBoth(t, tab, s)
		})
	}
	if merges < 10*seeds {
		t.Errorf("only %d two-parent merges in %d histories", merges, seeds)
	}
	t.Logf("%d two-parent merges", merges)
}

// A reply and an expiry of the same address at once: whichever order the
// commits take, the later observation holds, both are in the history, and the
// reader sees one of the two.
func TestReplyAndExpiryAtOnce(t *testing.T) {
	k := key("10.9.0.7")
	var merges uint64
	var store *vcs.Store
	for seed := range uint64(40) {
		synctest.Test(t, func(t *testing.T) {
			s, err := vcs.OpenStore(context.Background(), mem.New(), vcs.StoreConfig{})
			if err != nil {
				t.Fatal(err)
			}
			tab, err := open(context.Background(), s, Config{Node: "a"}, dawdle(seed))
			if err != nil {
				t.Fatal(err)
			}
			tab.Put(arp.Change{Op: arp.OpLearned, Key: k, MAC: aMAC, Time: time.Now()})
			time.Sleep(time.Second)
			w := arp.Work{ID: 1, Kind: arp.WorkExpiry, Key: k, MAC: aMAC, Time: time.Now()}
			tab.Begin(w)
			time.Sleep(3 * time.Second)
			// Both reach the Table in the same instant, in either order; the
			// writers behind it run side by side.
			expire := func() {
				tab.Expire(arp.Change{Op: arp.OpExpired, Key: k, Old: aMAC, Time: time.Now(), Work: w.ID})
				tab.End(w, arp.OutcomeFailed)
			}
			reply := func() {
				tab.Put(arp.Change{Op: arp.OpMoved, Key: k, MAC: bMAC, Old: aMAC, Time: time.Now()})
			}
			if seed%2 == 0 {
				expire()
				reply()
			} else {
				reply()
				expire()
			}
			if err := tab.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if b, ok := tab.Get(k); !ok || b.MAC != bMAC {
				t.Errorf("seed %d: %+v, %v; the reply was lost", seed, b, ok)
			}
			sameAsHead(t, tab)
			if n := checkHistory(t, tab); uint64(n) != tab.Stats().Merges {
				t.Errorf("seed %d: %d merges in the history, %d counted", seed, n, tab.Stats().Merges)
			}
			merges += tab.Stats().Merges
			closeBoth(t, tab, s)
			store = s
		})
	}
	if merges == 0 {
		t.Error("no history needed a merge")
	}
	t.Logf("%d two-parent merges in 40 histories", merges)
	dir := export(t, "a", store)
	log := lines(t, dir, "log", "--all", "--graph", "--oneline")
	wantLine(t, log, "arp: initial empty cache")
	wantLine(t, log, "arp: 10.9.0.7 -> 02:50:00:00:00:0b (was 02:50:00:00:00:0a)")
}

// A writer that was held back opens its branch from a head that holds a later
// entry already. It tells its story and leaves the entry alone.
func TestLateWriterDoesNotTurnTheClockBack(t *testing.T) {
	tab := openMem(t, Config{})
	k := key("10.9.0.7")
	early := arp.Change{Op: arp.OpLearned, Key: k, MAC: aMAC, Time: t0}
	late := arp.Change{Op: arp.OpMoved, Key: k, MAC: bMAC, Old: aMAC, Time: t0.Add(time.Second)}
	first, _ := put(Entry{}, &early, "node")
	second, _ := put(first, &late, "node")
	head, err := tab.Repo().Head(Primary)
	if err != nil {
		t.Fatal(err)
	}
	for _, it := range []item{{kind: itemWrite, change: late, entry: second}, {kind: itemWrite, change: early, entry: first}} {
		if head, err = tab.commit(Primary, head, &it); err != nil {
			t.Fatal(err)
		}
	}
	if e, _, err := mustSnap(t, tab).Get(k); err != nil || e != second {
		t.Errorf("the head holds %+v, %v; want the later entry", e, err)
	}
	if got := subjects(t, tab); len(got) != 3 || got[0] != "arp: 10.9.0.7 -> 02:50:00:00:00:0a" {
		t.Errorf("history: %q", got)
	}
}
