package observe

import "arpeggio/stack/ethernet"

// Virtual returns the name of the protocol to whose range of virtual MAC
// addresses m belongs, and false when m is in none. Several stations share such
// an address, one at a time or all at once: its frames may come from any of
// them, which is no mismatch, and its passing from one to another is no event.
//
// CARP uses VRRP's range.
func Virtual(m ethernet.Addr) (protocol string, ok bool) {
	switch m[0] {
	case 0x00:
		switch [4]byte(m[1:5]) {
		case [4]byte{0x00, 0x5e, 0x00, 0x01}, [4]byte{0x00, 0x5e, 0x00, 0x02}:
			return "VRRP", true // RFC 9568 §7.3: IPv4, IPv6
		case [4]byte{0x00, 0x0c, 0x07, 0xac}:
			return "HSRP", true // RFC 2281 §4: version 1
		}
		switch {
		case [3]byte(m[1:4]) == [3]byte{0x00, 0x0c, 0x9f} && m[4]>>4 == 0xf:
			return "HSRP", true // version 2
		case [3]byte(m[1:4]) == [3]byte{0x05, 0x73, 0xa0} && m[4]>>4 == 0:
			return "HSRP", true // version 2, IPv6
		case [3]byte(m[1:4]) == [3]byte{0x07, 0xb4, 0x00}:
			return glbp, true
		}
	case 0x02:
		if m[1] == 0xbf {
			return "NLB", true // Microsoft Network Load Balancing, unicast mode
		}
	}
	return "", false
}

// glbp answers for one address with several virtual MACs in turn.
const glbp = "GLBP"

// sharesLoad reports whether an address that is used by a and b in turn is
// meant to be.
func sharesLoad(a, b ethernet.Addr) bool {
	p, _ := Virtual(a)
	q, _ := Virtual(b)
	return p == glbp && q == glbp
}
