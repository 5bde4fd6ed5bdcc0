package vcs_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// TestLinesAt compares it with going through every commit, on random histories
// with merges of branches that were long left alone, and with commits that came by
// a push and are in no operation log.
func TestLinesAt(t *testing.T) {
	for seed := range uint64(6) {
		rng := rand.New(rand.NewPCG(seed, 11))
		s, err := vcs.OpenStore(t.Context(), mem.New(), vcs.StoreConfig{})
		if err != nil {
			t.Fatal(err)
		}
		repo, err := vcs.New(s, vcs.Config[string, []byte]{})
		if err != nil {
			t.Fatal(err)
		}
		base := time.Unix(1_700_000_000, 0)
		info := func(i int) vcs.CommitInfo {
			return vcs.CommitInfo{Message: fmt.Sprint(i), Time: base.Add(time.Duration(i/2) * time.Second), AllowEmpty: true}
		}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		const n = 1500
		for i := range n {
			branch := "primary"
			if side := fmt.Sprint("side", rng.IntN(3)); i > 0 && rng.IntN(10) == 0 {
				at, err := repo.Head(side)
				switch head, _ := repo.Head("primary"); {
				case err != nil:
					must(repo.CreateBranch(t.Context(), side, head))
				case rng.IntN(2) == 0:
					_, err := repo.Merge(t.Context(), "primary", at, vcs.MergeOptions{CommitInfo: info(i)})
					must(err)
					continue
				}
				branch = side
			}
			if i > 0 && rng.IntN(30) == 0 { // somebody pushes
				head, err := repo.Head(branch)
				must(err)
				was, err := s.ReadCommit(head)
				must(err)
				who := vcs.Signature{Name: "a", Email: "a@b", When: base.Add(time.Duration(i/2) * time.Second)}
				c := vcs.Commit{Tree: was.Tree, Parents: []vcs.ID{head}, Author: who, Committer: who, Message: fmt.Sprint("pushed ", i, "\n")}
				o := vcs.Object{Kind: vcs.KindCommit, Content: c.Encode(nil)}
				o.ID = vcs.HashObject(o.Kind, o.Content)
				must(s.AddObjects(t.Context(), []vcs.Object{o}))
				must(repo.SetBranch(t.Context(), branch, head, o.ID))
				continue
			}
			_, err := repo.Set(t.Context(), branch, fmt.Sprintf("%s/k%d", branch, rng.IntN(9)), []byte(fmt.Sprint(i)), info(i))
			must(err)
		}
		must(repo.Sync(t.Context()))
		head, err := repo.Head("primary")
		must(err)
		other, err := repo.Head("side0")
		must(err)
		for range 40 {
			at := base.Add(time.Duration(rng.IntN(n/2+10)-5) * time.Second)
			want := make(map[vcs.ID]bool)
			from := []vcs.ID{head, other}[:1+rng.IntN(2)]
			for _, id := range from {
				c, err := s.ReadCommit(id)
				must(err)
				if !c.Time().After(at) {
					want[id] = true
				}
			}
			for c, err := range s.Log(from...) {
				must(err)
				for _, p := range c.Parents {
					pc, err := s.ReadCommit(p)
					must(err)
					if c.Time().After(at) && !pc.Time().After(at) {
						want[p] = true
					}
				}
			}
			got, err := s.LinesAt(at.Add(500*time.Millisecond), from...)
			must(err)
			slices.SortFunc(got, func(a, b vcs.ID) int { return slices.Compare(a[:], b[:]) })
			if unique := slices.Compact(slices.Clone(got)); len(unique) != len(got) || len(got) != len(want) {
				t.Fatalf("seed %d at %v: %d lines, want %d", seed, at, len(got), len(want))
			}
			for _, id := range got {
				if !want[id] {
					t.Fatalf("seed %d at %v: %v is none", seed, at, id)
				}
			}
		}
		must(s.Close())
	}
}
