package vcs_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/vcstest"
)

// clocked is a value under a total order: the clock before the text.
type clocked struct{}

func (clocked) Encode(v string) ([]byte, error) { return []byte(v), nil }
func (clocked) Decode(b []byte) (string, error) { return string(b), nil }

func clock(o vcs.Opt[string]) int {
	head, _, _ := strings.Cut(o.Value, " ")
	n, _ := strconv.Atoi(head)
	return n
}

func later(_ string, _, ours, theirs vcs.Opt[string]) (vcs.Opt[string], error) {
	a, b := clock(ours), clock(theirs)
	if b > a || b == a && theirs.Value > ours.Value {
		return theirs, nil
	}
	return ours, nil
}

// TestMergeConverges: a total order with monotone writers never diverges.
func TestMergeConverges(t *testing.T) {
	laws := vcstest.MergeLaws[string, string]{
		Config: vcs.Config[string, string]{Merge: later, Codec: clocked{}},
		Keys:   []string{"a", "b/c", "b/d", "e/f/g"},
		Write: func(rnd *rand.Rand, _ string, current vcs.Opt[string]) vcs.Opt[string] {
			return vcs.Some(fmt.Sprintf("%d %d", clock(current)+1+rnd.IntN(3), rnd.IntN(3)))
		},
	}
	vcstest.TestMerge(t, laws)
}

// TestLawsCatch: the property test tells apart what it should.
func TestLawsCatch(t *testing.T) {
	laws := vcstest.MergeLaws[string, string]{
		Keys: []string{"a", "b/c"},
		Write: func(rnd *rand.Rand, _ string, _ vcs.Opt[string]) vcs.Opt[string] {
			return vcs.Some(fmt.Sprint(rnd.IntN(20)))
		},
	}
	if err := laws.Check(); !errors.Is(err, vcs.ErrConflict) {
		t.Errorf("without a merge function: %v, want a conflict", err)
	}
	laws.Config.Merge = later
	if err := laws.Check(); !errors.Is(err, vcstest.ErrDiverged) {
		t.Errorf("writers whose clocks run behind what they see: %v, want divergence", err)
	}
	laws.Config.Merge = func(_ string, _, ours, _ vcs.Opt[string]) (vcs.Opt[string], error) { return ours, nil }
	if err := laws.Check(); !errors.Is(err, vcstest.ErrDiverged) {
		t.Errorf("ours wins: %v, want divergence", err)
	}
}

func info(msg string) vcs.CommitInfo { return vcs.CommitInfo{Message: msg} }

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func content(t testing.TB, r *vcs.Repo[string, string], rev string) map[string]string {
	t.Helper()
	return must(must(r.At(rev))(t).Map())(t)
}

func TestMergeKinds(t *testing.T) {
	ctx := context.Background()
	r := open(t, vcs.Config[string, string]{})
	base := must(r.Set(ctx, "primary", "k", "1", info("base")))(t)
	if err := r.CreateBranch(ctx, "side", base); err != nil {
		t.Fatal(err)
	}
	res := must(r.Merge(ctx, "primary", base, vcs.MergeOptions{}))(t)
	if res.Kind != vcs.UpToDate || res.Head != base {
		t.Errorf("merge of itself: %+v", res)
	}
	side := must(r.Set(ctx, "side", "x/y", "2", info("side")))(t)
	res = must(r.Merge(ctx, "primary", side, vcs.MergeOptions{}))(t)
	if res.Kind != vcs.FastForwarded || res.Head != side {
		t.Errorf("merge of a descendant: %+v", res)
	}
	res = must(r.Merge(ctx, "primary", base, vcs.MergeOptions{}))(t)
	if res.Kind != vcs.UpToDate || res.Head != side {
		t.Errorf("merge of an ancestor: %+v", res)
	}
	next := must(r.Remove(ctx, "side", "k", info("next")))(t)
	res = must(r.Merge(ctx, "primary", next, vcs.MergeOptions{NoFastForward: true}))(t)
	c := must(r.Store().ReadCommit(res.Head))(t)
	if res.Kind != vcs.Merged || len(c.Parents) != 2 || c.Parents[0] != side || c.Parents[1] != next {
		t.Errorf("merge without fast-forward: %+v %v", res, c.Parents)
	}
	if got := content(t, r, "primary"); len(got) != 1 || got["x/y"] != "2" {
		t.Errorf("content %v", got)
	}
	if _, err := r.Head("new"); err == nil {
		t.Error("branch new exists")
	}
	if res = must(r.Merge(ctx, "new", base, vcs.MergeOptions{}))(t); res.Kind != vcs.FastForwarded {
		t.Errorf("merge into a branch that does not exist: %+v", res)
	}
}

func TestMergeConflict(t *testing.T) {
	ctx := context.Background()
	r := open(t, vcs.Config[string, string]{})
	base := must(r.Set(ctx, "a", "k", "0", info("base")))(t)
	if err := r.CreateBranch(ctx, "b", base); err != nil {
		t.Fatal(err)
	}
	ours := must(r.Set(ctx, "a", "k", "1", info("ours")))(t)
	must(r.Set(ctx, "b", "other", "x", info("harmless")))(t)
	theirs := must(r.Remove(ctx, "b", "k", info("theirs")))(t)
	res, err := r.Merge(ctx, "a", theirs, vcs.MergeOptions{})
	if !errors.Is(err, vcs.ErrConflict) || res.Kind != vcs.Conflicted || len(res.Conflicts) != 1 {
		t.Fatalf("%+v, %v", res, err)
	}
	c := res.Conflicts[0]
	if c.Key != "k" || !c.IsKey || c.Base.Value != "0" || c.Ours.Value != "1" || c.Theirs.Present {
		t.Errorf("%+v", c)
	}
	if head := must(r.Head("a"))(t); head != ours {
		t.Error("the branch moved in spite of the conflict")
	}
}

func TestMergeFileAgainstFolder(t *testing.T) {
	ctx := context.Background()
	r := open(t, vcs.Config[string, string]{Merge: vcstest.Larger})
	base := must(r.Set(ctx, "a", "z", "0", info("base")))(t)
	for _, b := range []string{"b", "c"} {
		if err := r.CreateBranch(ctx, b, base); err != nil {
			t.Fatal(err)
		}
	}
	must(r.Set(ctx, "a", "k", "file", info("file")))(t)
	folder := must(r.Set(ctx, "b", "k/x", "folder", info("folder")))(t)
	res, err := r.Merge(ctx, "a", folder, vcs.MergeOptions{})
	if !errors.Is(err, vcs.ErrConflict) || len(res.Conflicts) != 1 || res.Conflicts[0].Path != "k" {
		t.Errorf("%+v, %v", res, err)
	}
	// A file that one side replaced by a folder is no conflict.
	must(r.Set(ctx, "c", "k", "file", info("file")))(t)
	head := must(r.Head("c"))(t)
	if err := r.CreateBranch(ctx, "d", head); err != nil {
		t.Fatal(err)
	}
	swapped := must(r.Update(ctx, "d", vcs.TxOptions{}, func(tx *vcs.Tx[string, string]) error {
		tx.Remove("k")
		tx.Set("k/x", "1")
		return nil
	}))(t)
	must(r.Set(ctx, "c", "y", "2", info("elsewhere")))(t)
	must(r.Merge(ctx, "c", swapped, vcs.MergeOptions{}))(t)
	if got := content(t, r, "c"); len(got) != 3 || got["k/x"] != "1" {
		t.Errorf("content %v", got)
	}
}

// TestCrissCross: with two lowest common ancestors a merge based on either of
// them alone would resurrect or lose a change.
func TestCrissCross(t *testing.T) {
	ctx := context.Background()
	calls := 0
	var base vcs.Opt[string]
	r := open(t, vcs.Config[string, string]{Merge: func(k string, b, o, th vcs.Opt[string]) (vcs.Opt[string], error) {
		calls++
		base = b
		return vcs.Opt[string]{}, vcs.ErrConflict
	}})
	root := must(r.Set(ctx, "a", "x", "0", info("root")))(t)
	if err := r.CreateBranch(ctx, "b", root); err != nil {
		t.Fatal(err)
	}
	a1 := must(r.Set(ctx, "a", "x", "a", info("a1")))(t)
	b1 := must(r.Set(ctx, "b", "y", "b", info("b1")))(t)
	must(r.Merge(ctx, "a", b1, vcs.MergeOptions{}))(t)
	must(r.Merge(ctx, "b", a1, vcs.MergeOptions{}))(t)
	must(r.Set(ctx, "a", "x", "a2", info("a2")))(t)
	b2 := must(r.Remove(ctx, "b", "y", info("b2")))(t)
	res := must(r.Merge(ctx, "a", b2, vcs.MergeOptions{}))(t)
	if len(res.Bases) != 2 {
		t.Errorf("%d merge bases, want 2", len(res.Bases))
	}
	if got := content(t, r, "a"); len(got) != 1 || got["x"] != "a2" || calls != 0 {
		t.Errorf("content %v, %d calls of the merge function", got, calls)
	}
	// Now a true conflict; the virtual base has the value both agreed on.
	must(r.Merge(ctx, "b", must(r.Head("a"))(t), vcs.MergeOptions{}))(t)
	must(r.Set(ctx, "a", "x", "a3", info("a3")))(t)
	b3 := must(r.Set(ctx, "b", "x", "b3", info("b3")))(t)
	if _, err := r.Merge(ctx, "a", b3, vcs.MergeOptions{}); !errors.Is(err, vcs.ErrConflict) || base.Value != "a2" {
		t.Errorf("%v with base %v", err, base)
	}
}

func TestMergeWithoutCommonAncestor(t *testing.T) {
	ctx := context.Background()
	r := open(t, vcs.Config[string, string]{Merge: vcstest.Larger})
	must(r.Set(ctx, "a", "k", "1", info("a")))(t)
	b := must(r.Set(ctx, "b", "k", "2", info("b")))(t)
	res := must(r.Merge(ctx, "a", b, vcs.MergeOptions{}))(t)
	if len(res.Bases) != 0 || content(t, r, "a")["k"] != "2" {
		t.Errorf("%+v", res)
	}
}

func TestRevert(t *testing.T) {
	ctx := context.Background()
	r := open(t, vcs.Config[string, string]{})
	must(r.Set(ctx, "primary", "k", "1", info("one")))(t)
	two := must(r.Set(ctx, "primary", "k", "2", info("two")))(t)
	must(r.Set(ctx, "primary", "other", "x", info("three")))(t)
	res := must(r.Revert(ctx, "primary", two, vcs.MergeOptions{}))(t)
	if got := content(t, r, "primary"); got["k"] != "1" || got["other"] != "x" {
		t.Errorf("content %v", got)
	}
	c := must(r.Store().ReadCommit(res.Head))(t)
	if c.Message != fmt.Sprintf("Revert \"two\"\n\nThis reverts commit %v.\n", two) {
		t.Errorf("message %q", c.Message)
	}
	if again := must(r.Revert(ctx, "primary", two, vcs.MergeOptions{}))(t); again.Kind != vcs.UpToDate {
		t.Errorf("second revert: %+v", again)
	}
	must(r.Set(ctx, "primary", "k", "9", info("later")))(t)
	if _, err := r.Revert(ctx, "primary", two, vcs.MergeOptions{}); !errors.Is(err, vcs.ErrConflict) {
		t.Errorf("revert of what changed since: %v", err)
	}
}
