package versioned

import (
	"time"

	"arpeggio/arp"
)

// itemKind says what a queued item is.
type itemKind uint8

const (
	itemWrite  itemKind = iota + 1 // change and the entry it made
	itemRecord                     // a change without an entry
	itemBegin                      // work
	itemEnd                        // work, outcome
	itemFlood                      // what a flood has come to: batch, flood
)

// item is one thing that the writers have to hear of.
type item struct {
	kind    itemKind
	change  arp.Change
	entry   Entry
	work    arp.Work
	outcome arp.Outcome
	folded  int // further items that this one stands for
	lost    int // records that did not fit into the ring before this one
	batch   []batched
	flood   *flood
	gen     uint64 // when it was queued, in calls of Sync
	queued  time.Time
}

// batched is one of the entries of a flood.
type batched struct {
	key   arp.Key
	entry Entry
}

// ring is a queue of items of bounded length. When it is full, what changes a
// binding is kept once per key, newest first in time but last in the queue, and
// the rest is counted: the next commit of that key says how many it stands for,
// and the next commit of all how many records were lost.
type ring struct {
	max   int
	buf   []item // circular: n items from head on; grows up to max
	head  int
	n     int
	spill map[arp.Key]item // what did not fit
	order []arp.Key        // of spill
	ends  []item           // ends of work that did not fit; never more than works under way, and floods
	lost  int              // records and beginnings that did not fit, not yet told
}

// push queues an item. It never fails and never waits.
func (r *ring) push(it item) {
	if len(r.order) == 0 && len(r.ends) == 0 && r.n < r.max {
		if r.n == len(r.buf) {
			r.grow()
		}
		r.buf[(r.head+r.n)%len(r.buf)] = it
		r.n++
		return
	}
	switch it.kind {
	case itemWrite:
		old, ok := r.spill[it.change.Key]
		if !ok {
			r.order = append(r.order, it.change.Key)
		} else {
			it.folded, it.gen = old.folded+1, old.gen
		}
		if r.spill == nil {
			r.spill = make(map[arp.Key]item)
		}
		it.change.Work = 0 // whoever waits for it hears only of the end
		r.spill[it.change.Key] = it
	case itemEnd, itemFlood: // a flood is told only while there is room, or at the end
		r.ends = append(r.ends, it)
	default:
		r.lost++
	}
}

func (r *ring) grow() {
	buf := make([]item, min(max(2*len(r.buf), 64), r.max))
	for i := range r.n {
		buf[i] = r.buf[(r.head+i)%len(r.buf)]
	}
	r.buf, r.head = buf, 0
}

// pop takes the oldest item.
func (r *ring) pop() (it item, ok bool) {
	switch {
	case r.n > 0:
		it, r.buf[r.head] = r.buf[r.head], item{}
		r.head = (r.head + 1) % len(r.buf)
		r.n--
	case len(r.order) > 0:
		it = r.spill[r.order[0]]
		delete(r.spill, r.order[0])
		if r.order = r.order[1:]; len(r.order) == 0 {
			r.order = nil
		}
	case len(r.ends) > 0:
		it = r.ends[0]
		if r.ends = r.ends[1:]; len(r.ends) == 0 {
			r.ends = nil
		}
	default:
		return item{}, false
	}
	if it.kind == itemWrite || it.kind == itemRecord || it.kind == itemFlood {
		it.lost, r.lost = r.lost, 0
	}
	return it, true
}

// full reports whether an item would have to be folded now.
func (r *ring) full() bool { return r.n == r.max || len(r.order) > 0 || len(r.ends) > 0 }

// len returns how many items pop will yield.
func (r *ring) len() int { return r.n + len(r.order) + len(r.ends) }
