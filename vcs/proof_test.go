package vcs_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/vcstest"
)

// Every key and some absent ones, at every commit of a random history.
func TestProveEveryKey(t *testing.T) {
	r := open(t, vcs.Config[string, string]{Merge: vcstest.Larger})
	all := vcstest.RandomHistory(t, r, vcstest.HistoryConfig{Seed: 4, Steps: 40})
	present := 0
	for _, id := range all {
		m := must(must(r.AtCommit(id))(t).Map())(t)
		for n := range 44 {
			k := vcstest.Key(n)
			want, has := m[k]
			p := must(r.Prove(id, k))(t)
			p = must(vcs.ParseProof(p.Encode(nil)))(t)
			got := must(vcs.VerifyKey(p, vcs.Config[string, string]{}, id, k))(t)
			if got.Value != want || got.Present != has {
				t.Errorf("%v at %s: %v, want %q, %v", id, k, got, want, has)
			}
			if has {
				present++
			}
		}
	}
	if present == 0 || present == 44*len(all) {
		t.Errorf("%d keys present", present)
	}
}

// fixture is a store, one of its commits and what that holds.
func fixture(t testing.TB) (s *vcs.Store, commit vcs.ID) {
	r := open(t, vcs.Config[string, string]{})
	must(r.Set(t.Context(), "p", "d/x", "one", at(0, "one")))(t)
	must(r.Set(t.Context(), "p", "d/y", "two", at(1, "two")))(t)
	must(r.Set(t.Context(), "p", "e", "three", at(2, "three")))(t)
	return r.Store(), must(r.Head("p"))(t)
}

func TestProofShowsOnlyWhatItHolds(t *testing.T) {
	s, commit := fixture(t)
	p := must(vcs.Prove(s, commit, "d/x"))(t)
	if p.Len() != 4 {
		t.Errorf("%d objects, want a commit, two trees and a blob", p.Len())
	}
	for path, want := range map[string]string{"d/x": "one", "d/z": "", "nowhere/at/all": "", "d": "", "": ""} {
		if b, ok, err := p.Verify(commit, path); string(b) != want || ok != (want != "") || err != nil {
			t.Errorf("%q: %q, %v, %v", path, b, ok, err)
		}
	}
	for _, path := range []string{"d/y", "e"} { // there, but not in the proof
		if b, ok, err := p.Verify(commit, path); !errors.Is(err, vcs.ErrProof) || ok || b != nil {
			t.Errorf("%q: %q, %v, %v", path, b, ok, err)
		}
	}
	before := must(s.Resolve("p~1"))(t)
	if _, _, err := p.Verify(before, "d/x"); !errors.Is(err, vcs.ErrProof) {
		t.Errorf("at another commit: %v", err)
	}
	if _, _, err := p.Verify(vcs.ID{}, "d/x"); !errors.Is(err, vcs.ErrProof) {
		t.Errorf("at no commit: %v", err)
	}
	tree := must(s.ReadCommit(commit))(t).Tree
	if _, _, err := p.Verify(tree, "d/x"); !errors.Is(err, vcs.ErrProof) {
		t.Errorf("at a tree: %v", err)
	}
}

func TestProveFails(t *testing.T) {
	s, commit := fixture(t)
	if _, err := vcs.Prove(s, vcs.ID{1}, "x"); !errors.Is(err, vcs.ErrNotFound) {
		t.Errorf("no such commit: %v", err)
	}
	if _, err := vcs.Prove(lying{s}, commit, "d/x"); !errors.Is(err, vcs.ErrCorrupt) {
		t.Errorf("a damaged store: %v", err)
	}
}

// lying returns blobs that do not hash to their names.
type lying struct{ vcs.ObjectReader }

func (l lying) ReadObject(id vcs.ID) (vcs.Kind, []byte, error) {
	k, b, err := l.ObjectReader.ReadObject(id)
	if k == vcs.KindBlob {
		b = append(bytes.Clone(b), '!')
	}
	return k, b, err
}

// A computation is proved by what it reads: here a difference of two commits and
// their common ancestor.
func TestProveReads(t *testing.T) {
	r := open(t, vcs.Config[string, string]{Merge: vcstest.Larger})
	all := vcstest.RandomHistory(t, r, vcstest.HistoryConfig{Seed: 6, Steps: 60})
	for i := range 20 {
		a, b := all[(i*13)%len(all)], all[(i*29+3)%len(all)]
		type answer struct {
			paths []string
			bases []vcs.ID
			keys  []string
		}
		ask := func(src vcs.ObjectReader) (ans answer, err error) {
			d := vcs.Decoding{ObjectReader: src}
			ca, err := d.ReadCommit(a)
			if err != nil {
				return ans, err
			}
			cb, err := d.ReadCommit(b)
			if err != nil {
				return ans, err
			}
			for ch, err := range vcs.DiffTrees(d, ca.Tree, cb.Tree) {
				if err != nil {
					return ans, err
				}
				ans.paths = append(ans.paths, ch.Path)
			}
			if ans.bases, err = vcs.MergeBases(d, []vcs.ID{a}, []vcs.ID{b}); err != nil {
				return ans, err
			}
			snap, err := vcs.SnapshotFrom(src, vcs.Config[string, string]{}, a)
			if err != nil {
				return ans, err
			}
			for k, err := range snap.Keys("d1") {
				if err != nil {
					return ans, err
				}
				ans.keys = append(ans.keys, k)
			}
			return ans, nil
		}
		var want answer
		p := must(vcs.ProveReads(r.Store(), func(src vcs.ObjectReader) (err error) {
			want, err = ask(src)
			return err
		}))(t)
		got := must(ask(must(vcs.ParseProof(p.Encode(nil)))(t)))(t)
		if len(got.paths) != len(want.paths) || len(got.bases) != len(want.bases) || len(got.keys) != len(want.keys) {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}

func TestParseProofRefuses(t *testing.T) {
	s, commit := fixture(t)
	good := must(vcs.Prove(s, commit, "d/x"))(t).Encode(nil)
	magic := good[:9]
	with := func(more ...byte) []byte { return append(bytes.Clone(magic), more...) }
	tree := func(content string) []byte {
		return append(binary.AppendUvarint(bytes.Clone(magic), uint64(len(content))<<2|1), content...)
	}
	entry := "100644 a\x0012345678901234567890"
	for name, b := range map[string][]byte{
		"nothing":                nil,
		"half a head":            good[:5],
		"another version":        append([]byte("vcsproof\x02"), good[9:]...),
		"cut off":                good[:len(good)-1],
		"one byte more":          append(bytes.Clone(good), 0xff),
		"a size without end":     with(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
		"a size beyond the end":  with(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01),
		"a size in a long form":  with(0x82, 0x00),
		"the same object twice":  append(with(4<<2|2, 'b', 'l', 'o', 'b'), 4<<2|2, 'b', 'l', 'o', 'b'),
		"a tree that is none":    tree("tree"),
		"a name twice in a tree": tree(entry + entry),
	} {
		if p, err := vcs.ParseProof(b); !errors.Is(err, vcs.ErrProof) || p != nil {
			t.Errorf("%s: %v, want an error that wraps ErrProof", name, err)
		}
	}
	if _, err := vcs.ParseProof(tree(entry)); err != nil {
		t.Error(err)
	}
}

func TestVerifyKeySaysWhatIsWrong(t *testing.T) {
	raw := open(t, vcs.Config[string, string]{})
	id := must(raw.Set(t.Context(), "p", "k", "no number", info("x")))(t)
	p := must(raw.Prove(id, "k"))(t)
	if _, err := vcs.VerifyKey(p, vcs.Config[string, int]{Codec: number{}}, id, "k"); !errors.Is(err, vcs.ErrDecode) || errors.Is(err, vcs.ErrProof) {
		t.Errorf("a file that does not decode: %v", err)
	}
	if _, err := vcs.VerifyKey(p, vcs.Config[string, int]{}, id, "k"); !errors.Is(err, vcs.ErrConfig) {
		t.Errorf("no codec: %v", err)
	}
	if _, err := vcs.VerifyKey(p, vcs.Config[string, string]{}, vcs.ID{1}, "k"); !errors.Is(err, vcs.ErrProof) {
		t.Errorf("another commit: %v", err)
	}
}

// truths is what the fixture's commit holds.
var truths = map[string]string{"d/x": "one", "d/y": "two", "e": "three", "d/z": "", "f": ""}

// checkHostile fails if a proof shows anything but the truth.
func checkHostile(t *testing.T, b []byte, commit vcs.ID) {
	p, err := vcs.ParseProof(b)
	if err != nil {
		if !errors.Is(err, vcs.ErrProof) {
			t.Errorf("%v does not wrap ErrProof", err)
		}
		return
	}
	if again := p.Encode(nil); !bytes.Equal(again, b) {
		t.Errorf("%x becomes %x", b, again)
	}
	for path, truth := range truths {
		switch got, ok, err := p.Verify(commit, path); {
		case err != nil && !errors.Is(err, vcs.ErrProof):
			t.Errorf("%s: %v does not wrap ErrProof", path, err)
		case err == nil && (string(got) != truth || ok != (truth != "")):
			t.Errorf("%s is proved to be %q, %v", path, got, ok)
		}
	}
}

// No change of any bit proves anything that is not so.
func TestFlippedProofsProveNothingFalse(t *testing.T) {
	s, commit := fixture(t)
	good := must(vcs.Prove(s, commit, "d/x", "f"))(t).Encode(nil)
	for i := range good {
		for bit := range 8 {
			b := bytes.Clone(good)
			b[i] ^= 1 << bit
			checkHostile(t, b, commit)
		}
	}
}

func FuzzParseProof(f *testing.F) {
	s, commit := fixture(f)
	f.Add(must(vcs.Prove(s, commit, "d/x"))(f).Encode(nil))
	f.Add(must(vcs.Prove(s, commit, "d/z", "f", "e"))(f).Encode(nil))
	f.Add(must(vcs.Prove(s, must(s.Resolve("p~1"))(f), "d/x"))(f).Encode(nil))
	f.Fuzz(func(t *testing.T, b []byte) { checkHostile(t, b, commit) })
}
