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

// CopyLayer writes a file of a chain as it has to be in another one, whose files
// below it have some checksums and so many commits together. The file must hold
// the parents of its commits, too: then nothing in it changes but their places,
// and the copy takes no memory to speak of. The error wraps ErrGraph when a
// parent is elsewhere, or the file is broken; ErrLimit when there are too many
// files or commits.
func (c *GraphChain) CopyLayer(ctx context.Context, w io.Writer, layer int, bases []vcs.ID, below int) error {
	g, first := c.layers[layer], c.first[layer]
	if len(bases) > MaxGraphBases || int64(below)+g.n > graphMax {
		return fmt.Errorf("%w: a commit-graph of %d files and %d commits", ErrLimit, len(bases)+1, int64(below)+g.n)
	}
	move := func(at uint32) (uint32, error) {
		own := int64(at) - first
		if own < 0 || own >= g.n {
			return 0, fmt.Errorf("%w: commit %d is in another file", ErrGraph, at)
		}
		return uint32(own + int64(below)), nil
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
	if len(bases) > 0 {
		chunks = append(chunks, graphChunk{"BASE", uint64(20 * len(bases)), func(out *hashed) error {
			for _, sum := range bases {
				out.Write(sum[:])
			}
			return nil
		}})
	}
	return writeGraph(w, len(bases), chunks)
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

// Sum returns the file's checksum, which is its name in a chain.
func (g *CommitGraph) Sum() (sum vcs.ID, err error) {
	if err := readAt(g.r, sum[:], g.size-20); err != nil {
		return sum, fmt.Errorf("%w: %w", ErrGraph, err)
	}
	return sum, nil
}
