package vcs_test

import (
	"errors"
	"fmt"
	"maps"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/vcstest"
)

func TestMergeKey(t *testing.T) {
	ctx := t.Context()
	none, some := vcs.None[string](), vcs.Some[string]
	for _, c := range []struct {
		name               string
		base, ours, theirs vcs.Opt[string]
		want               any
	}{
		{"nobody else changed it", some("0"), some("0"), some("1"), some("1")},
		{"only the branch did", some("0"), some("1"), some("0"), some("1")},
		{"both alike", some("0"), some("1"), some("1"), some("1")},
		{"both", some("0"), some("1"), some("2"), some("2")},
		{"both, the branch further", some("0"), some("3"), some("2"), some("3")},
		{"new on both", none, some("1"), some("2"), some("2")},
		{"new", none, none, some("2"), some("2")},
		{"removed", some("0"), some("0"), none, none},
		{"removed and changed", some("0"), some("1"), none, some("1")},
		{"conflict", some("0"), some("1"), some("x"), vcs.ErrConflict},
		{"does not decode", some("0"), some("1"), some("1"), vcs.ErrConflict},
	} {
		r := open(t, vcs.Config[string, string]{Codec: picky{}, Merge: func(k string, b, o, th vcs.Opt[string]) (vcs.Opt[string], error) {
			if th.Value == "x" {
				return none, vcs.ErrConflict
			}
			return vcstest.Larger(k, b, o, th)
		}})
		must(r.Set(ctx, "p", "other", "0", info("other")))(t)
		if c.ours.Present {
			must(r.Set(ctx, "p", "d/k", c.ours.Value, info("ours")))(t)
		}
		if c.name == "does not decode" {
			raw := must(vcs.New(r.Store(), vcs.Config[string, string]{}))(t)
			must(raw.Set(ctx, "p", "d/k", "bad", info("bad")))(t)
		}
		before := must(r.Head("p"))(t)
		id, err := r.MergeKey(ctx, "p", "d/k", c.base, c.theirs, info("merge"))
		if c.want == vcs.ErrConflict {
			if head := must(r.Head("p"))(t); !errors.Is(err, vcs.ErrConflict) || head != before {
				t.Errorf("%s: %v, moved: %v", c.name, err, head != before)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		v, ok, err := must(r.At("p"))(t).Get("d/k")
		if got := (vcs.Opt[string]{Value: v, Present: ok}); got != c.want || err != nil || (id == before) != (c.want == c.ours) {
			t.Errorf("%s: %v, %v, want %v; commit %v", c.name, got, err, c.want, id != before)
		}
	}
}

// picky refuses one text.
type picky struct{ vcs.Raw[string] }

func (picky) Decode(b []byte) (string, error) {
	if string(b) == "bad" {
		return "", errors.New("bad")
	}
	return string(b), nil
}

// Merging trees at the root is what merging commits does, and in a folder it is
// that below the folder.
func TestMergeTreeIsLikeMerge(t *testing.T) {
	ctx := t.Context()
	r := open(t, vcs.Config[string, string]{Merge: vcstest.Larger})
	all := vcstest.RandomHistory(t, r, vcstest.HistoryConfig{Seed: 12, Steps: 80})
	compared := 0
	for i := range 60 {
		a, b := all[(i*31)%len(all)], all[len(all)-1-(i*13)%len(all)]
		bases := must(r.MergeBases(a, b))(t)
		if len(bases) > 1 {
			continue
		}
		compared++
		var base vcs.ID
		if len(bases) == 1 {
			base = bases[0]
		}
		one, two, sub := fmt.Sprint("one", i), fmt.Sprint("two", i), fmt.Sprint("sub", i)
		for _, name := range []string{one, two, sub} {
			if err := r.CreateBranch(ctx, name, a); err != nil {
				t.Fatal(err)
			}
		}
		must(r.Merge(ctx, one, b, vcs.MergeOptions{NoFastForward: true}))(t)
		tree := func(id vcs.ID, dir string) vcs.ID { return must(must(r.AtCommit(id))(t).Subtree(dir))(t) }
		res := must(r.MergeTree(ctx, two, "", tree(base, ""), tree(b, ""), vcs.MergeOptions{}))(t)
		want := must(r.At(one))(t)
		if got := must(r.At(two))(t); got.Tree() != want.Tree() {
			t.Errorf("merge of %v into %v: %v", b, a, res)
		}
		if c := must(r.Store().ReadCommit(res.Head))(t); res.Kind == vcs.Merged && (len(c.Parents) != 1 || c.Parents[0] != a) {
			t.Errorf("parents %v", c.Parents)
		}
		must(r.MergeTree(ctx, sub, "d1", tree(base, "d1"), tree(b, "d1"), vcs.MergeOptions{}))(t)
		got := grafted(content(t, r, sub), nil, "", "d1")
		if was := grafted(must(must(r.AtCommit(a))(t).Map())(t), nil, "", "d1"); !maps.Equal(got, was) {
			t.Errorf("a merge into d1 changed what is not in it: %v, was %v", got, was)
		}
		if got, want := must(must(r.At(sub))(t).Subtree("d1"))(t), must(want.Subtree("d1"))(t); got != want {
			t.Errorf("a merge into d1: %v, want %v", got, want)
		}
	}
	if compared < 20 {
		t.Errorf("%d merges compared", compared)
	}
	vcstest.ExportTo(t, t.TempDir(), r.Store())
}

func TestMergeTreeConflictsAndBadInput(t *testing.T) {
	ctx := t.Context()
	r := open(t, vcs.Config[string, string]{})
	a := must(r.Set(ctx, "p", "d/k", "1", info("a")))(t)
	b := must(r.Set(ctx, "q", "d/k", "2", info("b")))(t)
	sub := func(id vcs.ID) vcs.ID { return must(must(r.AtCommit(id))(t).Subtree("d"))(t) }
	res, err := r.MergeTree(ctx, "p", "d", vcs.ID{}, sub(b), vcs.MergeOptions{})
	if !errors.Is(err, vcs.ErrConflict) || len(res.Conflicts) != 1 || res.Conflicts[0].Key != "d/k" || res.Head != a {
		t.Errorf("%+v, %v", res, err)
	}
	for _, ids := range [][2]vcs.ID{{{1}, sub(b)}, {sub(b), {1}}} {
		if _, err := r.MergeTree(ctx, "p", "d", ids[0], ids[1], vcs.MergeOptions{}); !errors.Is(err, vcs.ErrNotFound) {
			t.Errorf("a tree that is not there: %v", err)
		}
	}
	if _, err := r.MergeTree(ctx, "p", "d/k", vcs.ID{}, sub(b), vcs.MergeOptions{}); !errors.Is(err, vcs.ErrBadPath) {
		t.Errorf("into a file: %v", err)
	}
	if res := must(r.MergeTree(ctx, "p", "d", sub(a), sub(b), vcs.MergeOptions{}))(t); res.Kind != vcs.Merged || content(t, r, "p")["d/k"] != "2" {
		t.Errorf("%+v", res)
	}
	if res := must(r.MergeTree(ctx, "p", "d", sub(a), sub(b), vcs.MergeOptions{}))(t); res.Kind != vcs.UpToDate {
		t.Errorf("the same again: %+v", res)
	}
	if res := must(r.MergeTree(ctx, "new", "x", vcs.ID{}, sub(b), vcs.MergeOptions{}))(t); res.Kind != vcs.Merged || content(t, r, "new")["x/k"] != "2" {
		t.Errorf("into a branch that does not exist: %+v", res)
	}
}

func TestTestAndGraft(t *testing.T) {
	ctx := t.Context()
	r := open(t, vcs.Config[string, string]{})
	head := must(r.Set(ctx, "p", "d/k", "1", info("a")))(t)
	tree := must(must(r.AtCommit(head))(t).Subtree("d"))(t)
	if _, err := r.TestAndGraft(ctx, "p", "d", vcs.ID{}, tree, info("x")); !errors.Is(err, vcs.ErrTestFailed) {
		t.Errorf("%v", err)
	}
	must(r.TestAndGraft(ctx, "p", "e", vcs.ID{}, tree, info("x")))(t)
	must(r.TestAndGraft(ctx, "p", "e", tree, vcs.ID{}, info("y")))(t)
	if got := content(t, r, "p"); len(got) != 1 {
		t.Errorf("%v", got)
	}
}
