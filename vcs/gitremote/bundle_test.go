package gitremote

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/packfile"
	"arpeggio/vcs/vcstest"
)

func bundle(t testing.TB, src Source, prerequisites ...vcs.ID) []byte {
	t.Helper()
	refs, err := src.Refs()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := packfile.WriteBundle(context.Background(), &b, src, refs, prerequisites); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestImportBundle(t *testing.T) {
	r := newStore(t)
	vcstest.RandomHistory(t, r, vcstest.HistoryConfig{Seed: 3})
	old := write(t, r, "primary", 0, 3)
	dir := filepath.Join(t.TempDir(), "in.git")
	rep, err := ImportBundle(bytes.NewReader(bundle(t, r.Store())), dir)
	if err != nil {
		t.Fatal(err)
	}
	if rep.Objects < 100 || rep.Packs != 1 || len(rep.Forced) != 0 {
		t.Errorf("report: %+v", rep)
	}
	vcstest.Git(t, dir, "symbolic-ref", "HEAD", "refs/heads/primary")
	check(t, dir, r.Store())

	write(t, r, "primary", 3, 3)
	rep, err = ImportBundle(bytes.NewReader(bundle(t, r.Store(), old)), dir)
	if err != nil || len(rep.Changes) != 1 || len(rep.Forced) != 0 {
		t.Fatalf("increment: %+v, %v", rep, err)
	}
	check(t, dir, r.Store())
}

// TestImportGitsBundles: stock git's incremental bundles hold thin packs.
func TestImportGitsBundles(t *testing.T) {
	r := newStore(t)
	src, dir := t.TempDir(), t.TempDir()
	for i := range 30 { // a tree large enough for git to store differences to it
		write(t, r, "primary", i, 1)
	}
	snapshot(t, src, r.Store())
	full := filepath.Join(t.TempDir(), "full")
	vcstest.Git(t, src, "bundle", "create", "-q", full, "--all", "HEAD")
	importFile(t, full, dir)
	check(t, dir, r.Store())

	write(t, r, "primary", 30, 2)
	snapshot(t, src, r.Store())
	part := filepath.Join(t.TempDir(), "part")
	vcstest.Git(t, src, "bundle", "create", "-q", part, "primary~2..primary")
	b, err := os.ReadFile(part)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ImportBundle(bytes.NewReader(b), t.TempDir()); !errors.Is(err, ErrIncomplete) || !strings.Contains(err.Error(), "earlier bundle") {
		t.Errorf("into an empty directory: %v", err)
	}
	importFile(t, part, dir)
	check(t, dir, r.Store())
}

func importFile(t *testing.T, file, dir string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := ImportBundle(f, dir); err != nil {
		t.Fatal(err)
	}
}

func TestImportBundleForced(t *testing.T) {
	a, b := newStore(t), newStore(t)
	write(t, a, "primary", 0, 3)
	write(t, b, "primary", 50, 3)
	dir := t.TempDir()
	for _, r := range []Source{a.Store(), b.Store()} {
		rep, err := ImportBundle(bytes.NewReader(bundle(t, r)), dir)
		if err != nil {
			t.Fatal(err)
		}
		if want := r == Source(b.Store()); (len(rep.Forced) == 1) != want {
			t.Errorf("report: %+v", rep)
		}
		check(t, dir, r)
	}
}

// TestDamagedBundles cuts a bundle at many places and flips bits of it: no
// damage gets in and the directory stays as it was.
func TestDamagedBundles(t *testing.T) {
	r := newStore(t)
	write(t, r, "primary", 0, 3)
	dir := t.TempDir()
	snapshot(t, dir, r.Store())
	before := newStore(t)
	write(t, before, "primary", 0, 3)
	write(t, r, "primary", 3, 3)
	good := bundle(t, r.Store())
	try := func(what string, at int, b []byte) {
		t.Helper()
		_, err := ImportBundle(bytes.NewReader(b), dir)
		if err == nil {
			t.Fatalf("%s at %d of %d was accepted", what, at, len(good))
		}
		if !errors.Is(err, ErrBadBundle) && !errors.Is(err, ErrBadPack) && !errors.Is(err, ErrIncomplete) {
			t.Errorf("%s at %d: %v", what, at, err)
		}
	}
	header := bytes.Index(good, []byte("\n\n")) + 2
	step := len(good)/60 + 1
	for at := 0; at < len(good); at += step {
		try("cut", at, good[:at])
		if at >= header { // a flipped letter of a ref's name is just another name
			flipped := bytes.Clone(good)
			flipped[at] ^= 0x10
			try("flip", at, flipped)
		}
	}
	try("garbage behind", len(good), append(bytes.Clone(good), "more"...))
	check(t, dir, before.Store())
	if packs, err := packNames(filepath.Join(dir, "objects/pack")); err != nil || len(packs) != 1 {
		t.Errorf("packs: %v, %v", packs, err)
	}
}

// TestHollowBundle: a pack that is sound in itself but lacks objects.
func TestHollowBundle(t *testing.T) {
	r := newStore(t)
	old := write(t, r, "primary", 0, 3)
	write(t, r, "primary", 3, 3)
	b := bundle(t, r.Store(), old)
	_, rest, _ := bytes.Cut(b, []byte("\n-"))
	_, rest, _ = bytes.Cut(rest, []byte("\n"))
	hollow := append([]byte(bundleSignature), rest...) // without its prerequisite
	if _, err := ImportBundle(bytes.NewReader(hollow), t.TempDir()); !errors.Is(err, ErrIncomplete) {
		t.Errorf("hollow bundle: %v", err)
	}
}

// TestMalformedObject: a tree that git fsck would refuse does not get in.
func TestMalformedObject(t *testing.T) {
	var l objectList
	blob := l.put(vcs.KindBlob, []byte("x"))
	tree := l.put(vcs.KindTree, append([]byte("100644 ../evil\x00"), blob[:]...))
	who := vcs.Signature{Name: "n", Email: "n@lan"}
	c := vcs.Commit{Tree: tree, Author: who, Committer: who, Message: "x\n"}
	tip := l.put(vcs.KindCommit, c.Encode(nil))
	var b bytes.Buffer
	if err := packfile.WriteBundle(context.Background(), &b, &l, []vcs.Ref{{Name: "refs/heads/x", Target: tip}}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := ImportBundle(&b, t.TempDir()); !errors.Is(err, ErrBadPack) || !strings.Contains(err.Error(), tree.String()) {
		t.Errorf("malformed tree: %v", err)
	}
}

func FuzzBundleHeader(f *testing.F) {
	id := strings.Repeat("0123456789", 4)
	f.Add([]byte(bundleSignature + "-" + id + " old\n" + id + " refs/heads/primary\n" + id + " HEAD\n\nPACK"))
	f.Add([]byte("# v3 git bundle\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		hdr, err := readBundleHeader(bufio.NewReader(bytes.NewReader(b)))
		if err != nil {
			if !errors.Is(err, ErrBadBundle) {
				t.Errorf("error %v", err)
			}
			return
		}
		for _, r := range hdr.refs {
			if err := vcs.CheckRefName(r.Name); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestImportHostilePacks: what the pack reader refuses leaves the directory as
// it was.
func TestImportHostilePacks(t *testing.T) {
	seal := func(b []byte) []byte { sum := sha1.Sum(b); return append(b, sum[:]...) }
	head := func(n byte) []byte { return []byte{'P', 'A', 'C', 'K', 0, 0, 0, 2, 0, 0, 0, n} }
	z := func(s string) []byte {
		var b bytes.Buffer
		w := zlib.NewWriter(&b)
		io.WriteString(w, s)
		w.Close()
		return b.Bytes()
	}
	self := bytes.Repeat([]byte{0xaa}, 20)
	for name, c := range map[string]struct {
		pack []byte
		want error
	}{
		"bomb":         {seal(slices.Concat(head(1), []byte{0x31}, z(strings.Repeat("x", 1<<20)))), packfile.ErrInflate},
		"cycle":        {seal(slices.Concat(head(1), []byte{0x74}, self, z("\x01\x01\x01x"))), ErrIncomplete},
		"self as base": {seal(slices.Concat(head(1), []byte{0x64, 0}, z("\x01\x01\x01x"))), packfile.ErrDelta},
		"duplicate":    {seal(slices.Concat(head(2), []byte{0x31}, z("x"), []byte{0x31}, z("x"))), packfile.ErrDuplicate},
		"four billion": {seal([]byte("PACK\x00\x00\x00\x02\xff\xff\xff\xff")), packfile.ErrLimit},
		"junk":         {append(seal(head(0)), 'x'), packfile.ErrTrailing},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			in := fmt.Sprintf("%s%s refs/heads/x\n\n%s", bundleSignature, strings.Repeat("ab", 20), c.pack)
			if _, err := ImportBundle(strings.NewReader(in), dir); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			left, err := filepath.Glob(filepath.Join(dir, "objects", "pack", "*"))
			if refs, _ := readRefs(dir); err != nil || len(left) > 0 || len(refs) > 0 {
				t.Errorf("left behind: %v %v %v", left, refs, err)
			}
		})
	}
}
