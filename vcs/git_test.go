package vcs_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/vcstest"
)

func open(t testing.TB, cfg vcs.Config[string, string]) *vcs.Repo[string, string] {
	t.Helper()
	r, err := vcs.Open(context.Background(), mem.New(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// TestRandomHistoryAgainstGit compares what stock git says of a random history
// with what we say.
func TestRandomHistoryAgainstGit(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := open(t, vcs.Config[string, string]{Merge: vcstest.Larger})
			all := vcstest.RandomHistory(t, r, vcstest.HistoryConfig{Seed: seed, Steps: 120})
			dir := vcstest.Export(t, r.Store())
			compareMergeBases(t, r, dir, all)
			compareDiffs(t, r, dir, all)
			compareLogs(t, r, dir)
			compareMerges(t, r, dir, all)
			compareRanges(t, r, dir, all)
			compareChanges(t, r, dir, all)
		})
	}
}

func compareMergeBases(t *testing.T, r *vcs.Repo[string, string], dir string, all []vcs.ID) {
	several := 0
	for i := range 40 {
		a, b := all[(i*37)%len(all)], all[len(all)-1-(i*11)%len(all)]
		ours, err := r.MergeBases(a, b)
		if err != nil {
			t.Fatal(err)
		}
		if len(ours) > 1 {
			several++
		}
		// git merge-base exits 1 when there is none, so ask rev-list about it first.
		var want []string
		if len(ours) > 0 {
			want = strings.Fields(vcstest.Git(t, dir, "merge-base", "--all", a.String(), b.String()))
		} else if common := commonCommits(t, dir, a, b); common != 0 {
			t.Errorf("no merge base of %v and %v, but %d common commits", a, b, common)
		}
		slices.Sort(want)
		if got := fmt.Sprint(ours); got != fmt.Sprint(want) {
			t.Errorf("merge bases of %v and %v: %v, git says %v", a, b, got, want)
		}
	}
	t.Logf("%d of 40 pairs with several merge bases", several)
}

func commonCommits(t *testing.T, dir string, a, b vcs.ID) int {
	all := vcstest.Git(t, dir, "rev-list", a.String(), b.String())
	onlyA := vcstest.Git(t, dir, "rev-list", a.String(), "^"+b.String())
	onlyB := vcstest.Git(t, dir, "rev-list", b.String(), "^"+a.String())
	return len(strings.Fields(all)) - len(strings.Fields(onlyA)) - len(strings.Fields(onlyB))
}

func compareDiffs(t *testing.T, r *vcs.Repo[string, string], dir string, all []vcs.ID) {
	for i := range 20 {
		a, b := all[(i*53)%len(all)], all[(i*29+7)%len(all)]
		var ours []string
		for d, err := range r.Diff(a, b) {
			if err != nil {
				t.Fatal(err)
			}
			letter := "M"
			switch {
			case !d.Old.Present:
				letter = "A"
			case !d.New.Present:
				letter = "D"
			}
			ours = append(ours, letter+"\t"+d.Path)
		}
		theirs := vcstest.Git(t, dir, "diff-tree", "-r", "--no-renames", "--name-status", a.String(), b.String())
		if got := strings.Join(ours, "\n"); got != theirs {
			t.Errorf("diff %v %v:\n%s\ngit says:\n%s", a, b, got, theirs)
		}
	}
}

func compareLogs(t *testing.T, r *vcs.Repo[string, string], dir string) {
	for _, b := range r.Branches() {
		if got, want := logOf(t, r, b.Head, ""), vcstest.Git(t, dir, "log", "--format=%H", b.Head.String()); got != want {
			t.Errorf("log of %s:\n%s\ngit says:\n%s", b.Name, got, want)
		}
		for _, n := range []int{0, 1, 2, 3, 17} {
			k := vcstest.Key(n)
			if got, want := logOf(t, r, b.Head, k), vcstest.Git(t, dir, "log", "--format=%H", b.Head.String(), "--", k); got != want {
				t.Errorf("log of %s -- %s:\n%s\ngit says:\n%s", b.Name, k, got, want)
			}
		}
	}
}

func logOf(t *testing.T, r *vcs.Repo[string, string], from vcs.ID, key string) string {
	t.Helper()
	log := r.Log(from)
	if key != "" {
		log = r.LogKey(key, from)
	}
	var ids []string
	for c, err := range log {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, c.ID.String())
	}
	return strings.Join(ids, "\n")
}

// compareMerges compares merges, without a merge function, with git merge-tree's.
// Where several merge bases conflict among themselves the two may differ: git
// puts conflict markers into the virtual base, we leave the key out.
func compareMerges(t *testing.T, r *vcs.Repo[string, string], dir string, all []vcs.ID) {
	plain, err := vcs.New(r.Store(), vcs.Config[string, string]{})
	if err != nil {
		t.Fatal(err)
	}
	clean, conflicts := 0, 0
	for i := range 40 {
		a, b := all[(i*31)%len(all)], all[len(all)-1-(i*13)%len(all)]
		branch := fmt.Sprint("merge", i)
		if err := plain.CreateBranch(t.Context(), branch, a); err != nil {
			t.Fatal(err)
		}
		res, err := plain.Merge(t.Context(), branch, b, vcs.MergeOptions{})
		if err != nil && !errors.Is(err, vcs.ErrConflict) {
			t.Fatal(err)
		}
		cmd := exec.Command("git", "-c", "merge.renames=false", "merge-tree", "--write-tree", "--allow-unrelated-histories", a.String(), b.String())
		cmd.Dir = dir
		out, gitErr := cmd.Output()
		if cmd.ProcessState.ExitCode() > 1 {
			t.Logf("merges are not compared: git merge-tree --write-tree needs git 2.38 (%v)", gitErr)
			return
		}
		theirs, _, _ := strings.Cut(string(out), "\n")
		switch {
		case gitErr == nil && err == nil:
			clean++
			if s, err := plain.AtCommit(res.Head); err != nil || s.Tree().String() != theirs {
				t.Errorf("merge of %v and %v: tree %v, git says %s", a, b, s.Tree(), theirs)
			}
		case gitErr != nil && err != nil:
			conflicts++
		case len(res.Bases) < 2:
			t.Errorf("merge of %v and %v: %v, git says %v\n%s", a, b, err, gitErr, out)
		}
	}
	t.Logf("%d clean merges, %d with conflicts", clean, conflicts)
	if clean < 5 || conflicts == 0 {
		t.Error("too few merges of a sort to compare anything")
	}
}
