package packfile

import (
	"context"
	"encoding/binary"

	"arpeggio/vcs"
)

// maxChain is the longest chain of deltas that Write makes, as git's own: longer
// ones save one byte in a hundred, and make every later read of the pack slower.
const maxChain = 50

// Set is an ordered selection of objects. It is for one goroutine.
type Set struct {
	ctx context.Context
	r   vcs.ObjectReader
	// adds are objects that are made while the pack is written; the items are
	// not among them.
	adds    *vcs.Additions
	items   []item
	slots   []uint32 // hash table of the items: one more than their index
	whole   bool     // the receiver has what was before and is not selected
	outside []vcs.ID // bases that it has
	err     error    // why IDs ended early
}

// item is one object of a pack. A delta base comes before what is based on it.
type item struct {
	id    vcs.ID
	base  int32 // index of an item of the same kind, noBase, or one less and less for those outside
	kind  vcs.Kind
	depth uint8 // of the delta chain
}

// Len returns the number of objects.
func (s *Set) Len() int {
	n := len(s.items)
	if s.adds != nil {
		n += s.adds.Len()
	}
	return n
}

// Has reports whether a commit or a tag is selected. Of trees and blobs it knows
// only where the selection compared trees.
func (s *Set) Has(id vcs.ID) bool {
	if _, ok := s.find(id); ok {
		return true
	}
	return s.adds != nil && s.adds.Has(id)
}

// IDs yields the objects in the order of the pack: tags, commits newest first,
// trees and blobs. When the store fails meanwhile, or the context of the selection
// ends, it ends early, and Err says so.
func (s *Set) IDs(yield func(vcs.ID) bool) {
	s.err = nil
	for _, k := range packOrder {
		for _, it := range s.items {
			if it.kind == k && !yield(it.id) {
				return
			}
		}
	}
	if s.adds == nil {
		return
	}
	enough := false
	err := s.adds.Each(s.ctx, func(a *vcs.Addition) (any, error) {
		if enough = !yield(a.ID); enough {
			return nil, context.Canceled
		}
		return s, nil
	})
	if !enough {
		s.err = err
	}
}

// Err returns why the last IDs ended before it had yielded all objects, unless that
// was the caller's wish.
func (s *Set) Err() error { return s.err }

var packOrder = [...]vcs.Kind{vcs.KindTag, vcs.KindCommit, vcs.KindTree, vcs.KindBlob}

// Add selects one more object, alone, with nothing that it reaches: for tags of
// selected commits.
func (s *Set) Add(id vcs.ID) error {
	if s.Has(id) {
		return nil
	}
	kind, _, err := s.r.ReadObject(id)
	if err == nil {
		s.add(kind, id, vcs.ID{})
	}
	return err
}

// find returns where an item is.
func (s *Set) find(id vcs.ID) (int32, bool) {
	if len(s.slots) == 0 {
		return 0, false
	}
	i := *s.slot(id)
	return int32(i) - 1, i != 0
}

// slot returns where an item's index is, or would be.
func (s *Set) slot(id vcs.ID) *uint32 {
	mask := uint32(len(s.slots) - 1)
	for i := binary.LittleEndian.Uint32(id[:]) & mask; ; i = (i + 1) & mask {
		if n := s.slots[i]; n == 0 || s.items[n-1].id == id {
			return &s.slots[i]
		}
	}
}

// add appends an object, based on an earlier version if that is selected too, or
// else the receiver's.
func (s *Set) add(k vcs.Kind, id, previous vcs.ID) {
	if 4*(len(s.items)+1) > 3*len(s.slots) {
		s.slots = make([]uint32, max(64, 2*len(s.slots)))
		for i := range s.items {
			*s.slot(s.items[i].id) = uint32(i + 1)
		}
	}
	at := s.slot(id)
	if *at != 0 {
		return
	}
	it := item{id: id, kind: k, base: noBase}
	if !previous.IsZero() {
		switch i, ok := s.find(previous); {
		case !ok && !s.whole:
		case !ok:
			it.base = outside - int32(len(s.outside))
			s.outside = append(s.outside, previous)
		case s.items[i].kind == k && s.items[i].depth < maxChain:
			it.base, it.depth = i, s.items[i].depth+1
		}
	}
	s.items = append(s.items, it)
	*at = uint32(len(s.items))
}
