package vcs

import "bytes"

// treeCursor goes through a tree in Git's order. It hands entries out as they
// stand in the tree's content, so that equal ones are told by comparing bytes.
type treeCursor struct {
	t     *Tree
	i     int
	entry []byte // the i-th one; nil behind the last
}

func (c *treeCursor) open(t *Tree) {
	c.t, c.i = t, -1
	c.next()
}

func (c *treeCursor) next() {
	c.i++
	c.entry = nil
	if c.i < len(c.t.off) {
		c.entry = c.t.entryBytes(c.i)
	}
}

// start returns where the entry, or the end, is in the tree's content.
func (c *treeCursor) start() int {
	if c.i < len(c.t.off) {
		return int(c.t.off[c.i])
	}
	return len(c.t.raw)
}

// folderAhead finds the folder of a name at which a file would stand right here.
// What sorts between a file and a folder of one name starts with that name.
func (c *treeCursor) folderAhead(name []byte) []byte {
	if c.entry == nil || !bytes.HasPrefix(entryName(c.entry), name) {
		return nil
	}
	i, ok := c.t.search(name, ModeDir)
	if !ok {
		return nil
	}
	return c.t.entryBytes(i)
}

// entryBytes returns the i-th entry as it stands in the content.
func (t *Tree) entryBytes(i int) []byte { return t.raw[t.off[i]:t.end(i)] }

// entryIsFolder tells an entry's sort. A folder's mode is the only one that
// starts with a 4, and that has five digits, not six.
func entryIsFolder(e []byte) bool { return e[0] == '4' }

// entryName returns the name in an entry.
func entryName(e []byte) []byte {
	at := len("100644 ")
	if entryIsFolder(e) {
		at = len("40000 ")
	}
	return e[at : len(e)-1-len(ID{})]
}

func entryMode(e []byte) (m Mode) {
	for ; e[0] != ' '; e = e[1:] {
		m = m<<3 | Mode(e[0]-'0')
	}
	return m
}

func entryID(e []byte) ID { return ID(e[len(e)-len(ID{}):]) }

// compareEntries is compareNames for entries; one behind the last is the largest.
func compareEntries(a, b []byte) int {
	switch {
	case a == nil:
		return 1
	case b == nil:
		return -1
	}
	class := func(e []byte) Mode {
		if entryIsFolder(e) {
			return ModeDir
		}
		return ModeFile
	}
	return compareNames(entryName(a), class(a), entryName(b), class(b))
}

// treeBuilder makes a tree of an old one by changing entries in Git's order. What
// lies between them is copied in one piece.
type treeBuilder struct {
	old   *Tree
	raw   []byte // nil as long as nothing differs
	done  int    // how much of the old content is copied or left out
	moved bool   // entries do not start where they did
}

// copyTo copies the old content up to a place and goes on behind another.
func (b *treeBuilder) copyTo(end, next int) {
	if b.raw == nil {
		b.raw = make([]byte, 0, len(b.old.raw)+64)
	}
	b.raw = append(b.raw, b.old.raw[b.done:end]...)
	b.done = next
}

// set changes the entry of a name: at is where it stands, or would stand, in the
// old tree and had its bytes there, nil for none. A zero id leaves it out.
func (b *treeBuilder) set(at int, had, name []byte, m Mode, id ID) {
	end := at + len(had)
	switch {
	case had != nil && !id.IsZero() && entryMode(had) == m:
		b.copyTo(end-len(id), end)
		b.raw = append(b.raw, id[:]...)
		return
	case id.IsZero():
		b.copyTo(at, end)
	default:
		b.copyTo(at, end)
		b.raw = appendEntry(b.raw, m, name, id)
	}
	b.moved = true
}

// changed reports whether anything was set.
func (b *treeBuilder) changed() bool { return b.raw != nil }

// tree returns the new tree.
func (b *treeBuilder) tree() *Tree {
	b.copyTo(len(b.old.raw), len(b.old.raw))
	t := &Tree{raw: b.raw, off: b.old.off}
	if b.moved {
		t.off = make([]uint32, 0, len(b.old.off)+1)
		for at := 0; at < len(t.raw); {
			t.off = append(t.off, uint32(at))
			at += len("40000 ")
			at += bytes.IndexByte(t.raw[at:], 0) + 1 + len(ID{})
		}
	}
	return t
}
