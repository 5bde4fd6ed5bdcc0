package vcs

import (
	"bytes"
	"fmt"
	"iter"
)

// TreeReader reads decoded trees; a Store is one.
type TreeReader interface {
	ReadTree(id ID) (*Tree, error)
}

// TreeChange is one file that differs between two trees. The entry on a side
// where the file is absent is zero. A file that became a folder of files, or the
// other way round, is reported as removals and additions.
type TreeChange struct {
	Path     string
	Old, New TreeEntry
}

// DiffTrees yields the files that differ between two trees, in the order of
// their paths, as git diff-tree -r does. A zero ID is the empty tree. Subtrees
// with equal ids are not read.
func DiffTrees(r TreeReader, a, b ID) iter.Seq2[TreeChange, error] {
	return func(yield func(TreeChange, error) bool) {
		d := differ{r: r, yield: func(ch TreeChange, _ [2]*node, err error) bool { return yield(ch, err) }}
		d.folders(treeAt{id: a}, treeAt{id: b}, 0)
	}
}

// readTreeOrNone is ReadTree for ids that may be zero.
func readTreeOrNone(r TreeReader, id ID) (*Tree, error) {
	if id.IsZero() || id == EmptyTree {
		return &Tree{}, nil
	}
	return r.ReadTree(id)
}

// differ compares trees.
type differ struct {
	r     TreeReader
	path  []byte                                              // of the folder at hand, with a slash behind it
	yield func(ch TreeChange, files [2]*node, err error) bool // with the files that are at hand
}

// treeAt is a tree to be read, or a folder that is at hand.
type treeAt struct {
	id   ID
	node *node // nil: to be read
}

// kid returns what is at hand of an entry.
func (t treeAt) kid(i int) *node {
	if t.node == nil {
		return nil
	}
	return t.node.dir.kids[i]
}

func (d *differ) read(t treeAt) (*Tree, error) {
	if t.node != nil {
		return &t.node.dir.Tree, nil
	}
	return readTreeOrNone(d.r, t.id)
}

func (d *differ) folders(a, b treeAt, depth int) bool {
	if a.id == b.id {
		return true
	}
	if depth > maxDepth {
		return d.fail(fmt.Errorf("%w: deeper than %d folders", ErrBadPath, maxDepth))
	}
	var x, y treeCursor
	for _, side := range []struct {
		c  *treeCursor
		at treeAt
	}{{&x, a}, {&y, b}} {
		t, err := d.read(side.at)
		if err != nil {
			return d.fail(err)
		}
		side.c.open(t)
	}
	for {
		for x.entry != nil && bytes.Equal(x.entry, y.entry) {
			x.next()
			y.next()
		}
		if x.entry == nil && y.entry == nil {
			return true
		}
		old, now := x.entry, y.entry
		switch c := compareEntries(old, now); {
		case c < 0:
			now = nil
		case c > 0:
			old = nil
		}
		var kids [2]*node
		if old != nil {
			kids[0] = a.kid(x.i)
			x.next()
		}
		if now != nil {
			kids[1] = b.kid(y.i)
			y.next()
		}
		if !d.entries(old, now, kids, depth) {
			return false
		}
	}
}

func (d *differ) fail(err error) bool {
	dir := string(bytes.TrimSuffix(d.path, []byte("/")))
	d.yield(TreeChange{Path: dir}, [2]*node{}, fmt.Errorf("folder %q: %w", dir, err))
	return false
}

// entries compares what two trees have of a name, as files or as folders; nil is
// nothing.
func (d *differ) entries(x, y []byte, kids [2]*node, depth int) bool {
	var old, now treeRef
	var name []byte
	folder := false
	if x != nil {
		name, folder, old = entryName(x), entryIsFolder(x), refOf(x)
	}
	if y != nil {
		name, folder, now = entryName(y), entryIsFolder(y), refOf(y)
	}
	if folder {
		n := len(d.path)
		d.path = append(append(d.path, name...), '/')
		more := d.folders(treeAt{old.id, kids[0]}, treeAt{now.id, kids[1]}, depth+1)
		d.path = d.path[:n]
		return more
	}
	path := string(d.path) + string(name)
	leaf := path[len(d.path):]
	return d.yield(TreeChange{path, old.entry(leaf), now.entry(leaf)}, kids, nil)
}
