package observe

import (
	"encoding/binary"
	"net/netip"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
)

// addrKey is an arp.Key without pointers, so that a map hashes it quickly: the
// segment and the 16-octet form of the address.
type addrKey struct{ seg, hi, lo uint64 }

// macKey is a MAC address within a segment.
type macKey struct{ seg, mac uint64 }

// segment names a broadcast domain and a VLAN within it.
func segment(domain uint64, v ethernet.VLAN) uint64 {
	return domain<<32 | uint64(v.Outer)<<16 | uint64(v.Inner)
}

const mapped4 = 0xffff << 32 // ::ffff:0:0

func keyOf(seg uint64, a netip.Addr) addrKey {
	if a.Is4() {
		o := a.As4()
		return addrKey{seg: seg, lo: mapped4 | uint64(binary.BigEndian.Uint32(o[:]))}
	}
	o := a.As16()
	return addrKey{seg, binary.BigEndian.Uint64(o[:]), binary.BigEndian.Uint64(o[8:])}
}

// addr returns the address; an IPv4-mapped one is IPv4.
func (k addrKey) addr() netip.Addr {
	var o [16]byte
	binary.BigEndian.PutUint64(o[:], k.hi)
	binary.BigEndian.PutUint64(o[8:], k.lo)
	return netip.AddrFrom16(o).Unmap()
}

func vlanOf(seg uint64) ethernet.VLAN {
	return ethernet.VLAN{Outer: uint16(seg >> 16), Inner: uint16(seg)}
}

// key returns the arp.Key of k.
func (e *Engine) key(k addrKey) arp.Key {
	return arp.Key{Domain: e.domains[k.seg>>32].name, VLAN: vlanOf(k.seg), Addr: k.addr()}
}

func packMAC(m ethernet.Addr) uint64 {
	return uint64(binary.BigEndian.Uint16(m[:]))<<32 | uint64(binary.BigEndian.Uint32(m[2:]))
}

func unpackMAC(m uint64) (a ethernet.Addr) {
	binary.BigEndian.PutUint16(a[:], uint16(m>>32))
	binary.BigEndian.PutUint32(a[2:], uint32(m))
	return a
}

// Classes of addresses. Most hosts have one of each, so that owning an address
// of one class says nothing about a claim on one of another.
const (
	class4 = iota
	class4Link
	class6
	class6Link
	numClasses
)

// class returns the class of k's address.
func (k addrKey) class() uint8 {
	switch {
	case k.hi == 0 && k.lo>>32 == mapped4>>32 && k.lo>>16&0xffff == 169<<8|254:
		return class4Link
	case k.hi == 0 && k.lo>>32 == mapped4>>32:
		return class4
	case k.hi>>54 == 0xfe80>>6:
		return class6Link
	}
	return class6
}
