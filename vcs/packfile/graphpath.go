package packfile

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"sync"

	"arpeggio/vcs"
)

// GraphChain is a repository's commit-graph: one file, or several each of which
// builds on those before it, as git writes them with --split. Their settings are
// as they come: with changed-path filters of either version, or without. It is
// safe for concurrent use.
type GraphChain struct {
	layers []*CommitGraph
	first  []int64 // place of a layer's first commit
	n      int64

	mu       sync.Mutex
	steps    int64 // of all walks
	lined    *graphLines
	badLines error
}

// OpenGraphChain opens the files of a commit-graph, the base first, of sizes. It
// looks at their frames. The error wraps ErrGraph, or is a reader's.
func OpenGraphChain(files []io.ReaderAt, sizes []int64) (*GraphChain, error) {
	c := new(GraphChain)
	for i, f := range files {
		if err := c.Grow(f, sizes[i]); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Grow puts a file on top of the chain, which nobody else uses meanwhile. Errors
// as with OpenGraphChain.
func (c *GraphChain) Grow(file io.ReaderAt, size int64) error {
	g, err := openGraph(file, size)
	if err != nil {
		return err
	}
	if g.bases != len(c.layers) {
		return fmt.Errorf("%w: file %d of a chain builds on %d", ErrGraph, len(c.layers)+1, g.bases)
	}
	c.layers = append(c.layers, g)
	c.first = append(c.first, c.n)
	c.n += g.n
	return nil
}

// Len returns the number of commits.
func (c *GraphChain) Len() int { return int(c.n) }

// find returns a commit's place in the chain.
func (c *GraphChain) find(id vcs.ID) (int64, bool, error) {
	for i := len(c.layers) - 1; i >= 0; i-- {
		at, ok, err := c.layers[i].find(id)
		if ok || err != nil {
			return c.first[i] + at, ok, err
		}
	}
	return 0, false, nil
}

// layer returns the file that a place of the chain is in, and the place there.
func (c *GraphChain) layer(at int64) (*CommitGraph, int64, error) {
	if at >= 0 && at < c.n {
		for i := len(c.layers) - 1; i >= 0; i-- {
			if at >= c.first[i] {
				return c.layers[i], at - c.first[i], nil
			}
		}
	}
	return nil, 0, fmt.Errorf("%w: it names commit %d of %d", ErrGraph, at, c.n)
}

// PathWalk finds the commits of a chain that may have changed one of some paths.
// It is for one goroutine.
type PathWalk struct {
	c    *GraphChain
	keys [][]bloomKey // for each path: itself and the folders above it
	any  bool         // a path that filters cannot tell of
	buf  [graphDataLen]byte
	bits []byte

	probes [maxProbed + 1][][]probe // by length of filters
	hashes uint32                   // that probes are for
	masked *masks                   // for a chain that is lined up
}

// bloomKey is a path as a filter knows it.
type bloomKey struct{ h0, h1 uint32 }

// maxWalkPath bounds the paths that are looked up in filters, in bytes: each of
// their folders is hashed.
const maxWalkPath = 4096

// Walk returns a walk that looks for changes of paths, of files or folders.
func (c *GraphChain) Walk(paths ...string) *PathWalk {
	w := &PathWalk{c: c}
	for _, path := range paths {
		path = strings.Trim(path, "/")
		// Git's two versions of filters agree about ASCII only.
		if path == "" || len(path) > maxWalkPath || strings.IndexFunc(path, func(r rune) bool { return r >= 0x80 }) >= 0 {
			w.any = true
			continue
		}
		var keys []bloomKey
		for path != "" {
			keys = append(keys, bloomKey{murmur3(0x293ae76f, path), murmur3(0x7e646e2c, path)})
			path = path[:max(strings.LastIndexByte(path, '/'), 0)]
		}
		w.keys = append(w.keys, keys)
	}
	return w
}

// Skip goes from a commit along first parents to the nearest one, itself
// included, that may differ from its first parent in one of the paths, or else
// to the last one that the chain knows, and returns that one's id. A commit that
// the chain does not know is returned as it is.
func (w *PathWalk) Skip(id vcs.ID) (vcs.ID, error) {
	start, ok, err := w.c.find(id)
	if err != nil || !ok {
		return id, err
	}
	l, err := w.c.lines(0)
	if err != nil {
		return id, err
	}
	at := start
	if l != nil {
		at = w.skip(l, start)
	} else if at, err = w.skipSlowly(start); err != nil {
		return id, err
	}
	if at == start {
		return id, nil
	}
	return w.idAt(at)
}

// skipSlowly is Skip for a chain that is not lined up.
func (w *PathWalk) skipSlowly(at int64) (int64, error) {
	for steps := int64(0); ; steps++ {
		if steps > w.c.n {
			return at, fmt.Errorf("%w: a commit is its own ancestor", ErrGraph)
		}
		g, i, err := w.c.layer(at)
		if err != nil {
			return at, err
		}
		may, err := w.mayChange(g, i)
		if err != nil {
			return at, err
		}
		parent := int64(graphNone)
		if !may {
			if err := w.read(g, "CDAT", w.buf[:], i*graphDataLen); err != nil {
				return at, err
			}
			parent = int64(binary.BigEndian.Uint32(w.buf[20:]))
		}
		if parent == graphNone {
			_, err := w.c.lines(steps)
			return at, err
		}
		at = parent
	}
}

// MayChange reports whether a commit may differ from its first parent in one of
// the paths: false is certain.
func (w *PathWalk) MayChange(id vcs.ID) (bool, error) {
	at, ok, err := w.c.find(id)
	if err != nil || !ok {
		return true, err
	}
	g, i, err := w.c.layer(at)
	if err != nil {
		return true, err
	}
	return w.mayChange(g, i)
}

func (w *PathWalk) read(g *CommitGraph, chunk string, b []byte, off int64) error {
	s := g.chunks[chunk]
	if off < 0 || off+int64(len(b)) > s.size {
		return fmt.Errorf("%w: byte %d of a chunk of %d", ErrGraph, off, s.size)
	}
	if err := readAt(g.r, b, s.at+off); err != nil {
		return fmt.Errorf("%w: %w", ErrGraph, err)
	}
	return nil
}

// mayChange asks the filter of a commit.
func (w *PathWalk) mayChange(g *CommitGraph, i int64) (bool, error) {
	hashes, ok := g.usable()
	if w.any || !ok {
		return true, nil
	}
	bits, err := w.filterOf(g)(i)
	return err != nil || len(bits) == 0 || w.holds(bits, hashes), err
}

// filterOf returns a function that reads the filters of a file, each until the
// next call; an empty one was not computed.
func (w *PathWalk) filterOf(g *CommitGraph) func(i int64) ([]byte, error) {
	return func(i int64) ([]byte, error) {
		var from, to int64
		if i > 0 {
			if err := w.read(g, "BIDX", w.buf[:8], (i-1)*4); err != nil {
				return nil, err
			}
			from, to = int64(binary.BigEndian.Uint32(w.buf[:])), int64(binary.BigEndian.Uint32(w.buf[4:]))
		} else {
			if err := w.read(g, "BIDX", w.buf[:4], 0); err != nil {
				return nil, err
			}
			to = int64(binary.BigEndian.Uint32(w.buf[:]))
		}
		if to < from || to > g.chunks["BDAT"].size-bloomHeader {
			return nil, fmt.Errorf("%w: a filter from %d to %d", ErrGraph, from, to)
		}
		n := int(to - from)
		if cap(w.bits) < n {
			w.bits = make([]byte, n)
		}
		bits := w.bits[:n]
		return bits, w.read(g, "BDAT", bits, bloomHeader+from)
	}
}
