package packfile

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"strings"

	"arpeggio/vcs"
)

// Settings of changed-path filters (gitformat-commit-graph(5), BDAT), which are
// stock git's defaults.
const (
	bloomVersion  = 1
	bloomHashes   = 7
	bloomBits     = 10 // for each path
	bloomMaxPaths = 512
)

// bloom makes the changed-path Bloom filter of one commit after the other.
type bloom struct {
	paths []string // of changed files, and the folders above them, each once
	seen  map[string]struct{}
	files int
	odd   bool // a path that git hashes differently from machine to machine
}

// fewPaths is up to how many paths are looked through one by one.
const fewPaths = 16

// reset begins the next commit.
func (b *bloom) reset() {
	b.paths, b.files, b.odd = b.paths[:0], 0, false
	clear(b.seen)
}

// file adds a changed file and the folders above it; it reports whether there is
// room for more.
func (b *bloom) file(path string) bool {
	if b.files++; b.files > bloomMaxPaths {
		return false
	}
	for i := range len(path) {
		b.odd = b.odd || path[i] >= 0x80
	}
	for {
		if b.has(path) {
			return true // and so are the folders above it
		}
		if len(b.paths) > bloomMaxPaths {
			return false
		}
		b.paths = append(b.paths, path)
		if len(b.paths) > fewPaths {
			b.seen[path] = struct{}{}
		}
		i := strings.LastIndexByte(path, '/')
		if i < 0 {
			return true
		}
		path = path[:i]
	}
}

func (b *bloom) has(path string) bool {
	if len(b.paths) < fewPaths {
		return slices.Contains(b.paths, path)
	}
	if len(b.seen) == 0 {
		if b.seen == nil {
			b.seen = make(map[string]struct{})
		}
		for _, p := range b.paths {
			b.seen[p] = struct{}{}
		}
	}
	_, ok := b.seen[path]
	return ok
}

// Filters that stand for something else than a set of paths.
var (
	bloomEmpty = []byte{0}    // nothing changed
	bloomAny   = []byte{0xff} // too much did: any path may have
)

// filter appends the filter of the paths to out. Git's hash of a path with bytes
// above 0x7f depends on whether the machine's char is signed, so commits that
// change one get the filter that any path may match.
func (b *bloom) filter(out []byte) []byte {
	switch {
	case b.files > bloomMaxPaths || len(b.paths) > bloomMaxPaths || b.odd:
		return append(out, bloomAny...)
	case len(b.paths) == 0:
		return append(out, bloomEmpty...)
	}
	at := len(out)
	n := (len(b.paths)*bloomBits + 7) / 8
	out = append(out, make([]byte, n)...)
	for _, p := range b.paths {
		h0, h1 := murmur3(0x293ae76f, p), murmur3(0x7e646e2c, p)
		for i := range uint32(bloomHashes) {
			bit := uint64(h0+i*h1) % uint64(n*8)
			out[at+int(bit/8)] |= 1 << (bit % 8)
		}
	}
	return out
}

// murmur3 is the 32-bit hash of that name.
func murmur3(seed uint32, s string) uint32 {
	const c1, c2 = 0xcc9e2d51, 0x1b873593
	mix := func(k uint32) uint32 { return bits.RotateLeft32(k*c1, 15) * c2 }
	n := len(s)
	for ; len(s) >= 4; s = s[4:] {
		k := uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
		seed = bits.RotateLeft32(seed^mix(k), 13)*5 + 0xe6546b64
	}
	if len(s) > 0 {
		var tail [4]byte
		copy(tail[:], s)
		seed ^= mix(binary.LittleEndian.Uint32(tail[:]))
	}
	seed ^= uint32(n)
	seed = (seed ^ seed>>16) * 0x85ebca6b
	seed = (seed ^ seed>>13) * 0xc2b2ae35
	return seed ^ seed>>16
}

// changes makes the filters of commits, reading trees through a cache.
type changes struct {
	r     vcs.ObjectReader
	trees treeCache
	bloom
	path []byte
}

// between takes what differs between two trees for the filter; a zero old one is
// the empty tree.
func (c *changes) between(old, new vcs.ID) error {
	c.reset()
	c.path = c.path[:0]
	if old.IsZero() {
		old = vcs.EmptyTree
	}
	if old == new {
		return nil
	}
	_, err := c.diff(old, new, 0)
	return err
}

// diff walks two trees; a zero id stands for none. It reports whether to go on.
func (c *changes) diff(old, new vcs.ID, depth int) (bool, error) {
	if depth > maxDepth {
		return false, fmt.Errorf("%w: folders deeper than %d", vcs.ErrBadObject, maxDepth)
	}
	var sides [2]treeSide
	for i, id := range [2]vcs.ID{old, new} {
		if id.IsZero() {
			continue
		}
		b, err := c.trees.read(c.r, id)
		if err != nil {
			return false, err
		}
		sides[i].rest = b
		if err := sides[i].next(); err != nil {
			return false, err
		}
	}
	a, b := &sides[0], &sides[1]
	for a.ok || b.ok {
		d := 0
		switch {
		case !a.ok:
			d = 1
		case !b.ok:
			d = -1
		default:
			d = compare(a.at, b.at)
		}
		var was, is entry
		if d <= 0 {
			was = a.at
			if err := a.next(); err != nil {
				return false, err
			}
		}
		if d >= 0 {
			is = b.at
			if err := b.next(); err != nil {
				return false, err
			}
		}
		if was.id == is.id && was.mode == is.mode {
			continue
		}
		if more, err := c.entry(was, is, depth); err != nil || !more {
			return false, err
		}
	}
	return true, nil
}

// entry notes that an entry differs, or is there on one side alone.
func (c *changes) entry(was, is entry, depth int) (bool, error) {
	name := is.name
	if name == nil {
		name = was.name
	}
	at := len(c.path)
	if at > 0 {
		c.path = append(c.path, '/')
	}
	c.path = append(c.path, name...)
	defer func() { c.path = c.path[:at] }()
	var folders [2]vcs.ID
	isFile := false
	for i, e := range [2]entry{was, is} {
		switch {
		case e.name == nil:
		case e.kind() == vcs.KindTree:
			folders[i] = e.id
		default:
			isFile = true
		}
	}
	if isFile && !c.file(string(c.path)) {
		return false, nil
	}
	if folders[0] == folders[1] {
		return true, nil
	}
	return c.diff(folders[0], folders[1], depth+1)
}

// treeSide walks one tree.
type treeSide struct {
	rest []byte
	at   entry
	ok   bool
}

func (s *treeSide) next() (err error) {
	if s.ok = len(s.rest) > 0; s.ok {
		s.at, s.rest, err = nextEntry(s.rest)
	}
	return err
}
