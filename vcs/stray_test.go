package vcs_test

import (
	"errors"
	"strconv"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// A writer that is under way while an epoch begins leaves the state behind that
// it was at. They do not add up.
func TestStrayWorkTrees(t *testing.T) {
	ctx := t.Context()
	r, err := vcs.Open(ctx, mem.New(), vcs.Config[string, string]{StoreConfig: vcs.StoreConfig{Head: "main",
		Retention: vcs.Retention{MaxCommits: 4000, Epochs: 2, Chains: []vcs.Chain{}}}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var head vcs.ID
	epochs := 0
	for n := 0; epochs < 25 && n < 1_000_000; n++ {
		id, err := r.Commit(ctx, "main", head, []vcs.Change[string, string]{{Key: strconv.Itoa(n % 50), Value: vcs.Some(strconv.Itoa(n))}},
			vcs.CommitInfo{Message: strconv.Itoa(n)})
		switch {
		case err == nil:
			head = id
		case errors.Is(err, vcs.ErrRefMoved):
			epochs++
			if head, err = r.Head("main"); err != nil {
				t.Fatal(err)
			}
		default:
			t.Fatal(err)
		}
	}
	// The writer's, the ledger's, and what the last epoch has left.
	if n := vcs.WorkTrees(r.Store()); epochs < 25 || n > 4 {
		t.Errorf("after %d epochs %d states are kept for one writer", epochs, n)
	}
}
