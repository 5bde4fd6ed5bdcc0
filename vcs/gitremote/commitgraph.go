package gitremote

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/packfile"
)

var _ vcs.PathIndexer = (*Dir)(nil)

// Places of a commit-graph below objects/info.
const (
	graphFile  = "commit-graph"
	graphChain = "commit-graphs/commit-graph-chain"
)

// maxGraph bounds the commit-graphs that are held in memory: room for some
// 700,000 commits. Larger ones are read where they lie.
const maxGraph = 64 << 20

// graphCache is the commit-graph of a Dir as it was when its file was looked at.
type graphCache struct {
	chain *packfile.GraphChain // nil: there is none that can be used
	files []*os.File           // of one that lies in files
	at    time.Time            // modification time of what names it
}

// PathIndex implements vcs.PathIndexer with the directory's commit-graph and its
// changed-path filters, as git commit-graph write --changed-paths makes them. A
// graph that cannot be read counts as none: everything works without, slowly.
func (d *Dir) PathIndex(paths ...string) vcs.PathIndex {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	if name, at := d.graphTime(); !at.Equal(d.graph.at) {
		d.graph.close()
		d.graph = graphCache{at: at}
		if err := d.openGraph(name); err != nil {
			d.graph.close()
			d.graph.chain = nil
		}
	}
	if d.graph.chain == nil {
		return nil
	}
	return &graphIndex{d.graph.chain.Walk(paths...)}
}

// graphTime finds what names the commit-graph, and when that changed.
func (d *Dir) graphTime() (name string, at time.Time) {
	for _, name := range []string{graphFile, graphChain} {
		if fi, err := os.Stat(filepath.Join(d.path, "objects", "info", filepath.FromSlash(name))); err == nil {
			return name, fi.ModTime()
		}
	}
	return "", time.Time{}
}

// openGraph opens a commit-graph of one file or several. The lock is held.
func (d *Dir) openGraph(name string) error {
	info := filepath.Join(d.path, "objects", "info")
	files := []string{graphFile}
	switch name {
	case "":
		return nil
	case graphChain:
		b, err := os.ReadFile(filepath.Join(info, filepath.FromSlash(graphChain)))
		if err != nil {
			return err
		}
		files = nil
		for _, line := range strings.Fields(string(b)) {
			if _, err := vcs.ParseID(line); err != nil {
				return err
			}
			files = append(files, "commit-graphs/graph-"+line+".graph")
		}
	}
	var readers []io.ReaderAt
	var sizes []int64
	for _, f := range files {
		r, size, err := d.graph.open(filepath.Join(info, filepath.FromSlash(f)))
		if err != nil {
			return err
		}
		readers, sizes = append(readers, r), append(sizes, size)
	}
	var err error
	d.graph.chain, err = packfile.OpenGraphChain(readers, sizes)
	return err
}

// open opens a file, or reads it when it is small enough.
func (g *graphCache) open(path string) (io.ReaderAt, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	fi, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	if fi.Size() > maxGraph {
		g.files = append(g.files, f)
		return f, fi.Size(), nil
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	return bytes.NewReader(b), int64(len(b)), err
}

func (g *graphCache) close() {
	for _, f := range g.files {
		f.Close()
	}
	g.files = nil
}

// graphIndex is a walk that does without the graph where that is damaged.
type graphIndex struct{ *packfile.PathWalk }

// Skip implements vcs.PathIndex.
func (g *graphIndex) Skip(id vcs.ID) (vcs.ID, error) {
	to, err := g.PathWalk.Skip(id)
	if isGraphError(err) {
		return id, nil
	}
	return to, err
}

// MayChange implements vcs.PathIndex.
func (g *graphIndex) MayChange(id vcs.ID) (bool, error) {
	may, err := g.PathWalk.MayChange(id)
	if isGraphError(err) {
		return true, nil
	}
	return may, err
}

func isGraphError(err error) bool {
	return errors.Is(err, packfile.ErrGraph) || errors.Is(err, os.ErrClosed)
}
