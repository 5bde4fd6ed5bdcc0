package packfile_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/packfile"
	"arpeggio/vcs/vcstest"
)

// scanned makes a pack's index by reading it back.
func scanned(t testing.TB, b []byte) []byte {
	t.Helper()
	x := packfile.NewIndexWriter(nil)
	sum, err := packfile.Scan(t.Context(), bytes.NewReader(b), int64(len(b)), packfile.FileConfig{CacheBytes: 1 << 10}, x.Add)
	if err != nil {
		t.Fatal(err)
	}
	var idx bytes.Buffer
	if err := x.WriteTo(&idx, sum); err != nil {
		t.Fatal(err)
	}
	return idx.Bytes()
}

func openFile(pack, idx []byte) (*packfile.File, error) {
	return packfile.OpenFile(bytes.NewReader(pack), int64(len(pack)), bytes.NewReader(idx), int64(len(idx)),
		packfile.FileConfig{CacheBytes: 1 << 10})
}

// stockPack returns the only pack of a directory, and its index.
func stockPack(t testing.TB, dir string) (pack, idx []byte) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "objects/pack/*.pack"))
	if err != nil || len(names) != 1 {
		t.Fatal(names, err)
	}
	if pack, err = os.ReadFile(names[0]); err != nil {
		t.Fatal(err)
	}
	if idx, err = os.ReadFile(strings.TrimSuffix(names[0], "pack") + "idx"); err != nil {
		t.Fatal(err)
	}
	return pack, idx
}

// Packs of ours and of stock git read back, with the index that stock git makes.
func TestFile(t *testing.T) {
	s, _ := history(t, 5, 150)
	dir := exported(t, s)
	own, ownIdx := stockPack(t, dir)
	vcstest.Git(t, dir, "repack", "-adfq")
	stock, stockIdx := stockPack(t, dir)
	for _, c := range []struct{ pack, idx []byte }{{own, ownIdx}, {stock, stockIdx}} {
		if got := scanned(t, c.pack); !bytes.Equal(got, c.idx) {
			t.Errorf("index of %d bytes differs from stock git's of %d", len(got), len(c.idx))
		}
		f, err := openFile(c.pack, c.idx)
		if err != nil {
			t.Fatal(err)
		}
		p := index(t, c.pack, packfile.Config{})
		if f.Len() != p.Len() || f.Sum() != p.Sum() {
			t.Errorf("%d objects, sum %v", f.Len(), f.Sum())
		}
		n := 0
		if err := f.Verify(t.Context(), func(packfile.Entry) error { n++; return nil }); err != nil || n != p.Len() {
			t.Errorf("verify: %d objects, %v", n, err)
		}
		for id := range p.IDs {
			kind, want, _ := s.ReadObject(id)
			k, content, err := f.ReadObject(id)
			if err != nil || k != kind || !bytes.Equal(content, want) {
				t.Fatalf("%v: %v %v, want %v", id, k, err, kind)
			}
		}
		if _, _, err := f.ReadObject(vcs.ID{1}); !errors.Is(err, vcs.ErrNotFound) {
			t.Errorf("an unknown object: %v", err)
		}
		if ok, err := f.Has(vcs.ID{1}); ok || err != nil {
			t.Error(ok, err)
		}
	}
}

// A flipped bit in the pack or the index never yields another object, and Verify
// finds every one.
func TestDamagedFile(t *testing.T) {
	s, _ := history(t, 6, 40)
	pack, idx := stockPack(t, exported(t, s))
	ids := slices.Collect(index(t, pack, packfile.Config{}).IDs)
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		p, x := slices.Clone(pack), slices.Clone(idx)
		victim := p
		if rnd.IntN(2) == 0 {
			victim = x
		}
		at := rnd.IntN(len(victim))
		if rnd.IntN(8) > 0 {
			victim[at] ^= 1 << rnd.IntN(8)
		} else if len(victim) == len(p) {
			p = p[:at]
		} else {
			x = x[:at]
		}
		f, err := openFile(p, x)
		if err != nil {
			continue
		}
		if err := f.Verify(t.Context(), nil); err == nil {
			t.Fatalf("Verify finds nothing wrong with a change at %d of %d", at, len(victim))
		}
		for _, id := range ids {
			kind, content, err := f.ReadObject(id)
			if err == nil && vcs.HashObject(kind, content) != id {
				t.Fatalf("%v is read as another object", id)
			}
		}
	}
}

func FuzzFile(f *testing.F) {
	s, _ := history(f, 7, 12)
	set := pick(f, s, packfile.Selection{Wants: refTargets(f, s)})
	b := pack(f, set, packfile.Options{})
	f.Add(b, scanned(f, b))
	f.Fuzz(func(t *testing.T, pack, idx []byte) {
		file, err := openFile(pack, idx)
		if err != nil {
			return
		}
		verified := file.Verify(t.Context(), nil) == nil
		for id := range set.IDs {
			kind, content, err := file.ReadObject(id)
			if err == nil && vcs.HashObject(kind, content) != id {
				t.Fatalf("%v is read as another object", id)
			}
			if verified && err != nil && !errors.Is(err, vcs.ErrNotFound) {
				t.Fatalf("verified, but %v: %v", id, err)
			}
		}
	})
}

func refTargets(t testing.TB, s *vcs.Store) (ids []vcs.ID) {
	t.Helper()
	refs, err := s.Refs()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range refs {
		ids = append(ids, r.Target)
	}
	return ids
}
