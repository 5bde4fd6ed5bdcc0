package gitremote

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/vcstest"
)

func TestRepack(t *testing.T) {
	r := newStore(t)
	dir := filepath.Join(t.TempDir(), "x.git")
	for i := range 5 {
		write(t, r, "primary", 10*i, 10)
		snapshot(t, dir, r.Store())
	}
	rep, err := Repack(dir, RepackOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if rep.PacksBefore != 5 || rep.Packs != 1 || rep.Bytes >= rep.BytesBefore || rep.Objects == 0 {
		t.Errorf("%+v: want five packs made one that is smaller", rep)
	}
	check(t, dir, r.Store())
	if again, err := Repack(dir, RepackOptions{}); err != nil || again.Bytes != rep.Bytes {
		t.Errorf("again: %+v, %v", again, err)
	}
}

func TestRepackPrunes(t *testing.T) {
	ctx := context.Background()
	r := newStore(t)
	write(t, r, "primary", 0, 20)
	gone := write(t, r, "side", 100, 20)
	dir := filepath.Join(t.TempDir(), "x.git")
	snapshot(t, dir, r.Store())
	vcstest.Git(t, dir, "commit-graph", "write", "--reachable")
	if err := r.DeleteBranch(ctx, "side", gone); err != nil {
		t.Fatal(err)
	}
	snapshot(t, dir, r.Store())
	loose := strings.TrimSpace(vcstest.Git(t, dir, "hash-object", "-w", "--stdin"))
	rep, err := Repack(dir, RepackOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := vcstest.Git(t, dir, "cat-file", "-t", gone.String()); got != "commit" {
		t.Errorf("without Prune the deleted branch's commit is %q", got)
	}
	pruned, err := Repack(dir, RepackOptions{Prune: true})
	if err != nil {
		t.Fatal(err)
	}
	if pruned.Bytes >= rep.Bytes || pruned.Packs != 1 {
		t.Errorf("pruned %+v, before %+v", pruned, rep)
	}
	d, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, id := range []string{gone.String(), loose} {
		id, err := vcs.ParseID(id)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := d.ReadObject(id); !errors.Is(err, vcs.ErrNotFound) {
			t.Errorf("%v is still there: %v", id, err)
		}
	}
	check(t, dir, r.Store())
	// The next snapshot builds on what is left.
	write(t, r, "primary", 20, 5)
	snapshot(t, dir, r.Store())
	check(t, dir, r.Store())
}

func TestRepackKeepsDetachedHead(t *testing.T) {
	r := newStore(t)
	old := write(t, r, "primary", 0, 3)
	dir := filepath.Join(t.TempDir(), "x.git")
	snapshot(t, dir, r.Store())
	vcstest.Git(t, dir, "update-ref", "-d", "refs/heads/primary")
	if err := os.WriteFile(filepath.Join(dir, "HEAD"), []byte(old.String()+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Repack(dir, RepackOptions{Prune: true}); err != nil {
		t.Fatal(err)
	}
	if got := vcstest.Git(t, dir, "rev-list", "--count", "HEAD"); got != "3" {
		t.Errorf("%s commits are left, want 3", got)
	}
}

func TestRepackRefuses(t *testing.T) {
	r := newStore(t)
	write(t, r, "primary", 0, 3)
	dir := filepath.Join(t.TempDir(), "x.git")
	snapshot(t, dir, r.Store())
	if err := os.Mkdir(filepath.Join(dir, "logs"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := Repack(dir, RepackOptions{Prune: true})
	if !errors.Is(err, ErrKeepsUnreferenced) || !strings.Contains(err.Error(), "reflogs") {
		t.Errorf("a directory with reflogs: %v", err)
	}
	if _, err := Repack(t.TempDir(), RepackOptions{}); err == nil {
		t.Error("an empty directory was repacked")
	}
	unlock, err := lockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if _, err := Repack(dir, RepackOptions{}); !errors.Is(err, ErrLocked) {
		t.Errorf("a locked directory: %v", err)
	}
}
