package versioned

import (
	"context"
	"fmt"
	"testing"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
	"arpeggio/vcs/badger"
)

// A table on the appliance's backend goes on where it stopped, over several
// restarts, and the repository is whole after each.
func TestRestartsOnBadger(t *testing.T) {
	dir := t.TempDir()
	for boot := range 3 {
		b, err := badger.Open(context.Background(), dir, badger.Config{MinFree: -1})
		if err != nil {
			t.Fatal(err)
		}
		tab, s := openStore(t, b, Config{Node: "vm"})
		if n := len(tab.Entries()); n != 10*boot {
			t.Fatalf("boot %d starts with %d entries", boot, n)
		}
		for i := range 10 {
			k := key(fmt.Sprintf("10.9.%d.%d", boot, i+1))
			w := arp.Work{ID: uint64(i + 1), Kind: arp.WorkQuery, Key: k, Time: time.Now()}
			tab.Begin(w)
			tab.Put(arp.Change{Op: arp.OpLearned, Key: k, MAC: ethernet.Addr{2, byte(boot), byte(i)}, Time: time.Now(), Work: w.ID})
			tab.End(w, arp.OutcomeAnswered)
		}
		if err := tab.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		sameAsHead(t, tab)
		if boot == 2 {
			out := export(t, "vm", s)
			wantLine(t, lines(t, out, "log", "--format=%s", "primary"), "arp: initial empty cache")
		}
		closeBoth(t, tab, s)
	}
	b, err := badger.Open(context.Background(), dir, badger.Config{MinFree: -1})
	if err != nil {
		t.Fatal(err)
	}
	s, err := vcs.OpenStore(context.Background(), b, vcs.StoreConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	repo, err := NewRepo(s)
	if err != nil {
		t.Fatal(err)
	}
	snap, err := repo.At(Primary)
	if err != nil {
		t.Fatal(err)
	}
	if m, err := snap.Map(); err != nil || len(m) != 30 {
		t.Errorf("%d entries, %v", len(m), err)
	}
}
