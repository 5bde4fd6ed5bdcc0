package badger_test

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	upstream "github.com/dgraph-io/badger/v4"

	"arpeggio/vcs"
	"arpeggio/vcs/badger"
)

// snapshot reads all files of a directory.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, _ := os.ReadFile(filepath.Join(dir, e.Name()))
		fmt.Fprintf(&b, "%s %x\n", e.Name(), data)
	}
	return b.String()
}

// refused wants Open to fail in a certain way and to leave the directory alone.
func refused(t *testing.T, dir string, want error, remedy string) {
	t.Helper()
	before := snapshot(t, dir)
	_, err := badger.Open(t.Context(), dir, badger.Config{})
	if !errors.Is(err, want) || !strings.Contains(fmt.Sprint(err), remedy) {
		t.Errorf("%v; want %v and %q", err, want, remedy)
	}
	if snapshot(t, dir) != before {
		t.Error("the directory was changed")
	}
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestForeign(t *testing.T) {
	t.Run("Files", func(t *testing.T) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "photos.tar"), []byte("x"))
		refused(t, dir, badger.ErrForeign, "empty directory")
	})
	t.Run("Manifest", func(t *testing.T) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "MANIFEST"), []byte("Manifest-Version: 1.0\n"))
		refused(t, dir, badger.ErrForeign, "another directory")
	})
	t.Run("Database", func(t *testing.T) {
		dir := t.TempDir()
		db, err := upstream.Open(upstream.DefaultOptions(dir).WithLogger(nil).WithMemTableSize(1 << 20).WithValueThreshold(1 << 10).WithValueLogFileSize(1 << 20))
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		refused(t, dir, badger.ErrForeign, "another program's")
	})
	t.Run("Newer", func(t *testing.T) {
		dir := t.TempDir()
		if err := open(t, dir).Close(); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "MANIFEST")
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		binary.BigEndian.PutUint16(data[4:], binary.BigEndian.Uint16(data[4:])+1)
		write(t, path, data)
		write(t, filepath.Join(dir, "FORMAT"), []byte("arpeggio versioned store, format 2\n"))
		refused(t, dir, badger.ErrNewer, "newer program")
		if err := os.Remove(filepath.Join(dir, "FORMAT")); err != nil { // as of before there was that file
			t.Fatal(err)
		}
		refused(t, dir, badger.ErrNewer, "newer program")
	})
	t.Run("CutManifest", func(t *testing.T) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "MANIFEST"), []byte("Bdg"))
		refused(t, dir, badger.ErrDamaged, "snapshot")
	})
	t.Run("FreshFileSystem", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "lost+found"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := open(t, dir).Close(); err != nil {
			t.Error(err)
		}
	})
	t.Run("NotADirectory", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "file")
		write(t, path, nil)
		if _, err := badger.Open(t.Context(), path, badger.Config{}); err == nil {
			t.Error("opened a file")
		}
	})
}

func TestLocked(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	_, err := badger.Open(t.Context(), dir, badger.Config{})
	if !errors.Is(err, badger.ErrLocked) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("%v; want ErrLocked with the process", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := open(t, dir).Close(); err != nil {
		t.Error(err)
	}
}

func TestNoSpace(t *testing.T) {
	dir := t.TempDir()
	if err := open(t, dir).Close(); err != nil {
		t.Fatal(err)
	}
	b, err := badger.Open(t.Context(), dir, badger.Config{MinFree: 1 << 62})
	if err != nil {
		t.Fatalf("a full disk must still open: %v", err)
	}
	defer b.Close()
	if err := b.Apply(t.Context(), &vcs.Batch{Log: [][]byte{{1}}}); !errors.Is(err, badger.ErrNoSpace) {
		t.Errorf("Apply on a full disk: %v", err)
	}
}

// objectsOnly is a backend as it was before it kept a log.
type objectsOnly struct {
	vcs.Backend
	vcs.ObjectReader
}

// TestDamagedObject: in a directory of objects, damage to a table is reported on
// open, and what is not touched by it stays readable.
func TestDamagedObject(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	r, err := vcs.Open(t.Context(), objectsOnly{b, b}, vcs.Config[string, string]{})
	if err != nil {
		t.Fatal(err)
	}
	mark := bytes.Repeat([]byte("recognisable"), 20)
	must(r.Set(t.Context(), "primary", "good", "fine", vcs.CommitInfo{}))(t)
	must(r.Set(t.Context(), "primary", "bad", string(mark), vcs.CommitInfo{}))(t)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	spoil(t, dir, mark)
	r, b, err = openRepo(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	rep := b.Report()
	if len(rep.Problems) != 2 || !strings.HasSuffix(rep.Problems[0].Path, ".sst") ||
		rep.Problems[1].Path != "bad" || !errors.Is(rep.Problems[1].Err, vcs.ErrCorrupt) {
		t.Errorf("report %v", rep.String())
	}
	kept, err := os.ReadFile(filepath.Join(dir, "damaged-1", rep.Problems[0].Path))
	if err != nil || !bytes.Contains(kept, mark[:5]) {
		t.Errorf("the damaged table was not kept: %v", err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "damaged-1", "README")); err != nil || !bytes.Contains(text, []byte(rep.Problems[0].Path)) {
		t.Errorf("nothing says why: %q, %v", text, err)
	}
	snap := must(r.At("primary"))(t)
	if v, ok, err := snap.Get("good"); v != "fine" || !ok || err != nil {
		t.Errorf("good: %q %v %v", v, ok, err)
	}
	if _, _, err := snap.Get("bad"); !errors.Is(err, vcs.ErrCorrupt) {
		t.Errorf("bad: %v, want ErrCorrupt", err)
	}
	must(r.Set(t.Context(), "primary", "bad", "good again", vcs.CommitInfo{}))(t)
	if v, _, err := must(r.At("primary"))(t).Get("bad"); v != "good again" || err != nil {
		t.Errorf("after repair: %q %v", v, err)
	}
}

// TestDamagedIndex: damage to what follows the blocks of a table, from
// the index to the last length, is reported and loses no entry.
func TestDamagedIndex(t *testing.T) {
	dir := t.TempDir()
	r, _, err := openRepo(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 { // several blocks
		must(r.Set(t.Context(), "primary", fmt.Sprint(i), rand.Text()+strings.Repeat("x", 100), vcs.CommitInfo{}))(t)
	}
	head := must(r.Head("primary"))(t)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	tables, _ := filepath.Glob(filepath.Join(dir, "*.sst"))
	if len(tables) != 1 {
		t.Fatalf("%d tables, want 1", len(tables))
	}
	data, err := os.ReadFile(tables[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, fromEnd := range []int{1, 4, 6, 9, 12, 20, 40} {
		dir := t.TempDir()
		copyDir(t, filepath.Dir(tables[0]), dir, "")
		broken := bytes.Clone(data)
		broken[len(broken)-fromEnd] ^= 0x24
		write(t, filepath.Join(dir, filepath.Base(tables[0])), broken)
		r, b, err := openRepo(t.Context(), dir)
		if err != nil {
			t.Fatalf("%d from the end: %v", fromEnd, err)
		}
		rep := b.Report()
		if len(rep.Problems) != 1 || !strings.Contains(rep.Problems[0].String(), "the index is damaged") {
			t.Errorf("%d from the end: report %v", fromEnd, rep.String())
		}
		if got := must(r.Head("primary"))(t); got != head {
			t.Errorf("%d from the end: primary is at %v, want %v", fromEnd, got, head)
		}
		checkWhole(t, r)
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

// spoil damages a value in the tables of a closed directory.
func spoil(t *testing.T, dir string, mark []byte) {
	t.Helper()
	tables, _ := filepath.Glob(filepath.Join(dir, "*.sst"))
	hit := false
	for _, path := range tables {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if i := bytes.Index(data, mark); i >= 0 {
			data[i+5] ^= 3 // a single bit would be set right
			write(t, path, data)
			hit = true
		}
	}
	if !hit {
		t.Fatal("the value is in no table")
	}
}

// TestDamagedLog: damage to a log record is reported on open. The commits
// before it, and branches that do not build on it, stay as they were.
func TestDamagedLog(t *testing.T) {
	dir := t.TempDir()
	r, _, err := openRepo(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	set := func(branch, key, value string) vcs.ID {
		id := must(r.Set(t.Context(), branch, key, value, vcs.CommitInfo{Message: key}))(t)
		if err := r.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		return id
	}
	mark := bytes.Repeat([]byte("recognisable"), 20)
	good := set("primary", "good", "fine")
	if err := r.CreateBranch(t.Context(), "side", good); err != nil {
		t.Fatal(err)
	}
	set("primary", "bad", string(mark))
	bad := set("primary", "later", "lost too")
	side := set("side", "other", "apart")
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	spoil(t, dir, mark)
	r, b, err := openRepo(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	rep := b.Report()
	if len(rep.Problems) < 2 || rep.Problems[1].Ref != "refs/heads/primary" || !errors.Is(rep.Problems[1].Err, vcs.ErrCorrupt) {
		t.Errorf("report %v", rep.String())
	}
	if head := must(r.Head("primary"))(t); head != good {
		t.Errorf("primary is at %v, not at the newest intact commit %v", head, good)
	}
	if id, ok := r.Store().Ref("refs/damaged/heads/primary"); !ok || id != bad {
		t.Errorf("the damaged head was not kept: %v", id)
	}
	if !strings.Contains(strings.Join(rep.Notes, "\n"), "refs/damaged/heads/primary") {
		t.Errorf("notes %q", rep.Notes)
	}
	for id, key := range map[vcs.ID]string{good: "good", side: "other"} {
		if _, ok, err := must(r.AtCommit(id))(t).Get(key); !ok || err != nil {
			t.Errorf("%s: %v %v", key, ok, err)
		}
	}
	must(r.Set(t.Context(), "side", "goes", "on", vcs.CommitInfo{Message: "on"}))(t)
	must(r.Set(t.Context(), "primary", "bad", "good again", vcs.CommitInfo{Message: "repair"}))(t)
	if err := r.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if v, _, err := must(r.At("primary"))(t).Get("bad"); v != "good again" || err != nil {
		t.Errorf("after repair: %q %v", v, err)
	}
}
