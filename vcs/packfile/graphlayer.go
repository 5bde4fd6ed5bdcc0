package packfile

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"

	"arpeggio/vcs"
)

// MaxGraphBases is how many files one file of a commit-graph can build on.
const MaxGraphBases = 255

// Layer returns a file of the chain as it lies there, 0 being the base.
func (c *GraphChain) Layer(i int) *CommitGraph { return c.layers[i] }

// Layers returns the number of files.
func (c *GraphChain) Layers() int { return len(c.layers) }

// CopyLayer writes a file of a chain as it has to be on top of another one:
// without the commits that are there already, and with the ancestors that lay
// below it in its own chain and are not. On an empty chain it has all of them.
// A file that neither lacks nor has too much is copied as it is but for the
// places of parents, which takes no memory to speak of; of another one, 8 bytes
// are held for each commit, and 40 and more for those that lay below it. The error wraps ErrGraph when a file is broken;
// ErrLimit when there are too many files or commits.
func (c *GraphChain) CopyLayer(ctx context.Context, w io.Writer, layer int, base *GraphChain) error {
	g, first := c.layers[layer], c.first[layer]
	if len(base.layers) > MaxGraphBases || base.n+g.n > graphMax {
		return fmt.Errorf("%w: a commit-graph of %d files and %d commits", ErrLimit, len(base.layers)+1, base.n+g.n)
	}
	bases, err := base.sums()
	if err != nil {
		return err
	}
	if apart, err := c.apart(ctx, layer, base); err != nil {
		return err
	} else if !apart {
		return c.copyOnto(ctx, w, layer, base, bases)
	}
	move := func(at uint32) (uint32, error) {
		own := int64(at) - first
		if own < 0 || own >= g.n {
			return 0, fmt.Errorf("%w: commit %d is in another file", ErrGraph, at)
		}
		return uint32(own + base.n), nil
	}
	var chunks []graphChunk
	for _, id := range []string{"OIDF", "OIDL", "CDAT", "GDA2", "GDO2", "EDGE", "BIDX", "BDAT"} {
		s, ok := g.chunks[id]
		if !ok {
			continue
		}
		k := graphChunk{id, uint64(s.size), func(out *hashed) error {
			_, err := io.Copy(out, contextReader{ctx, io.NewSectionReader(g.r, s.at, s.size)})
			return err
		}}
		switch id {
		case "CDAT":
			k.write = func(out *hashed) error {
				return g.rows(ctx, id, graphDataLen, func(row []byte) error { return moveParents(out, row, move) })
			}
		case "EDGE":
			k.write = func(out *hashed) error {
				return g.rows(ctx, id, 4, func(row []byte) error {
					e := binary.BigEndian.Uint32(row)
					to, err := move(e &^ graphMore)
					out.u32(to | e&graphMore)
					return err
				})
			}
		}
		chunks = append(chunks, k)
	}
	return writeGraph(w, bases, chunks)
}

// apart reports whether a file has all ancestors of its commits and none of the
// commits of base. As both hold whole histories, it is enough to look at roots.
func (c *GraphChain) apart(ctx context.Context, layer int, base *GraphChain) (bool, error) {
	g, first := c.layers[layer], uint32(c.first[layer])
	names, at, apart := g.column("OIDL", 20), int64(0), true
	err := g.rows(ctx, "CDAT", graphDataLen, func(row []byte) error {
		p := rowParents(row)
		switch {
		case p[0] != graphNone:
			apart = apart && p[0] >= first && p[1] >= first // graphNone and graphMore are beyond all places
		case base.n > 0 && apart:
			name, err := names.row(at)
			if err != nil {
				return err
			}
			_, has, err := base.find(vcs.ID(name))
			apart = !has
			if err != nil {
				return err
			}
		}
		at++
		return nil
	})
	if err != nil || !apart || first == 0 {
		return apart, err
	}
	err = g.rows(ctx, "EDGE", 4, func(row []byte) error {
		apart = apart && binary.BigEndian.Uint32(row)&^graphMore >= first
		return nil
	})
	return apart, err
}

// rows visits the rows of a chunk.
func (g *CommitGraph) rows(ctx context.Context, id string, width int64, visit func([]byte) error) error {
	c := g.column(id, width)
	for i := range g.chunks[id].size / width {
		if i%1024 == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		row, err := c.row(i)
		if err == nil {
			err = visit(row)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// moveParents writes a row of the CDAT chunk with other places of the parents.
func moveParents(out *hashed, row []byte, move func(uint32) (uint32, error)) error {
	out.Write(row[:20])
	for i := 20; i < 28; i += 4 {
		p := binary.BigEndian.Uint32(row[i:])
		if p != graphNone && p&graphMore == 0 {
			var err error
			if p, err = move(p); err != nil {
				return err
			}
		}
		out.u32(p)
	}
	_, err := out.Write(row[28:])
	return err
}

// contextReader ends reading with its context.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

// Read implements io.Reader.
func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// sums returns the names of the files.
func (c *GraphChain) sums() (sums []vcs.ID, err error) {
	for _, g := range c.layers {
		sum, err := g.Sum()
		if err != nil {
			return nil, err
		}
		sums = append(sums, sum)
	}
	return sums, nil
}

// Sum returns the file's checksum, which is its name in a chain.
func (g *CommitGraph) Sum() (sum vcs.ID, err error) {
	if err := readAt(g.r, sum[:], g.size-20); err != nil {
		return sum, fmt.Errorf("%w: %w", ErrGraph, err)
	}
	return sum, nil
}
