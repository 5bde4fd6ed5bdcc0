package packfile

import (
	"io"

	"arpeggio/vcs"
)

// graphColumns is what a commit-graph file is written of: each function writes
// its chunk's content.
type graphColumns struct {
	n, edges, far int
	filters       uint64 // bytes of the changed-path filters
	bases         []vcs.ID

	fanout                                    [256]uint32
	ids, data, late, overflow, octopus, index func(*hashed) error
	bloom                                     func(*hashed) error
}

const (
	graphHeader  = 8
	chunkEntry   = 12
	bloomHeader  = 12
	graphDataLen = 36
)

// graphChunk is a chunk of a commit-graph file.
type graphChunk struct {
	id    string
	size  uint64
	write func(*hashed) error
}

// writeGraph writes a file that builds on some others, of checksums bases: header,
// table of chunks, chunks, checksum.
func writeGraph(w io.Writer, bases []vcs.ID, chunks []graphChunk) error {
	if len(bases) > 0 {
		chunks = append(chunks, graphChunk{"BASE", uint64(20 * len(bases)), func(out *hashed) error {
			for _, sum := range bases {
				out.Write(sum[:])
			}
			return nil
		}})
	}
	out := newHashed(w)
	out.WriteString("CGPH")
	out.Write([]byte{1, 1, byte(len(chunks)), byte(len(bases))}) // version, SHA-1
	at := uint64(graphHeader + (len(chunks)+1)*chunkEntry)
	for _, k := range chunks {
		out.WriteString(k.id)
		out.u64(at)
		at += k.size
	}
	out.u32(0)
	out.u64(at)
	for _, k := range chunks {
		if err := k.write(out); err != nil {
			return err
		}
	}
	return out.finish()
}

// write writes the file.
func (c *graphColumns) write(w io.Writer) error {
	n := uint64(c.n)
	chunks := []graphChunk{
		{"OIDF", 256 * 4, func(out *hashed) error {
			for _, v := range c.fanout {
				out.u32(v)
			}
			return nil
		}},
		{"OIDL", n * 20, c.ids},
		{"CDAT", n * graphDataLen, c.data},
		{"GDA2", n * 4, c.late},
	}
	if c.far > 0 {
		chunks = append(chunks, graphChunk{"GDO2", uint64(c.far) * 8, c.overflow})
	}
	if c.edges > 0 {
		chunks = append(chunks, graphChunk{"EDGE", uint64(c.edges) * 4, c.octopus})
	}
	chunks = append(chunks, graphChunk{"BIDX", n * 4, c.index}, graphChunk{"BDAT", bloomHeader + c.filters, func(out *hashed) error {
		out.u32(bloomVersion)
		out.u32(bloomHashes)
		out.u32(bloomBits)
		return c.bloom(out)
	}})
	return writeGraph(w, c.bases, chunks)
}

// write writes the file of the nodes.
func (g *graphWriter) write(w io.Writer) error {
	c := graphColumns{n: len(g.nodes), edges: len(g.edges), far: len(g.far), filters: g.filters}
	for i := range g.nodes {
		c.fanout[g.nodes[i].id[0]]++
	}
	for i := range 255 {
		c.fanout[i+1] += c.fanout[i]
	}
	buf := make([]byte, 0, maxSpilled)
	rows := func(row func(*hashed, *graphNode) error) func(*hashed) error {
		return func(out *hashed) error {
			for i := range g.nodes {
				if err := row(out, &g.nodes[i]); err != nil {
					return err
				}
			}
			return g.ctx.Err()
		}
	}
	c.ids = rows(func(out *hashed, n *graphNode) error {
		_, err := out.Write(n.id[:])
		return err
	})
	sizes := make([]uint16, 0, len(g.nodes)) // of the filters
	c.data = rows(func(out *hashed, n *graphNode) error {
		tree, filter, err := g.record(n, buf)
		if err != nil {
			return err
		}
		out.Write(tree[:])
		out.u32(n.parents[0])
		out.u32(n.parents[1])
		out.u32(n.level<<2 | uint32(n.date>>32))
		out.u32(uint32(n.date))
		sizes = append(sizes, uint16(len(filter)))
		return nil
	})
	far := uint32(0)
	c.late = rows(func(out *hashed, n *graphNode) error {
		if n.late&graphMore == 0 {
			out.u32(n.late)
			return nil
		}
		out.u32(graphMore | far)
		far++
		return nil
	})
	c.overflow = func(out *hashed) error {
		for i := range g.nodes {
			if n := &g.nodes[i]; n.late&graphMore != 0 {
				out.u64(g.lateness(n))
			}
		}
		return nil
	}
	c.octopus = func(out *hashed) error {
		for _, e := range g.edges {
			out.u32(e)
		}
		return nil
	}
	upTo := uint32(0)
	c.index = func(out *hashed) error {
		for _, n := range sizes {
			upTo += uint32(n)
			out.u32(upTo)
		}
		return nil
	}
	c.bloom = rows(func(out *hashed, n *graphNode) error {
		_, filter, err := g.record(n, buf)
		if err != nil {
			return err
		}
		_, err = out.Write(filter)
		return err
	})
	return c.write(w)
}
