package vcs

import "encoding/binary"

// hintTable remembers in which commit an object was made: twelve bytes an
// object, in a table that doubles when seven eighths are taken.
type hintTable struct {
	slots []hint
	n     int
}

// hint is one object; the zero value is a free slot.
type hint struct {
	lo, hi uint32 // bytes of the id
	next   uint32 // the commit's number and one
}

// maxHints bounds the slots: 25 MB, for the objects of 250,000 small commits.
const maxHints = 1 << 21

func newHint(id ID, num uint32) hint {
	return hint{binary.LittleEndian.Uint32(id[:]), binary.LittleEndian.Uint32(id[4:]), num + 1}
}

// slot returns where an object's hint is, or would be.
func (h *hintTable) slot(x hint) *hint {
	mask := uint32(len(h.slots) - 1)
	for i := x.lo & mask; ; i = (i + 1) & mask {
		if s := &h.slots[i]; s.next == 0 || s.lo == x.lo && s.hi == x.hi {
			return s
		}
	}
}

// add keeps where an object is; it reports whether the table was full and
// forgot all others.
func (h *hintTable) add(id ID, num uint32) (forgot bool) {
	if 8*(h.n+1) > 7*len(h.slots) {
		old := h.slots
		if forgot = len(old) == maxHints; forgot {
			clear(h.slots)
			h.n = 0
		} else {
			h.slots = make([]hint, max(1<<10, 2*len(old)))
			for _, x := range old {
				if x.next != 0 {
					*h.slot(x) = x
				}
			}
		}
	}
	x := newHint(id, num)
	s := h.slot(x)
	if s.next == 0 {
		h.n++
	}
	*s = x
	return forgot
}

func (h *hintTable) get(id ID) (uint32, bool) {
	if len(h.slots) == 0 {
		return 0, false
	}
	s := h.slot(newHint(id, 0))
	return s.next - 1, s.next != 0
}
