package stack

import (
	"net/netip"
	"syscall"

	"arpeggio/stack/ethernet"
)

// StaticResolver is a Resolver that knows its neighbours from the start and no
// others: for point-to-point links and tests. It is not changed while in use.
type StaticResolver map[netip.Addr]ethernet.Addr

// Resolve implements Resolver. A neighbour that is not in the map fails at
// once with EHOSTUNREACH.
func (r StaticResolver) Resolve(a netip.Addr, done func(netip.Addr, ethernet.Addr, error)) (ethernet.Addr, bool) {
	mac, ok := r[a]
	if !ok {
		go done(a, ethernet.Addr{}, syscall.EHOSTUNREACH)
	}
	return mac, ok
}
