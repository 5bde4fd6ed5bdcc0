package vcs

import (
	"errors"
	"fmt"
)

// errUnfit says that a commit cannot be told as changes of its parent; it is
// kept as objects then.
var errUnfit = errors.New("vcs: commit does not fit the log")

// leafChange is one file that a commit changed; one of the two may be nil.
type leafChange struct {
	path     string
	old, now *node
}

// stateDiff makes the state of a new commit out of its first parent's, and
// notes the files that differ.
type stateDiff struct {
	read    objectSource               // objects of the new commit and older ones
	tree    func(id ID) (*Tree, error) // the same, decoded
	changes []leafChange
	made    []*node // new nodes, for whoever looks for their ids
}

// folder returns the state of a tree. Old is the first parent's node at the
// path, nil when it has none; others are those of the further parents.
func (d *stateDiff) folder(path string, id ID, old *node, others []*node, depth int) (*node, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("%w: deeper than %d folders", errUnfit, maxDepth)
	}
	if old != nil && old.known && old.id == id {
		return old, nil
	}
	for _, o := range others {
		if o.known && o.id == id {
			return o, d.compare(path, old, o)
		}
	}
	t, err := d.tree(id)
	if err != nil {
		return nil, err
	}
	if t.Len() == 0 && depth > 0 {
		return nil, fmt.Errorf("%w: empty folder %q", errUnfit, path)
	}
	n := &node{mode: ModeDir, id: id, known: true, names: make([]string, t.Len()), kids: make([]*node, t.Len())}
	d.made = append(d.made, n)
	if old == nil {
		old = &node{mode: ModeDir}
	} else if err := old.load(d.read); err != nil {
		return nil, err
	} else if depth > 0 && len(old.names) == 0 {
		return nil, fmt.Errorf("%w: empty folder %q", errUnfit, path)
	}
	kept, same := 0, true // same: the kept names stand in the same order
	for i := range t.Len() {
		x := t.entryAt(i)
		var was *node
		if j, ok := old.lookup(string(x.name)); ok {
			was = old.kids[j]
			n.names[i] = old.names[j] // shares the string
			kept++
			same = same && was.mode.IsDir() == x.mode.IsDir()
		} else {
			n.names[i] = string(x.name)
		}
		if was != nil && was.known && was.id == x.id && was.mode == x.mode {
			n.kids[i] = was
			continue
		}
		below, err := d.kidsOf(others, n.names[i])
		if err != nil {
			return nil, err
		}
		if n.kids[i], err = d.entry(join(path, n.names[i]), x, was, below, depth); err != nil {
			return nil, err
		}
	}
	if kept < len(old.names) {
		for j, name := range old.names {
			if _, ok := n.lookup(name); ok {
				continue
			}
			if err := d.compare(join(path, name), old.kids[j], nil); err != nil {
				return nil, err
			}
		}
	}
	if same && kept == t.Len() && kept == len(old.names) {
		n.names = old.names
	}
	return n, nil
}

// kidsOf returns the entries of a name in several folders.
func (d *stateDiff) kidsOf(folders []*node, name string) (kids []*node, err error) {
	for _, o := range folders {
		if !o.mode.IsDir() {
			continue
		}
		if err := o.load(d.read); err != nil {
			return nil, err
		}
		if j, ok := o.lookup(name); ok {
			kids = append(kids, o.kids[j])
		}
	}
	return kids, nil
}

func (d *stateDiff) entry(path string, x rawEntry, was *node, others []*node, depth int) (*node, error) {
	if x.mode.IsDir() {
		if was != nil && !was.mode.IsDir() {
			d.changes = append(d.changes, leafChange{path, was, nil})
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
		if o.known && o.id == x.id && o.mode == x.mode {
			d.changes = append(d.changes, leafChange{path, was, o})
			return o, nil
		}
	}
	n := lazyNode(x.mode, x.id)
	if err := n.load(d.read); err != nil {
		return nil, err
	}
	if x.mode.Kind() == KindBlob {
		d.made = append(d.made, n)
	}
	d.changes = append(d.changes, leafChange{path, was, n})
	return n, nil
}

// compare notes the files that differ between two nodes of known ids, either of
// which may be nil.
func (d *stateDiff) compare(path string, a, b *node) error {
	switch {
	case a == b || a != nil && b != nil && a.id == b.id && a.mode == b.mode && a.known && b.known:
		return nil
	case a != nil && a.mode.IsDir():
		if err := a.load(d.read); err != nil {
			return err
		}
	case b == nil || !b.mode.IsDir():
		if b != nil {
			if err := b.load(d.read); err != nil {
				return err
			}
		}
		d.changes = append(d.changes, leafChange{path, a, b})
		return nil
	}
	if a != nil && !a.mode.IsDir() {
		d.changes = append(d.changes, leafChange{path, a, nil})
		a = nil
	}
	if path != "" && a != nil && len(a.names) == 0 {
		return fmt.Errorf("%w: empty folder %q", errUnfit, path)
	}
	if b != nil && !b.mode.IsDir() {
		if err := d.compare(path, nil, b); err != nil {
			return err
		}
		b = nil
	}
	if b != nil {
		if err := b.load(d.read); err != nil {
			return err
		}
		if path != "" && len(b.names) == 0 {
			return fmt.Errorf("%w: empty folder %q", errUnfit, path)
		}
		for i, name := range b.names {
			var was *node
			if a != nil {
				if j, ok := a.lookup(name); ok {
					was = a.kids[j]
				}
			}
			if err := d.compare(join(path, name), was, b.kids[i]); err != nil {
				return err
			}
		}
	}
	if a != nil {
		for j, name := range a.names {
			if b != nil {
				if _, ok := b.lookup(name); ok {
					continue
				}
			}
			if err := d.compare(join(path, name), a.kids[j], nil); err != nil {
				return err
			}
		}
	}
	return nil
}
