package stack

import (
	"net/netip"
	"time"

	"arpeggio/stack/ipv4"
	"arpeggio/stack/link"
	"arpeggio/stack/tcp"
)

// Dead gateways (RFC 1122 §3.3.1.4). A gateway is taken for dead when its
// link-layer address is not found, or when a connection behind it reaches R1
// while nobody behind it has been heard of for a while. Routes over it then give
// way to others of the same prefix, connections move at once, and packets that
// wait for the address are sent anew. After a time it is tried again: what is
// sent decides. Without another gateway nothing is given up.
const (
	gatewayHold    = time.Minute      // dead at first; doubled each time in a row
	gatewayMaxHold = 16 * time.Minute // and at most
	gatewayHeard   = 30 * time.Second // an acknowledgment from behind it excuses it for so long
	tcpR1          = 3                // retransmissions before advice is given (RFC 9293 §3.8.3)
)

// gateway is the next hop of one or more routes.
type gateway struct {
	deadUntil tcp.Instant // 0: never, or it has proved to be alive
	heardAt   tcp.Instant // a peer behind it acknowledged something new
	fails     uint8       // times in a row that it was taken for dead
	deaf      bool        // because its address was not found
}

func (g *gateway) usable(now tcp.Instant) bool { return g == nil || g.deadUntil <= now }

// alive notes that traffic goes through.
func (g *gateway) alive(now tcp.Instant) { *g = gateway{heardAt: now} }

// gatewayFor returns the state of a next hop, nil for none.
func (s *Stack) gatewayFor(i *Interface, next netip.Addr) *gateway {
	if !next.IsValid() {
		return nil
	}
	n := neighbour{i, next}
	if s.gateways[n] == nil {
		s.gateways[n] = &gateway{}
	}
	return s.gateways[n]
}

// pruneGateways forgets the next hops that no route names any more.
func (s *Stack) pruneGateways() {
	used := map[*gateway]bool{}
	for _, r := range s.routes {
		used[r.gw] = true
	}
	for n, g := range s.gateways {
		if !used[g] {
			delete(s.gateways, n)
		}
	}
}

// replaceable reports whether there is another way for what goes over g.
func (s *Stack) replaceable(g *gateway, now tcp.Instant) bool {
	for _, r := range s.routes {
		if r.gw != g {
			continue
		}
		for _, o := range s.routes {
			if o.Prefix == r.Prefix && o.gw != g && o.gw.usable(now) {
				return true
			}
		}
	}
	return false
}

// gatewayFailed takes g for dead when there is another way, and moves the
// connections that go over it. It reports whether it did.
func (s *Stack) gatewayFailed(g *gateway, now tcp.Instant, deaf bool) bool {
	if !g.usable(now) || !s.replaceable(g, now) {
		return !g.usable(now)
	}
	hold := min(gatewayHold<<min(g.fails, 8), gatewayMaxHold)
	g.fails = min(g.fails+1, 8)
	g.deadUntil, g.deaf = now.Add(hold), deaf
	s.stats.IP.DeadGateways++
	for _, c := range s.conns {
		if c.route.gw == g {
			c.reroute(now)
		}
	}
	return true
}

// rerouted moves all connections to the ways that the route table, which has
// changed, now says: a route that is gone is no way any more (RFC 1122 §3.3.1.5).
func (s *Stack) rerouted() {
	now := s.now()
	for _, c := range s.conns {
		if c.route.Interface != nil && c.killed == nil {
			c.reroute(now)
		}
	}
}

// reroute looks for the way to the peer anew. What was sent while there was none
// goes again at once.
func (c *TCPConn) reroute(now tcp.Instant) {
	s := c.s
	h, ok := s.lookupFrom(c.m.Remote().Addr(), nil, c.m.Local().Addr())
	ok = ok && !h.broadcast
	back := ok && c.wasted
	c.stranded, c.wasted = !ok, !ok && c.wasted
	if !ok || h.Interface == nil || h == c.route && !back {
		return
	}
	if h != c.route {
		c.m.SetLinkMSS(now, linkMTU(h)-ipv4.MinHeaderLen-tcp.HeaderLen)
		c.m.PathChanged()
		c.route = h
	}
	if back {
		c.m.SendAgain(now)
	}
	c.changed()
}

// strand takes a segment that has no way out for lost, and has its connection know
// why it gets no answer.
func (c *TCPConn) strand() {
	c.wasted = true
	c.s.stats.IP.OutNoRoutes++
	c.m.SoftError(errNetUnreach)
	c.soft.report(errNetUnreach)
}

// advise tells the gateway's state what the connection has seen of it.
func (c *TCPConn) advise(now tcp.Instant, acked bool) {
	if c.stranded {
		return // what it sends does not get there
	}
	g, n := c.route.gw, c.m.Retries()
	if acked {
		g.alive(now)
	}
	if n <= int(c.advised) {
		c.advised = uint8(n)
		return
	}
	if n < tcpR1 {
		return
	}
	c.advised = uint8(n)
	if g.heardAt == 0 || now.Sub(g.heardAt) >= gatewayHeard {
		c.s.gatewayFailed(g, now, false)
	}
}

// gatewayAnswered notes whether a gateway's address was found, and reports whether
// packets for it may go another way.
func (s *Stack) gatewayAnswered(n neighbour, err error) bool {
	g := s.gateways[n]
	switch {
	case g == nil:
		return false
	case err != nil:
		return s.gatewayFailed(g, s.now(), true)
	case g.deaf:
		*g = gateway{heardAt: g.heardAt}
	}
	return false
}

// detour sends a packet that waited for a gateway's address another way. It
// reports false when there is none.
func (s *Stack) detour(p *parked) bool {
	old := p.meta.iface
	at := old.header.Len()
	h, ok := s.lookupFrom(destination(&p.frame, old), nil, source(&p.frame, old))
	if !ok || h.Interface == nil || h.next == p.meta.next && h.Interface == old ||
		p.frame.GSO.Type == link.GSONone && len(p.frame.Head)-at > h.mtu || s.tx.full() {
		return false
	}
	f := s.tx.add(h, p.meta.from)
	shift := uint16(len(f.Head) - at)
	f.Head = append(f.Head, p.frame.Head[at:]...)
	f.Csum, f.GSO = p.frame.Csum, p.frame.GSO
	f.Csum.Start += shift
	f.GSO.HdrLen += shift
	s.tx.bytes += len(f.Head)
	return true
}
