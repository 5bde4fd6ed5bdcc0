// Package checksum computes the Internet checksum (RFC 1071) that IPv4, ICMP,
// UDP and TCP share: over slices of any length, in pieces that combine, with
// the pseudo-headers of both IP versions, and incrementally (RFC 1624).
//
// A partial sum is a uint32 whose low and high halves have not been folded
// together yet. Partial sums are made by Sum, Pseudo and friends, combined by
// Combine, and finished by Checksum. All functions are pure and allocate
// nothing.
package checksum

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// Sum adds the 16-bit big-endian words of b to the partial sum initial and
// returns the new partial sum. An odd last octet counts as the high half of a
// word that ends in zero (RFC 1071 §1). The result is at most 0xffff, and it is
// zero only when initial and every octet of b are zero.
func Sum(b []byte, initial uint32) uint32 {
	// The one's complement sum is independent of the word size (RFC 1071 §2
	// (C)): eight octets at a time with the carry added back in.
	acc := uint64(initial)
	var carry uint64
	for len(b) >= 32 {
		acc, carry = bits.Add64(acc, binary.BigEndian.Uint64(b), 0)
		acc, carry = bits.Add64(acc, binary.BigEndian.Uint64(b[8:]), carry)
		acc, carry = bits.Add64(acc, binary.BigEndian.Uint64(b[16:]), carry)
		acc, carry = bits.Add64(acc, binary.BigEndian.Uint64(b[24:]), carry)
		acc, carry = bits.Add64(acc, 0, carry)
		acc += carry
		b = b[32:]
	}
	for len(b) >= 8 {
		acc, carry = bits.Add64(acc, binary.BigEndian.Uint64(b), 0)
		acc += carry
		b = b[8:]
	}
	if len(b) > 0 {
		var tail uint64
		for i, o := range b {
			tail |= uint64(o) << (56 - 8*i)
		}
		acc, carry = bits.Add64(acc, tail, 0)
		acc += carry
	}
	acc = acc>>32 + acc&0xffffffff
	acc = acc>>32 + acc&0xffffffff
	return uint32(Fold(uint32(acc)))
}

// Fold adds the halves of a partial sum until 16 bits remain.
func Fold(sum uint32) uint16 {
	sum = sum>>16 + sum&0xffff
	sum = sum>>16 + sum&0xffff
	return uint16(sum)
}

// Checksum finishes a partial sum: the one's complement of the folded sum, as it
// goes into a header. Over a packet whose checksum field is included the
// result is zero exactly when the checksum is right.
func Checksum(sum uint32) uint16 { return ^Fold(sum) }

// Combine returns the partial sum of two adjacent pieces, where first covers
// firstLen octets and second was summed as if it began at an even offset. When
// firstLen is odd the second sum's octets are swapped (RFC 1071 §2 (B)).
func Combine(first uint32, firstLen int, second uint32) uint32 {
	s := Fold(second)
	if firstLen&1 != 0 {
		s = bits.ReverseBytes16(s)
	}
	return uint32(Fold(first)) + uint32(s)
}

// SumSlices returns the partial sum of the concatenation of pieces, each of any
// length, continued from initial.
func SumSlices(pieces [][]byte, initial uint32) uint32 {
	n := 0
	for _, p := range pieces {
		initial = Combine(initial, n, Sum(p, 0))
		n += len(p)
	}
	return initial
}

// Pseudo returns the partial sum of the pseudo-header of an upper-layer packet
// of length octets (header and payload): RFC 9293 §3.1 and RFC 768 for IPv4
// addresses, RFC 8200 §8.1 for IPv6 addresses. IPv4-mapped IPv6 addresses
// count as IPv4. Both addresses must be valid and of one family; otherwise the
// sum is of no use.
func Pseudo(src, dst netip.Addr, protocol uint8, length int) uint32 {
	return PseudoAddrs(src, dst) + uint32(protocol) + uint32(length)&0xffff + uint32(length)>>16
}

// PseudoAddrs returns the part of Pseudo that the addresses contribute, for
// callers who keep it with a connection and add protocol and length, in any
// order, per packet.
func PseudoAddrs(src, dst netip.Addr) uint32 {
	return addrSum(src) + addrSum(dst)
}

func addrSum(a netip.Addr) uint32 {
	if a.Is4() || a.Is4In6() {
		b := a.As4()
		return uint32(binary.BigEndian.Uint16(b[0:])) + uint32(binary.BigEndian.Uint16(b[2:]))
	}
	b := a.As16()
	return Sum(b[:], 0)
}

// Update returns the checksum field of a header in which one 16-bit word
// changed from old to new, given its present checksum field (RFC 1624 §3,
// equation 3).
func Update(field, old, new uint16) uint16 {
	return Checksum(uint32(^field) + uint32(^old) + uint32(new))
}

// UpdateSlice is Update for a run of octets that began at an even offset and
// changed from old to new; both have the same length.
func UpdateSlice(field uint16, old, new []byte) uint16 {
	// One's complement subtraction adds the complement of the old words.
	return Checksum(uint32(^field) + uint32(^uint16(Sum(old, 0))) + Sum(new, 0))
}
