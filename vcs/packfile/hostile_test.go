package packfile_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	gitpack "github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/storage/memory"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/packfile"
	"arpeggio/vcs/vcstest"
)

// TestHostilePacks: each kind of malice has its error.
func TestHostilePacks(t *testing.T) {
	base := strings.Repeat("base ", 20)
	baseID := vcs.HashObject(vcs.KindBlob, []byte(base))
	one := newForge()
	one.object(vcs.KindBlob, base)
	good := one.pack()
	chain := newForge()
	for at, text, i := chain.object(vcs.KindBlob, ""), "", 0; i < 30; i++ {
		at, text = chain.ofs(at, appendTo(text, "x")), text+"x"
	}
	forged := func(f func(*forge)) []byte {
		p := newForge()
		f(p)
		return p.pack()
	}
	with := func(delta ...byte) []byte {
		return forged(func(f *forge) { f.ofs(f.object(vcs.KindBlob, base), delta) })
	}
	flip := func(at int) []byte {
		b := slices.Clone(good)
		b[at] ^= 1
		return b
	}
	count := func(n uint32) []byte {
		b := slices.Clone(good[:len(good)-20])
		binary.BigEndian.PutUint32(b[8:], n)
		sum := sha1.Sum(b)
		return append(b, sum[:]...)
	}
	for _, c := range []struct {
		name string
		pack []byte
		want error
	}{
		{"nothing", nil, packfile.ErrTruncated},
		{"signature", []byte("JUNKxxxxxxxx" + strings.Repeat("x", 40)), packfile.ErrSignature},
		{"version", flip(7), nil}, // version 3 and another checksum
		{"version 4", append([]byte("PACK\x00\x00\x00\x04"), good[8:]...), packfile.ErrVersion},
		{"cut-off header", good[:9], packfile.ErrTruncated},
		{"cut-off object", good[:30], packfile.ErrTruncated},
		{"cut-off trailer", good[:len(good)-1], packfile.ErrTruncated},
		{"wrong checksum", flip(len(good) - 1), packfile.ErrChecksum},
		{"garbage after", append(slices.Clone(good), 0), packfile.ErrTrailing},
		{"two packs", append(slices.Clone(good), good...), packfile.ErrTrailing},
		{"one object too few", count(0), packfile.ErrChecksum},
		{"one object too many", count(2), nil}, // the trailer is read as an entry
		{"four billion objects", count(1<<32 - 1), packfile.ErrLimit},
		{"damaged stream", flip(40), nil},
		{"type 0", forged(func(f *forge) { f.raw(0, 4, nil, []byte("abcd")) }), packfile.ErrType},
		{"type 5", forged(func(f *forge) { f.raw(5, 4, nil, []byte("abcd")) }), packfile.ErrType},
		{"longer than it says", forged(func(f *forge) { f.raw(3, 3, nil, []byte("abcd")) }), packfile.ErrInflate},
		{"shorter than it says", forged(func(f *forge) { f.raw(3, 5, nil, []byte("abcd")) }), packfile.ErrInflate},
		{"zip bomb", forged(func(f *forge) { f.raw(3, 10, nil, bytes.Repeat([]byte{0}, 8<<20)) }), packfile.ErrInflate},
		{"honest zip bomb", forged(func(f *forge) { f.raw(3, 8<<20, nil, bytes.Repeat([]byte{0}, 8<<20)) }), packfile.ErrLimit},
		{"many small bombs", forged(func(f *forge) {
			for i := range 6 {
				f.object(vcs.KindBlob, strings.Repeat("x", 500<<10+i))
			}
		}), packfile.ErrLimit},
		{"endless size", append([]byte("PACK\x00\x00\x00\x02\x00\x00\x00\x01"), bytes.Repeat([]byte{0xff}, 64)...), packfile.ErrType},
		{"base beyond the beginning", forged(func(f *forge) { f.object(vcs.KindBlob, base); f.ofs(-1000, appendTo(base, "x")) }), packfile.ErrDelta},
		{"base is itself", forged(func(f *forge) { f.ofs(f.b.Len(), appendTo(base, "x")) }), packfile.ErrDelta},
		{"base between entries", forged(func(f *forge) { f.ofs(f.object(vcs.KindBlob, base)+1, appendTo(base, "x")) }), packfile.ErrDelta},
		{"endless offset", forged(func(f *forge) {
			f.object(vcs.KindBlob, base)
			f.raw(6, 4, bytes.Repeat([]byte{0xff}, 40), []byte("abcd"))
		}), packfile.ErrDelta},
		{"no base", forged(func(f *forge) { f.ref(vcs.ID{1}, appendTo(base, "x")) }), packfile.ErrUnresolved},
		{"cycle", forged(func(f *forge) {
			a, b := vcs.HashObject(vcs.KindBlob, []byte("a")), vcs.HashObject(vcs.KindBlob, []byte("b"))
			f.ref(a, appendTo("a", ""))
			f.ref(b, appendTo("b", ""))
		}), packfile.ErrUnresolved},
		{"duplicate", forged(func(f *forge) { f.object(vcs.KindBlob, base); f.object(vcs.KindBlob, base) }), packfile.ErrDuplicate},
		{"duplicate by delta", forged(func(f *forge) { f.ref(baseID, appendTo(base, "")); f.object(vcs.KindBlob, base) }), packfile.ErrDuplicate},
		{"deep chain", chain.pack(), packfile.ErrLimit},
		{"empty delta", with(), packfile.ErrDelta},
		{"delta for another base", with(99, 1, 1, 'x'), packfile.ErrDelta},
		{"delta instruction 0", with(100, 1, 0), packfile.ErrDelta},
		{"delta ends in insert", with(100, 5, 5, 'x'), packfile.ErrDelta},
		{"delta ends in copy", with(100, 5, 0x91, 0), packfile.ErrDelta},
		{"delta copies beyond", with(100, 50, 0x91, 60, 50), packfile.ErrDelta},
		{"delta copies from beyond", with(100, 50, 0x98, 60, 50), packfile.ErrDelta},
		{"delta result too long", with(100, 1, 2, 'x', 'y'), packfile.ErrDelta},
		{"delta result too short", with(100, 3, 2, 'x', 'y'), packfile.ErrDelta},
		{"delta bomb", with(append([]byte{100, 0xff, 0xff, 0xff, 0x7f}, bytes.Repeat([]byte{0x90, 100}, 1000)...)...), packfile.ErrLimit},
		{"delta endless length", with(bytes.Repeat([]byte{0xff}, 30)...), packfile.ErrDelta},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := packfile.Index(t.Context(), bytes.NewReader(c.pack),
				packfile.Config{Limits: packfile.Limits{Depth: 20, TotalBytes: 2 << 20}})
			if err == nil {
				t.Fatalf("taken, with %d objects", p.Len())
			}
			if c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if c.name == "deep chain" || errors.Is(err, packfile.ErrLimit) || errors.Is(err, packfile.ErrTrailing) {
				return // stock git has other limits
			}
			cmd := exec.Command("git", "index-pack", "--strict", "--stdin")
			cmd.Dir = gitRepo(t)
			cmd.Stdin = bytes.NewReader(c.pack)
			if out, err := cmd.CombinedOutput(); err == nil {
				t.Errorf("stock git takes it: %s", out)
			}
		})
	}
}

// TestCostlyDeltas: a comb of deltas, each tooth of which needs the whole chain
// again when the cache is too small, is given up.
func TestCostlyDeltas(t *testing.T) {
	f := newForge()
	text := strings.Repeat("x", 6_000)
	ats := []int{f.object(vcs.KindBlob, text)}
	for i := range 300 {
		ats = append(ats, f.ofs(ats[i], appendTo(text, "y")))
		text += "y"
	}
	for i, at := range ats {
		f.ofs(at, appendTo(text[:6_000+i], "z"))
	}
	b := f.pack()
	if p := index(t, b, packfile.Config{}); p.Len() != 602 {
		t.Errorf("%d objects", p.Len())
	}
	p := index(t, b, packfile.Config{Limits: packfile.Limits{CacheBytes: 1}})
	var err error
	for range 30 {
		for id := range p.IDs {
			if _, _, e := p.ReadObject(id); e != nil {
				err = e
			}
		}
		if err != nil {
			break
		}
	}
	if !errors.Is(err, packfile.ErrLimit) {
		t.Errorf("never given up: %v", err)
	}
}

// TestCollision: an object of the store is never replaced by another that came
// under its name.
func TestCollision(t *testing.T) {
	s := objects{}
	id := s.add(vcs.KindBlob, "one\n")
	s[id] = vcs.Object{ID: id, Kind: vcs.KindBlob, Content: []byte("two\n")}
	f := newForge()
	f.object(vcs.KindBlob, "one\n")
	p := index(t, f.pack(), packfile.Config{})
	if _, err := p.Check(t.Context(), s); !errors.Is(err, packfile.ErrCollision) {
		t.Errorf("another object of that name: %v", err)
	}
}

// TestCheck: malformed objects, wrong kinds and missing ones.
func TestCheck(t *testing.T) {
	who := "a <a@b> 1 +0000"
	store := objects{}
	blob := store.add(vcs.KindBlob, "x\n")
	tree := store.add(vcs.KindTree, "100644 x\x00"+string(blob[:]))
	root := store.add(vcs.KindCommit, fmt.Sprintf("tree %v\nauthor %s\ncommitter %s\n\nm\n", tree, who, who))
	gone := vcs.ID{0xaa}
	commit := func(tree vcs.ID, parents ...vcs.ID) string {
		var b strings.Builder
		fmt.Fprintf(&b, "tree %v\n", tree)
		for _, p := range parents {
			fmt.Fprintf(&b, "parent %v\n", p)
		}
		fmt.Fprintf(&b, "author %s\ncommitter %s\n\nm\n", who, who)
		return b.String()
	}
	entry := func(mode, name string, id vcs.ID) string { return mode + " " + name + "\x00" + string(id[:]) }
	type obj struct {
		k vcs.Kind
		s string
	}
	for _, c := range []struct {
		name    string
		objs    []obj // the last one is asked for
		err     error
		missing vcs.ID
	}{
		{name: "on the store", objs: []obj{{vcs.KindCommit, commit(tree, root)}}},
		{name: "the empty tree", objs: []obj{{vcs.KindCommit, commit(vcs.EmptyTree, root)}}},
		{name: "submodule", objs: []obj{{vcs.KindTree, entry("160000", "m", gone)}}},
		{name: "tag", objs: []obj{{vcs.KindTag, fmt.Sprintf("object %v\ntype commit\ntag v\ntagger %s\n\nm\n", root, who)}}},
		{name: "no committer", objs: []obj{{vcs.KindCommit, "tree " + tree.String() + "\nauthor " + who + "\n\nm\n"}}, err: vcs.ErrBadObject},
		{name: "unsorted tree", objs: []obj{{vcs.KindTree, entry("100644", "b", blob) + entry("100644", "a", blob)}}, err: vcs.ErrBadObject},
		{name: ".git", objs: []obj{{vcs.KindTree, entry("40000", ".git", tree)}}, err: vcs.ErrBadObject},
		{name: "dot dot", objs: []obj{{vcs.KindTree, entry("40000", "..", tree)}}, err: vcs.ErrBadObject},
		{name: "cut-off tree", objs: []obj{{vcs.KindTree, entry("100644", "b", blob)[:10]}}, err: vcs.ErrBadObject},
		{name: "null entry", objs: []obj{{vcs.KindTree, entry("100644", "b", vcs.ID{})}}, err: vcs.ErrBadObject},
		{name: "tree for parent", objs: []obj{{vcs.KindCommit, commit(tree, tree)}}, err: vcs.ErrBadObject},
		{name: "blob for tree", objs: []obj{{vcs.KindCommit, commit(blob)}}, err: vcs.ErrBadObject},
		{name: "packed blob for tree", objs: []obj{{vcs.KindBlob, "new"}, {vcs.KindCommit, commit(vcs.HashObject(vcs.KindBlob, []byte("new")))}}, err: vcs.ErrBadObject},
		{name: "missing parent", objs: []obj{{vcs.KindCommit, commit(tree, gone)}}, missing: gone},
		{name: "missing tree", objs: []obj{{vcs.KindCommit, commit(gone)}}, missing: gone},
		{name: "missing blob", objs: []obj{{vcs.KindTree, entry("100644", "b", gone)}}, missing: gone},
		{name: "missing behind", objs: []obj{{vcs.KindCommit, commit(tree, gone)},
			{vcs.KindCommit, commit(tree, vcs.HashObject(vcs.KindCommit, []byte(commit(tree, gone))))}}, missing: gone},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newForge()
			for _, o := range c.objs {
				f.object(o.k, o.s)
			}
			last := c.objs[len(c.objs)-1]
			tip := vcs.HashObject(last.k, []byte(last.s))
			k, err := index(t, f.pack(), packfile.Config{}).Check(t.Context(), store)
			if !errors.Is(err, c.err) {
				t.Fatalf("%v, want %v", err, c.err)
			}
			if err != nil {
				return
			}
			var m *packfile.MissingError
			err = k.Complete(tip)
			if errors.As(err, &m); (m != nil) != !c.missing.IsZero() || m != nil && (m.ID != c.missing || !errors.Is(err, packfile.ErrMissing)) {
				t.Errorf("complete: %v, want missing %v", err, c.missing)
			}
			for o, err := range k.New(t.Context(), tip) {
				if err != nil || !c.missing.IsZero() && o.ID == tip {
					t.Errorf("new: %v, %v", o.ID, err)
				}
			}
			if err := k.Complete(gone); !errors.Is(err, packfile.ErrMissing) {
				t.Errorf("an object that is nowhere: %v", err)
			}
		})
	}
}

// FuzzIndex: whatever comes, an error or a pack that stock rules accept; and
// whatever go-git's parser makes of the same bytes, the names agree.
func FuzzIndex(f *testing.F) {
	base := strings.Repeat("base ", 20)
	baseID := vcs.HashObject(vcs.KindBlob, []byte(base))
	p := newForge()
	at := p.object(vcs.KindBlob, base)
	p.ofs(at, appendTo(base, "x"))
	p.ref(baseID, appendTo(base, "y"))
	f.Add(true, p.pack())
	f.Add(true, newForge().pack())
	r, err := vcs.Open(context.Background(), mem.New(), vcs.Config[string, string]{Merge: vcstest.Larger})
	if err != nil {
		f.Fatal(err)
	}
	defer r.Close()
	s := r.Store()
	all := vcstest.RandomHistory(f, r, vcstest.HistoryConfig{Seed: 1, Steps: 4})
	f.Add(true, pack(f, pick(f, s, packfile.Selection{Wants: all}), packfile.Options{}))
	f.Fuzz(func(t *testing.T, seal bool, b []byte) {
		if seal && len(b) > 32 { // most mutations would end at the checksum
			b = slices.Clone(b)
			sum := sha1.Sum(b[:len(b)-20])
			copy(b[len(b)-20:], sum[:])
		}
		p, err := packfile.Index(t.Context(), bytes.NewReader(b), packfile.Config{Bases: s})
		if err != nil {
			return
		}
		for id := range p.IDs {
			if k, content, err := p.ReadObject(id); err != nil || vcs.HashObject(k, content) != id {
				t.Fatalf("%v: %v", id, err)
			}
		}
		if c, err := p.Check(t.Context(), s); err == nil {
			for o, err := range c.New(t.Context(), tips(p)...) {
				if err != nil || vcs.CheckObject(o.Kind, o.Content) != nil {
					t.Fatalf("%v: %v", o.ID, err)
				}
			}
		}
		if p.Thin() || p.Len() == 0 {
			return
		}
		st := memory.NewStorage()
		if err := gitpack.UpdateObjectStorage(st, bytes.NewReader(b)); err != nil {
			return
		}
		for id := range p.IDs {
			if st.HasEncodedObject([20]byte(id)) != nil {
				t.Fatalf("go-git lacks %v", id)
			}
		}
	})
}
