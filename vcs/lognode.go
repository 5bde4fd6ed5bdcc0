package vcs

import (
	"fmt"
	"strings"
)

// node is a file or a folder of one state of the tree: a persistent tree in
// which states share what is equal. Ids of folders are computed when somebody
// asks, so that going through history costs no hashing. What one state shares
// with another is not changed, except that ids, and the content of lazy nodes,
// are filled in.
type node struct {
	mode  Mode
	known bool // id is right
	lazy  bool // content or kids are still to be read by the id
	id    ID
	file  []byte   // content of a file
	names []string // of a folder, in Git's order; never changed in place
	kids  []*node
	owner *owner // who may change it in place
}

// owner is one run of changes; the nodes that it made are its own to change.
type owner struct{ _ byte }

// objectSource reads an object that is kept natively.
type objectSource func(ID) (Kind, []byte, error)

// lazyNode stands for an object that is to be read when it is needed.
func lazyNode(m Mode, id ID) *node {
	return &node{mode: m, id: id, known: true, lazy: m.Kind() != KindCommit}
}

// load fills a lazy node in.
func (n *node) load(read objectSource) error {
	if !n.lazy {
		return nil
	}
	var content []byte
	if n.id != EmptyTree {
		kind, b, err := read(n.id)
		if err != nil {
			return err
		}
		if kind != n.mode.Kind() {
			return fmt.Errorf("%w: %v is a %v, not a %v", ErrWrongKind, n.id, kind, n.mode.Kind())
		}
		content = b
	}
	if n.mode.IsDir() {
		t, err := ParseTree(content)
		if err != nil {
			return fmt.Errorf("tree %v: %w", n.id, err)
		}
		n.names, n.kids = make([]string, t.Len()), make([]*node, t.Len())
		for i := range t.Len() {
			x := t.Entry(i)
			n.names[i], n.kids[i] = x.Name, lazyNode(x.Mode, x.ID)
		}
	} else {
		n.file = content
	}
	n.lazy = false
	return nil
}

// search returns where an entry of that name and sort class stands or would
// stand in a loaded folder.
func (n *node) search(name string, folder bool) (int, bool) {
	lo, hi := 0, len(n.names)
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		switch c := compareEntryNames(n.names[mid], n.kids[mid].mode.IsDir(), name, folder); {
		case c == 0:
			return mid, true
		case c < 0:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return lo, false
}

// lookup finds a name whichever kind it has.
func (n *node) lookup(name string) (int, bool) {
	if i, ok := n.search(name, false); ok {
		return i, true
	}
	return n.search(name, true)
}

// compareEntryNames is compareNames for strings.
func compareEntryNames(a string, aDir bool, b string, bDir bool) int {
	n := min(len(a), len(b))
	if c := strings.Compare(a[:n], b[:n]); c != 0 {
		return c
	}
	return int(nameTail(a, n, aDir)) - int(nameTail(b, n, bDir))
}

func nameTail(name string, n int, folder bool) byte {
	switch {
	case n < len(name):
		return name[n]
	case folder:
		return '/'
	}
	return 0
}

// own returns a folder that o may change: n itself or a copy.
func (n *node) own(o *owner) *node {
	if n.owner == o {
		n.known = false
		return n
	}
	return &node{mode: n.mode, names: n.names, kids: append(make([]*node, 0, len(n.kids)), n.kids...), owner: o}
}

// with returns the folder with the file at a path replaced by what change makes
// of it: nil stands for no file. Folders that become empty vanish, except the
// outermost.
func (n *node) with(path string, o *owner, read objectSource, change func(old *node) (*node, error)) (*node, error) {
	if err := n.load(read); err != nil {
		return nil, err
	}
	name, rest, below := strings.Cut(path, "/")
	i, had := n.lookup(name)
	var old, now *node
	if had {
		old = n.kids[i]
	}
	var err error
	if below {
		sub := old
		if !had || !old.mode.IsDir() {
			sub = &node{mode: ModeDir, owner: o}
		}
		if now, err = sub.with(rest, o, read, change); err != nil {
			return nil, err
		}
		if len(now.kids) == 0 && !now.lazy {
			now = nil
			if sub != old {
				return n, nil
			}
		}
	} else {
		if had && old.mode.IsDir() {
			old = nil
		}
		if now, err = change(old); err != nil {
			return nil, err
		}
	}
	if !had && now == nil {
		return n, nil
	}
	d := n.own(o)
	if had && now != nil && now.mode.IsDir() == n.kids[i].mode.IsDir() {
		d.kids[i] = now
		return d, nil
	}
	if had {
		d.remove(i)
	}
	if now != nil {
		d.insert(name, now)
	}
	return d, nil
}

func (n *node) remove(i int) {
	n.names = append(append(make([]string, 0, len(n.names)), n.names[:i]...), n.names[i+1:]...)
	n.kids = append(n.kids[:i], n.kids[i+1:]...)
}

func (n *node) insert(name string, kid *node) {
	i, _ := n.search(name, kid.mode.IsDir())
	names := make([]string, 0, len(n.names)+1)
	n.names = append(append(append(names, n.names[:i]...), name), n.names[i:]...)
	n.kids = append(n.kids, nil)
	copy(n.kids[i+1:], n.kids[i:])
	n.kids[i] = kid
}

// hash returns the node's id and tells made of every node whose id was not
// known.
func (n *node) hash(made func(*node)) ID {
	if n.known {
		return n.id
	}
	if n.mode.IsDir() {
		for _, k := range n.kids {
			k.hash(made)
		}
	}
	n.id = HashObject(n.mode.Kind(), n.content())
	n.known = true
	made(n)
	return n.id
}

// content returns the object's content; the node is loaded and its kids' ids
// are known.
func (n *node) content() []byte {
	if !n.mode.IsDir() {
		return n.file
	}
	size := 0
	for _, name := range n.names {
		size += len(name) + 8 + len(ID{})
	}
	b := make([]byte, 0, size)
	for i, k := range n.kids {
		b = appendEntry(b, k.mode, n.names[i], k.id)
	}
	return b
}

// cutPath takes the first name off a path.
func cutPath(path string) (name, rest string) {
	name, rest, _ = strings.Cut(path, "/")
	return name, rest
}
