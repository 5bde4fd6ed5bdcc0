package vcs

import (
	"errors"
	"fmt"
)

// errUnfit says that a commit cannot be told as changes of its parent; it is
// kept as objects then.
var errUnfit = errors.New("vcs: commit does not fit the log")

// leafChange is one file that a commit changed; one of the two may be nil. They
// do not change any more, and their ids are known.
type leafChange struct {
	path     string
	old, now *node
}

// fileOf returns the content of a file, nothing for a submodule and for nil.
func fileOf(n *node) []byte {
	if n == nil {
		return nil
	}
	return n.file()
}

// editTo makes of a path what a node is; nil removes it.
func editTo(path string, n *node) edit {
	if n == nil {
		return edit{path: path}
	}
	return edit{path, n.mode, n.id, n.file()}
}

// stateDiff makes the state of a new commit out of its first parent's, and
// notes the files that differ.
type stateDiff struct {
	load    loader                     // objects of the new commit and older ones
	tree    func(id ID) (*Tree, error) // the same, decoded
	changes []leafChange
	made    []*node // new nodes, for whoever looks for their ids
}

func (d *stateDiff) note(path string, old, now *node) {
	d.changes = append(d.changes, leafChange{path, old, now})
}

// folder returns the state of a tree. Old is the first parent's node at the
// path, nil when it has none; others are those of the further parents.
func (d *stateDiff) folder(path string, id ID, old *node, others []*node, depth int) (*node, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("%w: deeper than %d folders", errUnfit, maxDepth)
	}
	if old != nil && old.id == id {
		return old, nil
	}
	for _, o := range others {
		if o.id == id {
			return o, d.compare(path, old, o)
		}
	}
	t, err := d.tree(id)
	if err != nil {
		return nil, err
	}
	if depth > 0 && (t.Len() == 0 || old != nil && len(old.dir.kids) == 0) {
		return nil, fmt.Errorf("%w: empty folder %q", errUnfit, path)
	}
	n := folderOf(t, id, make([]*node, t.Len()))
	d.made = append(d.made, n)
	if old == nil {
		old = newFolder(nil)
	}
	near := 0
	for i := range t.Len() {
		x := t.entryAt(i)
		var was *node
		if j, ok := old.dir.lookupNear(near, x.name); ok {
			near = j + 1
			if e := old.dir.entryAt(j); e.id == x.id && e.mode == x.mode {
				n.dir.kids[i] = old.dir.kids[j]
				continue
			}
			if was, err = old.dir.kid(j, d.load); err != nil {
				return nil, err
			}
		}
		below, err := d.kidsOf(others, i, x.name)
		if err != nil {
			return nil, err
		}
		if n.dir.kids[i], err = d.entry(join(path, string(x.name)), x, was, below, depth); err != nil {
			return nil, err
		}
	}
	near = 0
	for j := range old.dir.kids {
		name := old.dir.entryAt(j).name
		if i, ok := t.lookupNear(near, name); ok {
			near = i + 1
			continue
		}
		k, err := old.dir.kid(j, d.load)
		if err != nil {
			return nil, err
		}
		if err := d.compare(join(path, string(name)), k, nil); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// kidsOf returns the entries of a name, which is likely at a place, in several
// folders.
func (d *stateDiff) kidsOf(folders []*node, near int, name []byte) (kids []*node, err error) {
	for _, o := range folders {
		if !o.mode.IsDir() {
			continue
		}
		if j, ok := o.dir.lookupNear(near, name); ok {
			k, err := o.dir.kid(j, d.load)
			if err != nil {
				return nil, err
			}
			kids = append(kids, k)
		}
	}
	return kids, nil
}

func (d *stateDiff) entry(path string, x rawEntry, was *node, others []*node, depth int) (*node, error) {
	if x.mode.IsDir() {
		if was != nil && !was.mode.IsDir() {
			d.note(path, was, nil)
			was = nil
		}
		return d.folder(path, x.id, was, others, depth+1)
	}
	if was != nil && was.mode.IsDir() {
		if err := d.compare(path, was, nil); err != nil {
			return nil, err
		}
		was = nil
	}
	for _, o := range others {
		if o.id == x.id && o.mode == x.mode {
			d.note(path, was, o)
			return o, nil
		}
	}
	n, err := d.load(x.mode, x.id)
	if err != nil {
		return nil, err
	}
	if x.mode.Kind() == KindBlob {
		d.made = append(d.made, n)
	}
	d.note(path, was, n)
	return n, nil
}

// compare notes the files that differ between two nodes, either of which may be
// nil.
func (d *stateDiff) compare(path string, a, b *node) error {
	if a == b || a != nil && b != nil && a.id == b.id && a.mode == b.mode {
		return nil
	}
	aDir, bDir := a != nil && a.mode.IsDir(), b != nil && b.mode.IsDir()
	if !aDir && !bDir {
		d.note(path, a, b)
		return nil
	}
	if a != nil && !aDir {
		d.note(path, a, nil)
		a = nil
	}
	if path != "" && (a != nil && len(a.dir.kids) == 0 || bDir && len(b.dir.kids) == 0) {
		return fmt.Errorf("%w: empty folder %q", errUnfit, path)
	}
	if b != nil && !bDir {
		if err := d.compare(path, nil, b); err != nil {
			return err
		}
		b = nil
	}
	if b != nil {
		if err := d.entries(path, b, a, func(path string, kid, was *node) error { return d.compare(path, was, kid) }); err != nil {
			return err
		}
	}
	if a == nil {
		return nil
	}
	return d.entries(path, a, b, func(path string, kid, now *node) error {
		if now != nil {
			return nil
		}
		return d.compare(path, kid, nil)
	})
}

// entries visits a folder's entries, each with what another folder, or nil, has
// of that name. Equal ones are left out.
func (d *stateDiff) entries(path string, n, other *node, visit func(path string, kid, same *node) error) error {
	near := 0
	for i := range n.dir.kids {
		e := n.dir.entryAt(i)
		var same *node
		if other != nil {
			if j, ok := other.dir.lookupNear(near, e.name); ok {
				near = j + 1
				if o := other.dir.entryAt(j); o.id == e.id && o.mode == e.mode {
					continue
				}
				var err error
				if same, err = other.dir.kid(j, d.load); err != nil {
					return err
				}
			}
		}
		kid, err := n.dir.kid(i, d.load)
		if err != nil {
			return err
		}
		if err := visit(join(path, string(e.name)), kid, same); err != nil {
			return err
		}
	}
	return nil
}
