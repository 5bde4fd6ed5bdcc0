package versioned

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

func TestReopenedTableHoldsWhatHeld(t *testing.T) {
	b := mem.New()
	tab, s := openStore(t, b, Config{})
	tab.Put(learned(key("10.9.0.7"), aMAC, ethernet.Addr{}, t0))
	tab.Put(learned(key("10.9.0.8"), bMAC, ethernet.Addr{}, t0))
	tab.Put(arp.Change{Op: arp.OpPinned, Key: key("10.9.0.9"), MAC: bMAC, Time: t0})
	tab.Expire(arp.Change{Op: arp.OpExpired, Key: key("10.9.0.8"), Old: bMAC, Time: t0})
	closeBoth(t, tab, s) // flushes

	tab, s = openStore(t, b, Config{})
	if n := len(subjects(t, tab)); n < 5 {
		t.Errorf("only %d commits", n)
	}
	warm := map[arp.Key]arp.Binding{}
	for k, b := range tab.All() {
		warm[k] = b
	}
	if len(warm) != 2 || warm[key("10.9.0.7")].MAC != aMAC || warm[key("10.9.0.7")].Static || !warm[key("10.9.0.9")].Static {
		t.Errorf("warm cache: %+v", warm)
	}
	before := len(subjects(t, tab))
	closeBoth(t, tab, s)
	tab, s = openStore(t, b, Config{})
	if after := len(subjects(t, tab)); after != before {
		t.Errorf("opening and closing made %d commits", after-before)
	}
	closeBoth(t, tab, s)
}

// What a crash has left committed on a writer's branch is merged by the next
// Open.
func TestUnfinishedWorkIsMergedAtOpen(t *testing.T) {
	b := mem.New()
	ctx := context.Background()
	tab, s := openStore(t, b, Config{})
	k := key("10.9.0.7")
	tab.Put(learned(k, aMAC, ethernet.Addr{}, t0))
	settle(t, tab)
	repo := tab.Repo()
	head, err := repo.Head(Primary)
	if err != nil {
		t.Fatal(err)
	}
	if err := repo.CreateBranch(ctx, "expire/20260102T030405.000Z", head); err != nil {
		t.Fatal(err)
	}
	e, _ := expire(tab.Entries()[0].Entry, &arp.Change{Op: arp.OpExpired, Old: aMAC, Time: t0.Add(time.Minute)}, "node")
	if _, err := repo.Commit(ctx, "expire/20260102T030405.000Z", head,
		[]vcs.Change[arp.Key, Entry]{{Key: k, Value: vcs.Some(e)}}, vcs.CommitInfo{Message: "arp: left behind"}); err != nil {
		t.Fatal(err)
	}
	tab.Put(learned(key("10.9.0.8"), bMAC, ethernet.Addr{}, t0.Add(time.Minute)))
	closeBoth(t, tab, s)

	tab, s = openStore(t, b, Config{})
	if b, ok := tab.Get(k); ok {
		t.Errorf("the expiry was lost: %+v", b)
	}
	if _, ok := tab.Get(key("10.9.0.8")); !ok {
		t.Error("what was learned meanwhile was lost")
	}
	sameAsHead(t, tab)
	closeBoth(t, tab, s)
	wantLine(t, subjects(t, tab), "arp: merge unfinished expire/20260102T030405.000Z")
}

func nonsense(t *testing.T) *mem.Backend {
	t.Helper()
	b := mem.New()
	s, err := vcs.OpenStore(context.Background(), b, vcs.StoreConfig{})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := vcs.New(s, vcs.Config[string, string]{})
	if err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{Layout{}.Path(key("10.9.0.7")): "certainly not an entry", "README": "a file of its own"} {
		if _, err := raw.Set(context.Background(), Primary, path, text, vcs.CommitInfo{Message: "nonsense"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestNonsenseDataIsATypedErrorAndChangesNothing(t *testing.T) {
	s, err := vcs.OpenStore(context.Background(), nonsense(t), vcs.StoreConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	before, _ := s.Refs()
	if _, err := Open(context.Background(), s, Config{}); !errors.Is(err, ErrEntry) || !errors.Is(err, vcs.ErrDecode) {
		t.Fatalf("Open: %v", err)
	}
	after, _ := s.Refs()
	if len(before) != 1 || len(after) != 1 || before[0] != after[0] {
		t.Errorf("refs before %v, after %v", before, after)
	}
}

func TestDamagedEntriesCanBeSkipped(t *testing.T) {
	tab, s := openStore(t, nonsense(t), Config{SkipDamaged: true})
	if tab.Stats().Damaged != 1 {
		t.Errorf("stats: %+v", tab.Stats())
	}
	tab.Put(learned(key("10.9.0.8"), aMAC, ethernet.Addr{}, t0))
	closeBoth(t, tab, s)
	if n := len(tab.Entries()); n != 1 {
		t.Errorf("%d entries", n)
	}
}

// A branch for each query and expiry, of which the newest stay.
func TestOldBranchesArePruned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := mem.New()
		tab, s := openStore(t, b, Config{KeepBranches: 3})
		for i := range uint64(10) {
			w := arp.Work{ID: i + 1, Kind: arp.WorkQuery, Key: key("10.9.0.7"), Time: time.Now()}
			tab.Begin(w)
			tab.Record(arp.Change{Op: arp.OpQueryFailed, Key: w.Key, Time: time.Now(), Work: w.ID})
			tab.End(w, arp.OutcomeFailed)
			idle := arp.Work{ID: 100 + i, Kind: arp.WorkExpiry, Key: key("10.9.0.8"), Time: time.Now()}
			tab.Begin(idle)
			tab.End(idle, arp.OutcomeAnswered) // survived: leaves nothing
			time.Sleep(time.Second)
		}
		settle(t, tab)
		var names []string
		for _, br := range tab.Repo().Branches() {
			names = append(names, br.Name)
		}
		if len(names) != 4 || names[0] != "primary" || names[3] != "query/10.9.0.7-20000101T000009.000Z" {
			t.Errorf("branches: %v", names)
		}
		if n := len(subjects(t, tab)); n != 11 {
			t.Errorf("%d commits, want 11", n)
		}
		closeBoth(t, tab, s)
		tab, s = openStore(t, b, Config{KeepBranches: 1})
		w := arp.Work{ID: 1, Kind: arp.WorkQuery, Key: key("10.9.0.7"), Time: time.Now()}
		tab.Begin(w)
		tab.Record(arp.Change{Op: arp.OpQueryFailed, Key: w.Key, Time: time.Now(), Work: w.ID})
		tab.End(w, arp.OutcomeFailed)
		settle(t, tab)
		if n := len(tab.Repo().Branches()); n != 2 {
			t.Errorf("%d branches after reopening with room for one", n)
		}
		closeBoth(t, tab, s)
	})
}
