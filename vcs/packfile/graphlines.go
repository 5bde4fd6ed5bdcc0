package packfile

import (
	"encoding/binary"
	"fmt"
	"slices"

	"arpeggio/vcs"
)

// maxLined bounds the commits of a chain that is lined up: 24 bytes are held for
// each, and its filter, of 9 bytes or more.
const maxLined = 1 << 20

// graphLines holds what a walk along first parents asks of a chain in the order
// in which it asks: a file has its commits in the order of their names, where
// each step reads at three places of memory that nobody has read for long.
//
// A line begins at a commit that is nobody's first parent, or nobody's here, and
// goes on to where an earlier line has been.
type graphLines struct {
	place   []uint32          // of each commit of the chain
	commits []uint32          // in lines; lineEnd marks the last of each
	ends    []uint32          // where filters end in bits; an empty one is none
	bits    []byte            // the filters, and maxMasked bytes more
	parents map[uint32]uint32 // places of the first parents of the lines' ends
	hashes  uint32
}

const lineEnd = 1 << 31

// usable reports whether a file's filters are ones that a walk can ask, and with
// how many hashes.
func (g *CommitGraph) usable() (hashes uint32, ok bool) {
	version := binary.BigEndian.Uint32(g.settings[:])
	hashes = binary.BigEndian.Uint32(g.settings[4:])
	return hashes, (version == 1 || version == 2) && hashes > 0 && hashes <= 64
}

// lines lines the chain up when it is walked for the second time, for good. Nil
// when that is not worth it, or when the chain is too long.
func (c *GraphChain) lines(steps int64) (*graphLines, error) {
	if c.n == 0 || c.n > maxLined {
		return nil, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.steps += steps; c.lined == nil && c.badLines == nil && c.steps > c.n {
		c.lined, c.badLines = c.lineUp()
	}
	return c.lined, c.badLines
}

func (c *GraphChain) lineUp() (*graphLines, error) {
	first, err := c.firstParents()
	if err != nil {
		return nil, err
	}
	l := &graphLines{
		place: make([]uint32, c.n), commits: make([]uint32, 0, c.n), ends: make([]uint32, 0, c.n),
		parents: make(map[uint32]uint32),
	}
	child := make([]bool, c.n)
	for at, p := range first {
		l.place[at] = graphNone
		if p != graphNone {
			child[p] = true
		}
	}
	filters := make([]func(i int64) ([]byte, error), len(c.layers))
	for i, g := range c.layers {
		hashes, ok := g.usable()
		if ok && l.hashes == 0 {
			l.hashes = hashes
		}
		if ok && hashes == l.hashes {
			filters[i] = (&PathWalk{}).filterOf(g)
		}
	}
	for at := range first {
		if child[at] {
			continue
		}
		start := uint32(len(l.commits))
		for at := uint32(at); ; at = first[at] {
			l.place[at] = uint32(len(l.commits))
			l.commits = append(l.commits, at)
			if err := c.lineFilter(l, filters, int64(at)); err != nil {
				return nil, err
			}
			p := first[at]
			if p != graphNone && l.place[p] == graphNone {
				continue
			}
			end := len(l.commits) - 1
			l.commits[end] |= lineEnd
			if p != graphNone {
				if l.place[p] >= start {
					return nil, fmt.Errorf("%w: a commit is its own ancestor", ErrGraph)
				}
				l.parents[uint32(end)] = l.place[p]
			}
			break
		}
	}
	if int64(len(l.commits)) != c.n {
		return nil, fmt.Errorf("%w: a commit is its own ancestor", ErrGraph)
	}
	l.bits = append(l.bits, make([]byte, maxMasked)...)
	return l, nil
}

// lineFilter appends a commit's filter.
func (c *GraphChain) lineFilter(l *graphLines, filters []func(int64) ([]byte, error), at int64) error {
	for i := len(c.layers) - 1; i >= 0; i-- {
		if at < c.first[i] {
			continue
		}
		if filters[i] != nil {
			bits, err := filters[i](at - c.first[i])
			if err != nil {
				return err
			}
			l.bits = append(l.bits, bits...)
		}
		l.ends = append(l.ends, uint32(len(l.bits)))
		return nil
	}
	return nil
}

// firstParents returns the place of each commit's first parent.
func (c *GraphChain) firstParents() ([]uint32, error) {
	first := make([]uint32, 0, c.n)
	for _, g := range c.layers {
		data := g.column("CDAT", graphDataLen)
		for i := range g.n {
			row, err := data.row(i)
			if err != nil {
				return nil, err
			}
			p := binary.BigEndian.Uint32(row[20:])
			if p != graphNone && int64(p) >= c.n {
				return nil, fmt.Errorf("%w: it names commit %d of %d", ErrGraph, p, c.n)
			}
			first = append(first, p)
		}
	}
	return first, nil
}

// skip is Skip for a chain that is lined up.
func (w *PathWalk) skip(l *graphLines, start int64) (at int64) {
	masks := w.masksOf(l.hashes)
	pos := l.place[start]
	from := uint32(0)
	if pos > 0 {
		from = l.ends[pos-1]
	}
	for {
		end := l.ends[pos]
		n := end - from
		maybe := true
		if n <= maxMasked {
			m, b := &masks[n], l.bits[from:from+maxMasked]
			maybe = binary.LittleEndian.Uint64(b)&m[0] == m[0] && binary.LittleEndian.Uint64(b[8:])&m[1] == m[1]
		}
		if maybe && (n == 0 || w.holds(l.bits[from:end], l.hashes)) {
			break
		}
		if l.commits[pos]&lineEnd == 0 {
			pos, from = pos+1, end
			continue
		}
		next, ok := l.parents[pos]
		if !ok {
			break
		}
		if pos, from = next, 0; pos > 0 {
			from = l.ends[pos-1]
		}
	}
	return int64(l.commits[pos] &^ lineEnd)
}

// maxMasked bounds the length of filters that are looked at as two words, in
// bytes: those of commits that change up to 12 paths, or one with the folders
// above it.
const maxMasked = 16

// masks are, by the length of a filter in bytes, bits that it has if it holds any
// of the paths. Bit i of the filter is bit i of the words.
type masks [maxMasked + 1][2]uint64

// masksOf returns the masks: what all the paths have set.
func (w *PathWalk) masksOf(hashes uint32) *masks {
	if w.masked != nil {
		return w.masked
	}
	w.masked = new(masks)
	for n := 1; n <= maxMasked && !w.any; n++ {
		for i, probes := range w.probesOf(n, hashes) {
			var m [2]uint64
			for _, p := range probes {
				m[p.byte/8] |= uint64(p.bit) << (p.byte % 8 * 8)
			}
			if i > 0 {
				m[0], m[1] = m[0]&w.masked[n][0], m[1]&w.masked[n][1]
			}
			w.masked[n] = m
		}
	}
	return w.masked
}

// probe is a bit of a filter that a path has set.
type probe struct {
	byte uint32
	bit  byte
}

// maxProbed bounds the length of filters whose probes are kept, in bytes: those
// of commits that change up to 50 paths.
const maxProbed = 64

// holds reports whether a filter may hold one of the paths with the folders above
// it.
func (w *PathWalk) holds(bits []byte, hashes uint32) bool {
	switch {
	case w.any:
		return true
	case len(bits) > maxProbed:
		return slices.ContainsFunc(w.keys, func(keys []bloomKey) bool { return holdsAll(bits, keys, hashes) })
	}
	if w.hashes != hashes {
		w.probes, w.hashes = [maxProbed + 1][][]probe{}, hashes
	}
	if w.probes[len(bits)] == nil {
		w.probes[len(bits)] = w.probesOf(len(bits), hashes)
	}
next:
	for _, probes := range w.probes[len(bits)] {
		for _, p := range probes {
			if bits[p.byte]&p.bit == 0 {
				continue next
			}
		}
		return true
	}
	return false
}

// holdsAll reports whether a filter may hold a path and the folders above it.
func holdsAll(bits []byte, keys []bloomKey, hashes uint32) bool {
	for _, k := range keys {
		for i := range hashes {
			if p := k.probe(i, len(bits)); bits[p.byte]&p.bit == 0 {
				return false
			}
		}
	}
	return true
}

// probe returns the i-th bit of a path in a filter of some bytes.
func (k bloomKey) probe(i uint32, length int) probe {
	bit := uint64(k.h0+i*k.h1) % (uint64(length) * 8)
	return probe{uint32(bit / 8), 1 << (bit % 8)}
}

// probesOf returns the bits of each path in a filter of some bytes.
func (w *PathWalk) probesOf(length int, hashes uint32) [][]probe {
	paths := make([][]probe, len(w.keys))
	for i, keys := range w.keys {
		for _, k := range keys {
			for h := range hashes {
				paths[i] = append(paths[i], k.probe(h, length))
			}
		}
	}
	return paths
}

// idAt returns the id of a commit of the chain.
func (w *PathWalk) idAt(at int64) (id vcs.ID, err error) {
	g, i, err := w.c.layer(at)
	if err != nil {
		return id, err
	}
	err = w.read(g, "OIDL", w.buf[:len(id)], i*int64(len(id)))
	return vcs.ID(w.buf[:len(id)]), err
}
