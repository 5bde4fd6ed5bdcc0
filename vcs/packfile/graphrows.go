package packfile

import (
	"encoding/binary"
	"fmt"
	"io"

	"arpeggio/vcs"
)

// graphRows are rows of graphs, which are written as one file.
type graphRows struct {
	graphs []*CommitGraph
	// kept visits the commits that are written, in the order of their names.
	kept func(visit func(id vcs.ID, graph int, at int64) error) error
	// parent says where a parent of a commit, at a place that its graph names,
	// will be.
	parent func(id vcs.ID, graph int, at uint32) (uint32, error)
}

// write writes a file that builds on some others.
func (m *graphRows) write(w io.Writer, bases []vcs.ID) error {
	c := m.columns()
	c.bases = bases
	if err := m.sizes(c); err != nil {
		return err
	}
	return c.write(w)
}

// octopus visits the parents of a commit after the first, when its second says
// where in a graph's EDGE chunk they are.
func (m *graphRows) octopus(graph int, second uint32, visit func(at uint32, last bool) error) error {
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
func (m *graphRows) sizes(c *graphColumns) error {
	data, late, filters := m.each("CDAT", graphDataLen), m.each("GDA2", 4), m.filterSizes()
	err := m.kept(func(id vcs.ID, graph int, at int64) error {
		c.fanout[id[0]]++
		c.n++
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
	return err
}

// each returns a chunk's reader for each graph.
func (m *graphRows) each(id string, width int64) []*column {
	out := make([]*column, len(m.graphs))
	for i, g := range m.graphs {
		out[i] = g.column(id, width)
	}
	return out
}

// filterSizes returns a function that says where a commit's filter is.
func (m *graphRows) filterSizes() func(graph int, at int64) (section, error) {
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
func (m *graphRows) columns() *graphColumns {
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
func (m *graphRows) filters(c *graphColumns, rows func(func(*hashed, vcs.ID, int, int64) error) func(*hashed) error) {
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
