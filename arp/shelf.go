package arp

import (
	"math/bits"
	"net/netip"
	"sync/atomic"
	"time"

	"arpeggio/stack/ethernet"
)

// reach is how many slots of a shelf an address may stand in. One that finds
// them all taken is served with the lock held, which is only slower.
const reach = 8

// shelf holds the bindings that may be handed out without the lock and without
// a look at the clock: those whose use starts nothing. It is written with the
// Service's lock held and read without.
type shelf struct {
	base  time.Time // what the times of confirmations count from
	words spread
	slots []atomic.Pointer[hot] // a power of two of them
}

// spread holds random numbers, one for each value of each octet of an address;
// those of its four octets, combined, say where it stands (simple tabulation:
// Pătraşcu and Thorup, "The Power of Simple Tabulation Hashing", 2012). The
// addresses of one /24 stand wholly independently of each other, any three
// addresses do, and runs of taken slots stay as short as with true randomness
// up to a constant. Multiplying by a random odd number gives none of that: some
// numbers heap up neighbouring addresses. Nobody outside chooses who meets whom.
type spread [4][256]uint32

// of returns the number of addr.
func (w *spread) of(addr uint32) uint32 {
	return w[0][byte(addr>>24)] ^ w[1][byte(addr>>16)] ^ w[2][byte(addr>>8)] ^ w[3][byte(addr)]
}

// hot is a binding on the shelf. Readers leave in it that it was used and
// confirmed; the engine reads that when it next looks at the entry.
type hot struct {
	addr      uint32
	mac       ethernet.Addr
	slot      int           // -1: not on the shelf; of the writers
	steady    atomic.Bool   // a confirmation need only be noted
	hits      atomic.Uint64 // ever
	confirmed atomic.Int64  // the last time, in nanoseconds since base
}

// newShelf returns a shelf with room for about n bindings, spread by what
// random returns.
func newShelf(n int, random func() uint32) *shelf {
	size := max(bits.Len(uint(n)), 5)
	s := &shelf{base: time.Now(), slots: make([]atomic.Pointer[hot], 1<<size)}
	for i := range s.words {
		for j := range s.words[i] {
			s.words[i][j] = random()
		}
	}
	return s
}

// start returns the first slot for an address.
func (s *shelf) start(addr uint32) int { return int(s.words.of(addr)) & (len(s.slots) - 1) }

// find returns the binding of addr, nil when it is not on the shelf.
func (s *shelf) find(addr netip.Addr) *hot {
	if !addr.Is4() {
		return nil
	}
	a := word(addr)
	slots := s.slots
	for i, at := 0, s.start(a); i < reach; i++ {
		if h := slots[(at+i)&(len(slots)-1)].Load(); h != nil && h.addr == a {
			return h
		}
	}
	return nil
}

// put places h if one of its slots is free.
func (s *shelf) put(h *hot) {
	for i, at := 0, s.start(h.addr); i < reach; i++ {
		if j := (at + i) & (len(s.slots) - 1); s.slots[j].Load() == nil {
			h.slot = j
			s.slots[j].Store(h)
			return
		}
	}
}

func (s *shelf) remove(h *hot) {
	if h.slot >= 0 {
		s.slots[h.slot].Store(nil)
		h.slot = -1
	}
}

// confirm notes that h's neighbour has just been heard from.
func (s *shelf) confirm(h *hot) { h.confirmed.Store(int64(time.Since(s.base))) }

// word returns an IPv4 address as a number.
func word(a netip.Addr) uint32 {
	b := a.As4()
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

// publish puts n on the shelf, or takes it down, as its state wants it: a stale
// binding has to be seen in use, and one that nobody wanted so far too.
func (e *Engine) publish(n *entry) {
	if e.shelf == nil {
		return
	}
	if h := n.hot; h != nil && h.mac != n.mac {
		e.tally(n)
		e.shelf.remove(h)
		n.hot = nil
	}
	served := n.asked && (n.state == StateReachable || n.state == StateDelay || n.state == StateProbe) || n.state == StatePermanent
	switch {
	case !served && n.hot != nil:
		n.hot.steady.Store(false)
		e.shelf.remove(n.hot)
	case served && n.hot == nil:
		n.hot, n.hits, n.noted = &hot{addr: word(n.addr), mac: n.mac, slot: -1}, 0, 0
	}
	if served {
		n.hot.steady.Store(n.state == StatePermanent || n.state == StateReachable && n.claim == nil)
		if n.hot.slot < 0 {
			e.shelf.put(n.hot)
		}
	}
}

// gatherAll takes in what readers have left with any entry.
func (e *Engine) gatherAll(now time.Time) {
	for _, n := range e.entries {
		e.gather(n, now)
	}
}

// gather takes in what readers have left with n since it was last looked at.
// When exactly it was used is not known: now is on the safe side.
func (e *Engine) gather(n *entry, now time.Time) {
	if n.hot == nil {
		return
	}
	if e.tally(n) {
		n.used = now
	}
	if c := n.hot.confirmed.Load(); c > n.noted {
		n.noted = c
		if n.state == StateReachable {
			e.reachable(n, e.shelf.base.Add(time.Duration(c)))
		}
	}
}

// tally counts the hits of n's readers since the last time and reports whether
// there were any.
func (e *Engine) tally(n *entry) bool {
	d := n.hot.hits.Load() - n.hits
	n.hits += d
	e.stats.Hits += d
	return d > 0
}
