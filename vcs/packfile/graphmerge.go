package packfile

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"

	"arpeggio/vcs"
)

// graphGone marks a commit that is left out of a merged graph.
const graphGone = ^uint32(0)

// MergeCommitGraphs writes one commit-graph of the commits of several that keep,
// unless it is nil, wants. A commit that it wants must have its parents in the
// same graph and wanted, too. The graphs are read where they lie; 4 bytes are
// held for each of their commits. The error wraps ErrGraph for a graph that is
// damaged and ErrMissing for a parent that keep does not want.
func MergeCommitGraphs(ctx context.Context, w io.Writer, graphs []*CommitGraph, keep func(vcs.ID) (bool, error)) error {
	m := &graphMerger{ctx: ctx, graphs: graphs, to: make([][]uint32, len(graphs))}
	if err := m.number(keep); err != nil {
		return err
	}
	c := m.columns()
	if err := m.sizes(c); err != nil {
		return err
	}
	return c.write(w)
}

type graphMerger struct {
	ctx    context.Context
	graphs []*CommitGraph
	to     [][]uint32 // places in the merged graph
	n      uint32
}

// all visits the graphs' commits in the order of their names, those of the same
// name one after the other.
func (m *graphMerger) all(visit func(id vcs.ID, graph int, at int64) error) error {
	names := make([]*column, len(m.graphs))
	heads := make([]vcs.ID, len(m.graphs))
	at := make([]int64, len(m.graphs))
	next := func(i int) error {
		if at[i] == m.graphs[i].n {
			return nil
		}
		b, err := names[i].row(at[i])
		if err != nil {
			return err
		}
		id := vcs.ID(b)
		if at[i] > 0 && bytes.Compare(id[:], heads[i][:]) <= 0 {
			return fmt.Errorf("%w: its commits are not sorted", ErrGraph)
		}
		heads[i] = id
		return nil
	}
	for i, g := range m.graphs {
		names[i] = g.column("OIDL", 20)
		if err := next(i); err != nil {
			return err
		}
	}
	for k := 0; ; k++ {
		if k%1024 == 0 {
			if err := m.ctx.Err(); err != nil {
				return err
			}
		}
		first := -1
		for i := range m.graphs {
			if at[i] < m.graphs[i].n && (first < 0 || bytes.Compare(heads[i][:], heads[first][:]) < 0) {
				first = i
			}
		}
		if first < 0 {
			return nil
		}
		if err := visit(heads[first], first, at[first]); err != nil {
			return err
		}
		at[first]++
		if err := next(first); err != nil {
			return err
		}
	}
}

// number gives each commit that is kept its place.
func (m *graphMerger) number(keep func(vcs.ID) (bool, error)) error {
	for i, g := range m.graphs {
		m.to[i] = make([]uint32, g.n)
	}
	var last vcs.ID
	kept, first := false, true // last is kept; there is no last
	return m.all(func(id vcs.ID, graph int, at int64) error {
		if id != last || first {
			last, kept, first = id, true, false
			if keep != nil {
				var err error
				if kept, err = keep(id); err != nil {
					return err
				}
			}
			if kept {
				m.n++
			}
		}
		m.to[graph][at] = graphGone
		if kept {
			m.to[graph][at] = m.n - 1
		}
		if m.n > graphMax {
			return fmt.Errorf("%w: more than %d commits in a commit-graph", ErrLimit, graphMax)
		}
		return nil
	})
}

// kept visits the commits of the merged graph.
func (m *graphMerger) kept(visit func(id vcs.ID, graph int, at int64) error) error {
	next := uint32(0)
	return m.all(func(id vcs.ID, graph int, at int64) error {
		if m.to[graph][at] != next {
			return nil
		}
		next++
		return visit(id, graph, at)
	})
}

// parent translates the place of a parent of a commit.
func (m *graphMerger) parent(id vcs.ID, graph int, at uint32) (uint32, error) {
	if int64(at) >= m.graphs[graph].n {
		return 0, fmt.Errorf("%w: %v has a parent beyond the last commit", ErrGraph, id)
	}
	if to := m.to[graph][at]; to != graphGone {
		return to, nil
	}
	return 0, fmt.Errorf("%w: a parent of %v is left out of the commit-graph", ErrMissing, id)
}

// octopus visits the parents of a commit after the first, when its second says
// where in a graph's EDGE chunk they are.
func (m *graphMerger) octopus(graph int, second uint32, visit func(at uint32, last bool) error) error {
	edges := m.graphs[graph].column("EDGE", 4)
	for i := int64(second &^ graphMore); ; i++ {
		e, err := edges.u32(i)
		if err != nil {
			return err
		}
		last := e&graphMore != 0
		if err := visit(e&^graphMore, last); err != nil || last {
			return err
		}
	}
}

// sizes measures the chunks whose length depends on the commits.
func (m *graphMerger) sizes(c *graphColumns) error {
	data, late, filters := m.each("CDAT", graphDataLen), m.each("GDA2", 4), m.filterSizes()
	err := m.kept(func(id vcs.ID, graph int, at int64) error {
		c.fanout[id[0]]++
		row, err := data[graph].row(at)
		if err != nil {
			return err
		}
		if second := binary.BigEndian.Uint32(row[24:]); second&graphMore != 0 {
			if err := m.octopus(graph, second, func(uint32, bool) error { c.edges++; return nil }); err != nil {
				return err
			}
		}
		l, err := late[graph].u32(at)
		if err != nil {
			return err
		}
		if l&graphMore != 0 {
			c.far++
		}
		s, err := filters(graph, at)
		c.filters += uint64(s.size)
		return err
	})
	for i := range 255 {
		c.fanout[i+1] += c.fanout[i]
	}
	c.n = int(m.n)
	return err
}

// each returns a chunk's reader for each graph.
func (m *graphMerger) each(id string, width int64) []*column {
	out := make([]*column, len(m.graphs))
	for i, g := range m.graphs {
		out[i] = g.column(id, width)
	}
	return out
}

// filterSizes returns a function that says where a commit's filter is.
func (m *graphMerger) filterSizes() func(graph int, at int64) (section, error) {
	ends, befores := m.each("BIDX", 4), m.each("BIDX", 4)
	return func(graph int, at int64) (section, error) {
		end, err := ends[graph].u32(at)
		if err != nil {
			return section{}, err
		}
		from := uint32(0)
		if at > 0 {
			if from, err = befores[graph].u32(at - 1); err != nil {
				return section{}, err
			}
		}
		s := m.graphs[graph].chunks["BDAT"]
		if from > end || int64(end) > s.size-bloomHeader || end-from > maxSpilled {
			return section{}, fmt.Errorf("%w: a filter at %d to %d of %d bytes", ErrGraph, from, end, s.size)
		}
		return section{s.at + bloomHeader + int64(from), int64(end - from)}, nil
	}
}

// columns returns what the chunks are written of.
func (m *graphMerger) columns() *graphColumns {
	c := &graphColumns{}
	rows := func(row func(out *hashed, id vcs.ID, graph int, at int64) error) func(*hashed) error {
		return func(out *hashed) error {
			return m.kept(func(id vcs.ID, graph int, at int64) error { return row(out, id, graph, at) })
		}
	}
	c.ids = rows(func(out *hashed, id vcs.ID, _ int, _ int64) error {
		_, err := out.Write(id[:])
		return err
	})
	data, edges := m.each("CDAT", graphDataLen), uint32(0)
	c.data = rows(func(out *hashed, id vcs.ID, graph int, at int64) error {
		row, err := data[graph].row(at)
		if err != nil {
			return err
		}
		out.Write(row[:20])
		for i := 20; i < 28; i += 4 {
			p := binary.BigEndian.Uint32(row[i:])
			switch {
			case p == graphNone:
			case i == 24 && p&graphMore != 0:
				from := edges
				err = m.octopus(graph, p, func(uint32, bool) error { edges++; return nil })
				p = graphMore | from
			default:
				p, err = m.parent(id, graph, p)
			}
			if err != nil {
				return err
			}
			out.u32(p)
		}
		_, err = out.Write(row[28:])
		return err
	})
	late, far := m.each("GDA2", 4), uint32(0)
	c.late = rows(func(out *hashed, _ vcs.ID, graph int, at int64) error {
		l, err := late[graph].u32(at)
		if l&graphMore != 0 {
			l = graphMore | far
			far++
		}
		out.u32(l)
		return err
	})
	lateAgain, overflow := m.each("GDA2", 4), m.each("GDO2", 8)
	c.overflow = rows(func(out *hashed, _ vcs.ID, graph int, at int64) error {
		l, err := lateAgain[graph].u32(at)
		if err != nil || l&graphMore == 0 {
			return err
		}
		row, err := overflow[graph].row(int64(l &^ graphMore))
		if err == nil {
			_, err = out.Write(row)
		}
		return err
	})
	dataAgain := m.each("CDAT", graphDataLen)
	c.octopus = rows(func(out *hashed, id vcs.ID, graph int, at int64) error {
		row, err := dataAgain[graph].row(at)
		if err != nil {
			return err
		}
		second := binary.BigEndian.Uint32(row[24:])
		if second&graphMore == 0 {
			return nil
		}
		return m.octopus(graph, second, func(at uint32, last bool) error {
			p, err := m.parent(id, graph, at)
			if last {
				p |= graphMore
			}
			out.u32(p)
			return err
		})
	})
	m.filters(c, rows)
	return c
}

// filters sets the functions that write the changed-path filters.
func (m *graphMerger) filters(c *graphColumns, rows func(func(*hashed, vcs.ID, int, int64) error) func(*hashed) error) {
	index, upTo := m.filterSizes(), uint32(0)
	c.index = rows(func(out *hashed, _ vcs.ID, graph int, at int64) error {
		s, err := index(graph, at)
		upTo += uint32(s.size)
		out.u32(upTo)
		return err
	})
	bodies, buf := m.filterSizes(), make([]byte, maxSpilled)
	c.bloom = rows(func(out *hashed, _ vcs.ID, graph int, at int64) error {
		s, err := bodies(graph, at)
		if err != nil {
			return err
		}
		b := buf[:s.size]
		if err := readAt(m.graphs[graph].r, b, s.at); err != nil {
			return fmt.Errorf("%w: %w", ErrGraph, err)
		}
		_, err = out.Write(b)
		return err
	})
}
