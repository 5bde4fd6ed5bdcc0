package observe

import (
	"net/netip"
)

// iface is an Interface as the engine uses it.
type iface struct {
	name       string
	domain     uint64 // index of Engine.domains
	networks   []netip.Prefix
	has4, has6 bool
}

// domain is a broadcast domain with all its VLANs.
type domain struct {
	name   string
	flood  flood // over all VLANs
	limits [NumTypes]rate
}

func newIface(i Interface, d uint64) iface {
	f := iface{name: i.Name, domain: d}
	for _, p := range i.Networks {
		if !p.IsValid() {
			continue
		}
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		f.networks = append(f.networks, p.Masked())
		if p.Addr().Is4() {
			f.has4 = true
		} else {
			f.has6 = true
		}
	}
	return f
}

// SetNetworks replaces the networks of an interface, which a live one may get
// late. Addresses that are known already are not judged again.
func (e *Engine) SetNetworks(iface int, networks []netip.Prefix) {
	f := &e.ifaces[iface]
	*f = newIface(Interface{Name: f.name, Networks: networks}, f.domain)
}

// bogon reports whether a is outside the networks.
func (f *iface) bogon(a netip.Addr) bool {
	if a.IsLinkLocalUnicast() || a.Is4() && !f.has4 || a.Is6() && !f.has6 {
		return false
	}
	for _, p := range f.networks {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// broadcast reports whether a is the limited broadcast address or that of a
// network: all host bits are ones, or zeros as 4.2BSD had it (RFC 1122
// §3.3.6). Networks of two addresses or one have none (RFC 3021).
func (f *iface) broadcast(a netip.Addr) bool {
	if !a.Is4() {
		return false
	}
	if a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return true
	}
	for _, p := range f.networks {
		if p.Addr().Is4() && p.Bits() < 31 && p.Contains(a) {
			if a == p.Addr() {
				return true
			}
			o, n := a.As4(), uint32(0)
			for _, b := range o {
				n = n<<8 | uint32(b)
			}
			if host := uint32(1)<<(32-p.Bits()) - 1; n&host == host {
				return true
			}
		}
	}
	return false
}

// segmentKey is the key of what concerns a whole segment.
func segmentKey(seg uint64) addrKey { return addrKey{seg: seg} }
