package arp

import (
	"container/heap"
	"net/netip"
	"time"
)

// lru is a list of entries, least recently used first.
type lru struct {
	head, tail *entry
	len        int
}

func (l *lru) push(n *entry) {
	n.class, n.prev, n.succ = l, l.tail, nil
	if l.tail != nil {
		l.tail.succ = n
	} else {
		l.head = n
	}
	l.tail = n
	l.len++
}

func (l *lru) remove(n *entry) {
	if n.prev != nil {
		n.prev.succ = n.succ
	} else {
		l.head = n.succ
	}
	if n.succ != nil {
		n.succ.prev = n.prev
	} else {
		l.tail = n.prev
	}
	n.class, n.prev, n.succ = nil, nil, nil
	l.len--
}

// timers is a heap of entries by due time.
type timers []*entry

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].due.Before(t[j].due) }
func (t timers) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].index, t[j].index = i, j
}
func (t *timers) Push(x any) {
	n := x.(*entry)
	n.index = len(*t)
	*t = append(*t, n)
}
func (t *timers) Pop() any {
	old := *t
	n := old[len(old)-1]
	old[len(old)-1] = nil
	*t = old[:len(old)-1]
	n.index = -1
	return n
}

// cache holds the entries within their bounds. Each dynamic entry stands in
// one of four lists: incomplete, failed, unasked (learned, never wanted here)
// and asked. Static ones stand in none.
type cache struct {
	entries                            map[netip.Addr]*entry
	timers                             timers
	incomplete, failed, unasked, asked lru
}

// classify puts n at the young end of the list its state belongs to.
func (c *cache) classify(n *entry) {
	l := &c.unasked
	switch {
	case n.state == StatePermanent:
		l = nil
	case n.state == StateIncomplete:
		l = &c.incomplete
	case n.state == StateFailed:
		l = &c.failed
	case n.asked:
		l = &c.asked
	}
	if l != nil && l == n.class && l.tail == n {
		return
	}
	if n.class != nil {
		n.class.remove(n)
	}
	if l != nil {
		l.push(n)
	}
}

// schedule sets when n wants attention; the zero time is never.
func (c *cache) schedule(n *entry, due time.Time) {
	switch {
	case due.IsZero() && n.index >= 0:
		heap.Remove(&c.timers, n.index)
	case due.IsZero():
	case n.index < 0:
		n.due = due
		heap.Push(&c.timers, n)
	case !due.Equal(n.due):
		n.due = due
		heap.Fix(&c.timers, n.index)
	}
}

// drop forgets n.
func (e *Engine) drop(n *entry) {
	e.dismiss(n)
	e.schedule(n, time.Time{})
	if n.class != nil {
		n.class.remove(n)
	}
	delete(e.entries, n.addr)
	if n.hot != nil {
		e.tally(n)
		e.shelf.remove(n.hot)
	}
	if !n.lastAsk.IsZero() {
		e.asks.add(n.addr, n.lastAsk)
	}
	e.spare = n
}

// dynamic returns the number of entries that count against the capacity.
func (c *cache) dynamic() int { return c.pending() + c.unasked.len + c.asked.len }

// pending returns how many of them have no MAC address.
func (c *cache) pending() int { return c.incomplete.len + c.failed.len }

// room makes room for one more entry and reports whether there is any. query
// says that somebody here asks for the address, else it would be learned from
// a packet. Failed addresses go first, then those that nobody here asked for;
// an entry in use goes only for a query.
func (e *Engine) room(now time.Time, query bool) bool {
	if query && e.pending() >= e.cfg.Capacity/4 {
		if e.failed.head == nil {
			return false
		}
		e.evict(e.failed.head)
	}
	if e.dynamic() < e.cfg.Capacity {
		return true
	}
	for _, l := range [...]*lru{&e.failed, &e.unasked} {
		if l.head != nil {
			e.evict(l.head)
			return true
		}
	}
	if n := e.idlest(now); n != nil && (query || now.Sub(n.used) >= e.cfg.InUse) {
		e.evict(n)
		return true
	}
	return false
}

// idlest returns the asked entry that was used least recently, as far as is
// known: one that readers have used since it was last looked at goes to the
// young end first.
func (e *Engine) idlest(now time.Time) *entry {
	for range e.asked.len {
		n := e.asked.head
		hits := n.hits
		if e.gather(n, now); n.hits == hits {
			break
		}
		e.classify(n)
	}
	return e.asked.head
}

// evict forgets a dynamic entry for lack of room. That is not an expiry: the
// Table keeps the binding.
func (e *Engine) evict(n *entry) {
	e.finish(n, OutcomeDropped)
	e.drop(n)
	e.stats.Evicted++
}

// add makes an entry; the caller has made room and sets the state.
func (e *Engine) add(addr netip.Addr) *entry {
	n := e.spare
	if e.spare = nil; n == nil {
		n = new(entry)
	}
	*n = entry{addr: addr, index: -1, lastAsk: e.asks.last(addr)}
	e.entries[addr] = n
	return n
}
