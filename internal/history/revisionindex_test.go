package history

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"arpeggio/arp"
	"arpeggio/arp/versioned"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
	"arpeggio/vcs/gitremote"
	"arpeggio/vcs/mem"
)

// longTable writes a history with a commit a minute, and now and then two on
// branches that are merged.
func longTable(t *testing.T, n int) *vcs.Store {
	t.Helper()
	s, err := vcs.OpenStore(t.Context(), mem.New(), vcs.StoreConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	repo, err := versioned.NewRepo(s)
	if err != nil {
		t.Fatal(err)
	}
	write := func(branch string, i int) {
		t.Helper()
		k := arp.Key{Domain: "lan", Addr: netip.AddrFrom4([4]byte{10, 0, 0, byte(i % 50)})}
		e := versioned.Entry{State: versioned.Dynamic, MAC: ethernet.Addr{2, 0, 0, 0, byte(i >> 8), byte(i)}, Learned: "x", Interface: "eth0",
			Node: "n", FirstSeen: start, Clock: int64(1000 + i)}
		info := vcs.CommitInfo{Message: fmt.Sprint("arp: ", i), Time: time.Unix(start+60*int64(i), 0)}
		if _, err := repo.Set(t.Context(), branch, k, e, info); err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		if i%90 != 89 {
			write("primary", i)
			continue
		}
		head, err := repo.Head("primary")
		if err == nil {
			err = repo.CreateBranch(t.Context(), "side", head)
		}
		if err != nil {
			t.Fatal(err)
		}
		write("side", i)
		write("primary", i+1)
		side, err := repo.Head("side")
		if err == nil {
			_, err = repo.Merge(t.Context(), "primary", side, vcs.MergeOptions{CommitInfo: vcs.CommitInfo{Time: time.Unix(start+60*int64(i), 0)}})
		}
		if err == nil {
			err = repo.DeleteBranch(t.Context(), "side", side)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// TestResolveByIndex: in a Git directory the index of the record, of now or of
// earlier, finds the commit of a time that going back finds.
func TestResolveByIndex(t *testing.T) {
	const n = 2500
	s := longTable(t, n)
	dir := filepath.Join(t.TempDir(), "table.git")
	if _, err := gitremote.WriteSnapshot(dir, s); err != nil {
		t.Fatal(err)
	}
	d := open(t, dir).Store
	r := &Resolver{Store: d, Now: time.Unix(start, 0)}
	head, err := r.Head()
	if err != nil {
		t.Fatal(err)
	}
	x := versioned.OpenRecordIndex("")
	if err := x.Update(t.Context(), d, head); err != nil {
		t.Fatal(err)
	}
	asked, nearer := 0, 0
	with := &Resolver{Store: d, Now: r.Now, Index: func() (*versioned.RecordIndex, error) {
		asked++
		return x, nil
	}}
	rng := rand.New(rand.NewPCG(1, 5))
	for i := range 60 {
		at := time.Unix(start-100+rng.Int64N(60*n), rng.Int64N(2))
		want, err := r.at(head, Moment{Time: at})
		got, err2 := with.at(head, Moment{Time: at})
		if (err == nil) != (err2 == nil) || err == nil && got.Commit.ID != want.Commit.ID {
			t.Fatalf("at %v: %v, %v; want %v, %v", at, got.Commit, err2, want.Commit, err)
		}
		if from, err := with.before(head, at); err == nil && from != head {
			nearer++
		}
		if i == 40 { // an index that knows nothing of the head is of no use, and no harm
			x = versioned.OpenRecordIndex("")
		}
	}
	if asked < 20 || nearer < 20 {
		t.Errorf("the index was asked %d times, and %d times it was nearer", asked, nearer)
	}
	// As far as it can, it leads to right before the time.
	x = versioned.OpenRecordIndex("")
	if err := x.Update(t.Context(), d, head); err != nil {
		t.Fatal(err)
	}
	c, err := d.ReadCommit(head)
	if err != nil {
		t.Fatal(err)
	}
	f, ok := x.After(head, c.Time(), time.Unix(start+60*n/4, 0))
	if !ok || f.Time.After(time.Unix(start+60*(n/4+5), 0)) {
		t.Errorf("a commit after %v: %v, %v", time.Unix(start+60*n/4, 0), f, ok)
	}
}
