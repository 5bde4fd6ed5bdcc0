package packfile_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/packfile"
	"arpeggio/vcs/vcstest"
)

// The commit-graph of what the log tells, of merges and of commits that several
// epochs have, is that of the commits' trees.
func TestCommitGraphOfASet(t *testing.T) {
	ctx := context.Background()
	for seed := range uint64(6) {
		r, err := vcs.Open(ctx, mem.New(), vcs.Config[string, string]{Merge: vcstest.Larger})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for epoch := range 1 + seed%3 {
			if epoch > 0 {
				if _, err := r.Store().EndEpoch(ctx); err != nil {
					t.Fatal(err)
				}
			}
			vcstest.RandomHistory(t, r, vcstest.HistoryConfig{Seed: 10*seed + epoch, Steps: 60})
		}
		if err := r.Sync(ctx); err != nil {
			t.Fatal(err)
		}
		refs, err := r.Store().Refs()
		if err != nil {
			t.Fatal(err)
		}
		var wants []vcs.ID
		for _, ref := range refs {
			if !strings.HasPrefix(ref.Name, "refs/replace/") { // no log has what these lead to
				wants = append(wants, ref.Target)
			}
		}
		set := pick(t, r.Store(), packfile.Selection{Wants: wants})
		if !set.TellsChanges() {
			t.Fatalf("seed %d: the log does not tell what commits changed", seed)
		}
		var got bytes.Buffer
		if err := set.WriteCommitGraph(ctx, &got, nil); err != nil {
			t.Fatal(err)
		}
		var commits []vcs.ID
		for id := range set.IDs {
			if kind, _, err := r.Store().ReadObject(id); err != nil {
				t.Fatal(err)
			} else if kind == vcs.KindCommit {
				commits = append(commits, id)
			}
		}
		if want := graph(t, r.Store(), commits); !bytes.Equal(got.Bytes(), want) {
			t.Errorf("seed %d: %d commits have a graph of %d bytes, which is not that of %d bytes", seed, len(commits), got.Len(), len(want))
		}
	}
}
