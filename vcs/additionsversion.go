package vcs

import (
	"fmt"
	"slices"
	"strings"
)

// version is a file or a folder in one or more states of the tree. A commit
// changes the versions of its parent's state in place when nobody else needs
// that state.
type version struct {
	mode    Mode
	touch   uint32 // while a commit changes it: one more than its place in replay.touched
	id      ID
	sum     uint64 // digest
	part    uint64 // what it adds to the digest of its folder; 0 while a commit changes it
	mark    any
	content []byte // nil while it is not read
	unread  bool
	dir     *folderVersion // of a folder that is read
	owner   *owner
}

type folderVersion struct {
	names    []string
	kids     []*version
	reshaped bool   // names, modes or links differ from the content's
	shared   bool   // another version has the content, too
	spare    []byte // room for the next content
}

// before is what a version was until the commit at hand.
type before struct {
	was     bool
	id      ID
	sum     uint64
	mark    any
	content []byte
}

// load fills a version in.
func (r *replay) load(n *version) error {
	if !n.unread {
		return nil
	}
	if n.id != EmptyTree {
		content, err := readKind(readFunc(r.read), n.id, n.mode.Kind())
		if err != nil {
			return err
		}
		n.content = content
	}
	n.unread = false
	if !n.mode.IsDir() {
		return nil
	}
	t, err := ParseTree(n.content)
	if err != nil {
		return fmt.Errorf("tree %v: %w", n.id, err)
	}
	d := &folderVersion{names: make([]string, t.Len()), kids: make([]*version, t.Len()), shared: true}
	for i := range t.Len() {
		x := t.Entry(i)
		d.names[i] = x.Name
		d.kids[i] = &version{mode: x.Mode, id: x.ID, mark: n.mark, unread: x.Mode != ModeSubmodule}
	}
	n.dir = d
	return nil
}

// own returns a version that the commit at hand may change: n itself, or a copy.
func (r *replay) own(n *version) *version {
	if n.touch != 0 {
		return n
	}
	r.touched = append(r.touched, before{true, n.id, n.sum, n.mark, n.content})
	if n.owner != r.owner {
		c := *n
		c.owner = r.owner
		if n.dir != nil {
			c.dir = &folderVersion{names: slices.Clone(n.dir.names), kids: slices.Clone(n.dir.kids), shared: true}
		}
		n = &c
	}
	n.touch = uint32(len(r.touched))
	return n
}

// create returns a new version.
func (r *replay) create(m Mode) *version {
	n := &version{mode: m, owner: r.owner}
	if m.IsDir() {
		n.dir = new(folderVersion)
	}
	r.touched = append(r.touched, before{})
	n.touch = uint32(len(r.touched))
	return n
}

func (n *version) lookup(name string) (int, bool) {
	if i, ok := n.search(name, false); ok {
		return i, true
	}
	return n.search(name, true)
}

func (n *version) search(name string, folder bool) (int, bool) {
	d := n.dir
	lo, hi := 0, len(d.names)
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		switch c := compareEntryNames(d.names[mid], d.kids[mid].mode.IsDir(), name, folder); {
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

// with is node.with for versions: it returns the folder with the file at a path
// replaced.
func (r *replay) with(n *version, path string, x *changeReader) (*version, error) {
	if err := r.load(n); err != nil {
		return nil, err
	}
	name, rest, below := strings.Cut(path, "/")
	i, had := n.lookup(name)
	var old, now *version
	if had {
		old = n.dir.kids[i]
	}
	var err error
	if below {
		sub := old
		if !had || !old.mode.IsDir() {
			sub = r.create(ModeDir)
		}
		if now, err = r.with(sub, rest, x); err != nil {
			return nil, err
		}
		if len(now.dir.kids) == 0 {
			now = nil
			if sub != old {
				return n, nil
			}
		}
	} else {
		if had && old.mode.IsDir() {
			old = nil
		}
		if now, err = r.file(old, x); err != nil {
			return nil, err
		}
	}
	if !had && now == nil {
		return n, nil
	}
	n = r.own(n)
	d := n.dir
	if had {
		n.sum -= d.kids[i].part
	}
	if now != nil {
		if now.part = 0; now.touch == 0 {
			n.sum += r.digest.part(now, name)
		}
	}
	switch {
	case had && now != nil && now.mode == d.kids[i].mode:
		d.kids[i] = now
		d.reshaped = d.reshaped || now.mode == ModeSubmodule
		return n, nil
	case had:
		d.names, d.kids = slices.Delete(d.names, i, i+1), slices.Delete(d.kids, i, i+1)
	}
	d.reshaped = true
	if now != nil {
		i, _ = n.search(name, now.mode.IsDir())
		d.names, d.kids = slices.Insert(d.names, i, name), slices.Insert(d.kids, i, now)
	}
	return n, nil
}

// file makes a change of a file that was old, nil when there was none.
func (r *replay) file(old *version, x *changeReader) (*version, error) {
	switch x.change.kind {
	case changeRemove:
		return nil, nil
	case changeLink:
		return &version{mode: ModeSubmodule, id: x.change.link, owner: r.owner}, nil
	}
	if old == nil || old.mode == ModeSubmodule {
		n := r.create(x.change.mode)
		var err error
		n.content, err = x.content(nil)
		return n, err
	}
	if err := r.load(old); err != nil {
		return nil, err
	}
	content, err := x.content(old.content)
	if err != nil {
		return nil, err
	}
	n := r.own(old)
	n.mode, n.content = x.change.mode, content
	return n, nil
}

// settle gives a changed version its id and visits it, what is in it first. It
// reports whether the visitor took it for new.
func (r *replay) settle(n *version) (isNew bool, err error) {
	was := r.touched[n.touch-1]
	newPart := false
	if n.mode.IsDir() {
		if newPart, err = r.settleFolder(n); err != nil {
			return false, err
		}
	}
	kind := n.mode.Kind()
	n.touch = 0
	if !r.digest.only {
		n.id = HashObject(kind, n.content)
	}
	r.digest.of(n)
	if was.was && was.id == n.id && (!r.digest.only || was.sum == n.sum) {
		n.mark = was.mark
		return false, nil
	}
	r.add = Addition{Object: Object{n.id, kind, n.content}}
	if was.was && was.mark != any(unplaced{}) {
		r.add.Base, r.add.BaseContent, r.add.BaseMark = was.id, was.content, was.mark
	}
	n.mark, isNew, err = r.visit(&r.add, n.sum, newPart)
	return isNew, err
}

// settleFolder writes the content of a folder anew and reports whether something
// in it is new.
func (r *replay) settleFolder(n *version) (newPart bool, err error) {
	d := n.dir
	if r.digest.only {
		return r.settleParts(n)
	}
	room := d.spare[:0]
	if d.spare = n.content; d.shared {
		d.spare = nil
	}
	d.shared = false
	if !d.reshaped {
		room = append(room, n.content...)
	}
	at := 0
	for i, k := range d.kids {
		changed := k.touch != 0
		if changed {
			isNew, err := r.settle(k)
			if err != nil {
				return false, err
			}
			newPart = newPart || isNew
			n.sum += r.digest.part(k, d.names[i])
		}
		at += k.mode.width() + len(d.names[i]) + 2
		switch {
		case d.reshaped:
			room = appendEntry(room, k.mode, d.names[i], k.id)
		case changed:
			copy(room[at:], k.id[:])
		}
		at += len(k.id)
	}
	d.reshaped = false
	n.content = room
	return newPart, nil
}

// settleParts is settleFolder where nobody asks for contents.
func (r *replay) settleParts(n *version) (newPart bool, err error) {
	for i, k := range n.dir.kids {
		if k.touch != 0 {
			isNew, err := r.settle(k)
			if err != nil {
				return false, err
			}
			newPart = newPart || isNew
			n.sum += r.digest.part(k, n.dir.names[i])
		}
	}
	n.dir.reshaped = false
	return newPart, nil
}

// width returns the digits of a mode in a tree object.
func (m Mode) width() int {
	if m.IsDir() {
		return 5
	}
	return 6
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
