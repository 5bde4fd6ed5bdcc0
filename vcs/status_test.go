package vcs_test

import (
	"fmt"
	"strings"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/vcstest"
)

// compareRanges compares what one commit has over others with stock git's word.
func compareRanges(t *testing.T, r *vcs.Repo[string, string], dir string, all []vcs.ID) {
	s := r.Store()
	for i := range 25 {
		a, b, c := all[(i*41)%len(all)], all[(i*17+5)%len(all)], all[(i*23+11)%len(all)]
		st, err := s.Status(a, b)
		if err != nil {
			t.Fatal(err)
		}
		counts := vcstest.Git(t, dir, "rev-list", "--left-right", "--count", a.String()+"..."+b.String())
		if got := fmt.Sprintf("%d\t%d", st.Ahead, st.Behind); got != counts {
			t.Errorf("status of %v and %v: %s, git says %s", a, b, got, counts)
		}
		var ids []string
		for c, err := range s.LogRange([]vcs.ID{a, b}, []vcs.ID{c}) {
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, c.ID.String())
		}
		if got, want := strings.Join(ids, "\n"), vcstest.Git(t, dir, "rev-list", a.String(), b.String(), "--not", c.String()); got != want {
			t.Errorf("range %v %v ^%v:\n%s\ngit says:\n%s", a, b, c, got, want)
		}
	}
}

// compareChanges compares a branch's changes with git diff A...B, which takes
// one of several merge bases, so only pairs with one.
func compareChanges(t *testing.T, r *vcs.Repo[string, string], dir string, all []vcs.ID) {
	compared := 0
	for i := range 25 {
		a, b := all[(i*7)%len(all)], all[(i*31+3)%len(all)]
		bases, err := r.MergeBases(a, b)
		if err != nil {
			t.Fatal(err)
		}
		if len(bases) != 1 {
			continue
		}
		compared++
		var ours []string
		for d, err := range r.Changes(a, b) {
			if err != nil {
				t.Fatal(err)
			}
			ours = append(ours, d.Path)
		}
		want := vcstest.Git(t, dir, "diff", "--no-renames", "--name-only", b.String()+"..."+a.String())
		if got := strings.Join(ours, "\n"); got != want {
			t.Errorf("changes of %v over %v:\n%s\ngit says:\n%s", a, b, got, want)
		}
	}
	if compared == 0 {
		t.Error("no pair of commits with one merge base")
	}
}

func TestStatusWords(t *testing.T) {
	r := open(t, vcs.Config[string, string]{})
	a := must(r.Set(t.Context(), "a", "k", "1", info("a")))(t)
	b := must(r.Set(t.Context(), "b", "k", "2", info("b")))(t)
	c := must(r.Set(t.Context(), "b", "k", "3", info("c")))(t)
	for _, x := range []struct {
		ours, theirs vcs.ID
		want         string
	}{{a, a, "up to date"}, {a, c, "unrelated: ahead 1, behind 2"}, {c, b, "ahead 1, behind 0"}} {
		if st := must(r.Status(x.ours, x.theirs))(t); st.String() != x.want {
			t.Errorf("%v, want %s", st, x.want)
		}
	}
	if _, err := r.Status(a, vcs.ID{1}); err == nil {
		t.Error("status of a commit that is not there")
	}
}

// With a criss-cross behind it the base of a change is what the merge of both
// ancestors holds, not what either of them does.
func TestChangesSinceSeveralBases(t *testing.T) {
	ctx := t.Context()
	r := open(t, vcs.Config[string, string]{})
	root := must(r.Set(ctx, "a", "x", "0", info("root")))(t)
	if err := r.CreateBranch(ctx, "b", root); err != nil {
		t.Fatal(err)
	}
	a1 := must(r.Set(ctx, "a", "x", "a", info("a1")))(t)
	b1 := must(r.Set(ctx, "b", "y", "b", info("b1")))(t)
	must(r.Merge(ctx, "a", b1, vcs.MergeOptions{}))(t)
	must(r.Merge(ctx, "b", a1, vcs.MergeOptions{}))(t)
	a2 := must(r.Set(ctx, "a", "z", "2", info("a2")))(t)
	b2 := must(r.Remove(ctx, "b", "y", info("b2")))(t)
	var got []string
	for _, pair := range [][2]vcs.ID{{a2, b2}, {b2, a2}} {
		for d, err := range r.Changes(pair[0], pair[1]) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprint(d.Key, d.Old, d.New))
		}
	}
	if want := "[z{ false} {2 true} y{b true} { false}]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
}

func TestDiffFolder(t *testing.T) {
	ctx := t.Context()
	r := open(t, vcs.Config[string, string]{})
	a := must(r.Set(ctx, "p", "d/x", "1", info("a")))(t)
	must(r.Set(ctx, "p", "e/y", "1", info("b")))(t)
	c := must(r.Set(ctx, "p", "d/f/z", "1", info("c")))(t)
	for dir, want := range map[string]string{"d": "[d/f/z]", "e": "[e/y]", "": "[d/f/z e/y]", "nowhere": "[]", "d/x": "[]"} {
		got := []string{}
		for d, err := range r.DiffFolder(dir, a, c) {
			if err != nil {
				t.Fatal(err)
			}
			if d.Old.Present || !d.New.Present {
				t.Errorf("%+v", d)
			}
			got = append(got, d.Path)
		}
		if fmt.Sprint(got) != want {
			t.Errorf("%q: %v, want %s", dir, got, want)
		}
	}
}
