package stack

import (
	"fmt"
	"net/netip"
	"slices"

	"arpeggio/stack/ethernet"
)

// CheckAddress returns why no host may have the address p with its network; nil, or
// ErrAddress wrapped.
func CheckAddress(p netip.Prefix) error {
	a := p.Addr()
	if !p.IsValid() || !a.Is4() || !isUnicast(a) || a.IsLoopback() || p.Bits() == 0 {
		return fmt.Errorf("%w: %v", ErrAddress, p)
	}
	if p.Bits() < 31 && (a == p.Masked().Addr() || a == broadcastOf(p)) {
		return fmt.Errorf("%w: %v is its network's or the broadcast address", ErrAddress, p)
	}
	return nil
}

func takenError(a netip.Addr, o *Interface) error {
	return fmt.Errorf("stack: %v is an address of interface %s already; remove it there first", a, o.name)
}

// AddAddress gives the interface an address and a route to the network of its
// prefix. The resolver, when it is an AddressUser, announces the address.
func (i *Interface) AddAddress(p netip.Prefix) error {
	if err := CheckAddress(p); err != nil {
		return err
	}
	s := i.s
	s.mu.Lock()
	if i.gone || s.closed {
		s.mu.Unlock()
		return errClosed
	}
	if o := s.own[p.Addr()]; o != nil {
		s.mu.Unlock()
		return takenError(p.Addr(), o)
	}
	s.own[p.Addr()] = i
	i.addrs = append(i.addrs, p)
	if p.Bits() < 32 {
		s.addRoute(Route{Prefix: p.Masked(), Interface: i, Source: p.Addr()})
		s.rerouted()
	}
	s.unlock(s.now())
	if u, ok := i.resolver.(AddressUser); ok {
		u.AddressAdded(p, i.conflicted)
	}
	return nil
}

// RemoveAddress takes an address and its network's route away. Connections
// from it are reset with EADDRNOTAVAIL.
func (i *Interface) RemoveAddress(a netip.Addr) error {
	s := i.s
	s.mu.Lock()
	n := slices.IndexFunc(i.addrs, func(p netip.Prefix) bool { return p.Addr() == a })
	if n < 0 {
		s.mu.Unlock()
		return fmt.Errorf("%w: %v on %s", ErrNoAddress, a, i.name)
	}
	p := i.addrs[n]
	i.addrs = slices.Delete(i.addrs, n, n+1)
	delete(s.own, a)
	s.routes = slices.DeleteFunc(s.routes, func(r route) bool {
		return r.Interface == i && r.Source == a && r.Prefix == p.Masked() && !r.NextHop.IsValid()
	})
	now := s.now()
	for _, c := range s.conns {
		if c.m.Local().Addr() == a {
			c.kill(errAddrNotAvail, now)
		}
	}
	s.rerouted()
	s.unlock(now)
	if u, ok := i.resolver.(AddressUser); ok {
		u.AddressRemoved(a)
	}
	return nil
}

// conflicted is what an AddressUser calls.
func (i *Interface) conflicted(a netip.Addr, mac ethernet.Addr) {
	i.s.mu.Lock()
	i.s.stats.AddrConflicts++
	i.s.mu.Unlock()
	i.s.cfg.Logger.Warn("address conflict: another station claims our address; give one of the two another address",
		"interface", i.name, "address", a, "mac", mac.String())
	if h, ok := i.resolver.(AddressHolder); ok && !h.Holds(a) {
		_ = i.RemoveAddress(a) // who was faster has told the resolver, too
	}
	if i.conflict != nil {
		i.conflict(a, mac)
	}
}
