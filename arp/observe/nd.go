package observe

import (
	"encoding/binary"
	"net/netip"

	"arpeggio/stack/checksum"
	"arpeggio/stack/ethernet"
)

// Neighbour discovery, RFC 4861 §4.3 to §4.6.
const (
	ipv6Header    = 40
	icmpv6        = 58
	ndHopLimit    = 255
	ndSolicit     = 135
	ndAdvertise   = 136
	ndFixed       = 24 // octets before the options
	optSourceLink = 1
	optTargetLink = 2
	ndSolicited   = 0x40 // flag S of an advertisement
)

// solicitedNode is the prefix of solicited-node multicast addresses, RFC 4291
// §2.7.1.
var solicitedNode = netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0xff, 1: 2, 11: 1, 12: 0xff}), 104)

// ipv6 reads a neighbour solicitation or advertisement in the IPv6 packet that
// begins at b[at]. Such messages follow the IPv6 header directly: fragments of
// them are invalid (RFC 6980).
func (p *parser) ipv6(b []byte, at int) Reason {
	body := b[at:]
	if len(body) < ipv6Header+1 {
		if p.cut && len(body) > 6 && body[6] == icmpv6 {
			return ReasonTruncated
		}
		return ReasonOther // not known to be neighbour discovery
	}
	typ := body[ipv6Header]
	if body[0]>>4 != 6 || body[6] != icmpv6 || typ != ndSolicit && typ != ndAdvertise {
		return ReasonOther
	}
	s := p.s
	src, dst := netip.AddrFrom16([16]byte(body[8:24])), netip.AddrFrom16([16]byte(body[24:40]))
	s.Addr = src
	length := int(binary.BigEndian.Uint16(body[4:]))
	if body[7] != ndHopLimit {
		return ReasonHopLimit
	}
	if length < ndFixed {
		return ReasonShort
	}
	if len(body) < ipv6Header+length {
		return p.short(ReasonShort)
	}
	s.Frame = b[:at+ipv6Header+length]
	msg := body[ipv6Header : ipv6Header+length]
	if checksum.Checksum(checksum.Sum(msg, checksum.Pseudo(src, dst, icmpv6, length))) != 0 {
		return ReasonChecksum
	}
	if msg[1] != 0 {
		return ReasonCode
	}
	s.Target = netip.AddrFrom16([16]byte(msg[8:24]))
	if s.Target.IsMulticast() || s.Target.IsUnspecified() {
		return ReasonTarget
	}
	return p.neighbour(typ, msg, src, dst)
}

// neighbour reads the rest of a message whose envelope is right.
func (p *parser) neighbour(typ byte, msg []byte, src, dst netip.Addr) Reason {
	s := p.s
	want := byte(optSourceLink)
	switch {
	case typ == ndAdvertise:
		want, s.Addr = optTargetLink, s.Target
		s.Kind = KindUnsolicited
		if msg[4]&ndSolicited != 0 {
			if dst.IsMulticast() { // RFC 4861 §7.1.2
				return ReasonDestination
			}
			s.Kind = KindAdvertisement
		}
	case src.IsUnspecified():
		if !solicitedNode.Contains(dst) { // RFC 4861 §7.1.1
			return ReasonDestination
		}
		s.Kind = KindDuplicate
	default:
		s.Kind = KindSolicitation
	}
	mac, ok := linkOption(msg[ndFixed:], want)
	switch {
	case !ok, s.Kind == KindDuplicate && !mac.IsZero(): // RFC 4861 §7.1.1
		return ReasonOption
	case s.Addr.IsMulticast() || s.Addr.IsLoopback() || s.Addr.Is4In6():
		return ReasonSenderAddress
	}
	s.MAC = mac
	return ReasonNone
}

// linkOption returns the Ethernet address in the last option of type want, zero
// when there is none. ok is false when the options are not well formed.
func linkOption(b []byte, want byte) (mac ethernet.Addr, ok bool) {
	for len(b) > 0 {
		if len(b) < 8 || b[1] == 0 || int(b[1])*8 > len(b) {
			return ethernet.Addr{}, false
		}
		if b[0] == want {
			if b[1] != 1 {
				return ethernet.Addr{}, false // not six octets
			}
			mac = ethernet.Addr(b[2:8])
			if mac.IsZero() {
				return ethernet.Addr{}, false
			}
		}
		b = b[int(b[1])*8:]
	}
	return mac, true
}
