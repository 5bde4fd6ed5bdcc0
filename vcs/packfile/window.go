package packfile

// window puts off the trees and blobs that are made one after the other, so that
// the versions of one path stand behind each other in the pack: index-pack and
// everybody else goes from a base to what builds on it.
type window struct {
	entries []pending
	data    []byte // what follows the entries' headers
}

// pending is an entry that is not written yet.
type pending struct {
	place    *place
	base     *place // nil: none, or told by its id in the data
	size     int    // of the object, or the delta, inflated
	from, to int    // in the data
	next     int32  // one more than the entry that builds on this one, 0: none
	typ      byte
	linked   bool // it is another one's next
}

// place is where an object is in the pack: the mark of an addition.
type place struct {
	off     int64
	depth   uint8 // of the delta chain
	waiting int32 // while it is not written: one more than its index in the window
}

// windowBytes is about the memory that a window takes.
const windowBytes = 1 << 20

// full reports whether it is time to write.
func (w *window) full() bool { return len(w.data)+64*len(w.entries) > windowBytes }

// add appends an entry whose data was appended from an offset on.
func (w *window) add(typ byte, at, base *place, size, from int) {
	e := pending{place: at, base: base, size: size, from: from, to: len(w.data), typ: typ}
	if base != nil && base.waiting > 0 {
		if b := &w.entries[base.waiting-1]; b.next == 0 {
			b.next, e.linked = int32(len(w.entries)+1), true
		}
	}
	w.entries = append(w.entries, e)
	at.waiting = int32(len(w.entries))
}

// flush writes the window.
func (p *writer) flush() {
	w := &p.window
	for i := range w.entries {
		if w.entries[i].linked {
			continue
		}
		for k := int32(i + 1); k > 0; k = w.entries[k-1].next {
			e := &w.entries[k-1]
			e.place.off, e.place.waiting = p.off, 0
			back := int64(0)
			if e.base != nil {
				back = p.off - e.base.off
			}
			p.head(e.typ, e.size, back)
			p.write(w.data[e.from:e.to])
		}
	}
	clear(w.entries)
	w.entries, w.data = w.entries[:0], w.data[:0]
}
