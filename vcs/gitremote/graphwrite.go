package gitremote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"arpeggio/vcs"
	"arpeggio/vcs/packfile"
)

// graphRest is how much of a history may be missing in its commit-graph before
// that is written anew: a share of what it has. So a commit is written a few
// times in all, however often the directory is updated, and what a reader has to
// look at commit by commit stays small beside the rest.
const graphRest = 4

// graphTeller writes the commit-graph of all that refs lead to, with
// changed-path filters. The error wraps errors.ErrUnsupported when that is better
// made from the directory.
type graphTeller func(w io.Writer, scratch packfile.Scratch) error

// tellGraph returns the teller of a repository that knows what its commits
// changed: no object is read for it.
func tellGraph(src vcs.ObjectReader, refs []vcs.Ref) graphTeller {
	return func(w io.Writer, scratch packfile.Scratch) error {
		var sel packfile.Selection
		for _, r := range refs {
			sel.Wants = append(sel.Wants, r.Target)
		}
		if _, ok := src.(vcs.AdditionReader); !ok || len(sel.Wants) == 0 {
			return errors.ErrUnsupported
		}
		set, err := packfile.Select(context.Background(), src, sel)
		if err != nil {
			return err
		}
		if !set.TellsChanges() {
			return errors.ErrUnsupported
		}
		return set.WriteCommitGraph(context.Background(), w, scratch)
	}
}

// writeGraph brings the directory's commit-graph, objects/info/commit-graph, to
// what the refs lead to, when much of that is not in it. A history that ends
// somewhere has none. The writers' lock is held.
func (d *Dir) writeGraph(refs []vcs.Ref, tell graphTeller) error {
	if exists(filepath.Join(d.path, "shallow")) {
		return nil // git uses none either
	}
	err := d.graphAnew(refs, tell)
	if errors.Is(err, packfile.ErrMissing) || errors.Is(err, vcs.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("gitremote: commit-graph of %s (the history is complete without): %w", d.path, err)
	}
	return nil
}

func (d *Dir) graphAnew(refs []vcs.Ref, tell graphTeller) error {
	objects, release := d.packReader()
	defer release()
	if old := d.openChain(); old != nil {
		rest, err := newCommits(objects, refs, old)
		if err != nil || len(rest) == 0 || len(rest) < old.Len()/graphRest {
			return err
		}
	}
	if tell != nil {
		err := d.replaceGraph(tell)
		if !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	commits, err := newCommits(objects, refs, nil)
	if err != nil || len(commits) == 0 {
		return err
	}
	return d.replaceGraph(func(w io.Writer, scratch packfile.Scratch) error {
		return packfile.WriteCommitGraph(context.Background(), w, objects, commits, scratch)
	})
}

// openChain returns the commit-graph that is there, nil for none that is sound.
func (d *Dir) openChain() *packfile.GraphChain {
	d.PathIndex() // opens it
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.graph.chain
}

// newCommits returns the commits that refs lead to and a graph does not have.
func newCommits(objects vcs.ObjectReader, refs []vcs.Ref, graph *packfile.GraphChain) (ids []vcs.ID, err error) {
	seen := map[vcs.ID]bool{}
	var todo []vcs.ID
	visit := func(id vcs.ID) error {
		if seen[id] {
			return nil
		}
		if graph != nil {
			if has, err := graph.Has(id); has || err != nil && !isGraphError(err) {
				return err
			}
		}
		seen[id] = true
		todo = append(todo, id)
		return nil
	}
	for _, r := range refs {
		id, err := vcs.PeelCommit(objects, r.Target)
		if errors.Is(err, vcs.ErrWrongKind) {
			continue // a tag of a tree or a file
		}
		if err == nil {
			err = visit(id)
		}
		if err != nil {
			return nil, err
		}
	}
	for len(todo) > 0 {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		c, err := readCommit(objects, id)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
		for _, p := range c.Parents {
			if err := visit(p); err != nil {
				return nil, err
			}
		}
	}
	return ids, nil
}

// replaceGraph puts a new file in the place of whatever commit-graph there is.
func (d *Dir) replaceGraph(write graphTeller) error {
	scratch, err := os.CreateTemp(d.path, tmpPrefix+"*")
	if err != nil {
		return err
	}
	defer os.Remove(scratch.Name())
	f, err := os.CreateTemp(d.path, tmpPrefix+"*")
	if err != nil {
		return errors.Join(err, scratch.Close())
	}
	defer os.Remove(f.Name()) // fails when all went well
	err = write(f, scratch)
	err = errors.Join(err, scratch.Close(), f.Chmod(0o444), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	info := filepath.Join(d.path, "objects", "info")
	if err := os.MkdirAll(info, 0o777); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), filepath.Join(info, graphFile)); err != nil {
		return err
	}
	// Git looks at the file first.
	if err := os.RemoveAll(filepath.Join(info, filepath.Dir(graphChain))); err != nil {
		return err
	}
	return syncDir(info)
}

// readerCache bounds the memory for contents of a packReader.
const readerCache = 16 << 20

// packReader reads from the directory's packs where they lie, which is several
// times quicker than through go-git, and the rest through the Dir.
func (d *Dir) packReader() (objects vcs.ObjectReader, release func()) {
	var files []*os.File
	open := func(name string) (*os.File, int64) {
		f, err := os.Open(name)
		if err != nil {
			return nil, 0
		}
		files = append(files, f)
		fi, err := f.Stat()
		if err != nil {
			return nil, 0
		}
		return f, fi.Size()
	}
	objects = d
	dir := filepath.Join(d.path, filepath.FromSlash(packDir))
	names, _ := packNames(dir)
	cfg := packfile.FileConfig{CacheBytes: readerCache / max(1, len(names)), ObjectBytes: 1 << 30}
	for _, name := range names {
		pack, size := open(filepath.Join(dir, name+".pack"))
		idx, idxSize := open(filepath.Join(dir, name+".idx"))
		if pack == nil || idx == nil {
			continue
		}
		if p, err := packfile.OpenFile(pack, size, idx, idxSize, cfg); err == nil {
			objects = overlay{p, objects}
		}
	}
	return objects, func() {
		for _, f := range files {
			f.Close()
		}
	}
}
