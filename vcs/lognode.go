package vcs

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unsafe"
)

// node is a file or a folder of one state of the tree: a persistent tree in
// which states share what is equal. A node may be changed only by the owner
// that made it; once that is gone it never changes, and then its id is known.
type node struct {
	mode  Mode
	known bool // id is right
	id    ID
	key   uint32 // of a file, perhaps: one more than its path's number in the log, for the stager
	owner *owner
	dir   *folder // of a folder
	data  *byte   // of a file, whose content has so many bytes; nil when that is not here
	size  int32
}

// file returns the content of a file, nil when it is not here.
func (n *node) file() []byte { return unsafe.Slice(n.data, n.size) }

// owner is one run of changes; the nodes that it made are its own to change.
type owner struct {
	collect bool
	marks   bool    // folders in which single entries change keep marks of their hash
	made    []*node // when collect is set
}

// loader reads what an entry of a tree names, where the node is not at hand.
type loader func(m Mode, id ID) (*node, error)

// objectSource reads an object that is kept natively.
type objectSource func(ID) (Kind, []byte, error)

// load reads an object as a node. The kids of a folder are left to be loaded.
func (read objectSource) load(m Mode, id ID) (*node, error) {
	if m.Kind() == KindCommit {
		return &node{mode: m, id: id, known: true}, nil
	}
	var content []byte
	if id != EmptyTree {
		kind, b, err := read(id)
		if err != nil {
			return nil, err
		}
		if kind != m.Kind() {
			return nil, fmt.Errorf("%w: %v is a %v, not a %v", ErrWrongKind, id, kind, m.Kind())
		}
		content = b
	}
	if !m.IsDir() {
		return &node{mode: m, id: id, known: true, data: unsafe.SliceData(content), size: int32(len(content))}, nil
	}
	t, err := ParseTree(content)
	if err != nil {
		return nil, fmt.Errorf("tree %v: %w", id, err)
	}
	return folderOf(t, id, make([]*node, t.Len())), nil
}

// folderOf makes the node of a tree of a known id.
func folderOf(t *Tree, id ID, kids []*node) *node {
	n := newFolder(nil)
	n.id, n.known = id, true
	f := n.dir
	f.buf = append(make([]byte, headRoom, headRoom+len(t.raw)), t.raw...)
	f.off, f.kids = t.off, kids
	f.frame()
	return n
}

// own returns a folder that o may change: n itself or a copy.
func (n *node) own(o *owner) *node {
	if n.owner == o {
		n.known = false
		return n
	}
	x := &struct {
		node
		folder
	}{}
	x.node = node{mode: n.mode, owner: o, dir: &x.folder}
	f := n.dir
	size := len(f.buf)
	if o.marks {
		size = f.head + sha1Padded(len(f.buf)-f.head)
	}
	x.folder = folder{buf: append(make([]byte, 0, size), f.buf...), head: f.head, kids: slices.Clone(f.kids), stale: f.stale}
	x.folder.Tree = Tree{raw: x.folder.buf[headRoom:len(f.buf):len(f.buf)], off: f.off}
	if o.marks {
		x.folder.marks.Store(f.marks.Swap(nil))
	}
	return o.note(&x.node)
}

// newFolder returns an empty folder.
func newFolder(o *owner) *node {
	x := &struct {
		node
		folder
	}{}
	x.node = node{mode: ModeDir, owner: o, dir: &x.folder}
	x.folder.buf = make([]byte, headRoom)
	x.folder.frame()
	return o.note(&x.node)
}

func newFile(m Mode, content []byte, o *owner) *node {
	return o.note(&node{mode: m, data: unsafe.SliceData(content), size: int32(len(content)), owner: o})
}

func (o *owner) note(n *node) *node {
	if o != nil && o.collect {
		o.made = append(o.made, n)
	}
	return n
}

var (
	errIsFile   = errors.New("a file is in the way")
	errIsFolder = errors.New("a folder is in the way")
)

// leafChanger makes something of a file: nil stands for none.
type leafChanger interface {
	leaf(old *node) (*node, error)
}

type leafFunc func(old *node) (*node, error)

func (f leafFunc) leaf(old *node) (*node, error) { return f(old) }

// with returns the folder with the file at a path replaced by what c makes of it.
// Folders that become empty vanish, except the
// outermost. The error is errIsFile or errIsFolder where a file would take the
// place of a folder, or a folder that of a file.
func (n *node) with(path string, o *owner, load loader, c leafChanger) (*node, error) {
	name, rest, below := strings.Cut(path, "/")
	i, had := n.dir.find(name, below)
	var old, now *node
	var err error
	if had {
		old = n.dir.kids[i]
	}
	if had && old == nil {
		old, err = n.dir.kid(i, load)
		if e := n.dir.entryAt(i); err != nil && !below && !e.mode.IsDir() {
			// A damaged file can still be replaced, then and in every replay.
			old, err = &node{mode: e.mode, id: e.id, known: true}, nil
		}
		if err != nil {
			return nil, err
		}
	}
	isDir := had && old.mode.IsDir()
	switch {
	case below && isDir:
		if now, err = old.with(rest, o, load, c); err == nil && len(now.dir.kids) == 0 {
			now = nil
		}
	case below:
		if now, err = newFolder(o).with(rest, o, load, c); err == nil && len(now.dir.kids) == 0 {
			return n, nil
		}
		if had && err == nil {
			err = errIsFile
		}
	case isDir:
		if now, err = c.leaf(nil); err == nil && now == nil {
			return n, nil
		}
		if err == nil {
			err = errIsFolder
		}
	default:
		now, err = c.leaf(old)
	}
	if err != nil {
		return nil, err
	}
	if now == nil && !had || now != nil && now == old && now.known {
		return n, nil
	}
	d := n.own(o)
	if now != nil && had && isDir == now.mode.IsDir() {
		d.dir.set(i, now)
		return d, nil
	}
	if had {
		d.dir.remove(i)
	}
	if now != nil {
		d.dir.insert(name, now)
	}
	return d, nil
}

// hash makes the ids of a node and of all below known.
func (n *node) hash() ID {
	switch {
	case n.known:
		return n.id
	case n.mode.IsDir():
		n.id = n.dir.hash(n.owner)
	default:
		n.id = HashObject(KindBlob, n.file())
	}
	n.known = true
	return n.id
}

// content returns the object's content; the ids below are known.
func (n *node) content() []byte {
	if n.mode.IsDir() {
		return n.dir.raw
	}
	return n.file()
}

// each visits the node and all that is loaded below it.
func (n *node) each(visit func(*node) (down bool)) {
	if !visit(n) || n.dir == nil {
		return
	}
	for _, k := range n.dir.kids {
		if k != nil {
			k.each(visit)
		}
	}
}

// settled returns a node of a known state with all below it loaded: what is not,
// is kept natively, and may leave before the state does. The memo has folders
// that were settled before.
func (n *node) settled(load loader, memo map[*node]*node) (*node, error) {
	if n.dir == nil {
		return n, nil
	}
	if s := memo[n]; s != nil {
		return s, nil
	}
	s := n
	for i, k := range n.dir.kids {
		was := k
		k, err := n.dir.kid(i, load)
		if err == nil {
			k, err = k.settled(load, memo)
		}
		if err != nil {
			return nil, err
		}
		if k == was {
			continue
		}
		if s == n {
			t := n.dir.Tree
			s = folderOf(&t, n.hash(), slices.Clone(n.dir.kids))
		}
		s.dir.kids[i] = k
	}
	memo[n] = s
	return s, nil
}

// cutPath takes the first name off a path.
func cutPath(path string) (name, rest string) {
	name, rest, _ = strings.Cut(path, "/")
	return name, rest
}
