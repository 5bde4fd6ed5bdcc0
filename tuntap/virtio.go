package tuntap

import (
	"encoding/binary"

	"arpeggio/stack/link"
)

// The virtio network header in the layout of 10 octets and the byte order of
// the host, as TUN/TAP and packet sockets use it (virtio 1.2 §5.1.6, legacy
// form): flags, gso_type, hdr_len, gso_size, csum_start, csum_offset.
const (
	vnetLen = 10

	vnetNeedsCsum = 1 // in flags
	vnetDataValid = 2

	vnetGSOTCP4 = 1 // in gso_type
	vnetGSOTCP6 = 4
	vnetGSOECN  = 0x80
)

// putVnet describes f in h.
func putVnet(h *[vnetLen]byte, f *link.Frame) {
	*h = [vnetLen]byte{}
	switch f.Csum.State {
	case link.CsumPartial:
		h[0] = vnetNeedsCsum
		binary.NativeEndian.PutUint16(h[6:], f.Csum.Start)
		binary.NativeEndian.PutUint16(h[8:], f.Csum.Offset)
	case link.CsumValid:
		h[0] = vnetDataValid
	}
	switch f.GSO.Type {
	case link.GSOTCP4:
		h[1] = vnetGSOTCP4
	case link.GSOTCP6:
		h[1] = vnetGSOTCP6
	default:
		return
	}
	if f.GSO.ECN {
		h[1] |= vnetGSOECN
	}
	binary.NativeEndian.PutUint16(h[2:], f.GSO.HdrLen)
	binary.NativeEndian.PutUint16(h[4:], f.GSO.Size)
}

// verdict says what became of a received header.
type verdict uint8

const (
	accepted verdict = iota
	malformed
	unwanted // a super-frame that link.GSO has no word for
)

// parseVnet fills f's descriptors from h. f.Head holds the whole frame, into
// which shift octets of VLAN tags were put back after h was made. The length of
// the headers is taken from the TCP header: what the kernel writes there is how
// much of the frame lay in one piece.
func parseVnet(h *[vnetLen]byte, f *link.Frame, shift int) verdict {
	f.Csum, f.GSO = link.Csum{}, link.GSO{}
	start := int(binary.NativeEndian.Uint16(h[6:])) + shift
	offset := int(binary.NativeEndian.Uint16(h[8:]))
	switch {
	case h[0]&vnetNeedsCsum != 0:
		if start+offset+2 > len(f.Head) || start > 0xffff {
			return malformed
		}
		f.Csum = link.Csum{State: link.CsumPartial, Start: uint16(start), Offset: uint16(offset)}
	case h[0]&vnetDataValid != 0:
		f.Csum.State = link.CsumValid
	}
	switch h[1] &^ vnetGSOECN {
	case 0:
		return accepted
	case vnetGSOTCP4:
		f.GSO.Type = link.GSOTCP4
	case vnetGSOTCP6:
		f.GSO.Type = link.GSOTCP6
	default:
		return unwanted
	}
	f.GSO.ECN = h[1]&vnetGSOECN != 0
	f.GSO.Size = binary.NativeEndian.Uint16(h[4:])
	const dataOffset, shortest = 12, 20 // RFC 9293 §3.1
	if f.Csum.State != link.CsumPartial || f.GSO.Size == 0 || start+shortest > len(f.Head) {
		return malformed
	}
	end := start + int(f.Head[start+dataOffset]>>4)*4
	if end < start+shortest || end > len(f.Head) {
		return malformed
	}
	f.GSO.HdrLen = uint16(end)
	return accepted
}
