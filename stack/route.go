package stack

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"arpeggio/stack/ipv4"
)

// Route says how packets to the addresses of Prefix leave: over Interface, to
// NextHop or, when that is not valid, straight to the destination.
type Route struct {
	Prefix    netip.Prefix
	Interface *Interface
	NextHop   netip.Addr
	// Source is preferred as source address; when not valid, the interface's
	// address on the next hop's network, else its first, is taken.
	Source netip.Addr
}

// Errors of AddRoute and RemoveRoute.
var (
	ErrRoute   = errors.New("stack: a route needs an IPv4 prefix, an interface of this stack and, if any, an IPv4 next hop")
	ErrNoRoute = errors.New("stack: no such route")
)

// AddRoute adds a route. The longest prefix that matches a destination
// decides; among equals the route that was added first.
func (s *Stack) AddRoute(r Route) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !r.Prefix.IsValid() || !r.Prefix.Addr().Is4() || r.Interface == nil || r.Interface.s != s || r.Interface.gone ||
		r.NextHop.IsValid() && (!r.NextHop.Is4() || !isUnicast(r.NextHop)) || r.Source.IsValid() && !r.Source.Is4() {
		return fmt.Errorf("%w: %v via %v", ErrRoute, r.Prefix, r.NextHop)
	}
	r.Prefix = r.Prefix.Masked()
	s.addRoute(r)
	return nil
}

func (s *Stack) addRoute(r Route) {
	i := slices.IndexFunc(s.routes, func(o Route) bool { return o.Prefix.Bits() < r.Prefix.Bits() })
	if i < 0 {
		i = len(s.routes)
	}
	s.routes = slices.Insert(s.routes, i, r)
}

// RemoveRoute removes the first route with r's prefix, interface and next hop.
// Connections keep the way they have.
func (s *Stack) RemoveRoute(r Route) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.routes, func(o Route) bool {
		return o.Prefix == r.Prefix.Masked() && o.Interface == r.Interface && o.NextHop == r.NextHop
	})
	if i < 0 {
		return fmt.Errorf("%w: %v via %v", ErrNoRoute, r.Prefix, r.NextHop)
	}
	s.routes = slices.Delete(s.routes, i, i+1)
	return nil
}

// Routes returns the route table, longest prefix first.
func (s *Stack) Routes() []Route {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.routes)
}

// hop is a route resolved for one destination.
type hop struct {
	*Interface            // nil when the destination is one of our addresses
	next       netip.Addr // the neighbour to hand the packet to
	src        netip.Addr // of ours; may be unspecified when the interface has no address
	broadcast  bool
}

// lookup finds the way to dst. via, when not nil, is the interface to leave by,
// whether or not a route leads there. The caller holds mu.
func (s *Stack) lookup(dst netip.Addr, via *Interface) (h hop, ok bool) {
	if s.local(dst) {
		return hop{next: dst, src: dst}, true
	}
	if !isUnicast(dst) && !dst.IsMulticast() && dst != limitedBroadcast {
		return hop{}, false // class E and 0.0.0.0/8 are no destinations (RFC 1122 §3.2.1.3)
	}
	if via != nil && (dst == limitedBroadcast || via.isBroadcast(dst) || dst.IsMulticast()) {
		return hop{via, dst, via.source(dst), !dst.IsMulticast()}, true
	}
	if dst == limitedBroadcast {
		return s.firstInterface(dst)
	}
	for _, r := range s.routes {
		if !r.Prefix.Contains(dst) || via != nil && r.Interface != via {
			continue
		}
		h = hop{Interface: r.Interface, next: dst, src: r.Source}
		if r.NextHop.IsValid() && !dst.IsMulticast() {
			h.next = r.NextHop
		} else {
			h.broadcast = r.Interface.isBroadcast(dst)
		}
		if s.own[h.src] != r.Interface {
			h.src = r.Interface.source(h.next)
		}
		return h, true
	}
	if via != nil { // bound to an interface: take everybody for a neighbour
		return hop{Interface: via, next: dst, src: via.source(dst)}, true
	}
	if dst.IsMulticast() {
		return s.firstInterface(dst)
	}
	return hop{}, false
}

// firstInterface is the way to a group or to everybody where no route says one:
// the first interface with an address.
func (s *Stack) firstInterface(dst netip.Addr) (h hop, ok bool) {
	for _, i := range s.ifaces {
		if len(i.addrs) > 0 {
			return hop{i, dst, i.source(dst), !dst.IsMulticast()}, true
		}
	}
	return hop{}, false
}

// local reports whether a is ours: an interface's, or one of 127.0.0.0/8, which
// never leaves the host and is never believed from the wire (RFC 1122 §3.2.1.3 (g)).
func (s *Stack) local(a netip.Addr) bool { return s.own[a] != nil || a.IsLoopback() }

// wayBack finds the way to who sent us something, which is no group, and counts
// when there is none.
func (s *Stack) wayBack(to netip.Addr) (h hop, ok bool) {
	if h, ok = s.lookup(to, nil); !ok || h.broadcast {
		s.stats.IP.OutNoRoutes++
		return hop{}, false
	}
	return h, true
}

// source returns the interface's address on next's network, else its first,
// else 0.0.0.0.
func (i *Interface) source(next netip.Addr) netip.Addr {
	for _, p := range i.addrs {
		if p.Contains(next) {
			return p.Addr()
		}
	}
	if len(i.addrs) > 0 {
		return i.addrs[0].Addr()
	}
	return netip.IPv4Unspecified()
}

// pathMTU returns the largest packet for dst on h.
func (s *Stack) pathMTU(h hop, dst netip.Addr, now time.Time) int {
	if h.Interface == nil {
		return ipv4.MaxLen
	}
	return min(h.mtu, s.paths.get(dst, now))
}

// Numbers of the path MTU cache (RFC 1191 §6.3: at least five minutes between
// attempts to find a larger one; ten are recommended).
const (
	pathTimeout = 10 * time.Minute
	pathMax     = 1024
	// minPathMTU is Linux's floor: below it an ICMP message is more likely an
	// attack than a link (RFC 5927 §7.2).
	minPathMTU = 552
)

// pathCache remembers the path MTU of destinations that said "too big".
type pathCache struct{ m map[netip.Addr]path }

type path struct {
	mtu   int
	until time.Time
}

func (c *pathCache) get(dst netip.Addr, now time.Time) int {
	p, ok := c.m[dst]
	if !ok {
		return ipv4.MaxLen
	}
	if now.After(p.until) {
		delete(c.m, dst)
		return ipv4.MaxLen
	}
	return p.mtu
}

func (c *pathCache) put(dst netip.Addr, mtu int, now time.Time) {
	if len(c.m) >= pathMax {
		for a := range c.m { // any: the cache is only an optimisation
			delete(c.m, a)
			break
		}
	}
	c.m[dst] = path{mtu, now.Add(pathTimeout)}
}
