package archive

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/vcstest"
)

// Epochs that a store ended by itself, with merges between its branches: archived
// and joined by stock git they are the history that the store tells.
func TestStoresEpochs(t *testing.T) {
	ctx := context.Background()
	r, err := vcs.Open(ctx, mem.New(), vcs.Config[string, string]{Merge: vcstest.Larger, StoreConfig: vcs.StoreConfig{Head: "b0"}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	d := openDir(t, filepath.Join(t.TempDir(), "a"), Config{})
	var acked []vcs.ID
	for seed := range uint64(4) {
		acked = append(acked, vcstest.RandomHistory(t, r, vcstest.HistoryConfig{Seed: seed, Steps: 60})...)
		if seed == 0 {
			if _, err := r.CreateTag(ctx, "v1", acked[20], vcs.CommitInfo{Message: "of the first epoch"}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := r.Store().EndEpoch(ctx); err != nil {
			t.Fatal(err)
		}
		list := r.Store().Epochs()
		e := list[len(list)-2]
		receipt, err := d.Archive(ctx, e, at{r.Store(), e})
		if err != nil {
			t.Fatal(err)
		}
		fsck(t, d.path)
		in, err := d.Verify(ctx, e.Number)
		if err != nil || in.Receipt() != receipt {
			t.Errorf("%+v, %v", in, err)
		}
		// What the store drops later is not in two archives.
		if in.Commits > e.Commits+2*e.Number+4 {
			t.Errorf("epoch %d: %d commits in the archive, %d in the epoch", e.Number, in.Commits, e.Commits)
		}
	}
	there := strings.Fields(vcstest.Git(t, d.path, "--no-replace-objects", "rev-list", "--all"))
	for _, id := range acked {
		if !slices.Contains(there, id.String()) {
			t.Errorf("%v is in no archive", id)
		}
	}
	last := r.Store().Epochs()[3]
	var want []string
	for c, err := range r.Store().Log(ref(last, "refs/heads/b0")) {
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, c.ID.String())
	}
	got := strings.Fields(vcstest.Git(t, d.path, "log", "--format=%H", "refs/epochs/4"))
	if len(got) < 100 || lines(slices.Clone(got)) != lines(slices.Clone(want)) {
		t.Errorf("stock git shows %d commits, the store %d", len(got), len(want))
	}
	if got := vcstest.Git(t, d.path, "rev-parse", "refs/epochs-heads/3/tags/v1^{}"); got != acked[20].String() {
		t.Errorf("the tag of the first epoch is at %s", got)
	}
}
