package arp

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"arpeggio/stack/ethernet"
)

// Pin binds addr to mac until Unpin. The error is ErrOwnAddress, ErrBadMAC or
// ErrNotNeighbor.
func (e *Engine) Pin(now time.Time, addr netip.Addr, mac ethernet.Addr) error {
	switch {
	case !addr.Is4() || addr.IsUnspecified() || addr.IsMulticast():
		return ErrNotNeighbor
	case !mac.IsStation():
		return ErrBadMAC
	case e.owned(addr) != nil:
		return ErrOwnAddress
	}
	n := e.entries[addr]
	if n == nil {
		n = e.add(addr)
	}
	old, seen, waited := n.mac, n.seen, n.state == StateIncomplete
	same := n.state == StatePermanent && old == mac
	e.finish(n, OutcomeDropped)
	e.take(n, mac, false, now)
	if old == mac {
		n.seen, seen = seen, time.Time{}
	}
	n.state = StatePermanent
	e.classify(n)
	e.reschedule(n)
	if waited {
		e.out = append(e.out, Action{Kind: ActResolved, Addr: addr, MAC: mac})
	}
	if !same {
		e.change(ActPut, Change{Op: OpPinned, Key: e.key(addr), MAC: mac, Old: old, LastSeen: seen, Rule: "operator"}, now)
	}
	return nil
}

// Unpin makes a pinned binding an ordinary stale one and reports whether addr
// was pinned.
func (e *Engine) Unpin(now time.Time, addr netip.Addr) bool {
	n := e.entries[addr]
	if n == nil || n.state != StatePermanent {
		return false
	}
	n.state, n.heard = StateStale, now
	e.classify(n)
	e.reschedule(n)
	e.change(ActPut, Change{Op: OpUnpinned, Key: e.key(addr), MAC: n.mac, Old: n.mac, Rule: "operator",
		Deadline: e.expiresAt(n)}, now)
	return true
}

// Seed puts a binding that the Table knows into the cache: permanent if it is
// static, else stale. A live entry, an own address and a full cache refuse it,
// except that a static one replaces what is dynamic. No change comes of it.
func (e *Engine) Seed(now time.Time, addr netip.Addr, b Binding) bool {
	n := e.entries[addr]
	switch {
	case !addr.Is4() || !b.MAC.IsStation() || e.owned(addr) != nil:
		return false
	case n != nil && n.bound() && (!b.Static || n.state == StatePermanent):
		return false
	case n == nil && !b.Static && !e.room(now, false):
		return false
	case n == nil:
		n = e.add(addr)
	}
	waited := n.state == StateIncomplete
	e.finish(n, OutcomeDropped)
	e.take(n, b.MAC, false, now)
	if b.Static {
		n.state = StatePermanent
		e.classify(n)
		e.reschedule(n)
	}
	if waited {
		e.out = append(e.out, Action{Kind: ActResolved, Addr: addr, MAC: b.MAC})
	}
	return true
}

// Foreign takes over what somebody else has written into the Table: the binding
// enters as stale, a static one as permanent, or (ok false) it leaves the cache.
// Own addresses stay as they are. A permanent entry obeys, too: the Table tells
// of it only what the operator has ordered. No change comes of it.
func (e *Engine) Foreign(now time.Time, addr netip.Addr, b Binding, ok bool) {
	n := e.entries[addr]
	switch {
	case ok && b.Static:
		if n != nil && n.state == StatePermanent {
			if n.mac == b.MAC {
				return
			}
			n.state = StateStale // for Seed
		}
		e.Seed(now, addr, b)
	case n != nil && n.bound() && (!ok || n.mac != b.MAC || n.state == StatePermanent):
		e.finish(n, OutcomeDropped)
		if !ok {
			e.drop(n)
			return
		}
		e.take(n, b.MAC, false, now)
	case ok:
		e.Seed(now, addr, b)
	}
}

// Flush forgets every dynamic entry (RFC 1122 §2.3.2.1). It is no expiry: the
// Table keeps the bindings, and what is used again comes back from there.
func (e *Engine) Flush() {
	for _, n := range e.sorted() {
		if n.state == StatePermanent {
			continue
		}
		if n.state == StateIncomplete {
			e.out = append(e.out, Action{Kind: ActFailed, Addr: n.addr, Err: ErrAbandoned})
		}
		e.finish(n, OutcomeDropped)
		e.drop(n)
	}
}

// abandon drops n because its address becomes our own. Who waits for it gets
// our own MAC address, as Resolve will say from now on, or an error while the
// address is still being probed.
func (e *Engine) abandon(n *entry, now time.Time) {
	switch {
	case n.bound():
		e.change(ActExpire, Change{Op: OpExpired, Key: e.key(n.addr), Old: n.mac, LastSeen: n.seen, Rule: "the address is ours now"}, now)
	case n.state == StateIncomplete && e.cfg.Probe:
		e.out = append(e.out, Action{Kind: ActFailed, Addr: n.addr, Err: ErrAbandoned})
	case n.state == StateIncomplete:
		e.out = append(e.out, Action{Kind: ActResolved, Addr: n.addr, MAC: e.mac})
	}
	e.finish(n, OutcomeDropped)
	e.drop(n)
}

// abandonWork ends all work under way: the Engine will not be used again.
func (e *Engine) abandonWork() {
	for _, n := range e.sorted() {
		e.finish(n, OutcomeDropped)
	}
}

// sorted returns the entries by address, so that what comes of visiting them
// does not depend on a map's order.
func (e *Engine) sorted() []*entry {
	return slices.SortedFunc(maps.Values(e.entries), func(a, b *entry) int { return a.addr.Compare(b.addr) })
}
