package packfile

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"arpeggio/vcs"
)

// TellsChanges reports whether WriteCommitGraph can be used.
func (s *Set) TellsChanges() bool { return s.adds != nil && s.adds.TellsChanges() }

// WriteCommitGraph is the function of that name for the commits of a set whose
// repository tells what each of them changed: no object is read. The error wraps
// errors.ErrUnsupported when the repository does not.
func (s *Set) WriteCommitGraph(ctx context.Context, w io.Writer, scratch Scratch) error {
	if s.adds == nil {
		return fmt.Errorf("packfile: commit-graph of a set that was selected by walking: %w", errors.ErrUnsupported)
	}
	if scratch == nil {
		scratch = new(memory)
	}
	n := s.adds.Commits()
	if n > graphMax {
		return fmt.Errorf("%w: %d commits in a commit-graph", ErrLimit, n)
	}
	f := graphFeed{graphWriter: &graphWriter{ctx: ctx, r: s.r, scratch: scratch, nodes: make([]graphNode, 0, n)}, rest: map[uint32][]vcs.ID{}}
	f.diff.r = s.r
	if err := s.adds.Changes(ctx, f.add); err != nil {
		return err
	}
	if err := f.flush(); err != nil {
		return err
	}
	order, err := f.sort()
	if err != nil {
		return err
	}
	f.levels(order)
	return f.write(w)
}

// graphFeed takes in commits, parents before children.
type graphFeed struct {
	*graphWriter
	diff changes // for commits whose changes are not told
	buf  []byte  // of the scratch, not written yet
	last vcs.ID
	rest map[uint32][]vcs.ID // parents, of commits that are not the only child of the one before
}

// add takes in a commit. Until sort, a parent is the number of its record.
func (f *graphFeed) add(c *vcs.CommitChange) error {
	k := uint32(len(f.nodes))
	n := graphNode{id: c.ID, parents: [2]uint32{graphNone, graphNone}, spilled: k, date: uint64(max(c.Time, 0)) & (1<<34 - 1)}
	switch {
	case len(c.Parents) == 1 && k > 0 && c.Parents[0] == f.last:
		n.parents[0] = k - 1
	case len(c.Parents) > 0:
		f.rest[k] = slices.Clone(c.Parents)
	}
	f.last = c.ID
	f.nodes = append(f.nodes, n)
	if !c.Unknown {
		f.diff.reset()
		for _, path := range c.Paths {
			if !f.diff.file(path) {
				break
			}
		}
		return f.spillOne(&f.buf, c.Tree, f.diff.filter)
	}
	var old vcs.ID
	if len(c.Parents) > 0 {
		p, err := f.links(c.Parents[0])
		if err != nil {
			return err
		}
		old = p.tree
	}
	if err := f.diff.between(old, c.Tree); err != nil {
		return fmt.Errorf("commit %v: %w", c.ID, err)
	}
	return f.spillOne(&f.buf, c.Tree, f.diff.filter)
}

func (f *graphFeed) flush() error { return f.spillAll(&f.buf) }

// sort brings the nodes into the order of their names and returns their places
// in the order in which they came.
func (f *graphFeed) sort() (order []uint32, err error) {
	slices.SortFunc(f.nodes, func(a, b graphNode) int { return bytes.Compare(a.id[:], b.id[:]) })
	order = make([]uint32, len(f.nodes))
	kept := f.nodes[:0]
	for i := range f.nodes {
		n := f.nodes[i]
		if len(kept) == 0 || kept[len(kept)-1].id != n.id {
			kept = append(kept, n)
		} else if one := &kept[len(kept)-1]; n.spilled < one.spilled {
			n.spilled, one.spilled = one.spilled, n.spilled
			one.parents = n.parents
		}
		order[n.spilled] = uint32(len(kept) - 1)
		order[kept[len(kept)-1].spilled] = uint32(len(kept) - 1)
	}
	f.nodes = kept
	for i := range f.nodes {
		if n := &f.nodes[i]; n.parents[0] != graphNone {
			n.parents[0] = order[n.parents[0]]
		}
	}
	for _, k := range slices.Sorted(maps.Keys(f.rest)) {
		n := &f.nodes[order[k]]
		if n.spilled != k {
			continue // the commit came before
		}
		if err := f.setParents(n, f.rest[k]); err != nil {
			return nil, err
		}
	}
	return order, nil
}

// setParents looks for the parents of a commit.
func (g *graphWriter) setParents(n *graphNode, parents []vcs.ID) error {
	for k, p := range parents {
		at, ok := g.find(p)
		if !ok {
			return &MissingError{ID: p, From: n.id}
		}
		switch {
		case len(parents) <= 2 || k == 0:
			n.parents[k] = at
		default:
			if k == 1 {
				n.parents[1] = graphMore | uint32(len(g.edges))
			}
			if k == len(parents)-1 {
				at |= graphMore
			}
			g.edges = append(g.edges, at)
		}
	}
	return nil
}

// spillOne puts a commit's tree and filter into the scratch, by way of a buffer.
func (g *graphWriter) spillOne(buf *[]byte, tree vcs.ID, filter func([]byte) []byte) error {
	if g.spilled%spillStride == 0 {
		g.ends = append(g.ends, g.end)
	}
	g.spilled++
	at := len(*buf)
	b := append(*buf, tree[:]...)
	b = filter(append(b, 0, 0))
	size := len(b) - at - 22
	binary.BigEndian.PutUint16(b[at+20:], uint16(size))
	g.filters += uint64(size)
	g.end += int64(len(b) - at)
	if *buf = b; len(b) > pieceBytes-2048 {
		return g.spillAll(buf)
	}
	return nil
}

// spillAll empties the buffer.
func (g *graphWriter) spillAll(buf *[]byte) error {
	if _, err := g.scratch.WriteAt(*buf, g.end-int64(len(*buf))); err != nil {
		return fmt.Errorf("packfile: commit-graph: %w", err)
	}
	*buf = (*buf)[:0]
	return nil
}
