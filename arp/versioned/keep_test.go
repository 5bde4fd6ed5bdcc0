package versioned

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// An epoch leaves old expired entries out of the tree, and of the live table;
// the history before it has them.
func TestEpochsLeaveOldExpiredEntriesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := vcs.OpenStore(context.Background(), mem.New(), vcs.StoreConfig{Retention: vcs.Retention{Keep: Keep(time.Hour, nil)}})
		if err != nil {
			t.Fatal(err)
		}
		tab, err := Open(t.Context(), s, Config{})
		if err != nil {
			t.Fatal(err)
		}
		for i, a := range []string{"10.9.0.1", "10.9.0.2", "10.9.0.3"} {
			tab.Put(learned(key(a), aMAC, ethernet.Addr{}, time.Now()))
			settle(t, tab)
			if i == 2 {
				break
			}
			tab.Expire(arp.Change{Op: arp.OpExpired, Key: key(a), Old: aMAC, Time: time.Now()})
			settle(t, tab)
			time.Sleep(50 * time.Minute)
		}
		if n := len(tab.Entries()); n != 3 {
			t.Fatalf("%d entries before the epoch", n)
		}
		head, err := tab.Repo().Head(Primary)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.EndEpoch(t.Context()); err != nil {
			t.Fatal(err)
		}
		settle(t, tab)
		synctest.Wait()
		if n := len(tab.Entries()); n != 2 {
			t.Errorf("%d entries after the epoch: %+v", n, tab.Entries())
		}
		snap, err := tab.Repo().At(Primary)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok, err := snap.Get(key("10.9.0.1")); ok || err != nil {
			t.Errorf("the old expired entry is there: %v", err)
		}
		if e, ok, err := snap.Get(key("10.9.0.2")); !ok || err != nil || e.State != Expired {
			t.Errorf("the young expired entry is %+v, %v", e, err)
		}
		if old, err := tab.Repo().AtCommit(head); err != nil {
			t.Error(err)
		} else if _, ok, err := old.Get(key("10.9.0.1")); !ok || err != nil {
			t.Errorf("the epoch before lacks the entry: %v", err)
		}
		n := 0
		for _, err := range tab.Log(key("10.9.0.1")) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n < 2 {
			t.Errorf("%d commits about the entry", n)
		}
		closeBoth(t, tab, s)
	})
}
