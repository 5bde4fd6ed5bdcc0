package packfile

import "arpeggio/vcs"

// readAhead reads the objects of a list in bulk, where the reader can.
type readAhead struct {
	r     vcs.ObjectReader
	ids   []vcs.ID
	found []vcs.Object
	next  int // of found
}

// readAheadItems is how many objects are looked for at a time.
const readAheadItems = 64

// read returns the content of the first item, of a kind, if it is at hand. It is
// asked for one item of that kind after the other, with those that follow.
func (a *readAhead) read(items []item, k vcs.Kind) ([]byte, bool) {
	bulk, ok := a.r.(vcs.BulkReader)
	if !ok {
		return nil, false
	}
	if a.next == len(a.found) || a.ids[a.next] != items[0].id {
		a.ids, a.next = a.ids[:0], 0
		for i := 0; i < len(items) && len(a.ids) < readAheadItems; i++ {
			if items[i].kind == k {
				a.ids = append(a.ids, items[i].id)
			}
		}
		if a.found == nil {
			a.found = make([]vcs.Object, readAheadItems)
		}
		a.found = a.found[:len(a.ids)]
		clear(a.found)
		bulk.ReadAtHand(a.ids, a.found)
	}
	o := &a.found[a.next]
	a.next++
	return o.Content, o.Kind == k
}
