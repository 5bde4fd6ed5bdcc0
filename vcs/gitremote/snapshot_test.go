package gitremote

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"arpeggio/vcs/vcstest"
)

func TestSnapshot(t *testing.T) {
	r := newStore(t)
	dir := filepath.Join(t.TempDir(), "arp.git")
	rep := snapshot(t, dir, r.Store())
	if rep.Objects != 0 || len(rep.Changes) != 0 || rep.Head != "refs/heads/primary" {
		t.Errorf("empty store: %+v", rep)
	}
	check(t, dir, r.Store())

	vcstest.RandomHistory(t, r, vcstest.HistoryConfig{Seed: 7})
	rep = snapshot(t, dir, r.Store())
	if rep.Objects < 100 || rep.Packs != 1 {
		t.Errorf("first content: %+v", rep)
	}
	check(t, dir, r.Store())
	write(t, r, "primary", 0, 3)
	rep = snapshot(t, dir, r.Store())
	if rep.Objects < 9 || rep.Objects > 20 || rep.Packs != 2 || len(rep.Changes) != 1 || len(rep.Forced) != 0 {
		t.Errorf("three commits: %+v", rep)
	}
	check(t, dir, r.Store())
	if rep = snapshot(t, dir, r.Store()); rep.Objects != 0 || len(rep.Changes) != 0 {
		t.Errorf("nothing new: %+v", rep)
	}
	vcstest.Git(t, dir, "log", "--all", "--graph", "--oneline")
	work := filepath.Join(t.TempDir(), "work")
	vcstest.Git(t, t.TempDir(), "clone", "-q", dir, work)
	vcstest.Git(t, work, "blame", vcstest.Key(1))
}

func TestSnapshotMovesRefs(t *testing.T) {
	r := newStore(t)
	ctx := context.Background()
	dir := t.TempDir()
	old := write(t, r, "primary", 0, 5)
	doomed := write(t, r, "doomed", 10, 2)
	snapshot(t, dir, r.Store())
	if err := r.DeleteBranch(ctx, "doomed", doomed); err != nil {
		t.Fatal(err)
	}
	side := write(t, r, "side", 20, 1)
	if err := r.SetBranch(ctx, "primary", old, side); err != nil {
		t.Fatal(err)
	}
	rep := snapshot(t, dir, r.Store())
	if len(rep.Changes) != 3 || len(rep.Forced) != 1 || rep.Forced[0].Name != "refs/heads/primary" || rep.Forced[0].Old != old {
		t.Errorf("report: %+v", rep)
	}
	check(t, dir, r.Store())
}

// TestSnapshotAfterGC: stock git may tidy up what we wrote, and we go on.
func TestSnapshotAfterGC(t *testing.T) {
	r := newStore(t)
	dir := t.TempDir()
	write(t, r, "primary", 0, 5)
	snapshot(t, dir, r.Store())
	vcstest.Git(t, dir, "update-ref", "refs/heads/primary", "primary~1") // a loose ref
	snapshot(t, dir, r.Store())
	check(t, dir, r.Store())
	vcstest.Git(t, dir, "gc", "-q")
	vcstest.Git(t, dir, "repack", "-q", "-a", "-d", "--write-midx")
	write(t, r, "primary", 5, 5)
	snapshot(t, dir, r.Store())
	check(t, dir, r.Store())
}

// TestManySnapshots: packs are merged, and an object is not rewritten each time.
func TestManySnapshots(t *testing.T) {
	r := newStore(t)
	dir := t.TempDir()
	most := 0
	for i := range 60 {
		write(t, r, "primary", i, 1)
		most = max(most, snapshot(t, dir, r.Store()).Packs)
	}
	if most > maxPacks {
		t.Errorf("up to %d packs, want at most %d", most, maxPacks)
	}
	check(t, dir, r.Store())
	var size int64
	packs, err := filepath.Glob(filepath.Join(dir, "objects/pack/*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range packs {
		if strings.Contains(p, tmpPrefix) {
			t.Errorf("left over: %s", p)
		}
		fi, err := os.Stat(p)
		if err != nil {
			t.Fatal(err)
		}
		size += fi.Size()
	}
	if size > 60_000 {
		t.Errorf("60 commits take %d bytes in %d files", size, len(packs))
	}
}

func TestChooseMerge(t *testing.T) {
	for _, c := range []struct {
		counts []int64
		merged int
	}{
		{[]int64{1000, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4}, 12},
		{[]int64{4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4}, 13},
		{[]int64{1 << 20, 1 << 16, 1 << 10, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 10},
		{[]int64{1 << 20, 1 << 19, 1 << 18, 1 << 17, 1 << 16, 1, 1, 1, 1, 1, 1, 1, 1}, 10},
	} {
		var packs []pack
		for _, n := range c.counts {
			packs = append(packs, pack{count: n})
		}
		if got := len(chooseMerge(packs)); got != c.merged {
			t.Errorf("%v: %d packs merged, want %d", c.counts, got, c.merged)
		}
	}
}

func TestSnapshotRefusals(t *testing.T) {
	r := newStore(t)
	write(t, r, "primary", 0, 2)
	other := newStore(t)
	write(t, other, "primary", 100, 2)
	place := func(files ...string) string {
		dir := t.TempDir()
		for _, f := range files {
			if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(f)), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, f), []byte("precious\n"), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	worktree := t.TempDir()
	vcstest.Git(t, worktree, "init", "-q")
	sha256 := t.TempDir()
	vcstest.Git(t, sha256, "init", "-q", "--bare", "--object-format=sha256")
	foreign := t.TempDir()
	snapshot(t, foreign, other.Store())
	for _, c := range []struct {
		name, dir, text string
		want            error
	}{
		{"other files", place("thesis.txt"), "thesis.txt", ErrNotRepository},
		{"work tree", worktree, ".git", ErrNotRepository},
		{"sha256", sha256, "sha256", ErrNotRepository},
		{"a file", filepath.Join(place("x"), "x"), "x", nil},
		{"another history", foreign, "choose another directory", ErrForeignHistory},
	} {
		before := listing(t, c.dir)
		_, err := WriteSnapshot(c.dir, r.Store())
		if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: %v", c.name, err)
		}
		if after := listing(t, c.dir); after != before {
			t.Errorf("%s: changed from\n%s\nto\n%s", c.name, before, after)
		}
	}
	check(t, foreign, other.Store())
}

func listing(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.Walk(dir, func(path string, fi os.FileInfo, err error) error {
		if err == nil && !fi.IsDir() {
			fmt.Fprintln(&b, path, fi.Size())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestSnapshotLock(t *testing.T) {
	r := newStore(t)
	dir := t.TempDir()
	snapshot(t, dir, r.Store())
	unlock, err := lockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := WriteSnapshot(dir, r.Store()); !errors.Is(err, ErrLocked) {
		t.Errorf("a second writer: %v", err)
	}
	unlock()
	snapshot(t, dir, r.Store())
}

// TestSnapshotOverEpochs: branches that go on in a new epoch have not left their
// history, as long as the epoch before is here.
func TestSnapshotOverEpochs(t *testing.T) {
	r := newStore(t)
	dir := t.TempDir()
	write(t, r, "primary", 0, 3)
	write(t, r, "side", 10, 2)
	snapshot(t, dir, r.Store())
	write(t, r, "side", 20, 1)
	if _, err := r.Store().EndEpoch(t.Context()); err != nil {
		t.Fatal(err)
	}
	head := write(t, r, "primary", 30, 1)
	if rep := snapshot(t, dir, r.Store()); len(rep.Changes) < 2 || len(rep.Forced) != 0 {
		t.Errorf("report: %+v", rep)
	}
	other := write(t, r, "other", 40, 1)
	if err := r.SetBranch(t.Context(), "primary", head, other); err != nil {
		t.Fatal(err)
	}
	if rep := snapshot(t, dir, r.Store()); len(rep.Forced) != 1 || rep.Forced[0].Name != "refs/heads/primary" {
		t.Errorf("report: %+v", rep)
	}
}
