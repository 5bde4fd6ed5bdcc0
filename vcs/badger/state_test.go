package badger_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	upstream "github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"arpeggio/vcs"
	"arpeggio/vcs/badger"
)

// keptStore makes a store of so many commits that its state is worth keeping.
func keptStore(t *testing.T, keys, commits int) (dir string, head vcs.ID) {
	t.Helper()
	dir = t.TempDir()
	r := openKept(t, dir)
	for i := range commits {
		var err error
		if head, err = r.Set(t.Context(), "primary", key(i%keys), fmt.Sprint("value ", i), vcs.CommitInfo{Message: "set"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, head
}

func openKept(t *testing.T, dir string) *vcs.Repo[string, string] {
	t.Helper()
	r, err := vcs.Open(t.Context(), open(t, dir), vcs.Config[string, string]{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// edit changes what a directory holds, behind the back of the backend.
func edit(t *testing.T, dir string, change func(*upstream.Txn) error) {
	t.Helper()
	db, err := upstream.Open(upstream.DefaultOptions(dir).WithLogger(nil).WithCompression(options.None).WithExternalMagic(badger.Magic))
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(change); err != nil {
		t.Error(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestKeptState: after a clean close only heads are read again. Without what was
// kept, with a damaged state or with that of another history, a store opens all
// the same, and with the same table.
func TestKeptState(t *testing.T) {
	const keys, commits = 40, 6000
	dir, head := keptStore(t, keys, commits)
	other, _ := keptStore(t, 30, 5000)
	var state, foreign []byte
	read := func(from string, into *[]byte) {
		edit(t, from, func(txn *upstream.Txn) error {
			it, err := txn.Get(badger.StateKey)
			if err != nil {
				return err
			}
			*into, err = it.ValueCopy(nil)
			return err
		})
	}
	read(dir, &state)
	read(other, &foreign)
	torn := bytes.Clone(state)
	torn[len(torn)/2] ^= 1
	for _, c := range []struct {
		name    string
		change  func(*upstream.Txn) error
		commits int
	}{
		{"as it was left", func(*upstream.Txn) error { return nil }, 1},
		{"without a state", func(txn *upstream.Txn) error { return txn.Delete(badger.StateKey) }, 1},
		{"with a torn state", func(txn *upstream.Txn) error { return txn.Set(badger.StateKey, torn) }, 1},
		{"with another's state", func(txn *upstream.Txn) error { return txn.Set(badger.StateKey, foreign) }, 1},
		{"with heads that are none", func(txn *upstream.Txn) error { return txn.Set(badger.WrittenKey, []byte("heads\nzz\n\xff")) }, commits},
		{"without heads", func(txn *upstream.Txn) error { return txn.Delete(badger.WrittenKey) }, commits},
	} {
		copied := t.TempDir()
		copyDir(t, dir, copied, "")
		edit(t, copied, c.change)
		b := open(t, copied)
		if rep := b.Report(); !rep.OK() || rep.Commits != c.commits || rep.Blobs != keys {
			t.Errorf("%s: %s", c.name, rep.String())
		}
		r, err := vcs.Open(t.Context(), b, vcs.Config[string, string]{})
		if err != nil {
			t.Fatal(err)
		}
		snap, err := r.At("primary")
		if err != nil || snap.Commit() != head {
			t.Fatalf("%s: %v, %v", c.name, snap, err)
		}
		m, err := snap.Map()
		if v := m[key((commits-1)%keys)]; err != nil || len(m) != keys || v != fmt.Sprint("value ", commits-1) {
			t.Errorf("%s: %d keys, the last one %q, %v", c.name, len(m), v, err)
		}
		// What comes next goes on from there.
		if _, err := r.Set(t.Context(), "primary", "more", "x", vcs.CommitInfo{Message: "set"}); err != nil {
			t.Error(err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	b, err := badger.Open(t.Context(), dir, badger.Config{VerifyAll: true})
	if err != nil {
		t.Fatal(err)
	}
	if rep := b.Report(); !rep.OK() || rep.Commits != commits {
		t.Errorf("all of it: %s", rep.String())
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestKeptStateOfDamage: where a part of the log is damaged, nothing that was kept
// hides it.
func TestKeptStateOfDamage(t *testing.T) {
	dir, _ := keptStore(t, 40, 6000)
	edit(t, dir, func(txn *upstream.Txn) error {
		it := txn.NewIterator(upstream.IteratorOptions{Prefix: []byte{'l'}, PrefetchValues: true, PrefetchSize: 1})
		defer it.Close()
		it.Rewind()
		k := it.Item().KeyCopy(nil)
		v, err := it.Item().ValueCopy(nil)
		if err != nil {
			return err
		}
		v[len(v)/2] ^= 1
		return txn.Set(k, v)
	})
	b := open(t, dir)
	defer b.Close()
	if rep := b.Report(); rep.OK() || !strings.Contains(rep.String(), "damaged") {
		t.Errorf("the damage is not told: %s", rep.String())
	}
}
