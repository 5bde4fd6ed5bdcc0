package stack

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// Route says how packets to the addresses of Prefix leave: over Interface, to
// NextHop or, when that is not valid, straight to the destination.
type Route struct {
	Prefix    netip.Prefix
	Interface *Interface
	NextHop   netip.Addr
	// Metric decides among routes of one prefix: the lowest whose gateway is not
	// taken for dead.
	Metric int
	// Source is preferred as source address; when not valid, the interface's
	// address on the next hop's network, else its first, is taken.
	Source netip.Addr
	// Dead is what Routes reports of a gateway that was taken for dead and is
	// not tried yet. AddRoute ignores it.
	Dead bool
}

// route is a Route in the table.
type route struct {
	Route
	gw *gateway // nil without a next hop
}

// Errors of AddRoute and RemoveRoute.
var (
	ErrRoute   = errors.New("stack: a route needs an IPv4 prefix, an interface of this stack and, if any, an IPv4 next hop")
	ErrNoRoute = errors.New("stack: no such route")
)

// AddRoute adds a route. The longest prefix that matches a destination decides;
// among equals a gateway that lives, an interface that has the source address,
// the lower metric, and the route that was added first, in this order. Connections
// change to the new route where it is the better one.
func (s *Stack) AddRoute(r Route) error {
	s.mu.Lock()
	defer func() { s.unlock(s.now()) }()
	if !r.Prefix.IsValid() || !r.Prefix.Addr().Is4() || r.Interface == nil || r.Interface.s != s || r.Interface.gone ||
		r.NextHop.IsValid() && (!r.NextHop.Is4() || !isUnicast(r.NextHop)) || r.Source.IsValid() && !r.Source.Is4() {
		return fmt.Errorf("%w: %v via %v", ErrRoute, r.Prefix, r.NextHop)
	}
	r.Prefix = r.Prefix.Masked()
	s.addRoute(r)
	s.rerouted()
	return nil
}

func (s *Stack) addRoute(r Route) {
	r.Dead = false
	i := slices.IndexFunc(s.routes, func(o route) bool {
		return o.Prefix.Bits() < r.Prefix.Bits() || o.Prefix.Bits() == r.Prefix.Bits() && o.Metric > r.Metric
	})
	if i < 0 {
		i = len(s.routes)
	}
	s.routes = slices.Insert(s.routes, i, route{r, s.gatewayFor(r.Interface, r.NextHop)})
}

// RemoveRoute removes the first route with r's prefix, interface and next hop.
// Connections that went over it take another one at once. Where there is none,
// what they send is lost until there is, and they end with ENETUNREACH when that
// takes them too long.
func (s *Stack) RemoveRoute(r Route) error {
	s.mu.Lock()
	defer func() { s.unlock(s.now()) }()
	i := slices.IndexFunc(s.routes, func(o route) bool {
		return o.Prefix == r.Prefix.Masked() && o.Interface == r.Interface && o.NextHop == r.NextHop
	})
	if i < 0 {
		return fmt.Errorf("%w: %v via %v", ErrNoRoute, r.Prefix, r.NextHop)
	}
	s.routes = slices.Delete(s.routes, i, i+1)
	s.rerouted()
	s.pruneGateways()
	return nil
}

// Routes returns the route table, longest prefix and lowest metric first.
func (s *Stack) Routes() []Route {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Route
	now := s.now()
	for _, r := range s.routes {
		r.Dead = !r.gw.usable(now)
		out = append(out, r.Route)
	}
	return out
}

// hop is a route resolved for one destination.
type hop struct {
	*Interface            // nil when the destination is one of our addresses
	next       netip.Addr // the neighbour to hand the packet to
	src        netip.Addr // of ours; may be unspecified when the interface has no address
	broadcast  bool
	gw         *gateway // nil when next is the destination
}

// lookup finds the way to dst. via, when not nil, is the interface to leave by,
// whether or not a route leads there. The caller holds mu.
func (s *Stack) lookup(dst netip.Addr, via *Interface) (h hop, ok bool) {
	return s.lookupFrom(dst, via, netip.Addr{})
}

// lookupFrom is lookup for a packet whose source address is known when it is
// valid: of several ways the one over the interface that has it is taken, and with
// Config.StrongHost no other (RFC 1122 §3.3.4.2). h.src is the route's all the same.
func (s *Stack) lookupFrom(dst netip.Addr, via *Interface, src netip.Addr) (h hop, ok bool) {
	if s.local(dst) {
		return hop{next: dst, src: dst}, true
	}
	if home := s.own[src]; s.cfg.StrongHost && home != nil && via != home {
		if via != nil || !s.reaches(dst, home) {
			return hop{}, false
		}
		via = home
	}
	if !isUnicast(dst) && !dst.IsMulticast() && dst != limitedBroadcast {
		return hop{}, false // class E and 0.0.0.0/8 are no destinations (RFC 1122 §3.2.1.3)
	}
	if via != nil && (dst == limitedBroadcast || via.isBroadcast(dst) || dst.IsMulticast()) {
		return hop{Interface: via, next: dst, src: via.source(dst), broadcast: !dst.IsMulticast()}, true
	}
	if dst == limitedBroadcast {
		return s.firstInterface(dst)
	}
	r := s.bestRoute(dst, via, src)
	switch {
	case r == nil && via != nil: // bound to an interface: take everybody for a neighbour
		return hop{Interface: via, next: dst, src: via.source(dst)}, true
	case r == nil && (dst.IsMulticast() || dst.IsLinkLocalUnicast()):
		return s.firstInterface(dst)
	case r == nil:
		return hop{}, false
	}
	h = hop{Interface: r.Interface, next: dst, src: r.Source}
	direct := !r.NextHop.IsValid() || dst.IsMulticast() || dst.IsLinkLocalUnicast()
	if !direct {
		h.next, h.gw = r.NextHop, r.gw
	}
	if s.own[h.src] != r.Interface {
		h.src = r.Interface.source(h.next)
	}
	from := src
	if !from.IsValid() || from.IsUnspecified() {
		from = h.src
	}
	if !direct && from.IsLinkLocalUnicast() {
		h.next, h.gw = dst, nil // no router takes it: everybody is a neighbour
	}
	h.broadcast = direct && r.Interface.isBroadcast(dst)
	return h, true
}

// reaches reports whether dst can be reached over i: by a route, or as what is on
// every link.
func (s *Stack) reaches(dst netip.Addr, i *Interface) bool {
	return dst == limitedBroadcast || dst.IsMulticast() || dst.IsLinkLocalUnicast() || s.bestRoute(dst, i, netip.Addr{}) != nil
}

// bestRoute returns the route that AddRoute's order prefers for dst, nil when
// there is none. A link-local destination is on the link whatever the route's next
// hop (RFC 3927 §2.6.2).
func (s *Stack) bestRoute(dst netip.Addr, via *Interface, src netip.Addr) (best *route) {
	most := 0
	for k := range s.routes {
		r := &s.routes[k]
		if best != nil && r.Prefix.Bits() < best.Prefix.Bits() {
			break
		}
		if !r.Prefix.Contains(dst) || via != nil && r.Interface != via {
			continue
		}
		n := 1
		if r.gw == nil || r.gw.deadUntil == 0 || r.gw.usable(s.now()) {
			n += 2
		}
		if src.IsValid() && s.own[src] == r.Interface {
			n++
		}
		if n > most {
			best, most = r, n
		}
	}
	return best
}

// firstInterface is the way to a group, to everybody or to a link-local address
// where no route says one: the first interface with an address.
func (s *Stack) firstInterface(dst netip.Addr) (h hop, ok bool) {
	for _, i := range s.ifaces {
		if len(i.addrs) > 0 {
			return hop{Interface: i, next: dst, src: i.source(dst), broadcast: dst == limitedBroadcast}, true
		}
	}
	return hop{}, false
}

// local reports whether a is ours: an interface's, or one of 127.0.0.0/8, which
// never leaves the host and is never believed from the wire (RFC 1122 §3.2.1.3 (g)).
func (s *Stack) local(a netip.Addr) bool { return s.own[a] != nil || a.IsLoopback() }

// isOwn is local for who does not hold the lock.
func (s *Stack) isOwn(a netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.local(a)
}

// wayBack finds the way to who sent something to from, an address of ours, and
// counts when there is none.
func (s *Stack) wayBack(to, from netip.Addr) (h hop, ok bool) {
	if h, ok = s.lookupFrom(to, nil, from); !ok || h.broadcast {
		s.stats.IP.OutNoRoutes++
		return hop{}, false
	}
	return h, true
}

// source returns the interface's address on the smallest network that next is on,
// else its first that is not link-local, else its first, else 0.0.0.0.
func (i *Interface) source(next netip.Addr) netip.Addr {
	best, most := netip.IPv4Unspecified(), -1
	for _, p := range i.addrs {
		n := 0 // link-local
		switch {
		case p.Contains(next):
			n = 2 + p.Bits()
		case !p.Addr().IsLinkLocalUnicast():
			n = 1
		}
		if n > most {
			best, most = p.Addr(), n
		}
	}
	return best
}
