package packfile_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/zlib"

	"arpeggio/vcs"
	"arpeggio/vcs/packfile"
	"arpeggio/vcs/vcstest"
)

// objects is a reader over a map.
type objects map[vcs.ID]vcs.Object

func (m objects) ReadObject(id vcs.ID) (vcs.Kind, []byte, error) {
	o, ok := m[id]
	if !ok {
		return 0, nil, fmt.Errorf("%w: %v", vcs.ErrNotFound, id)
	}
	return o.Kind, o.Content, nil
}

func (m objects) add(k vcs.Kind, content string) vcs.ID {
	id := vcs.HashObject(k, []byte(content))
	m[id] = vcs.Object{ID: id, Kind: k, Content: []byte(content)}
	return id
}

func index(t testing.TB, b []byte, cfg packfile.Config) *packfile.Pack {
	t.Helper()
	p, err := packfile.Index(t.Context(), bytes.NewReader(b), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// forge makes packs that no packer would.
type forge struct {
	b bytes.Buffer
	n uint32
}

func newForge() *forge {
	f := new(forge)
	f.b.WriteString("PACK\x00\x00\x00\x02\x00\x00\x00\x00")
	return f
}

// raw appends an entry with that declared size; extra lies before the stream.
func (f *forge) raw(typ byte, size int, extra, content []byte) (off int) {
	off = f.b.Len()
	f.n++
	c := typ<<4 | byte(size&15)
	for size >>= 4; size > 0; size >>= 7 {
		f.b.WriteByte(c | 0x80)
		c = byte(size & 0x7f)
	}
	f.b.WriteByte(c)
	f.b.Write(extra)
	z := zlib.NewWriter(&f.b)
	z.Write(content)
	z.Close()
	return off
}

func (f *forge) object(k vcs.Kind, content string) int {
	return f.raw(byte(k), len(content), nil, []byte(content))
}

func (f *forge) ref(base vcs.ID, delta []byte) int { return f.raw(7, len(delta), base[:], delta) }

func (f *forge) ofs(base int, delta []byte) int {
	n := f.b.Len() - base
	back := []byte{byte(n & 0x7f)}
	for n >>= 7; n > 0; n >>= 7 {
		n--
		back = append([]byte{0x80 | byte(n&0x7f)}, back...)
	}
	return f.raw(6, len(delta), back, delta)
}

func (f *forge) pack() []byte {
	b := slices.Clone(f.b.Bytes())
	binary.BigEndian.PutUint32(b[8:], f.n)
	sum := sha1.Sum(b)
	return append(b, sum[:]...)
}

// appendTo is the delta that adds s to a base.
func appendTo(base string, s string) []byte {
	size := func(n int) []byte { return binary.AppendUvarint(nil, uint64(n)) }
	d := slices.Concat(size(len(base)), size(len(base)+len(s)))
	if len(base) > 0 {
		d = append(d, 0x80|0x10|0x20, byte(len(base)), byte(len(base)>>8))
	}
	for len(s) > 0 {
		n := min(len(s), 127)
		d = append(append(d, byte(n)), s[:n]...)
		s = s[n:]
	}
	return d
}

// TestIndexOwnPacks: what Write writes, Index reads, object by object, also
// where the cache holds next to nothing and input comes in dribbles.
func TestIndexOwnPacks(t *testing.T) {
	for seed := range uint64(3) {
		s, all := history(t, seed, 60)
		for _, opt := range []packfile.Options{{}, {NoDeltas: true}} {
			b := pack(t, pick(t, s, packfile.Selection{Wants: all}), opt)
			for _, l := range []packfile.Limits{{}, {CacheBytes: 1}} {
				p, err := packfile.Index(t.Context(), iotest.HalfReader(bytes.NewReader(b)), packfile.Config{Limits: l})
				if err != nil {
					t.Fatal(err)
				}
				if p.Sum() != vcs.ID(b[len(b)-20:]) || p.Thin() {
					t.Errorf("sum %v, thin %v", p.Sum(), p.Thin())
				}
				n := 0
				for id := range p.IDs {
					n++
					k, content, err := p.ReadObject(id)
					wantK, want, _ := s.ReadObject(id)
					if err != nil || k != wantK || !bytes.Equal(content, want) {
						t.Fatalf("%v: %v, %d bytes, %v", id, k, len(content), err)
					}
				}
				if n != p.Len() || n == 0 {
					t.Errorf("%d names of %d objects", n, p.Len())
				}
			}
		}
	}
}

// TestIndexStockPacks: packs of stock git in all its ways, names and index files
// byte for byte as git index-pack makes them.
func TestIndexStockPacks(t *testing.T) {
	s, all := history(t, 7, 150)
	dir := exported(t, s)
	list := vcstest.Git(t, dir, "rev-list", "--objects", "--all", "--no-object-names")
	for name, args := range map[string][]string{
		"ofs":     {"--delta-base-offset"},
		"ref":     {},
		"deep":    {"--delta-base-offset", "--window=50", "--depth=4095"},
		"plain":   {"--window=0"},
		"level 0": {"--compression=0"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command("git", append([]string{"-C", dir, "pack-objects", "-q", "--stdout"}, args...)...)
			cmd.Stdin = strings.NewReader(list + "\n")
			b, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			file, err := os.Create(filepath.Join(t.TempDir(), "a.pack"))
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			p := index(t, b, packfile.Config{Scratch: file})
			var idx bytes.Buffer
			if err := p.WriteIndex(&idx); err != nil {
				t.Fatal(err)
			}
			other := filepath.Join(t.TempDir(), "b.pack")
			if err := os.WriteFile(other, b, 0o644); err != nil {
				t.Fatal(err)
			}
			vcstest.Git(t, dir, "index-pack", "--strict", other)
			want, err := os.ReadFile(strings.TrimSuffix(other, "pack") + "idx")
			if err != nil || !bytes.Equal(idx.Bytes(), want) {
				t.Errorf("index of %d bytes differs from stock git's of %d, %v", idx.Len(), len(want), err)
			}
			if kept, _ := os.ReadFile(file.Name()); !bytes.Equal(kept, b) {
				t.Error("the scratch does not hold the pack")
			}
			c, err := p.Check(t.Context(), objects{})
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range all {
				if err := c.Complete(id); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestIndexThin: increments as git push sends them.
func TestIndexThin(t *testing.T) {
	s, all := history(t, 3, 80)
	dir := exported(t, s)
	tip, old := all[len(all)-1], all[len(all)/2]
	cmd := exec.Command("git", "-C", dir, "pack-objects", "-q", "--stdout", "--revs", "--thin", "--delta-base-offset")
	cmd.Stdin = strings.NewReader(fmt.Sprintf("%v\n^%v\n", tip, old))
	b, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := packfile.Index(t.Context(), bytes.NewReader(b), packfile.Config{}); !errors.Is(err, packfile.ErrUnresolved) {
		t.Fatalf("without bases: %v", err)
	}
	p := index(t, b, packfile.Config{Bases: s})
	if !p.Thin() {
		t.Fatal("the pack is not thin")
	}
	c, err := p.Check(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Complete(tip); err != nil {
		t.Error(err)
	}
	for range c.New(t.Context(), tips(p)...) {
		t.Fatal("the store holds all of this")
	}
}

// TestNewIsInOrder: whatever the order in the pack, parts come before wholes.
func TestNewIsInOrder(t *testing.T) {
	s, all := history(t, 5, 60)
	p := index(t, pack(t, pick(t, s, packfile.Selection{Wants: all}), packfile.Options{}), packfile.Config{})
	c, err := p.Check(t.Context(), objects{})
	if err != nil {
		t.Fatal(err)
	}
	have, n := objects{}, 0
	for o, err := range c.New(t.Context(), tips(p)...) {
		if err != nil {
			t.Fatal(err)
		}
		if vcs.HashObject(o.Kind, o.Content) != o.ID {
			t.Fatalf("%v does not hash to its name", o.ID)
		}
		need := func(id vcs.ID) {
			if _, ok := have[id]; !ok && id != vcs.EmptyTree {
				t.Fatalf("%v %v before %v", o.Kind, o.ID, id)
			}
		}
		switch o.Kind {
		case vcs.KindCommit:
			c, _ := vcs.ParseCommit(o.Content)
			need(c.Tree)
			for _, id := range c.Parents {
				need(id)
			}
		case vcs.KindTree:
			tree, _ := vcs.ParseTree(o.Content)
			for i := range tree.Len() {
				need(tree.Entry(i).ID)
			}
		}
		have[o.ID] = o
		n++
	}
	if n != p.Len() {
		t.Errorf("%d of %d objects", n, p.Len())
	}
}

func exported(t testing.TB, s vcstest.Source) string {
	t.Helper()
	dir := t.TempDir()
	vcstest.ExportTo(t, dir, s)
	return dir
}

func tips(p *packfile.Pack) []vcs.ID { return slices.Collect(p.IDs) }

func gitRepo(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	vcstest.Git(t, dir, "init", "-q", "--bare")
	return dir
}

// TestReadErrors: what the input, the scratch and the bases say comes through.
func TestReadErrors(t *testing.T) {
	s, all := history(t, 1, 20)
	b := pack(t, pick(t, s, packfile.Selection{Wants: all}), packfile.Options{})
	boom := errors.New("boom")
	for n := range 40 {
		r := io.MultiReader(bytes.NewReader(b[:len(b)*n/40]), iotest.ErrReader(boom))
		if _, err := packfile.Index(t.Context(), r, packfile.Config{}); !errors.Is(err, boom) {
			t.Errorf("after %d/40: %v", n, err)
		}
	}
	if _, err := packfile.Index(t.Context(), bytes.NewReader(b), packfile.Config{Scratch: full{err: boom}}); !errors.Is(err, boom) {
		t.Errorf("full scratch: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := packfile.Index(ctx, bytes.NewReader(b), packfile.Config{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := packfile.Index(t.Context(), bytes.NewReader(b), packfile.Config{Limits: packfile.Limits{PackBytes: int64(len(b) - 1)}}); !errors.Is(err, packfile.ErrLimit) {
		t.Errorf("one byte too long: %v", err)
	}
	index(t, b, packfile.Config{Limits: packfile.Limits{PackBytes: int64(len(b))}})
}

type full struct {
	io.ReaderAt
	err error
}

func (f full) WriteAt([]byte, int64) (int, error) { return 0, f.err }
