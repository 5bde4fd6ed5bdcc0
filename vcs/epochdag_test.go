package vcs_test

import (
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/vcstest"
)

// While the last commits of an epoch are saved, each is one commit: it gets one
// root, and the roots are those that a store gets which has saved nothing yet.
func TestRootsWhileCommitsAreSaved(t *testing.T) {
	for seed := range uint64(60) {
		var want int
		for i, flush := range []bool{false, true} {
			r := openOn(t, mem.New(), vcs.Config[string, string]{Merge: vcstest.Larger, StoreConfig: vcs.StoreConfig{Head: "b0"}})
			vcstest.RandomHistory(t, r, vcstest.HistoryConfig{Seed: seed, Steps: 60})
			if flush {
				go r.Sync(t.Context())
			}
			e, err := r.Store().EndEpoch(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			olds := make(map[vcs.ID]bool)
			for _, x := range e.Roots {
				if olds[x.Old] {
					t.Errorf("history %d: two roots for %v", seed, x.Old)
				}
				olds[x.Old] = true
			}
			if i == 0 {
				want = len(olds)
			} else if len(olds) != want {
				t.Errorf("history %d: %d roots, want %d", seed, len(olds), want)
			}
		}
	}
}
