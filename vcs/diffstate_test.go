package vcs_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/vcstest"
)

// TestDiffOfStates: what two commits differ in is the same whether their states
// are at hand or their trees are read, also while somebody goes on to commit.
func TestDiffOfStates(t *testing.T) {
	r := must(vcs.Open(t.Context(), mem.New(), vcs.Config[string, string]{Merge: vcstest.Larger}))(t)
	defer r.Close()
	ids := append(vcstest.RandomHistory(t, r, vcstest.HistoryConfig{Seed: 3, Steps: 200}), vcs.ID{})
	rnd, atHand, changes := rand.New(rand.NewPCG(3, 3)), 0, 0
	for k := range 600 {
		a, b := ids[rnd.IntN(len(ids))], ids[len(ids)-1-rnd.IntN(8)]
		if k%2 == 0 {
			a, b = b, a
		}
		if k%7 == 0 {
			head := must(r.Head("b1"))(t)
			id, err := r.Commit(t.Context(), "b1", head, []vcs.Change[string, string]{{Key: vcstest.Key(rnd.IntN(40)), Value: vcs.Some("later")}}, info("later"))
			if err != nil {
				t.Fatal(err)
			}
			a = id
		}
		if vcs.StateAtHand(r.Store(), a) && vcs.StateAtHand(r.Store(), b) {
			atHand++
		}
		var got, want []vcs.Delta[string, string]
		for d, err := range r.Diff(a, b) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, d)
		}
		x, y := must(r.AtCommit(a))(t), must(r.AtCommit(b))(t)
		for ch, err := range vcs.DiffTrees(r.Store(), x.Tree(), y.Tree()) {
			if err != nil {
				t.Fatal(err)
			}
			d := vcs.Delta[string, string]{Key: ch.Path, Path: ch.Path}
			for _, side := range []struct {
				o *vcs.Opt[string]
				e vcs.TreeEntry
			}{{&d.Old, ch.Old}, {&d.New, ch.New}} {
				if !side.e.ID.IsZero() {
					_, content, err := r.Store().ReadObject(side.e.ID)
					if err != nil {
						t.Fatal(err)
					}
					*side.o = vcs.Some(string(content))
				}
			}
			want = append(want, d)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%v and %v: %v, want %v", a, b, got, want)
		}
		changes += len(got)
	}
	if atHand < 50 || changes < 1000 {
		t.Errorf("%d pairs of states at hand, %d changes", atHand, changes)
	}
}
