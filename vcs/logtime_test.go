package vcs_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// TestHeldAt compares it with going back one commit at a time, on a branch with
// merges and a long straight part.
func TestHeldAt(t *testing.T) {
	s, err := vcs.OpenStore(t.Context(), mem.New(), vcs.StoreConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	repo, err := vcs.New(s, vcs.Config[string, []byte]{})
	if err != nil {
		t.Fatal(err)
	}
	base := time.Unix(1_700_000_000, 0)
	set := func(branch string, i int) vcs.ID {
		id, err := repo.Set(t.Context(), branch, fmt.Sprintf("d/k%d", i%7), []byte(fmt.Sprint(i)), vcs.CommitInfo{Message: "m", Time: base.Add(time.Duration(i/2) * time.Second)})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	n := 0
	for ; n < 9_000; n++ {
		head := set("primary", n)
		if n%500 != 250 || n > 1000 {
			continue
		}
		if err := repo.CreateBranch(t.Context(), "side", head); err != nil {
			t.Fatal(err)
		}
		side := set("side", n+1)
		set("primary", n+2)
		if _, err := repo.Merge(t.Context(), "primary", side, vcs.MergeOptions{CommitInfo: vcs.CommitInfo{Message: "merge", Time: base.Add(time.Duration(n/2+2) * time.Second)}}); err != nil {
			t.Fatal(err)
		}
		if err := repo.DeleteBranch(t.Context(), "side", side); err != nil {
			t.Fatal(err)
		}
	}
	head, err := repo.Head("primary")
	if err != nil {
		t.Fatal(err)
	}
	if err := repo.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	type step struct {
		id   vcs.ID
		time int64
	}
	var line []step // newest first
	for id := head; ; {
		c, err := s.ReadJoined(id)
		if err != nil {
			t.Fatal(err)
		}
		line = append(line, step{id, c.Committer.When.Unix()})
		if len(c.Parents) == 0 {
			break
		}
		id = c.Parents[0]
	}
	for _, back := range []int{0, 1, 2, 7, 500, 4095, 4096, 4097, len(line) - 2, len(line) - 1} {
		if got, err := s.Resolve(fmt.Sprintf("primary~%d", back)); err != nil || got != line[back].id {
			t.Errorf("primary~%d is %v, %v; want %v", back, got.Short(), err, line[back].id.Short())
		}
	}
	if _, err := s.Resolve(fmt.Sprintf("primary~%d", len(line))); !errors.Is(err, vcs.ErrNotFound) {
		t.Errorf("before the beginning: %v", err)
	}
	for _, sec := range []int{-5, 0, 1, 124, 125, 126, 127, 128, 600, 1000, 2000, 3000, 4000, n/2 - 1, n / 2, n} {
		at := base.Add(time.Duration(sec)*time.Second + time.Millisecond)
		want, found := line[len(line)-1].id, false
		for _, l := range line {
			if l.time <= at.Unix() {
				want, found = l.id, true
				break
			}
		}
		got, ok, err := s.HeldAt(head, at)
		if err != nil || got != want || ok != found {
			t.Errorf("after %d s: %v, %v, %v; want %v, %v", sec, got.Short(), ok, err, want.Short(), found)
		}
	}
}

// TestHeldAtOverRoots: the root of a branch may have the root of another branch as
// parent, one that was merged; the branch was at its own commits all the same.
func TestHeldAtOverRoots(t *testing.T) {
	s, err := vcs.OpenStore(t.Context(), mem.New(), vcs.StoreConfig{Retention: vcs.Retention{MaxCommits: 1000, Epochs: 4, Chains: []vcs.Chain{}}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	repo, err := vcs.New(s, vcs.Config[string, []byte]{})
	if err != nil {
		t.Fatal(err)
	}
	base := time.Unix(1_700_000_000, 0)
	info := func(i int) vcs.CommitInfo {
		return vcs.CommitInfo{Message: fmt.Sprint(i), Time: base.Add(time.Duration(i) * time.Second)}
	}
	var ids []vcs.ID
	set := func(branch string, i int) vcs.ID {
		t.Helper()
		id, err := repo.Set(t.Context(), branch, branch+"/k", []byte(fmt.Sprint(i)), info(i))
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	set("primary", 0)
	head, _ := repo.Head("primary")
	if err := repo.CreateBranch(t.Context(), "side", head); err != nil {
		t.Fatal(err)
	}
	side := set("side", 1)
	set("primary", 2)
	if _, err := repo.Merge(t.Context(), "primary", side, vcs.MergeOptions{CommitInfo: info(3)}); err != nil {
		t.Fatal(err)
	}
	for i := 4; i < 600; i++ {
		ids = append(ids, set("primary", i))
		if i%100 == 0 {
			if err := repo.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Collect(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	linked := false
	for _, e := range s.Epochs() {
		for _, r := range e.Roots {
			c, err := s.ReadCommit(r.Root)
			linked = linked || err == nil && len(c.Parents) > 0
		}
	}
	if !linked {
		t.Fatal("no root has another one as parent: this tests nothing")
	}
	head, _ = repo.Head("primary")
	for i := 10; i < 600; i += 7 {
		at := base.Add(time.Duration(i) * time.Second)
		c, err := s.ReadCommit(ids[i-4])
		if err != nil {
			t.Fatal(err)
		}
		got, ok, err := s.HeldAt(head, at)
		if err != nil || !ok {
			t.Fatal(got, ok, err)
		}
		gc, err := s.ReadCommit(got)
		if err != nil || gc.Time() != c.Time() || gc.Tree != c.Tree {
			t.Fatalf("after %d s it was at %s of %v: %v", i, gc.Subject(), gc.Time(), err)
		}
		if lines, err := s.LinesAt(at, head); err != nil || !slices.Contains(lines, got) {
			t.Errorf("the lines after %d s are %v: %v", i, lines, err)
		}
	}
	steps := 0
	for id := head; ; steps++ {
		if steps%50 == 0 || steps > 590 {
			if got, err := s.Resolve(fmt.Sprintf("%v~%d", head, steps)); err != nil || got != id {
				t.Errorf("head~%d is %v, %v; want %v", steps, got.Short(), err, id.Short())
			}
		}
		c, err := s.ReadJoined(id)
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Parents) == 0 {
			break
		}
		id = c.Parents[0]
	}
	if steps < 598 {
		t.Errorf("the branch has %d commits", steps)
	}
}
