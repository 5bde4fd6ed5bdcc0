package packfile

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"arpeggio/vcs"
)

// ErrGraph: a file that is no commit-graph of the form that WriteCommitGraph
// makes.
var ErrGraph = errors.New("packfile: bad commit-graph")

// CommitGraph is a commit-graph file. It is read where it lies and safe for
// concurrent use.
type CommitGraph struct {
	r        io.ReaderAt
	size     int64
	n        int64
	bases    int // files that it builds on
	fanout   [257]uint32
	chunks   map[string]section
	settings [bloomHeader]byte // of its changed-path filters; zero without any
}

// section is a part of a file.
type section struct{ at, size int64 }

const maxChunks = 64

// OpenCommitGraph opens a commit-graph with the chunks that WriteCommitGraph
// writes. It looks at the file's frame; Verify reads the rest. The error wraps
// ErrGraph, or is the reader's.
func OpenCommitGraph(r io.ReaderAt, size int64) (*CommitGraph, error) {
	g, err := openGraph(r, size)
	if err != nil {
		return nil, err
	}
	if g.bases != 0 {
		return nil, fmt.Errorf("%w: it builds on other files", ErrGraph)
	}
	for _, id := range []string{"GDA2", "BIDX"} {
		if s, ok := g.chunks[id]; !ok || s.size != g.n*4 {
			return nil, fmt.Errorf("%w: chunk %s has %d bytes for %d commits", ErrGraph, id, s.size, g.n)
		}
	}
	want := [bloomHeader]byte{3: bloomVersion, 7: bloomHashes, 11: bloomBits}
	if g.settings != want || g.chunks["GDO2"].size%8 != 0 {
		return nil, fmt.Errorf("%w: no changed-path filters, or other ones, or broken chunks", ErrGraph)
	}
	return g, nil
}

// openGraph opens a commit-graph of any settings.
func openGraph(r io.ReaderAt, size int64) (*CommitGraph, error) {
	g := &CommitGraph{r: r, size: size, chunks: map[string]section{}}
	var head [graphHeader]byte
	if err := readAt(r, head[:], 0); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGraph, err)
	}
	count := int64(head[6])
	if string(head[:6]) != "CGPH\x01\x01" || count > maxChunks {
		return nil, fmt.Errorf("%w: header %x", ErrGraph, head)
	}
	g.bases = int(head[7])
	table := make([]byte, (count+1)*chunkEntry)
	if err := readAt(r, table, graphHeader); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGraph, err)
	}
	last := int64(graphHeader + len(table))
	for i := range count {
		at := int64(binary.BigEndian.Uint64(table[i*chunkEntry+4:]))
		end := int64(binary.BigEndian.Uint64(table[(i+1)*chunkEntry+4:]))
		if at < last || end < at || end > size-20 {
			return nil, fmt.Errorf("%w: chunk %.4q lies at %d to %d of %d bytes", ErrGraph, table[i*chunkEntry:], at, end, size)
		}
		g.chunks[string(table[i*chunkEntry:][:4])] = section{at, end - at}
		last = at
	}
	fan := make([]byte, 256*4)
	if g.chunks["OIDF"].size != int64(len(fan)) {
		return nil, fmt.Errorf("%w: no fan-out table", ErrGraph)
	}
	if err := readAt(r, fan, g.chunks["OIDF"].at); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGraph, err)
	}
	for i := range 256 {
		g.fanout[i+1] = binary.BigEndian.Uint32(fan[4*i:])
		if g.fanout[i+1] < g.fanout[i] {
			return nil, fmt.Errorf("%w: its fan-out table decreases", ErrGraph)
		}
	}
	g.n = int64(g.fanout[256])
	for _, c := range []struct {
		id   string
		size int64
	}{{"OIDL", 20}, {"CDAT", graphDataLen}} {
		if s, ok := g.chunks[c.id]; !ok || s.size != g.n*c.size {
			return nil, fmt.Errorf("%w: chunk %s has %d bytes for %d commits", ErrGraph, c.id, s.size, g.n)
		}
	}
	if g.chunks["EDGE"].size%4 != 0 {
		return nil, fmt.Errorf("%w: broken chunks", ErrGraph)
	}
	if g.chunks["BDAT"].size >= bloomHeader && g.chunks["BIDX"].size == g.n*4 {
		if err := readAt(r, g.settings[:], g.chunks["BDAT"].at); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrGraph, err)
		}
	}
	return g, nil
}

// Len returns the number of commits.
func (g *CommitGraph) Len() int { return int(g.n) }

// Has reports whether a commit is in the graph.
func (g *CommitGraph) Has(id vcs.ID) (bool, error) {
	_, ok, err := g.find(id)
	return ok, err
}

// find returns a commit's place in the file.
func (g *CommitGraph) find(id vcs.ID) (int64, bool, error) {
	lo, hi := int64(g.fanout[id[0]]), int64(g.fanout[int(id[0])+1])
	var at vcs.ID
	for lo < hi {
		mid := (lo + hi) / 2
		if err := readAt(g.r, at[:], g.chunks["OIDL"].at+mid*20); err != nil {
			return 0, false, fmt.Errorf("%w: %w", ErrGraph, err)
		}
		switch d := bytes.Compare(id[:], at[:]); {
		case d == 0:
			return mid, true, nil
		case d < 0:
			hi = mid
		default:
			lo = mid + 1
		}
	}
	return 0, false, nil
}

// Verify compares the file with its checksum. The error wraps ErrGraph, or is the
// reader's.
func (g *CommitGraph) Verify(ctx context.Context) error {
	h := sha1.New()
	buf := make([]byte, 64<<10)
	for at := int64(0); at < g.size-20; at += int64(len(buf)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := buf[:min(int64(len(buf)), g.size-20-at)]
		if err := readAt(g.r, b, at); err != nil {
			return fmt.Errorf("%w: %w", ErrGraph, err)
		}
		h.Write(b)
	}
	var sum vcs.ID
	if err := readAt(g.r, sum[:], g.size-20); err != nil {
		return fmt.Errorf("%w: %w", ErrGraph, err)
	}
	if vcs.ID(h.Sum(nil)) != sum {
		return fmt.Errorf("%w: it does not match its checksum", ErrGraph)
	}
	return nil
}

// column reads the rows of a chunk, which are asked for in ascending order.
type column struct {
	r     io.ReaderAt
	s     section
	width int64
	buf   []byte
	from  int64 // row of buf[0]
}

func (g *CommitGraph) column(id string, width int64) *column {
	return &column{r: g.r, s: g.chunks[id], width: width, buf: make([]byte, 0, 256*width)}
}

// row returns a row until the next call.
func (c *column) row(i int64) ([]byte, error) {
	if at := (i - c.from) * c.width; at >= 0 && at+c.width <= int64(len(c.buf)) {
		return c.buf[at : at+c.width], nil
	}
	if i < 0 || (i+1)*c.width > c.s.size {
		return nil, fmt.Errorf("%w: row %d of a chunk of %d bytes", ErrGraph, i, c.s.size)
	}
	c.buf = c.buf[:min(int64(cap(c.buf)), c.s.size-i*c.width)]
	c.from = i
	if err := readAt(c.r, c.buf, c.s.at+i*c.width); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrGraph, err)
	}
	return c.buf[:c.width], nil
}

func (c *column) u32(i int64) (uint32, error) {
	b, err := c.row(i)
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint32(b), nil
}
