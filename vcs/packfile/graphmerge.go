package packfile

import (
	"bytes"
	"context"
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
	rows := &graphRows{graphs: graphs, kept: m.kept, parent: m.parent}
	return rows.write(w, nil)
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
