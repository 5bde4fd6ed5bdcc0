package badger_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/badger"
)

// TestDiscardCannotBeOpened: badger ends the process when it cannot open or make
// its file DISCARD, which holds nothing of ours. Open returns an error that names
// the file, and works when it is out of the way.
func TestDiscardCannotBeOpened(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir)
	if err := b.Apply(t.Context(), &vcs.Batch{Log: [][]byte{[]byte("one")}}); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	discard := filepath.Join(dir, "DISCARD")
	if err := os.Remove(discard); err != nil {
		t.Fatal(err)
	}
	// Not there to be read, and not to be made: permissions do not stop root.
	if err := os.Symlink(filepath.Join(dir, "no", "such", "folder"), discard); err != nil {
		t.Fatal(err)
	}
	_, err := badger.Open(t.Context(), dir, badger.Config{})
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), discard) || !strings.Contains(err.Error(), "remove it") {
		t.Errorf("%v", err)
	}
	if err := os.Remove(discard); err != nil {
		t.Fatal(err)
	}
	b = open(t, dir)
	defer b.Close()
	if rep := b.Report(); !rep.OK() {
		t.Error(rep.String())
	}
	st, err := b.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for rec, err := range st.Log {
		if string(rec) != "one" || err != nil {
			t.Errorf("%q, %v", rec, err)
		}
	}
}

// TestDiscardAlone: a crash just after DISCARD was made leaves a directory of
// ours, as long as that holds nothing.
func TestDiscardAlone(t *testing.T) {
	for _, size := range []int{0, 1 << 20} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "DISCARD"), make([]byte, size))
		if err := open(t, dir).Close(); err != nil {
			t.Error(err)
		}
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "DISCARD"), []byte("a pile of cards"))
	refused(t, dir, badger.ErrForeign, "DISCARD")
}
