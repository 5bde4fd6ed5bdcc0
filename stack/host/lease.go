package host

import (
	"net/netip"
	"slices"
	"time"
)

// Lease is what a DHCP server has granted, or a link-local address in its place
// (see LinkLocal): that has Addr and nothing else.
type Lease struct {
	Addr     netip.Prefix // the address with its network's prefix length
	Router   netip.Addr   // first usable router; the zero Addr when there is none
	Routers  []netip.Addr // all usable ones, in the server's order
	Routes   []LeaseRoute // others than the default routes
	MTU      int          // of the network in octets; 0 when the server does not say
	DNS      []netip.Addr
	NTP      []netip.Addr // time servers
	Hostname string       // the name the server gave us, if any
	Domain   string
	Search   []string   // domains to complete names with
	Server   netip.Addr // the server's identifier

	Start  time.Time // when the request that was granted was sent
	Renew  time.Time // T1: ask the same server again; zero for a lease without end
	Rebind time.Time // T2: ask any server
	Expiry time.Time // when the address must be given up; zero is never
}

// LeaseRoute is a route of a lease (RFC 3442).
type LeaseRoute struct {
	Prefix  netip.Prefix
	NextHop netip.Addr // the zero Addr for a network on the link
}

// IsZero reports whether l is no lease.
func (l Lease) IsZero() bool { return !l.Addr.IsValid() }

// LinkLocal reports whether l is an address of 169.254/16 that nobody granted
// (RFC 3927).
func (l Lease) LinkLocal() bool { return !l.IsZero() && !l.Server.IsValid() }

// same reports whether two leases configure an interface alike.
func (l Lease) same(o Lease) bool {
	return l.Addr == o.Addr && slices.Equal(l.Routers, o.Routers) && slices.Equal(l.Routes, o.Routes) && l.MTU == o.MTU &&
		slices.Equal(l.DNS, o.DNS) && slices.Equal(l.NTP, o.NTP) && slices.Equal(l.Search, o.Search) &&
		l.Hostname == o.Hostname && l.Domain == o.Domain
}

// clone returns a copy that shares nothing with l.
func (l Lease) clone() Lease {
	l.Routers, l.Routes, l.Search = slices.Clone(l.Routers), slices.Clone(l.Routes), slices.Clone(l.Search)
	l.DNS, l.NTP = slices.Clone(l.DNS), slices.Clone(l.NTP)
	return l
}

// minLease is the shortest lease that is accepted: shorter ones would have the
// client do nothing but renew.
const minLease = 10 * time.Second

// leaseFrom checks an OFFER or ACK and returns the lease in it, or the reason why
// it is refused.
func leaseFrom(m message, sent time.Time) (Lease, string) {
	l := Lease{
		Server: m.server, DNS: m.dns, NTP: m.ntp, Hostname: m.hostname, Domain: m.domain, Search: m.search, Start: sent,
	}
	switch {
	case !isHost(m.server):
		return l, "no server identifier"
	case !isHost(m.yiaddr):
		return l, "not a host address"
	case m.bits == -1:
		return l, "no subnet mask"
	case m.bits < 1:
		return l, "bad subnet mask"
	case m.lease == 0:
		return l, "no lease time"
	case m.lease < minLease:
		return l, "lease too short"
	}
	l.Addr = netip.PrefixFrom(m.yiaddr, m.bits)
	if m.bits < 31 && (m.yiaddr == l.Addr.Masked().Addr() || m.yiaddr == lastOf(l.Addr)) {
		return l, "network or broadcast address"
	}
	if m.yiaddr == m.server {
		return l, "the server's own address"
	}
	l.takeRoutes(m)
	if m.mtu >= minMTU {
		l.MTU = m.mtu
	}
	if m.lease == infinite {
		return l, ""
	}
	t1, t2 := m.t1, m.t2
	if t2 <= 0 || t2 >= m.lease {
		t2 = m.lease / 8 * 7 // RFC 2131 §4.4.5
	}
	if t1 <= 0 || t1 >= t2 {
		t1 = min(m.lease/2, t2)
	}
	l.Renew, l.Rebind, l.Expiry = sent.Add(t1), sent.Add(t2), sent.Add(m.lease)
	return l, ""
}

// minMTU is what every host must be able to receive (RFC 791); a server that says
// less is wrong, or means harm.
const minMTU = 576

// maxRouters bounds the default routes.
const maxRouters = 8

// takeRoutes takes over what m says about routes. With classless ones the router
// option does not count (RFC 3442). Next hops that cannot be reached are left out.
func (l *Lease) takeRoutes(m message) {
	routes := m.routes
	if len(routes) == 0 {
		for _, r := range m.routers {
			routes = append(routes, LeaseRoute{netip.PrefixFrom(netip.IPv4Unspecified(), 0), r})
		}
	}
	reachable := func(hop netip.Addr) bool {
		return isHost(hop) && hop != m.yiaddr && (l.Addr.Contains(hop) ||
			slices.ContainsFunc(routes, func(o LeaseRoute) bool { return !o.NextHop.IsValid() && o.Prefix.Contains(hop) }))
	}
	for _, r := range routes {
		switch first := r.Prefix.Addr(); {
		case r.NextHop.IsValid() && !reachable(r.NextHop):
		case r.Prefix.Bits() == 0 && r.NextHop.IsValid():
			if len(l.Routers) < maxRouters && !slices.Contains(l.Routers, r.NextHop) {
				l.Routers = append(l.Routers, r.NextHop)
			}
		case r.Prefix.Bits() > 0 && !first.IsLoopback() && !first.IsMulticast() && !slices.Contains(l.Routes, r):
			l.Routes = append(l.Routes, r)
		}
	}
	if len(l.Routers) > 0 {
		l.Router = l.Routers[0]
	}
}

// lastOf returns the last address of p's network.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(b)
}
