package vcs

import (
	"encoding/binary"
	"slices"
	"sync/atomic"
	"unsafe"
)

// folder is the inside of a folder: its object's content, in which a changed
// entry is patched, and the nodes of its entries.
type folder struct {
	Tree        // its content lies behind headRoom in buf
	buf  []byte // with room for the object's header in front
	head int    // where the header starts
	kids []*node
	// stale says which kids' ids do not stand in the content yet: none (0), the
	// one before (its place and one) or any (-1).
	stale  int
	ownOff bool // offsets are not shared with another version
	padded bool // behind the content lies its padding for sum
	// marks belong to whoever changes the folder, and go over to who changes a
	// copy of it.
	marks atomic.Pointer[sha1Marks]
}

// frame writes the header after a change of the content's size.
func (f *folder) frame() {
	f.raw, f.padded = f.buf[headRoom:len(f.buf):len(f.buf)], false
	var tmp [headRoom]byte
	head := appendHeader(tmp[:0], KindTree, len(f.raw))
	f.head = headRoom - len(head)
	copy(f.buf[f.head:], head)
	if m := f.marks.Load(); m != nil {
		m.changed(0)
	}
}

// kid returns the node of the i-th entry.
func (f *folder) kid(i int, load loader) (*node, error) {
	if k := f.kids[i]; k != nil {
		return k, nil
	}
	e := f.entryAt(i)
	return load(e.mode, e.id)
}

// find finds a name whichever kind it has; folder says which is likely.
func (f *folder) find(name string, folder bool) (int, bool) {
	if i, ok := f.entry(name, folder); ok {
		return i, true
	}
	other := ModeDir
	if folder {
		other = ModeFile
	}
	return f.searchString(name, other)
}

// prefetch asks for what entry and a change of an entry read.
func (f *folder) prefetch() {
	prefetch(unsafe.Pointer(unsafe.SliceData(f.off)), len(f.off)/16+1)
	prefetch(unsafe.Pointer(unsafe.SliceData(f.buf)), min(len(f.buf)/64+1, maxLane/64))
	prefetch(unsafe.Pointer(unsafe.SliceData(f.kids)), min(len(f.kids)/8+1, maxLane/64))
	if m := f.marks.Load(); m != nil {
		prefetch(unsafe.Pointer(m), 1)
	}
}

// entry finds a name of one sort.
func (f *folder) entry(name string, folder bool) (int, bool) {
	if i, ok := f.scan(name, folder); ok {
		return i, true
	}
	mode := ModeFile
	if folder {
		mode = ModeDir
	}
	return f.searchString(name, mode)
}

// maxScanned bounds the folders that are gone through entry by entry: while they
// are small that is faster than comparing names.
const maxScanned = 64

// scan looks for an entry of a name and sort by its length and the end of its
// name. It may miss entries of large folders and of short names.
func (f *folder) scan(name string, folder bool) (int, bool) {
	skip, lead := len("100644 "), byte('1')
	if folder {
		skip, lead = len("40000 "), '4'
	}
	const end = 8
	if len(name) < end || len(f.off) > maxScanned {
		return 0, false
	}
	var key [end]byte
	copy(key[:], name[len(name)-end:])
	last := binary.LittleEndian.Uint64(key[:])
	size := skip + len(name) + 1 + len(ID{})
	from := 0
	for i := range f.off {
		to := f.end(i)
		if to-from == size {
			b := f.raw[from : to-1-len(ID{})]
			if binary.LittleEndian.Uint64(b[len(b)-end:]) == last && b[0] == lead && string(b[skip:]) == name {
				return i, true
			}
		}
		from = to
	}
	return 0, false
}

// searchString is Tree.search.
func (f *folder) searchString(name string, m Mode) (int, bool) {
	var tmp [64]byte
	key := append(tmp[:0], name...)
	lo, hi := 0, len(f.off)
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		entry, mode := f.nameAt(mid)
		switch c := compareNames(entry, mode, key, m); {
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

// nameAt returns an entry's name and the mode of its sort.
func (f *folder) nameAt(i int) (name []byte, sort Mode) {
	b := f.raw[f.off[i] : f.end(i)-len(ID{})-1]
	if b[0] == '4' {
		return b[len("40000 "):], ModeDir
	}
	return b[len("100644 "):], ModeFile
}

// set puts a node of the same sort in the place of the i-th entry's.
func (f *folder) set(i int, kid *node) {
	old := f.kids[i]
	f.kids[i] = kid
	if old == nil || old.mode != kid.mode {
		if f.entryAt(i).mode != kid.mode {
			name := string(f.entryAt(i).name)
			f.remove(i)
			f.insert(name, kid)
			return
		}
	}
	if kid.known {
		f.setID(i, kid.id)
		return
	}
	f.mark(i)
}

// mark remembers that the i-th entry's id is to be patched.
func (f *folder) mark(i int) {
	switch f.stale {
	case 0:
		f.stale = i + 1
	case i + 1:
	default:
		f.stale = -1
	}
}

func (f *folder) ownOffsets() {
	if !f.ownOff {
		f.off, f.ownOff = append(make([]uint32, 0, len(f.off)+4), f.off...), true
	}
}

func (f *folder) remove(i int) {
	f.ownOffsets()
	start, end := int(f.off[i]), f.end(i)
	f.buf = append(f.buf[:headRoom+start], f.buf[headRoom+end:]...)
	f.off = append(f.off[:i], f.off[i+1:]...)
	for k := i; k < len(f.off); k++ {
		f.off[k] -= uint32(end - start)
	}
	f.kids = slices.Delete(f.kids, i, i+1)
	if f.stale != 0 {
		f.stale = -1
	}
	f.frame()
}

func (f *folder) insert(name string, kid *node) {
	f.ownOffsets()
	i, _ := f.searchString(name, kid.mode)
	at := len(f.raw)
	if i < len(f.off) {
		at = int(f.off[i])
	}
	var tmp [128]byte
	entry := appendEntry(tmp[:0], kid.mode, name, kid.id)
	f.buf = slices.Insert(f.buf, headRoom+at, entry...)
	f.off = slices.Insert(f.off, i, uint32(at))
	for k := i + 1; k < len(f.off); k++ {
		f.off[k] += uint32(len(entry))
	}
	f.kids = slices.Insert(f.kids, i, kid)
	if f.stale != 0 {
		f.stale = -1
	}
	f.frame()
	if !kid.known {
		f.mark(i)
	}
}

// hash brings the content up to date and returns its hash.
func (f *folder) hash(o *owner) ID {
	one := f.stale > 0
	switch {
	case one:
		f.patch(f.stale - 1)
	case f.stale < 0:
		for i, k := range f.kids {
			if k != nil {
				f.patch(i)
			}
		}
	}
	f.stale = 0
	return f.sum(o, one)
}

// sum hashes the content. One says that a single entry has changed: then marks
// are worth their room.
func (f *folder) sum(o *owner, one bool) ID {
	m := f.marks.Load()
	if m == nil {
		if !haveSHA1 || !one || o == nil || !o.marks {
			return sha1Sum(f.buf[f.head:])
		}
		m = new(sha1Marks)
		f.marks.Store(m)
	}
	return m.sum(f.message())
}

// message returns the object as it is hashed, with its header and its padding,
// which lies behind the content.
func (f *folder) message() []byte {
	size := len(f.buf) - f.head
	end := f.head + sha1Padded(size)
	if end > cap(f.buf) {
		f.buf = append(make([]byte, 0, end), f.buf...)
		f.raw = f.buf[headRoom:len(f.buf):len(f.buf)]
	}
	p := f.buf[f.head:end]
	if !f.padded {
		sha1Pad(p, size)
		f.padded = true
	}
	return p
}

// put puts a node with a known id in the place of one of the same mode.
func (f *folder) put(i int, kid *node) {
	f.kids[i] = kid
	f.setID(i, kid.id)
}

func (f *folder) patch(i int) { f.setID(i, f.kids[i].hash()) }

// setID writes the id of an entry. Where it is the same nothing has changed.
func (f *folder) setID(i int, id ID) {
	at := f.end(i) - len(id)
	there := (*ID)(f.raw[at:])
	if m := f.marks.Load(); m != nil && *there != id {
		m.changed(headRoom - f.head + at)
	}
	*there = id
}
