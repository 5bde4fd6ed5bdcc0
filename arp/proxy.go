package arp

import (
	"net/netip"
	"time"
)

// Publish makes us answer requests for an address that is somebody else's, with
// our own MAC address (proxy ARP, RFC 1027): for a router that leads there by
// another interface, which is for the caller to know. It is never done unasked.
// A published address is neither probed for, announced nor defended; probes for
// it (RFC 5227) are not answered, or its owner could not come; nor is a station
// that is known to have it on this very interface.
func (e *Engine) Publish(a netip.Addr) bool {
	if !a.Is4() || a.IsUnspecified() || a.IsMulticast() || e.owned(a) != nil {
		return false
	}
	if e.proxied == nil {
		e.proxied = make(map[netip.Addr]struct{})
	}
	e.proxied[a] = struct{}{}
	return true
}

// Unpublish ends what Publish began.
func (e *Engine) Unpublish(a netip.Addr) { delete(e.proxied, a) }

// speaksFor reports whether a request is one that we answer for another station.
func (e *Engine) speaksFor(p *Packet) bool {
	if _, ok := e.proxied[p.TargetIP]; !ok || p.SenderIP.IsUnspecified() {
		return false
	}
	n := e.entries[p.TargetIP]
	return n == nil || !n.bound()
}

// Announce says again whose a is, as after a change of the wire: AnnounceNum
// times (RFC 5227 §2.3). It reports whether a is an own address in use.
func (e *Engine) Announce(now time.Time, a netip.Addr) bool {
	o := e.owned(a)
	if o == nil {
		return false
	}
	o.phase, o.sent = ownAnnouncing, 0
	e.pollOwn(o, now)
	return true
}

// Publish makes the Service answer requests for an address that is somebody
// else's: see Engine.Publish. The error is ErrOwnAddress, ErrNotNeighbor or
// ErrClosed.
func (s *Service) Publish(a netip.Addr) error {
	err := ErrClosed
	s.command(func(e *Engine, _ time.Time) {
		switch {
		case e.Publish(a):
			err = nil
		case e.owned(a) != nil:
			err = ErrOwnAddress
		default:
			err = ErrNotNeighbor
		}
	})
	return err
}

// Unpublish ends what Publish began.
func (s *Service) Unpublish(a netip.Addr) { s.command(func(e *Engine, _ time.Time) { e.Unpublish(a) }) }

// Announce says again that own addresses are ours, all when none is named, as
// after a change of the wire. It reports whether all named ones are in use.
func (s *Service) Announce(addrs ...netip.Addr) bool {
	ok := false
	s.command(func(e *Engine, now time.Time) {
		ok = true
		if len(addrs) == 0 {
			for _, p := range e.Addresses() {
				addrs = append(addrs, p.Addr())
			}
		}
		for _, a := range addrs {
			ok = e.Announce(now, a) && ok
		}
	})
	return ok
}
