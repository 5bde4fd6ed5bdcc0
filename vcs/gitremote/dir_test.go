package gitremote

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/vcstest"
)

func openDir(t testing.TB, dir string) *Dir {
	t.Helper()
	d, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// TestOpenStockRepository reads what stock git wrote: loose and packed objects,
// loose, packed and symbolic refs, tags, alternates none.
func TestOpenStockRepository(t *testing.T) {
	work := t.TempDir()
	vcstest.Git(t, work, "init", "-q", "-b", "trunk")
	for i := range 20 {
		text := strings.Repeat("line\n", 100) + fmt.Sprint(i)
		if err := os.WriteFile(filepath.Join(work, "f"), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		vcstest.Git(t, work, "add", "f")
		vcstest.Git(t, work, "commit", "-q", "-m", fmt.Sprint(i))
		if i == 10 {
			vcstest.Git(t, work, "tag", "-a", "-m", "v1", "v1")
			vcstest.Git(t, work, "gc", "-q")
		}
	}
	dir := filepath.Join(work, ".git")
	d := openDir(t, dir)
	if d.Head() != "refs/heads/trunk" {
		t.Errorf("head %q", d.Head())
	}
	refs, err := d.Refs()
	if err != nil || len(refs) != 2 || refs[0].Name != "refs/heads/trunk" || refs[1].Name != "refs/tags/v1" {
		t.Errorf("refs %v, %v", refs, err)
	}
	for _, line := range strings.Split(vcstest.Git(t, work, "cat-file", "--batch-check", "--batch-all-objects"), "\n") {
		f := strings.Fields(line)
		id, err := vcs.ParseID(f[0])
		if err != nil {
			t.Fatal(err)
		}
		kind, content, err := d.ReadObject(id)
		if err != nil || kind.String() != f[1] || fmt.Sprint(len(content)) != f[2] {
			t.Errorf("%s: %v, %d bytes, %v", line, kind, len(content), err)
		}
	}
	if _, _, err := d.ReadObject(vcs.ID{1}); !errors.Is(err, vcs.ErrNotFound) {
		t.Errorf("absent object: %v", err)
	}
}

// TestDirSeesOthersWrites: packs come, and are merged away, behind its back.
func TestDirSeesOthersWrites(t *testing.T) {
	r := newStore(t)
	dir := t.TempDir()
	snapshot(t, dir, r.Store())
	d := openDir(t, dir)
	var ids []vcs.ID
	for i := range 2 * maxPacks {
		ids = append(ids, write(t, r, "primary", i, 1))
		snapshot(t, dir, r.Store())
		if _, _, err := d.ReadObject(ids[i]); err != nil {
			t.Fatalf("commit %d: %v", i, err)
		}
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i, id := range ids {
				if _, _, err := d.ReadObject(id); err != nil {
					t.Errorf("commit %d: %v", i, err)
				}
			}
		})
	}
	wg.Wait()
}

// TestDamagedObject: a store that lies is found out.
func TestDamagedObject(t *testing.T) {
	dir := t.TempDir()
	vcstest.Git(t, dir, "init", "-q", "--bare")
	good := vcstest.GitInput(t, dir, []byte("good\n"), "hash-object", "-w", "--stdin")
	evil := vcstest.GitInput(t, dir, []byte("evil\n"), "hash-object", "-w", "--stdin")
	file := func(hex string) string { return filepath.Join(dir, "objects", hex[:2], hex[2:]) }
	if err := os.Rename(file(evil), file(good)); err != nil {
		t.Fatal(err)
	}
	id, err := vcs.ParseID(good)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := openDir(t, dir).ReadObject(id); !errors.Is(err, vcs.ErrCorrupt) {
		t.Errorf("exchanged object: %v", err)
	}
}

// TestDamagedPack: what is whole elsewhere is read, what is not is reported.
func TestDamagedPack(t *testing.T) {
	r := newStore(t)
	dir := t.TempDir()
	id := write(t, r, "primary", 0, 30)
	snapshot(t, dir, r.Store())
	pack, err := filepath.Glob(filepath.Join(dir, "objects/pack/*.pack"))
	if err != nil || len(pack) != 1 {
		t.Fatal(pack, err)
	}
	b, err := os.ReadFile(pack[0])
	if err != nil {
		t.Fatal(err)
	}
	for i := 12; i < len(b)-20; i++ {
		b[i] ^= 0x55
	}
	if err := os.Chmod(pack[0], 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(pack[0], b, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := openDir(t, dir).ReadObject(id); !errors.Is(err, vcs.ErrCorrupt) {
		t.Errorf("from a damaged pack: %v", err)
	}
	write(t, r, "primary", 30, 1) // another pack, with other content
	other := t.TempDir()
	snapshot(t, other, r.Store())
	whole, err := filepath.Glob(filepath.Join(other, "objects/pack/pack-*"))
	if err != nil || len(whole) != 2 {
		t.Fatal(whole, err)
	}
	for _, name := range whole {
		if err := os.Rename(name, filepath.Join(dir, "objects/pack", filepath.Base(name))); err != nil {
			t.Fatal(err)
		}
	}
	d := openDir(t, dir)
	for c, err := range r.Log(id) {
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := d.ReadObject(c.ID); err != nil {
			t.Errorf("from a pack beside it: %v", err)
		}
	}
}

func TestOpenDirRefusals(t *testing.T) {
	if _, err := OpenDir(filepath.Join(t.TempDir(), "no")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	if _, err := OpenDir(t.TempDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("empty: %v", err)
	}
	if _, err := CreateDir(t.TempDir(), "primary"); !errors.Is(err, vcs.ErrBadRefName) {
		t.Errorf("short branch name: %v", err)
	}
}

func TestBackendContract(t *testing.T) {
	vcstest.TestBackend(t, func(t *testing.T) vcs.Backend { return createDir(t, t.TempDir()) })
	vcstest.TestReopen(t, func(t *testing.T, closed vcs.Backend) vcs.Backend {
		if closed == nil {
			return createDir(t, t.TempDir())
		}
		return createDir(t, closed.(*Dir).Path())
	})
}

func TestFaults(t *testing.T) {
	vcstest.TestFaults(t, func(t *testing.T) vcs.Backend { return createDir(t, t.TempDir()) })
}

func createDir(t *testing.T, dir string) *Dir {
	t.Helper()
	d, err := CreateDir(dir, defaultHead)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestBackend runs a store on a directory, closes it and opens it again.
func TestBackend(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "arp.git")
	ctx := t.Context()
	var want string
	for round := range 3 {
		r, err := vcs.Open(ctx, createDir(t, dir), vcs.Config[string, string]{Merge: vcstest.Larger})
		if err != nil {
			t.Fatal(err)
		}
		if round > 0 {
			head, err := r.Head("primary")
			if err != nil || head.String() != want {
				t.Errorf("round %d: head %v, %v, want %s", round, head, err, want)
			}
			if _, err := WriteSnapshot(dir, r.Store()); round > 1 && !errors.Is(err, ErrLocked) {
				t.Errorf("a snapshot into an open store: %v", err)
			}
		}
		vcstest.RandomHistory(t, r, vcstest.HistoryConfig{Seed: uint64(round), Steps: 30})
		want = write(t, r, "primary", 100*round, 10).String()
		if err := r.Sync(ctx); err != nil {
			t.Fatal(err)
		}
		check(t, dir, r.Store())
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBackendState: log records and checkpoints live in the repository too.
func TestBackendState(t *testing.T) {
	dir := t.TempDir()
	load := func() (checkpoint string, log []string) {
		t.Helper()
		d := openDir(t, dir)
		st, err := d.Load(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for rec, err := range st.Log {
			if err != nil {
				t.Fatal(err)
			}
			log = append(log, string(rec))
		}
		if len(st.Refs) != 0 {
			t.Errorf("refs %v", st.Refs)
		}
		return string(st.Checkpoint), log
	}
	apply := func(d *Dir, checkpoint []byte, log ...string) {
		t.Helper()
		b := &vcs.Batch{Checkpoint: checkpoint}
		for _, rec := range log {
			b.Log = append(b.Log, []byte(rec))
		}
		if err := d.Apply(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	d := createDir(t, dir)
	newest := ""
	for i, step := range []struct {
		checkpoint []byte
		log, want  []string
	}{
		{nil, []string{"one", ""}, []string{"one", ""}},
		{nil, []string{"two"}, []string{"one", "", "two"}},
		{[]byte("checkpoint"), []string{"three"}, []string{"three"}},
		{nil, []string{"four", "five"}, []string{"three", "four", "five"}},
		{[]byte("other"), nil, nil},
	} {
		apply(d, step.checkpoint, step.log...)
		if step.checkpoint != nil {
			newest = string(step.checkpoint)
		}
		if checkpoint, log := load(); checkpoint != newest || !slices.Equal(log, step.want) {
			t.Errorf("step %d: checkpoint %q, log %q", i, checkpoint, log)
		}
		vcstest.Git(t, dir, "fsck", "--strict", "--full")
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := d.Apply(context.Background(), &vcs.Batch{}); !errors.Is(err, vcs.ErrClosed) {
		t.Errorf("apply after close: %v", err)
	}
}

func TestBackendCompareAndSwap(t *testing.T) {
	d := createDir(t, t.TempDir())
	defer d.Close()
	blob := vcs.Object{ID: vcs.HashObject(vcs.KindBlob, []byte("x")), Kind: vcs.KindBlob, Content: []byte("x")}
	batch := func(old vcs.ID) *vcs.Batch {
		return &vcs.Batch{
			Refs:    []vcs.RefUpdate{{Name: "refs/tags/x", Old: old, New: blob.ID}},
			Objects: slices.Values([]vcs.Object{blob}),
		}
	}
	if err := d.Apply(t.Context(), batch(vcs.ID{1})); !errors.Is(err, vcs.ErrRefMoved) {
		t.Errorf("stale: %v", err)
	}
	if err := d.Apply(t.Context(), batch(vcs.ID{})); err != nil {
		t.Fatal(err)
	}
	if err := d.Apply(t.Context(), batch(vcs.ID{})); !errors.Is(err, vcs.ErrRefMoved) {
		t.Errorf("created twice: %v", err)
	}
}

// Another program that moves a ref has an empty lock file beside it.
func TestRefsBesideLocks(t *testing.T) {
	r := newStore(t)
	write(t, r, "primary", 0, 3)
	dir := filepath.Join(t.TempDir(), "x.git")
	snapshot(t, dir, r.Store())
	for _, name := range []string{"refs/heads/primary.lock", "refs/heads/new.lock", "packed-refs.lock"} {
		if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	refs, err := readRefs(dir)
	if err != nil || len(refs) != 1 || refs[0].Name != "refs/heads/primary" {
		t.Errorf("refs %v, %v", refs, err)
	}
}
