package vcs_test

import (
	"bytes"
	"fmt"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/packfile"
	"arpeggio/vcs/vcstest"
)

// What grafts, merges of trees and imports leave is there again after a reopen,
// whether a backend keeps objects or what changed: the same refs, and every
// object that they lead to, by stock git's word.
func TestTreesOutliveTheStore(t *testing.T) {
	from := open(t, vcs.Config[string, string]{Merge: vcstest.Larger})
	vcstest.RandomHistory(t, from, vcstest.HistoryConfig{Seed: 77, Steps: 60})
	refs, err := from.Store().Refs()
	if err != nil {
		t.Fatal(err)
	}
	var bundle bytes.Buffer
	if err := packfile.WriteBundle(t.Context(), &bundle, from.Store(), refs, nil); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string]*mem.Backend{"log": mem.New(), "objects": mem.NewNative()} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			cfg := vcs.Config[string, string]{Merge: vcstest.Larger}
			r := must(vcs.Open(ctx, b, cfg))(t)
			all := vcstest.RandomHistory(t, r, vcstest.HistoryConfig{Seed: 78, Steps: 60})
			dirs := []string{"", "d0", "new/deep", "d2/d1"}
			for i := range 40 {
				snap := must(r.AtCommit(all[(i*17)%len(all)]))(t)
				tree := must(snap.Subtree(dirs[(i/4)%len(dirs)]))(t)
				branch := fmt.Sprint("b", i%4)
				if i%2 == 0 {
					must(r.Graft(ctx, branch, dirs[i%len(dirs)], tree, info("graft")))(t)
				} else {
					must(r.MergeTree(ctx, branch, dirs[i%len(dirs)], vcs.ID{}, tree, vcs.MergeOptions{}))(t)
				}
			}
			h := must(packfile.ImportBundle(ctx, bytes.NewReader(bundle.Bytes()), r.Store(), packfile.Config{}))(t)
			for _, ref := range h.Refs {
				if err := r.CreateBranch(ctx, "imported/"+ref.Name, ref.Target); err != nil {
					t.Fatal(err)
				}
			}
			before := must(r.Store().Refs())(t)
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			again := must(vcs.Open(ctx, b, cfg))(t)
			defer again.Close()
			if after := must(again.Store().Refs())(t); fmt.Sprint(after) != fmt.Sprint(before) {
				t.Errorf("refs %v, were %v", after, before)
			}
			vcstest.ExportTo(t, t.TempDir(), again.Store())
			k := vcstest.Key(1)
			head := must(again.Resolve("b1"))(t)
			p := must(again.Prove(head, k))(t)
			want, ok, err := must(again.AtCommit(head))(t).Get(k)
			if got := must(vcs.VerifyKey(p, cfg, head, k))(t); got != (vcs.Opt[string]{Value: want, Present: ok}) || err != nil {
				t.Errorf("%v is proved, want %q, %v, %v", got, want, ok, err)
			}
		})
	}
}
