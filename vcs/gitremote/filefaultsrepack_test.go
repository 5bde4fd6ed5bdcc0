package gitremote_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/gitremote"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/vcstest"
)

// TestFileFaultsOfSnapshots lets every call fail with which a snapshot is
// written, updated and repacked. What it held before must stay.
func TestFileFaultsOfSnapshots(t *testing.T) {
	ctx := context.Background()
	r, err := vcs.Open(ctx, mem.New(), vcs.Config[string, string]{Merge: vcstest.Larger, StoreConfig: vcs.StoreConfig{Head: "b0"}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var sources []frozen
	for seed := range uint64(2) {
		vcstest.RandomHistory(t, r, vcstest.HistoryConfig{Seed: seed, Steps: 8})
		refs, err := r.Store().Refs()
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, frozen{r.Store(), refs})
	}
	f := vcstest.FileFaults{Points: 40}
	if os.Getenv("SOAK") != "" {
		f.Points = 0
	}
	f.Tolerated = func(c vcstest.FileCall) bool {
		return c.Reads || c.Name == "unlinkat" && strings.HasPrefix(filepath.Base(c.Path), "tmp_")
	}
	f.Use = func(_ context.Context, run *vcstest.FileRun) error {
		for i, src := range sources {
			for _, step := range []func() error{
				func() error { _, err := gitremote.WriteSnapshot(run.Dir, src); return err },
				func() error {
					_, err := gitremote.Repack(run.Dir, gitremote.RepackOptions{Prune: true})
					return err
				},
			} {
				if err := step(); err != nil {
					run.Failed(err)
					if err := step(); err != nil {
						return err
					}
				}
				run.Ack(fmt.Sprint(i))
			}
		}
		return nil
	}
	f.Check = func(ctx context.Context, dir string, acked []string) error {
		d, err := gitremote.OpenDir(dir)
		if err != nil {
			return err
		}
		defer d.Close()
		refs, err := d.Refs()
		if err != nil {
			return err
		}
		last := sources[len(sources)-1].refs
		if fmt.Sprint(refs) != fmt.Sprint(last) {
			return fmt.Errorf("refs are %v, want %v", refs, last)
		}
		rep, err := vcs.Verify(ctx, d, refs, nil)
		if err == nil && !rep.OK() {
			err = errors.New(rep.String())
		}
		return err
	}
	f.Run(t)
}

// frozen is a store as its refs were at one time.
type frozen struct {
	*vcs.Store
	refs []vcs.Ref
}

func (f frozen) Refs() ([]vcs.Ref, error) { return f.refs, nil }
