package packfile

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"

	"arpeggio/vcs"
)

// Parents of a commit in a commit-graph (gitformat-commit-graph(5), CDAT and
// EDGE).
const (
	graphNone = 0x70000000 // no parent
	graphMore = 1 << 31    // second parent: an index into the edges; there: the last one
	graphMax  = graphNone - 1
)

// generationMax is the largest generation number of version 1.
const generationMax = 1<<30 - 1

// graphNode is what is held of a commit while its graph is written: 48 bytes.
type graphNode struct {
	id      vcs.ID
	parents [2]uint32
	level   uint32 // generation number of version 1; 0 until known
	late    uint32 // corrected commit date less date
	spilled uint32 // number of its record in the scratch
	date    uint64
}

type graphWriter struct {
	ctx     context.Context
	r       vcs.ObjectReader
	nodes   []graphNode
	edges   []uint32 // parents of octopus merges after the first
	scratch Scratch
	ends    []int64 // of every spillStride-th record in the scratch
	end     int64
	spilled int      // records in the scratch
	far     []uint64 // corrected dates that are too late for 31 bits
	filters uint64   // bytes of all filters
}

// WriteCommitGraph writes a commit-graph (gitformat-commit-graph(5)) of commits
// with generation numbers of versions 1 and 2 and changed-path Bloom filters:
// byte for byte what `git commit-graph write --changed-paths` makes, save for the
// filters of commits that change paths outside of ASCII, which stock git makes
// differently on different machines; those here match any path.
//
// The commits must be closed under parents; they are read in their order. Held for
// each are about 52 bytes, and some 30 in the scratch; a nil scratch is memory.
// The error wraps ErrMissing when a parent is not among the commits.
func WriteCommitGraph(ctx context.Context, w io.Writer, r vcs.ObjectReader, commits []vcs.ID, scratch Scratch) error {
	if scratch == nil {
		scratch = new(memory)
	}
	if len(commits) > graphMax {
		return fmt.Errorf("%w: %d commits in a commit-graph", ErrLimit, len(commits))
	}
	g := &graphWriter{ctx: ctx, r: r, scratch: scratch, nodes: make([]graphNode, len(commits))}
	for i, id := range commits {
		g.nodes[i].id = id
	}
	slices.SortFunc(g.nodes, func(a, b graphNode) int { return bytes.Compare(a.id[:], b.id[:]) })
	g.nodes = slices.CompactFunc(g.nodes, func(a, b graphNode) bool { return a.id == b.id })
	if err := g.link(commits); err != nil {
		return err
	}
	order := g.order()
	g.levels(order)
	if err := g.spill(order); err != nil {
		return err
	}
	return g.write(w)
}

// link reads the commits' parents and dates.
func (g *graphWriter) link(commits []vcs.ID) error {
	several := map[uint32][]vcs.ID{} // the parents of octopuses
	for _, id := range commits {
		if err := g.ctx.Err(); err != nil {
			return err
		}
		i, _ := g.find(id)
		n := &g.nodes[i]
		l, err := g.links(id)
		if err != nil {
			return err
		}
		n.date = uint64(max(l.time, 0)) & (1<<34 - 1)
		n.parents = [2]uint32{graphNone, graphNone}
		if len(l.parents) > 2 {
			several[i] = l.parents
		} else if err := g.setParents(n, l.parents); err != nil {
			return err
		}
	}
	for _, i := range slices.Sorted(maps.Keys(several)) {
		if err := g.setParents(&g.nodes[i], several[i]); err != nil {
			return err
		}
	}
	return nil
}

// find returns where a commit is.
func (g *graphWriter) find(id vcs.ID) (uint32, bool) {
	i, ok := slices.BinarySearchFunc(g.nodes, id, func(n graphNode, id vcs.ID) int { return bytes.Compare(n.id[:], id[:]) })
	return uint32(i), ok
}

func (g *graphWriter) links(id vcs.ID) (links, error) { return readLinks(g.r, id) }

// readLinks reads what a commit leads to.
func readLinks(r vcs.ObjectReader, id vcs.ID) (links, error) {
	kind, content, err := r.ReadObject(id)
	if err == nil && kind != vcs.KindCommit {
		err = fmt.Errorf("%w: %v is a %v, not a commit", vcs.ErrWrongKind, id, kind)
	}
	if err != nil {
		return links{}, err
	}
	l, err := parseLinks(content)
	if err != nil {
		return l, fmt.Errorf("commit %v: %w", id, err)
	}
	return l, nil
}

// order returns the commits oldest first: nearly as they were made.
func (g *graphWriter) order() []uint32 {
	order := make([]uint32, len(g.nodes))
	for i := range order {
		order[i] = uint32(i)
	}
	slices.SortFunc(order, func(a, b uint32) int {
		switch x, y := &g.nodes[a], &g.nodes[b]; {
		case x.date < y.date:
			return -1
		case x.date > y.date:
			return 1
		}
		return int(a) - int(b)
	})
	return order
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

// each calls yield for the parents of a commit until it says false.
func (g *graphWriter) each(n *graphNode, yield func(uint32) bool) {
	if n.parents[0] == graphNone || !yield(n.parents[0]) || n.parents[1] == graphNone {
		return
	}
	if n.parents[1]&graphMore == 0 {
		yield(n.parents[1])
		return
	}
	for i := n.parents[1] &^ graphMore; ; i++ {
		e := g.edges[i]
		if !yield(e&^graphMore) || e&graphMore != 0 {
			return
		}
	}
}

// levels computes the generation numbers: the longest way to a commit without
// parents (version 1), and the date, but later than every parent's (version 2),
// which is kept as its distance from the date.
func (g *graphWriter) levels(order []uint32) {
	var todo []uint32
	for _, i := range order {
		todo = append(todo[:0], i)
		for len(todo) > 0 {
			n := &g.nodes[todo[len(todo)-1]]
			if n.level != 0 {
				todo = todo[:len(todo)-1]
				continue
			}
			level, date, ready := uint32(0), uint64(0), true
			g.each(n, func(p uint32) bool {
				if parent := &g.nodes[p]; parent.level == 0 {
					todo, ready = append(todo, p), false
				} else {
					level, date = max(level, parent.level), max(date, parent.date+g.lateness(parent))
				}
				return ready
			})
			if !ready {
				continue
			}
			n.level = min(level, generationMax-1) + 1
			if n.date == 0 || n.date <= date {
				g.setLateness(n, date+1-n.date)
			}
		}
	}
}

// lateness returns how much later the corrected date is.
func (g *graphWriter) lateness(n *graphNode) uint64 {
	if n.late&graphMore == 0 {
		return uint64(n.late)
	}
	return g.far[n.late&^graphMore]
}

func (g *graphWriter) setLateness(n *graphNode, late uint64) {
	if late < graphMore {
		n.late = uint32(late)
		return
	}
	n.late = graphMore | uint32(len(g.far))
	g.far = append(g.far, late)
}
