package vcs_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/vcstest"
)

// TestMergeStates: merging states gives the trees and the conflicts that merging
// trees gives, and leaves what it has read as it was.
func TestMergeStates(t *testing.T) {
	var plain, others, conflicts, settled int
	for seed := range uint64(6) {
		rnd := rand.New(rand.NewPCG(seed, 77))
		back, cfg := mem.New(), vcs.Config[string, string]{Merge: vcstest.Larger}
		r := must(vcs.Open(t.Context(), back, cfg))(t)
		ids := vcstest.RandomHistory(t, r, vcstest.HistoryConfig{Seed: seed, Steps: 120, Keys: 30})
		head := must(r.Head("b0"))(t)
		names := slices.Collect(maps.Keys(must(must(r.AtCommit(head))(t).Map())(t)))
		slices.Sort(names)
		// Two sides that change what is there, few and many files.
		for i := range 40 {
			var sides [2]vcs.ID
			for s := range sides {
				branch := fmt.Sprint("side/", i, "/", s)
				if err := r.CreateBranch(t.Context(), branch, head); err != nil {
					t.Fatal(err)
				}
				sides[s] = must(r.Update(t.Context(), branch, vcs.TxOptions{CommitInfo: info(branch)}, func(tx *vcs.Tx[string, string]) error {
					for range 1 + rnd.IntN(8) {
						tx.Set(names[rnd.IntN(len(names))], fmt.Sprintf("side %d\n", rnd.IntN(4)))
					}
					return nil
				}))(t)
			}
			ids = append(ids, sides[:]...)
		}
		merge := [...]func(string, vcs.Opt[string], vcs.Opt[string], vcs.Opt[string]) (vcs.Opt[string], error){
			vcstest.Larger,
			func(_ string, _, a, b vcs.Opt[string]) (vcs.Opt[string], error) {
				settled++
				return vcs.Some(max(a.Value, b.Value) + "and\n" + min(a.Value, b.Value)), nil
			},
			func(string, vcs.Opt[string], vcs.Opt[string], vcs.Opt[string]) (vcs.Opt[string], error) {
				return vcs.None[string](), nil
			},
			func(k string, _, a, b vcs.Opt[string]) (vcs.Opt[string], error) {
				if strings.Contains(k, "1") {
					return a, nil
				}
				return a, vcs.ErrConflict
			},
		}
		for k := range 400 {
			a, b := ids[rnd.IntN(len(ids))], ids[rnd.IntN(len(ids))]
			if k%2 == 0 { // two of the sides
				i := len(ids) - 80
				a, b = ids[i+rnd.IntN(80)], ids[i+rnd.IntN(80)]
			}
			bases := must(r.MergeBases(a, b))(t)
			if len(bases) != 1 {
				continue
			}
			with := must(vcs.New(r.Store(), vcs.Config[string, string]{Merge: merge[k/2%len(merge)]}))(t)
			trees, lists, ok, err := vcs.MergeBothWays(with, bases[0], a, b)
			if err != nil {
				t.Fatalf("seed %d: %v and %v: %v", seed, a, b, err)
			}
			if !ok {
				others++
				continue
			}
			plain++
			conflicts += len(lists[0])
			if trees[0] != trees[1] || !reflect.DeepEqual(paths(lists[0]), paths(lists[1])) {
				t.Fatalf("seed %d: %v and %v: %v with conflicts %v, merged as trees %v with %v",
					seed, a, b, trees[0], paths(lists[0]), trees[1], paths(lists[1]))
			}
		}
		// What was merged so is a record like any other one.
		for i := range 40 {
			from := must(r.Head(fmt.Sprint("side/", i, "/1")))(t)
			if _, err := r.Merge(t.Context(), fmt.Sprint("side/", i, "/0"), from, vcs.MergeOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		r = must(vcs.Open(t.Context(), back, cfg))(t)
		refs := must(r.Store().Refs())(t)
		if rep := must(vcs.Verify(t.Context(), r.Store(), refs, nil))(t); !rep.OK() {
			t.Errorf("seed %d: %d problems, first %v", seed, len(rep.Problems), rep.Problems[0])
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d merges as states, %d as trees only, %d conflicts, %d files settled", plain, others, conflicts, settled)
	if plain < 300 || others < 100 || conflicts < 50 || settled < 50 {
		t.Errorf("%d merges as states, %d as trees only, %d conflicts, %d files settled", plain, others, conflicts, settled)
	}
}

func paths(list []vcs.Conflict[string, string]) (out []string) {
	for _, c := range list {
		out = append(out, c.Path)
	}
	return out
}
