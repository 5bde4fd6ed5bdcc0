package packfile_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/packfile"
	"arpeggio/vcs/vcstest"
)

func history(t testing.TB, seed uint64, steps int) (*vcs.Store, []vcs.ID) {
	t.Helper()
	r, err := vcs.Open(context.Background(), mem.New(), vcs.Config[string, string]{Merge: vcstest.Larger})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	all := vcstest.RandomHistory(t, r, vcstest.HistoryConfig{Seed: seed, Steps: steps})
	return r.Store(), all
}

func pick(t testing.TB, r vcs.ObjectReader, sel packfile.Selection) *packfile.Set {
	t.Helper()
	set, err := packfile.Select(context.Background(), r, sel)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func pack(t testing.TB, set *packfile.Set, opt packfile.Options) []byte {
	t.Helper()
	var b bytes.Buffer
	if _, err := set.Write(&b, opt); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestIDsEndEarly: a set whose names are not all told says why.
func TestIDsEndEarly(t *testing.T) {
	s, all := history(t, 2, 900) // the context is asked now and then
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	set, err := packfile.Select(ctx, s, packfile.Selection{Wants: all[len(all)-1:]})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(slices.Collect(set.IDs)); n != set.Len() || set.Err() != nil {
		t.Errorf("%d of %d objects, %v", n, set.Len(), set.Err())
	}
	for range set.IDs {
		break
	}
	if err := set.Err(); err != nil {
		t.Errorf("whoever has enough: %v", err)
	}
	n := 0
	for range set.IDs {
		if n++; n == 10 {
			stop()
		}
	}
	if n == set.Len() || !errors.Is(set.Err(), context.Canceled) {
		t.Errorf("%d of %d objects before the context ended, %v", n, set.Len(), set.Err())
	}
}

func sorted(set *packfile.Set) []string {
	var ids []string
	for id := range set.IDs {
		ids = append(ids, id.String())
	}
	slices.Sort(ids)
	return ids
}

// TestFull: everything reachable, nothing else, each object once.
func TestFull(t *testing.T) {
	for seed := range uint64(4) {
		s, _ := history(t, seed, 150)
		dir := t.TempDir()
		vcstest.ExportTo(t, dir, s)
		var sel packfile.Selection
		refs, _ := s.Refs()
		for _, r := range refs {
			sel.Wants = append(sel.Wants, r.Target)
		}
		set := pick(t, s, sel)
		var want []string
		for line := range strings.Lines(vcstest.Git(t, dir, "rev-list", "--objects", "--all")) {
			want = append(want, line[:40])
		}
		slices.Sort(want)
		if got := sorted(set); !slices.Equal(got, want) {
			t.Errorf("seed %d: %d objects, git has %d", seed, len(got), len(want))
		}
		if set.Len() != len(want) {
			t.Errorf("seed %d: Len %d, want %d", seed, set.Len(), len(want))
		}
		once, again := pack(t, set, packfile.Options{}), pack(t, pick(t, s, sel), packfile.Options{})
		if !bytes.Equal(once, again) {
			t.Error("two packs of the same selection differ")
		}
		whole := pack(t, set, packfile.Options{NoDeltas: true})
		if len(whole) <= len(once) {
			t.Errorf("%d bytes without deltas, %d with", len(whole), len(once))
		}
		empty := t.TempDir()
		vcstest.Git(t, empty, "init", "-q", "--bare", ".")
		vcstest.GitInput(t, empty, whole, "index-pack", "--strict", "--stdin")
	}
}

// TestIncremental: a receiver that holds some commits needs no more than the
// pack, and the pack holds nothing of the receiver's commits.
func TestIncremental(t *testing.T) {
	for seed := range uint64(8) {
		s, all := history(t, seed, 150)
		have := all[len(all)/2]
		refs, _ := s.Refs()
		dir := t.TempDir()
		vcstest.Git(t, dir, "init", "-q", "--bare", ".")
		base := pick(t, s, packfile.Selection{Wants: []vcs.ID{have}})
		vcstest.GitInput(t, dir, pack(t, base, packfile.Options{}), "index-pack", "--strict", "--stdin")
		vcstest.Git(t, dir, "update-ref", "refs/heads/base", have.String())
		sel := packfile.Selection{Haves: []vcs.ID{have, {1}}}
		for _, r := range refs {
			sel.Wants = append(sel.Wants, r.Target)
		}
		set := pick(t, s, sel)
		for id := range base.IDs {
			if kind, _, _ := s.ReadObject(id); kind == vcs.KindCommit && set.Has(id) {
				t.Errorf("seed %d: commit %v is sent again", seed, id)
			}
		}
		vcstest.GitInput(t, dir, pack(t, set, packfile.Options{}), "index-pack", "--strict", "--stdin")
		for _, r := range refs {
			vcstest.Git(t, dir, "update-ref", r.Name, r.Target.String())
		}
		vcstest.Git(t, dir, "fsck", "--strict")
		if none := pick(t, s, packfile.Selection{Wants: []vcs.ID{have}, Haves: sel.Wants}); none.Len() > 0 && isReached(t, s, have, refs) {
			t.Errorf("seed %d: %d objects for a receiver that has them all", seed, none.Len())
		}
	}
}

func isReached(t *testing.T, s *vcs.Store, id vcs.ID, refs []vcs.Ref) bool {
	for _, r := range refs {
		if ok, err := s.IsAncestor(id, r.Target); err != nil {
			t.Fatal(err)
		} else if ok {
			return true
		}
	}
	return false
}

// TestLinearIsMinimal: for one more commit, exactly the blob, its folders and
// the commit.
func TestLinearIsMinimal(t *testing.T) {
	ctx := t.Context()
	r, err := vcs.Open(ctx, mem.New(), vcs.Config[string, string]{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	set := func(k, v string) vcs.ID {
		id, err := r.Set(ctx, "primary", k, v, vcs.CommitInfo{})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	for i := range 50 {
		set(fmt.Sprintf("a/%d/%d", i%5, i), fmt.Sprint(i))
	}
	before := set("a/1/x", "old")
	after := set("a/1/x", "new")
	if got := pick(t, r.Store(), packfile.Selection{Wants: []vcs.ID{after}, Haves: []vcs.ID{before}}); got.Len() != 5 {
		t.Errorf("%d objects, want a commit, three trees and a blob", got.Len())
	}
}

// TestShallow: a cut commit comes without its parents and with its whole tree.
func TestShallow(t *testing.T) {
	s, _ := history(t, 3, 100)
	head, _ := s.Ref("refs/heads/b0")
	set := pick(t, s, packfile.Selection{Wants: []vcs.ID{head}, Cut: func(id vcs.ID) bool { return id == head }})
	dir := t.TempDir()
	vcstest.Git(t, dir, "init", "-q", "--bare", ".")
	if err := os.WriteFile(filepath.Join(dir, "shallow"), []byte(head.String()+"\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	vcstest.GitInput(t, dir, pack(t, set, packfile.Options{}), "index-pack", "--stdin")
	vcstest.Git(t, dir, "update-ref", "refs/heads/b0", head.String())
	vcstest.Git(t, dir, "fsck", "--strict")
	if n := vcstest.Git(t, dir, "rev-list", "--count", "b0"); n != "1" {
		t.Errorf("%s commits", n)
	}
}

func TestBlobFilter(t *testing.T) {
	s, _ := history(t, 4, 60)
	head, _ := s.Ref("refs/heads/b0")
	all := pick(t, s, packfile.Selection{Wants: []vcs.ID{head}})
	var blob vcs.ID
	count := func(set *packfile.Set, min int) (n int) {
		for id := range set.IDs {
			if kind, content, _ := s.ReadObject(id); kind == vcs.KindBlob && len(content) >= min {
				blob = id
				n++
			}
		}
		return n
	}
	none := pick(t, s, packfile.Selection{Wants: []vcs.ID{head}, OmitBlobs: true})
	if all.Len()-none.Len() != count(all, 0) || count(none, 0) != 0 {
		t.Errorf("blob:none left %d of %d objects", none.Len(), all.Len())
	}
	small := pick(t, s, packfile.Selection{Wants: []vcs.ID{head}, OmitBlobs: true, BlobLimit: 9})
	if count(small, 9) != 0 || all.Len()-small.Len() != count(all, 9) {
		t.Errorf("blob:limit=9 left %d of %d objects", small.Len(), all.Len())
	}
	count(all, 0)
	if named := pick(t, s, packfile.Selection{Wants: []vcs.ID{head, blob}, OmitBlobs: true}); !named.Has(blob) {
		t.Error("a blob wanted by name was left out")
	}
}

func TestTags(t *testing.T) {
	ctx := t.Context()
	r, err := vcs.Open(ctx, mem.New(), vcs.Config[string, string]{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	head, err := r.Set(ctx, "primary", "k", "v", vcs.CommitInfo{Message: "one"})
	if err != nil {
		t.Fatal(err)
	}
	tag, err := r.CreateTag(ctx, "v1", head, vcs.CommitInfo{Message: "tagged"})
	if err != nil {
		t.Fatal(err)
	}
	set := pick(t, r.Store(), packfile.Selection{Wants: []vcs.ID{tag}})
	if set.Len() != 4 || !set.Has(tag) {
		t.Errorf("%d objects, want tag, commit, tree, blob", set.Len())
	}
	set = pick(t, r.Store(), packfile.Selection{Wants: []vcs.ID{head}})
	if err := set.Add(tag); err != nil || set.Len() != 4 {
		t.Errorf("%v, %d objects after Add", err, set.Len())
	}
	if set = pick(t, r.Store(), packfile.Selection{Wants: []vcs.ID{tag}, Haves: []vcs.ID{head}}); set.Len() != 1 {
		t.Errorf("%d objects, want the tag alone", set.Len())
	}
	vcstest.Export(t, r.Store())
}

func TestMissingObject(t *testing.T) {
	s, _ := history(t, 1, 30)
	if _, err := packfile.Select(t.Context(), s, packfile.Selection{Wants: []vcs.ID{{1}}}); !errors.Is(err, vcs.ErrNotFound) {
		t.Errorf("%v", err)
	}
	head, _ := s.Ref("refs/heads/b0")
	set := pick(t, s, packfile.Selection{Wants: []vcs.ID{head}})
	var ids []vcs.ID
	set.IDs(func(id vcs.ID) bool { ids = append(ids, id); return true })
	for i, id := range ids {
		r := without{s, id}
		set, err := packfile.Select(t.Context(), r, packfile.Selection{Wants: []vcs.ID{head}})
		if err == nil {
			_, err = set.Write(&bytes.Buffer{}, packfile.Options{})
		}
		if !errors.Is(err, vcs.ErrNotFound) && id != vcs.EmptyTree {
			t.Errorf("object %d of %d missing: %v", i, len(ids), err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := packfile.Select(ctx, s, packfile.Selection{Wants: []vcs.ID{head}}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// without lacks one object.
type without struct {
	vcs.ObjectReader
	id vcs.ID
}

func (w without) ReadObject(id vcs.ID) (vcs.Kind, []byte, error) {
	if id == w.id {
		return 0, nil, vcs.ErrNotFound
	}
	return w.ObjectReader.ReadObject(id)
}

func TestWriteError(t *testing.T) {
	s, _ := history(t, 1, 60)
	head, _ := s.Ref("refs/heads/b0")
	set := pick(t, s, packfile.Selection{Wants: []vcs.ID{head}})
	size := len(pack(t, set, packfile.Options{}))
	for n := 0; n < size; n += max(1, size/20) {
		if _, err := set.Write(&limited{n}, packfile.Options{}); !errors.Is(err, errFull) {
			t.Errorf("writer full after %d of %d bytes: %v", n, size, err)
		}
	}
}

var errFull = errors.New("full")

type limited struct{ n int }

func (l *limited) Write(b []byte) (int, error) {
	if len(b) > l.n {
		n := l.n
		l.n = 0
		return n, errFull
	}
	l.n -= len(b)
	return len(b), nil
}

// TestBundle: stock git verifies, clones and fetches from bundles.
func TestBundle(t *testing.T) {
	ctx := t.Context()
	r, err := vcs.Open(ctx, mem.New(), vcs.Config[string, string]{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	write := func(name string, refs []vcs.Ref, prerequisites []vcs.ID) string {
		path := filepath.Join(t.TempDir(), name)
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := packfile.WriteBundle(ctx, f, r.Store(), refs, prerequisites); err != nil {
			t.Fatal(err)
		}
		return path
	}
	at := time.Unix(1_700_000_000, 0)
	var heads []vcs.ID
	for i := range 20 {
		id, err := r.Set(ctx, "primary", vcstest.Key(i), fmt.Sprint(i), vcs.CommitInfo{Message: fmt.Sprint("commit ", i), Time: at})
		if err != nil {
			t.Fatal(err)
		}
		heads = append(heads, id)
	}
	ref := func(id vcs.ID) []vcs.Ref { return []vcs.Ref{{Name: "refs/heads/primary", Target: id}} }
	first, second := write("first", ref(heads[9]), nil), write("second", ref(heads[19]), heads[9:10])
	dir := filepath.Join(t.TempDir(), "clone")
	vcstest.Git(t, ".", "clone", "-q", "-b", "primary", first, dir)
	vcstest.Git(t, dir, "bundle", "verify", second)
	vcstest.Git(t, dir, "pull", "-q", "--ff-only", second, "primary")
	vcstest.Git(t, dir, "fsck", "--strict")
	if got := vcstest.Git(t, dir, "rev-parse", "HEAD"); got != heads[19].String() {
		t.Errorf("HEAD is %s", got)
	}
	if err := packfile.WriteBundle(ctx, &bytes.Buffer{}, r.Store(), nil, nil); !errors.Is(err, packfile.ErrNoRefs) {
		t.Errorf("bundle without refs: %v", err)
	}
}
