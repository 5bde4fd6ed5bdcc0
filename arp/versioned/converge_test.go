package versioned

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// Four nodes write, with clocks that disagree by seconds, and merge each
// other's branches at random. When all have seen all, in whatever order, they
// hold the same tree, byte for byte, and in it no entry is older than one that
// somebody wrote later having seen it.
func TestNodesConverge(t *testing.T) {
	const nodes, steps = 4, 40
	multi := 0
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 7))
		s, err := vcs.OpenStore(context.Background(), mem.New(), vcs.StoreConfig{FlushDelay: -1})
		if err != nil {
			t.Fatal(err)
		}
		repo, err := NewRepo(s)
		if err != nil {
			t.Fatal(err)
		}
		now := t0
		branch := func(n int) string { return fmt.Sprintf("node/%d", n) }
		best := map[arp.Key]Entry{} // the join of all that was ever written
		for n := range nodes {
			if _, err := repo.Commit(t.Context(), branch(n), vcs.ID{}, nil,
				vcs.CommitInfo{Message: fmt.Sprint("initial of ", n), Time: now, AllowEmpty: true}); err != nil {
				t.Fatal(err)
			}
		}
		merge := func(into, from int) {
			head, err := repo.Head(branch(from))
			if err != nil {
				t.Fatal(err)
			}
			res, err := repo.Merge(t.Context(), branch(into), head, vcs.MergeOptions{CommitInfo: vcs.CommitInfo{Message: "merge", Time: now}})
			if err != nil {
				t.Fatal(err)
			}
			if len(res.Bases) > 1 {
				multi++
			}
		}
		for range steps {
			now = now.Add(time.Duration(r.IntN(3000)) * time.Millisecond)
			n := r.IntN(nodes)
			if r.IntN(3) == 0 {
				merge(n, (n+1+r.IntN(nodes-1))%nodes)
				continue
			}
			k := key(fmt.Sprintf("10.9.0.%d", 1+r.IntN(3)))
			c := arp.Change{Key: k, Time: now.Add(time.Duration(r.IntN(10)-5) * time.Second), MAC: ethernet.Addr{2, 0, 0, 0, 0, byte(r.IntN(4))}}
			_, err := repo.Update(t.Context(), branch(n), vcs.TxOptions{CommitInfo: vcs.CommitInfo{Message: "write", Time: now}},
				func(tx *vcs.Tx[arp.Key, Entry]) error {
					e, _, err := tx.Get(k)
					next, changed := put(e, &c, fmt.Sprint(n))
					if r.IntN(3) == 0 && e.State != Expired {
						next, changed = expire(e, &c, fmt.Sprint(n))
					}
					if changed {
						tx.Set(k, next)
						best[k] = Join(best[k], next)
					}
					return err
				})
			if err != nil {
				t.Fatal(err)
			}
		}
		for range nodes - 1 { // everybody hears of everybody, in an order of his own
			for _, into := range r.Perm(nodes) {
				for _, from := range r.Perm(nodes) {
					if from != into {
						merge(into, from)
					}
				}
			}
		}
		first, err := repo.At(branch(0))
		if err != nil {
			t.Fatal(err)
		}
		for n := range nodes {
			snap, err := repo.At(branch(n))
			if err != nil {
				t.Fatal(err)
			}
			if snap.Tree() != first.Tree() {
				t.Errorf("seed %d: node %d holds another tree", seed, n)
			}
		}
		leave(t, "all", s)
		for k, want := range best {
			if got, _, err := first.Get(k); err != nil || got != want {
				t.Errorf("seed %d: %v\n got %+v\nwant %+v (%v)", seed, k, got, want, err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if multi == 0 {
		t.Error("no merge had several common ancestors")
	}
	t.Logf("%d merges with several common ancestors", multi)
}

// The merges of the 2015 data structure's own tests: two branches from one
// base, merged in either order.
func TestMergesOfTwoBranches(t *testing.T) {
	ip1, ip2, ip3 := key("10.0.0.1"), key("10.0.0.2"), key("10.0.0.3")
	at := func(s int) time.Time { return t0.Add(time.Duration(s) * time.Second) }
	type edit func(*vcs.Tx[arp.Key, Entry]) error
	bind := func(k arp.Key, mac byte, s int) edit {
		return func(tx *vcs.Tx[arp.Key, Entry]) error {
			e, _, err := tx.Get(k)
			n, _ := put(e, &arp.Change{Key: k, MAC: ethernet.Addr{2, 0, 0, 0, 0, mac}, Time: at(s)}, "n")
			tx.Set(k, n)
			return err
		}
	}
	end := func(k arp.Key, s int) edit {
		return func(tx *vcs.Tx[arp.Key, Entry]) error {
			e, _, err := tx.Get(k)
			n, _ := expire(e, &arp.Change{Key: k, Time: at(s)}, "n")
			tx.Set(k, n)
			return err
		}
	}
	for _, c := range []struct {
		name      string
		one, two  []edit
		ip1Holds  byte
		liveCount int
	}{
		{"simple update", []edit{end(ip1, 5)}, nil, 0, 1},
		{"remove then update", []edit{end(ip1, 5)}, []edit{bind(ip1, 9, 6)}, 9, 2},
		{"update then later removal", []edit{end(ip1, 7)}, []edit{bind(ip1, 9, 6)}, 0, 1},
		{"removal and observation at the same instant", []edit{end(ip1, 6)}, []edit{bind(ip1, 9, 6)}, 9, 2},
		{"without conflict", []edit{end(ip1, 5)}, []edit{bind(ip3, 3, 5)}, 0, 2},
		{"competing branches", []edit{bind(ip1, 11, 5)}, []edit{bind(ip1, 22, 6)}, 22, 2},
		{"competing within a millisecond", []edit{bind(ip1, 22, 5)}, []edit{bind(ip1, 11, 5)}, 22, 2},
	} {
		for name, backend := range backends {
			t.Run(c.name+" on "+name, func(t *testing.T) {
				var trees [2]vcs.ID
				for order := range 2 {
					s, err := vcs.OpenStore(context.Background(), backend(t), vcs.StoreConfig{FlushDelay: -1})
					if err != nil {
						t.Fatal(err)
					}
					defer s.Close()
					repo, _ := NewRepo(s)
					apply := func(branch string, edits ...edit) {
						for _, e := range edits {
							if _, err := repo.Update(t.Context(), branch, vcs.TxOptions{CommitInfo: vcs.CommitInfo{Message: branch, Time: t0}}, e); err != nil {
								t.Fatal(err)
							}
						}
					}
					apply(Primary, bind(ip1, 1, 0), bind(ip2, 2, 0))
					head, _ := repo.Head(Primary)
					for _, b := range []string{"one", "two"} {
						if err := repo.CreateBranch(t.Context(), b, head); err != nil {
							t.Fatal(err)
						}
					}
					apply("one", c.one...)
					apply("two", c.two...)
					for i := range 2 {
						b, _ := repo.Head([]string{"one", "two"}[(i+order)%2])
						if _, err := repo.Merge(t.Context(), Primary, b, vcs.MergeOptions{}); err != nil {
							t.Fatal(err)
						}
					}
					snap, _ := repo.At(Primary)
					trees[order] = snap.Tree()
					m, err := snap.Map()
					if err != nil {
						t.Fatal(err)
					}
					live := 0
					for _, e := range m {
						if e.State != Expired {
							live++
						}
					}
					if e := m[ip1]; live != c.liveCount || e.State != Expired && e.MAC[5] != c.ip1Holds || e.State == Expired && c.ip1Holds != 0 {
						t.Errorf("order %d: %d live, %v", order, live, m[ip1])
					}
				}
				if trees[0] != trees[1] {
					t.Error("the order of the merges decides")
				}
			})
		}
	}
}
