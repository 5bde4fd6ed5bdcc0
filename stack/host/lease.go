package host

import (
	"net/netip"
	"slices"
	"time"
)

// Lease is what a DHCP server has granted.
type Lease struct {
	Addr     netip.Prefix // the address with its network's prefix length
	Router   netip.Addr   // first usable router; the zero Addr when there is none
	DNS      []netip.Addr
	NTP      []netip.Addr // time servers
	Hostname string       // the name the server gave us, if any
	Domain   string
	Server   netip.Addr // the server's identifier

	Start  time.Time // when the request that was granted was sent
	Renew  time.Time // T1: ask the same server again; zero for a lease without end
	Rebind time.Time // T2: ask any server
	Expiry time.Time // when the address must be given up; zero is never
}

// IsZero reports whether l is no lease.
func (l Lease) IsZero() bool { return !l.Addr.IsValid() }

// same reports whether two leases configure an interface alike.
func (l Lease) same(o Lease) bool {
	return l.Addr == o.Addr && l.Router == o.Router && slices.Equal(l.DNS, o.DNS) && slices.Equal(l.NTP, o.NTP) && l.Hostname == o.Hostname && l.Domain == o.Domain
}

// minLease is the shortest lease that is accepted: shorter ones would have the
// client do nothing but renew.
const minLease = 10 * time.Second

// leaseFrom checks an OFFER or ACK and returns the lease in it, or the reason why
// it is refused.
func leaseFrom(m message, sent time.Time) (Lease, string) {
	l := Lease{Server: m.server, DNS: m.dns, NTP: m.ntp, Hostname: m.hostname, Domain: m.domain, Start: sent}
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
	for _, r := range m.routers {
		if l.Addr.Contains(r) && r != m.yiaddr && isHost(r) {
			l.Router = r
			break
		}
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

// isHost reports whether a can be the address of one host.
func isHost(a netip.Addr) bool {
	if !a.Is4() {
		return false
	}
	first := a.As4()[0]
	return first != 0 && first != 127 && first < 224
}

// lastOf returns the last address of p's network.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As4()
	for i := p.Bits(); i < 32; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	return netip.AddrFrom4(b)
}
