package bench

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/memory"
)

// goGit makes the workload's commits the way go-git's plumbing has it: read each
// tree on the path, change it, encode it, store it in the memory storer.
type goGit struct {
	w          *workload
	st         *memory.Storage
	paths      [][]string
	tree, head plumbing.Hash

	record bool // keep what is hashed
	made   []framed
}

// framed is an object as it is hashed, with its header.
type framed struct {
	id     plumbing.Hash
	framed []byte
}

func newGoGit(n int) (*goGit, error) {
	g := &goGit{w: newWorkload(n), st: memory.NewStorage(), paths: make([][]string, n)}
	root := &folder{}
	for i := range g.paths {
		g.paths[i] = strings.Split(prefixes{}.Path(addr(i)), "/")
		blob, err := g.blob(i)
		if err != nil {
			return nil, err
		}
		root.add(g.paths[i], blob)
	}
	var err error
	if g.tree, err = g.store(root); err != nil {
		return nil, err
	}
	return g, g.commit("create")
}

// folder is a tree in the making.
type folder struct {
	names []string // of the sub-folders
	sub   map[string]*folder
	files []object.TreeEntry
}

func (f *folder) add(path []string, blob plumbing.Hash) {
	if len(path) == 1 {
		f.files = append(f.files, object.TreeEntry{Name: path[0], Mode: filemode.Regular, Hash: blob})
		return
	}
	if f.sub == nil {
		f.sub = make(map[string]*folder)
	}
	if f.sub[path[0]] == nil {
		f.names = append(f.names, path[0])
		f.sub[path[0]] = &folder{}
	}
	f.sub[path[0]].add(path[1:], blob)
}

func (g *goGit) store(f *folder) (plumbing.Hash, error) {
	t := &object.Tree{Entries: f.files}
	for _, name := range f.names {
		id, err := g.store(f.sub[name])
		if err != nil {
			return id, err
		}
		t.Entries = append(t.Entries, object.TreeEntry{Name: name, Mode: filemode.Dir, Hash: id})
	}
	slices.SortFunc(t.Entries, func(a, b object.TreeEntry) int { return strings.Compare(sortName(a), sortName(b)) })
	return g.put(t)
}

func sortName(e object.TreeEntry) string {
	if e.Mode == filemode.Dir {
		return e.Name + "/"
	}
	return e.Name
}

func (g *goGit) blob(i int) (plumbing.Hash, error) {
	o := g.st.NewEncodedObject()
	o.SetType(plumbing.BlobObject)
	w, err := o.Writer()
	if err != nil {
		return plumbing.ZeroHash, err
	}
	if _, err := w.Write(g.w.appendValue(make([]byte, 0, 128), i)); err != nil {
		return plumbing.ZeroHash, err
	}
	return g.keep(o)
}

func (g *goGit) keep(o plumbing.EncodedObject) (plumbing.Hash, error) {
	id, err := g.st.SetEncodedObject(o)
	if err != nil || !g.record {
		return id, err
	}
	r, err := o.Reader()
	if err != nil {
		return id, err
	}
	defer r.Close()
	content, err := io.ReadAll(r)
	b := fmt.Appendf(nil, "%s %d\x00", o.Type(), len(content))
	g.made = append(g.made, framed{id, append(b, content...)})
	return id, err
}

func (g *goGit) put(e interface {
	Encode(plumbing.EncodedObject) error
}) (plumbing.Hash, error) {
	o := g.st.NewEncodedObject()
	if err := e.Encode(o); err != nil {
		return plumbing.ZeroHash, err
	}
	return g.keep(o)
}

func (g *goGit) commit(message string) error {
	who := object.Signature{Name: authorName, Email: authorEmail, When: time.Unix(g.w.now, 0).UTC()}
	c := &object.Commit{Author: who, Committer: who, Message: message + "\n", TreeHash: g.tree}
	if !g.head.IsZero() {
		c.ParentHashes = []plumbing.Hash{g.head}
	}
	var err error
	if g.head, err = g.put(c); err != nil {
		return err
	}
	return g.st.SetReference(plumbing.NewHashReference("refs/heads/"+branch, g.head))
}

// set puts a blob at a path below a tree and returns the new tree.
func (g *goGit) set(tree plumbing.Hash, path []string, blob plumbing.Hash) (plumbing.Hash, error) {
	o, err := g.st.EncodedObject(plumbing.TreeObject, tree)
	if err != nil {
		return tree, err
	}
	t := &object.Tree{}
	if err := t.Decode(o); err != nil {
		return tree, err
	}
	i := slices.IndexFunc(t.Entries, func(e object.TreeEntry) bool { return e.Name == path[0] })
	if i < 0 {
		return tree, fmt.Errorf("no %s in %s", path[0], tree)
	}
	e := &t.Entries[i]
	if len(path) == 1 {
		e.Hash = blob
	} else if e.Hash, err = g.set(e.Hash, path[1:], blob); err != nil {
		return tree, err
	}
	return g.put(t)
}

func (g *goGit) step() error {
	i := g.w.next()
	blob, err := g.blob(i)
	if err != nil {
		return err
	}
	if g.tree, err = g.set(g.tree, g.paths[i], blob); err != nil {
		return err
	}
	return g.commit(g.w.subject(i))
}
