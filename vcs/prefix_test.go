package vcs_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/vcstest"
)

// TestFindPrefix: the commits of a log whose ids begin in some way, saved or not,
// before and after it is opened again.
func TestFindPrefix(t *testing.T) {
	back, cfg := mem.New(), vcs.Config[string, string]{Merge: vcstest.Larger}
	cfg.FlushDelay = time.Hour // nothing is saved until somebody asks
	r := must(vcs.Open(t.Context(), back, cfg))(t)
	vcstest.RandomHistory(t, r, vcstest.HistoryConfig{Seed: 9, Steps: 900})
	check := func(when string) {
		t.Helper()
		want := make(map[string][]vcs.ID)
		for c, err := range r.Log(refTargets(t, r.Store())...) {
			if err != nil {
				t.Fatal(err)
			}
			for _, digits := range []int{4, 5, 40} {
				p := c.ID.String()[:digits]
				want[p] = append(want[p], c.ID)
			}
		}
		several := 0
		for i, p := range slices.Sorted(maps.Keys(want)) {
			if i%20 > 0 && len(want[p]) == 1 {
				continue
			}
			slices.SortFunc(want[p], func(a, b vcs.ID) int { return strings.Compare(a.String(), b.String()) })
			for _, s := range []string{p, strings.ToUpper(p)} {
				got, ok, err := r.Store().FindPrefix(s)
				if err != nil || !ok || !slices.Equal(got, want[p]) {
					t.Fatalf("%s: %s: %v, %v, %v, want %v", when, s, got, ok, err, want[p])
				}
			}
			if len(want[p]) > 1 {
				several++
			}
		}
		if several == 0 {
			t.Errorf("%s: no prefix has two commits", when)
		}
		for _, s := range []string{"xyz4", "0000000", strings.Repeat("0", 41)} {
			if got, ok, err := r.Store().FindPrefix(s); err != nil || !ok || len(got) > 0 {
				t.Errorf("%s: %s: %v, %v, %v", when, s, got, ok, err)
			}
		}
	}
	check("unsaved")
	if err := r.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("saved")
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = must(vcs.Open(t.Context(), back, cfg))(t)
	defer r.Close()
	check("opened")

	// Commits that the log does not hold as changes cannot be listed.
	tree := must(vcs.NewTree([]vcs.TreeEntry{{Name: "empty", Mode: vcs.ModeDir, ID: vcs.EmptyTree}}))(t)
	c := vcs.Commit{Tree: vcs.HashObject(vcs.KindTree, tree.Content()), Message: "foreign\n"}
	c.Author = vcs.Signature{Name: "a", Email: "a@b", When: time.Unix(1_700_000_000, 0)}
	c.Committer = c.Author
	content := c.Encode(nil)
	id := vcs.HashObject(vcs.KindCommit, content)
	if err := r.Store().AddObjects(t.Context(), []vcs.Object{
		{ID: vcs.EmptyTree, Kind: vcs.KindTree}, {ID: c.Tree, Kind: vcs.KindTree, Content: tree.Content()}, {ID: id, Kind: vcs.KindCommit, Content: content},
	}); err != nil {
		t.Fatal(err)
	}
	if err := r.CreateBranch(t.Context(), "foreign", id); err != nil {
		t.Fatal(err)
	}
	if err := r.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	head := must(r.Head("b0"))(t)
	if got, ok, err := r.Store().FindPrefix(head.String()[:7]); ok || err != nil {
		t.Errorf("with a commit that is kept as objects: %v, %v, %v", got, ok, err)
	}
	if _, err := r.Merge(t.Context(), "foreign", head, vcs.MergeOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := r.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, ok, err := r.Store().FindPrefix(head.String()[:7]); ok || err != nil {
		t.Errorf("with such a parent: %v, %v, %v", got, ok, err)
	}
}

func refTargets(t *testing.T, s *vcs.Store) (ids []vcs.ID) {
	t.Helper()
	for _, r := range must(s.Refs())(t) {
		ids = append(ids, r.Target)
	}
	return ids
}
