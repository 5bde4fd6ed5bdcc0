package versioned

import (
	"iter"
	"net/netip"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
)

// liveTable holds the entries of a journal's head: 52 octets for one, where
// key and Entry take 180 and point at texts of their own.
type liveTable struct {
	cells  map[liveKey]liveCell
	scopes intern[liveScope]
	texts  intern[liveTexts]
	// earlier are the lists of those entries that have one; free are unused.
	earlier [][MaxEarlier]ethernet.Addr
	free    []uint32
}

type liveKey struct {
	scope uint32
	addr  [16]byte
}

type liveScope struct {
	domain string
	vlan   ethernet.VLAN
	six    bool
}

type liveTexts struct{ learned, iface, node string }

type liveCell struct {
	first, clock int64
	mac          ethernet.Addr
	state        State
	texts        uint32
	earlier      uint32 // index plus one; 0 for none
}

// intern numbers values that come again and again.
type intern[T comparable] struct {
	numbers map[T]uint32
	values  []T
}

func (n *intern[T]) number(v T) uint32 {
	i, ok := n.numbers[v]
	if !ok {
		if n.numbers == nil {
			n.numbers = make(map[T]uint32)
		}
		i = uint32(len(n.values))
		n.values = append(n.values, v)
		n.numbers[v] = i
	}
	return i
}

func newLiveTable() liveTable { return liveTable{cells: make(map[liveKey]liveCell)} }

func (t *liveTable) key(k arp.Key) liveKey {
	return liveKey{t.scopes.number(liveScope{k.Domain, k.VLAN, !k.Addr.Is4()}), k.Addr.As16()}
}

func (t *liveTable) len() int { return len(t.cells) }

func (t *liveTable) get(k arp.Key) (Entry, bool) {
	c, ok := t.cells[t.key(k)]
	if !ok {
		return Entry{}, false
	}
	return t.entry(c), true
}

// entry makes an Entry of a cell. It lacks the deadline, which no writer looks
// at.
func (t *liveTable) entry(c liveCell) Entry {
	x := t.texts.values[c.texts]
	e := Entry{State: c.state, MAC: c.mac, FirstSeen: c.first, Clock: c.clock, Learned: x.learned, Interface: x.iface, Node: x.node}
	if c.earlier > 0 {
		e.Earlier = t.earlier[c.earlier-1]
	}
	return e
}

func (t *liveTable) set(k arp.Key, e Entry) {
	lk := t.key(k)
	old := t.cells[lk]
	c := liveCell{first: e.FirstSeen, clock: e.Clock, mac: e.MAC, state: e.State,
		texts: t.texts.number(liveTexts{e.Learned, e.Interface, e.Node}), earlier: old.earlier}
	switch none := e.Earlier == [MaxEarlier]ethernet.Addr{}; {
	case none:
		t.release(c.earlier)
		c.earlier = 0
	case c.earlier > 0:
		t.earlier[c.earlier-1] = e.Earlier
	case len(t.free) > 0:
		c.earlier = t.free[len(t.free)-1]
		t.free = t.free[:len(t.free)-1]
		t.earlier[c.earlier-1] = e.Earlier
	default:
		t.earlier = append(t.earlier, e.Earlier)
		c.earlier = uint32(len(t.earlier))
	}
	t.cells[lk] = c
}

func (t *liveTable) release(earlier uint32) {
	if earlier > 0 {
		t.free = append(t.free, earlier)
	}
}

func (t *liveTable) remove(k arp.Key) {
	lk := t.key(k)
	t.release(t.cells[lk].earlier)
	delete(t.cells, lk)
}

func (t *liveTable) all() iter.Seq2[arp.Key, Entry] {
	return func(yield func(arp.Key, Entry) bool) {
		for lk, c := range t.cells {
			s := t.scopes.values[lk.scope]
			a := netip.AddrFrom16(lk.addr)
			if !s.six {
				a = a.Unmap()
			}
			if !yield(arp.Key{Domain: s.domain, VLAN: s.vlan, Addr: a}, t.entry(c)) {
				return
			}
		}
	}
}
