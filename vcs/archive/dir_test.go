package archive

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/vcstest"
)

// Three epochs, archived one after the other: stock git reads each of them, joined
// and apart, and finds every commit that the store acknowledged.
func TestPackArchiveIsARepository(t *testing.T) {
	p := newPast(t)
	d := openDir(t, filepath.Join(t.TempDir(), "a"), Config{})
	for seed := range uint64(3) {
		e := p.live(seed, 60)
		r := p.archive(d, e)
		if fi, err := os.Stat(d.at(r.Name)); err != nil || fi.Size() != r.Bytes {
			t.Fatalf("receipt %+v: %v", r, err)
		}
		fsck(t, d.path)
	}
	git := func(args ...string) string { return vcstest.Git(t, d.path, args...) }
	if got, want := sorted(git("--no-replace-objects", "rev-list", "--glob=refs/epochs*")), p.commits(1, 2, 3); got != want {
		t.Errorf("%d bytes of commits, want %d", len(got), len(want))
	}
	if got, want := sorted(git("rev-list", "--glob=refs/epochs*")), p.commits(1, 2, 3); got != want {
		t.Errorf("joined: %d bytes of commits, want %d", len(got), len(want))
	}
	if got, want := sorted(git("rev-list", "refs/epochs/3")), p.reached(ref(p.epochs[2], "refs/heads/b0")); got != want {
		t.Errorf("joined history of epoch 3: %d bytes, want %d", len(got), len(want))
	}
	if got := git("rev-parse", "HEAD"); got != git("rev-parse", "refs/epochs/3") {
		t.Error("HEAD is at", got)
	}
	list, err := d.List()
	if err != nil || len(list) != 3 || list[2].Head != ref(p.epochs[2], "refs/heads/b0") || list[1].Commits != len(p.acked[1]) {
		t.Errorf("%+v %v", list, err)
	}
	for n := range 3 {
		if _, err := d.Verify(t.Context(), n+1); err != nil {
			t.Error(err)
		}
	}
	missing, err := d.Missing(t.Context(), p.epochs)
	if err != nil || missing != nil {
		t.Error(missing, err)
	}
	// Others get it by fetch, and by clone.
	mirror := filepath.Join(t.TempDir(), "m")
	vcstest.Git(t, d.path, "init", "-q", "--bare", mirror)
	vcstest.Git(t, mirror, "fetch", "-q", d.path, "refs/*:refs/*")
	if got, want := vcstest.Git(t, mirror, "log", "--format=%H", "refs/epochs/3"), git("log", "--format=%H", "refs/epochs/3"); got != want {
		t.Error("the mirror's log differs")
	}
	clone := filepath.Join(t.TempDir(), "c")
	vcstest.Git(t, d.path, "clone", "-q", d.path, clone)
	if got := vcstest.Git(t, clone, "rev-parse", "HEAD"); got != git("rev-parse", "refs/epochs/3") {
		t.Error("a clone is at", got)
	}
}

func ref(e vcs.Epoch, name string) vcs.ID {
	for _, r := range e.Heads {
		if r.Name == name {
			return r.Target
		}
	}
	return vcs.ID{}
}

// Archiving an epoch again finds it done, and does it again when it is damaged.
func TestArchiveAgain(t *testing.T) {
	p := newPast(t)
	d := openDir(t, t.TempDir(), Config{})
	e := p.live(1, 40)
	first := p.archive(d, e)
	before, err := os.Stat(d.at(first.Name))
	if err != nil {
		t.Fatal(err)
	}
	if again := p.archive(d, e); again != first {
		t.Errorf("%+v, then %+v", first, again)
	}
	after, err := os.Stat(d.at(first.Name))
	if err != nil || !os.SameFile(before, after) {
		t.Error("the pack was written again")
	}
	if err := os.Chmod(d.at(first.Name), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(d.at(first.Name), first.Bytes-1); err != nil {
		t.Fatal(err)
	}
	if missing, err := d.Missing(t.Context(), p.epochs); err != nil || len(missing) != 1 {
		t.Errorf("missing %v, %v", missing, err)
	}
	if again := p.archive(d, e); again != first {
		t.Errorf("%+v, then %+v", first, again)
	}
	fsck(t, d.path)
}

func TestOpenRefusesOthers(t *testing.T) {
	dir := t.TempDir()
	vcstest.Git(t, dir, "init", "-q", "--bare", ".")
	if _, err := Open(dir, Config{}); !errors.Is(err, ErrNotArchive) {
		t.Errorf("a repository of somebody's: %v", err)
	}
	dir = t.TempDir()
	openDir(t, dir, Config{})
	if _, err := Open(dir, Config{Format: Bundle}); !errors.Is(err, ErrNotArchive) {
		t.Errorf("the other format: %v", err)
	}
	d := openDir(t, dir, Config{})
	unlock, err := lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if _, err := d.Archive(context.Background(), vcs.Epoch{Number: 1}, nil); !errors.Is(err, ErrLocked) {
		t.Errorf("a locked directory: %v", err)
	}
}
