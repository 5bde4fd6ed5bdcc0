package arp

import (
	"context"
	"iter"
	"net/netip"
	"slices"
	"time"

	"arpeggio/stack/ethernet"
)

// AddressAdded makes p's address an own one: probed (if Config.Probe says so),
// announced, answered for, defended. conflict (which may be nil) is called
// when another station holds on to the address in spite of our defence, or was
// found by a probe; under DefendHold the address stays ours all the same.
func (s *Service) AddressAdded(p netip.Prefix, conflict func(netip.Addr, ethernet.Addr)) {
	s.command(func(e *Engine, now time.Time) {
		s.conflicts[p.Addr()] = conflict
		e.AddAddress(now, p)
	})
}

// AddressRemoved gives an own address up.
func (s *Service) AddressRemoved(a netip.Addr) {
	s.command(func(e *Engine, _ time.Time) {
		delete(s.conflicts, a)
		e.RemoveAddress(a)
	})
}

// Holds reports whether a is an own address that has not been given up, be it still
// probed for. After Close, when none is given up any more, it is always true. It is
// what stack.AddressHolder wants.
func (s *Service) Holds(a netip.Addr) (held bool) {
	held = true
	s.command(func(e *Engine, _ time.Time) {
		held = slices.ContainsFunc(e.own, func(o *ownAddr) bool { return o.prefix.Addr() == a && !o.check })
	})
	return held
}

// WaitAddress waits until a, which was added before, has been probed and is in
// use. The error is that of ctx, or ErrClosed when the Service is closed or not
// attached yet; a conflict goes to the callback.
func (s *Service) WaitAddress(ctx context.Context, a netip.Addr) error {
	var c chan struct{}
	err := ErrClosed
	s.command(func(e *Engine, _ time.Time) {
		err = nil
		if e.owned(a) != nil {
			return
		}
		if c = s.owned[a]; c == nil {
			c = make(chan struct{})
			s.owned[a] = c
		}
	})
	if c == nil {
		return err
	}
	select {
	case <-c:
		return nil
	case <-s.stop:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Addresses returns the own addresses that are answered for, oldest first.
func (s *Service) Addresses() (ps []netip.Prefix) {
	s.command(func(e *Engine, _ time.Time) { ps = e.Addresses() })
	return ps
}

// Pin binds addr to mac until Unpin, whatever packets say. The error is
// ErrOwnAddress, ErrBadMAC, ErrNotNeighbor or ErrClosed.
func (s *Service) Pin(addr netip.Addr, mac ethernet.Addr) error {
	err := ErrClosed
	s.command(func(e *Engine, now time.Time) { err = e.Pin(now, addr, mac) })
	return err
}

// Unpin makes a pinned binding an ordinary one, to be confirmed when it is used
// next, and reports whether addr was pinned.
func (s *Service) Unpin(addr netip.Addr) (ok bool) {
	s.command(func(e *Engine, now time.Time) { ok = e.Unpin(now, addr) })
	return ok
}

// Flush forgets every dynamic entry of the cache. The Table keeps them.
func (s *Service) Flush() { s.command(func(e *Engine, _ time.Time) { e.Flush() }) }

// Warm puts bindings of this Service's domain and VLAN into the cache: static
// ones as permanent, the others as stale. Own addresses and live entries stay
// as they are. It returns how many it took.
func (s *Service) Warm(entries iter.Seq2[Key, Binding]) (n int) {
	for k, b := range entries {
		s.command(func(e *Engine, now time.Time) {
			if k.Domain == s.cfg.Domain && k.VLAN == e.vlan && e.Seed(now, k.Addr, b) {
				n++
			}
		})
	}
	return n
}

// foreign takes over what somebody else has written into the Table.
func (s *Service) foreign(k Key, b Binding, ok bool) {
	s.command(func(e *Engine, now time.Time) {
		if k.Domain == s.cfg.Domain && k.VLAN == e.vlan {
			e.Foreign(now, k.Addr, b, ok)
		}
	})
}

// Neighbors returns the entries of the cache, sorted by address.
func (s *Service) Neighbors() (ns []Neighbor) {
	s.command(func(e *Engine, now time.Time) { ns = e.Neighbors(now, nil) })
	slices.SortFunc(ns, func(a, b Neighbor) int { return a.Addr.Compare(b.Addr) })
	return ns
}

// Stats returns the counters.
func (s *Service) Stats() (st Stats) {
	s.command(func(e *Engine, now time.Time) {
		e.gatherAll(now)
		st = e.Stats()
	})
	return st
}

// command lets f work on the engine and carries out what comes of it. Before
// AttachLink and after Close it does nothing.
func (s *Service) command(f func(e *Engine, now time.Time)) {
	s.mu.Lock()
	if s.closed || s.engine == nil {
		s.mu.Unlock()
		return
	}
	f(s.engine, time.Now())
	s.run()
}
