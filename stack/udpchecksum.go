package stack

import (
	"encoding/binary"

	"arpeggio/stack/checksum"
	"arpeggio/stack/ipv4"
	"arpeggio/stack/udp"
)

// SetNoChecksum has u send datagrams without a checksum (RFC 1122 §4.1.3.4;
// SO_NO_CHECK). It is for peers that cannot compute one, and for tests of those: what
// is damaged on its way is then taken for what was sent.
func (u *UDPConn) SetNoChecksum(on bool) error { return u.control(func() { u.unsummed = on }) }

// SetNeedChecksum has u refuse datagrams without a checksum (RFC 1122 §4.1.3.4), which
// IPv4 allows and which are received otherwise. UDPStats.Unsummed counts them.
func (u *UDPConn) SetNeedChecksum(on bool) error { return u.control(func() { u.needSum = on }) }

// datagram returns a UDP datagram of n octets with its checksum, unless u sends none.
func (u *UDPConn) datagram(uh udp.Header, h *ipv4.Header, p []byte, n int) []byte {
	b := make([]byte, 0, n)
	if u.unsummed {
		return append(uh.AppendHeader(b, len(p)), p...)
	}
	return uh.AppendTo(b, p, checksum.Pseudo(h.Src, h.Dst, uint8(h.Proto), n))
}

// summed reports whether the sender of a datagram computed a checksum.
func summed(datagram []byte) bool {
	return binary.BigEndian.Uint16(datagram[udp.ChecksumOffset:]) != 0
}
