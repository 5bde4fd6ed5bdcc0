package stack

import (
	"net/netip"
	"time"

	"arpeggio/stack/ethernet"
)

// Resolver finds the link-layer address of a neighbour. It is the whole of what
// the stack knows about ARP: replacing ARP means handing another Resolver to
// an Interface.
//
// Resolve is called from any goroutine, never with a lock of the stack held.
// It does not block. When the answer is known it returns it with ok true and
// forgets done. Otherwise it returns ok false and calls done exactly once,
// later, from another call stack and with none of its own locks held: with the
// address, or with an error when the neighbour did not answer. The stack keeps
// the packets that wait.
type Resolver interface {
	Resolve(addr netip.Addr, done func(netip.Addr, ethernet.Addr, error)) (mac ethernet.Addr, ok bool)
}

// The interfaces below are abilities that a Resolver may also have. The stack
// finds them by type assertion when an Interface is added.

// LinkUser is a Resolver that sends frames of its own. AttachLink is called
// once, before any other method, with the interface's name (for people), its
// own MAC address, its broadcast domain (zero when untagged) and its MTU in
// octets. The signature names types of package ethernet only, so that a
// resolver need not import this package.
//
// send puts one packet into a frame from addr to dst (with the VLAN's tags) and
// transmits it. It may be called from then on, from any goroutine, without
// locks held; payload is not kept.
type LinkUser interface {
	AttachLink(name string, addr ethernet.Addr, vlan ethernet.VLAN, mtu int,
		send func(dst ethernet.Addr, t ethernet.EtherType, payload []byte) error)
}

// FrameHandler is a Resolver that wants the frames of some EtherTypes that
// arrive on its interface. HandleFrame runs on the interface's run loop and
// must not block; payload is only valid during the call.
type FrameHandler interface {
	EtherTypes() []ethernet.EtherType
	HandleFrame(h ethernet.Header, payload []byte, at time.Time)
}

// AddressUser is a Resolver that announces and defends the interface's own
// addresses. conflict is called, without locks held, when another station
// claims the address for good (RFC 5227 §2.4).
type AddressUser interface {
	AddressAdded(p netip.Prefix, conflict func(netip.Addr, ethernet.Addr))
	AddressRemoved(a netip.Addr)
}

// AddressHolder is an AddressUser that gives an address up by itself when another
// station has it (RFC 5227 §2.1.1 and §2.4). Holds is asked after each conflict,
// without locks held; when it returns false, the interface loses the address.
type AddressHolder interface {
	Holds(a netip.Addr) bool
}

// Confirmer is a Resolver that wants to hear from the transport layer that a
// neighbour is alive (RFC 1122 §2.3.2.1 (4), RFC 4861 §7.3.1). Confirm is
// called from the run loop for each acknowledgment of new data and must be
// cheap.
type Confirmer interface {
	Confirm(addr netip.Addr)
}

// ResolverCloser is a Resolver that holds goroutines or timers; Close is called
// when its Interface goes away and returns when they have ended.
type ResolverCloser interface {
	Close() error
}
