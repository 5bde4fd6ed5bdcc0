package ipv4

import (
	"encoding/binary"
	"net/netip"

	"arpeggio/stack/checksum"
)

// Header is an IPv4 header without the fields that follow from its
// surroundings (version, lengths, checksum) and without options. It is
// comparable.
type Header struct {
	TOS    uint8  // DSCP and ECN (RFC 2474, RFC 3168)
	ID     uint16 // meaningful only where fragmentation is possible (RFC 6864)
	DF     bool   // do not fragment
	RF     bool   // the reserved flag: never set by us, quoted as it came
	MF     bool   // more fragments follow
	Offset uint16 // of this fragment in its datagram's payload, octets, a multiple of 8
	TTL    uint8
	Proto  Proto
	Src    netip.Addr
	Dst    netip.Addr
}

// IsFragment reports whether the packet is less than a whole datagram.
func (h *Header) IsFragment() bool { return h.MF || h.Offset != 0 }

const (
	flagRF     = 0x8000
	flagDF     = 0x4000
	flagMF     = 0x2000
	offsetMask = 0x1fff
)

// Parse reads the header of packet and verifies it: version, lengths, checksum,
// the form of each option, and that a fragment can be part of a datagram. Octets
// beyond the total length (link padding) are cut off. opts and payload alias
// packet. With ErrOption, h, opts and payload are valid nevertheless, so that a
// parameter problem can be reported.
func Parse(packet []byte) (h Header, opts, payload []byte, err error) {
	if len(packet) < MinHeaderLen {
		return h, nil, nil, ErrShort
	}
	if packet[0]>>4 != 4 {
		return h, nil, nil, ErrVersion
	}
	hlen := int(packet[0]&15) * 4
	if hlen < MinHeaderLen || hlen > len(packet) {
		return h, nil, nil, ErrHeaderLen
	}
	total := int(binary.BigEndian.Uint16(packet[2:]))
	if total < hlen || total > len(packet) {
		return h, nil, nil, ErrTotalLen
	}
	if checksum.Checksum(checksum.Sum(packet[:hlen], 0)) != 0 {
		return h, nil, nil, ErrChecksum
	}
	frag := binary.BigEndian.Uint16(packet[6:])
	h = Header{
		TOS: packet[1], ID: binary.BigEndian.Uint16(packet[4:]),
		RF: frag&flagRF != 0, DF: frag&flagDF != 0, MF: frag&flagMF != 0, Offset: frag & offsetMask * 8,
		TTL: packet[8], Proto: Proto(packet[9]),
		Src: netip.AddrFrom4([4]byte(packet[12:16])), Dst: netip.AddrFrom4([4]byte(packet[16:20])),
	}
	opts, payload = packet[MinHeaderLen:hlen], packet[hlen:total]
	if h.IsFragment() {
		n := len(payload)
		if n == 0 || h.MF && n%8 != 0 || int(h.Offset)+n+MinHeaderLen > MaxLen {
			return h, opts, payload, ErrFragment
		}
	}
	if len(opts) > 0 {
		if _, err := CheckOptions(opts); err != nil {
			return h, opts, payload, err
		}
	}
	return h, opts, payload, nil
}

// AppendTo appends the header in wire form, with the options padded to whole
// words and the checksum set, for a packet that carries payloadLen octets
// behind it. The caller sees to it that the options fit 40 octets and the whole
// packet MaxLen.
func (h *Header) AppendTo(b, opts []byte, payloadLen int) []byte {
	hlen := MinHeaderLen + (len(opts)+3)&^3
	start := len(b)
	frag := h.Offset / 8
	if h.RF {
		frag |= flagRF
	}
	if h.DF {
		frag |= flagDF
	}
	if h.MF {
		frag |= flagMF
	}
	b = append(b, 0x40|byte(hlen/4), h.TOS)
	b = binary.BigEndian.AppendUint16(b, uint16(hlen+payloadLen))
	b = binary.BigEndian.AppendUint16(b, h.ID)
	b = binary.BigEndian.AppendUint16(b, frag)
	b = append(b, h.TTL, byte(h.Proto), 0, 0)
	src, dst := h.Src.As4(), h.Dst.As4()
	b = append(b, src[:]...)
	b = append(b, dst[:]...)
	b = append(b, opts...)
	for len(b) < start+hlen {
		b = append(b, byte(OptEnd))
	}
	binary.BigEndian.PutUint16(b[start+10:], checksum.Checksum(checksum.Sum(b[start:], 0)))
	return b
}
