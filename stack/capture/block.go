package capture

import (
	"encoding/binary"
	"math"
	"math/bits"
	"net/netip"
	"time"

	"arpeggio/stack/link"
)

// Block types and options of pcapng (draft-ietf-opsawg-pcapng).
const (
	blockSection    = 0x0a0d0d0a // §4.1
	blockInterface  = 1          // §4.2
	blockObsolete   = 2          // packet block, appendix A
	blockSimple     = 3          // §4.4
	blockStatistics = 5          // §4.6
	blockEnhanced   = 6          // §4.3

	byteOrderMagic = 0x1a2b3c4d

	optEnd     = 0
	optComment = 1

	optUserAppl = 4 // of a section

	optIfName        = 2 // of an interface
	optIfDescription = 3
	optIfIPv4        = 4 // address and mask
	optIfIPv6        = 5 // address and length of the prefix
	optIfTsResol     = 9
	optIfTsOffset    = 14

	optIfRecv = 4 // of interface statistics
	optIfDrop = 5

	optFlags     = 2 // of a packet
	optDropCount = 4
)

// block appends one block to b: its frame, what body appends, and both lengths.
func block(b []byte, typ uint32, body func([]byte) []byte) []byte {
	start := len(b)
	b = binary.LittleEndian.AppendUint32(b, typ)
	b = append(b, 0, 0, 0, 0)
	b = pad(body(b), start)
	n := uint32(len(b) - start + 4)
	binary.LittleEndian.PutUint32(b[start+4:], n)
	return binary.LittleEndian.AppendUint32(b, n)
}

// pad appends zeros until b is aligned to 4 octets from start.
func pad(b []byte, start int) []byte {
	for (len(b)-start)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// option appends one option; text that does not fit is cut.
func option[T []byte | string](b []byte, code uint16, v T) []byte {
	v = v[:min(len(v), math.MaxUint16)]
	b = binary.LittleEndian.AppendUint16(b, code)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(v)))
	start := len(b)
	return pad(append(b, v...), start)
}

// text appends an option unless v is empty.
func text(b []byte, code uint16, v string) []byte {
	if v == "" {
		return b
	}
	return option(b, code, v)
}

func endOfOptions(b []byte) []byte { return append(b, optEnd, 0, 0, 0) }

// sectionBlock appends a section header.
func sectionBlock(b []byte, application, comment string) []byte {
	return block(b, blockSection, func(b []byte) []byte {
		b = binary.LittleEndian.AppendUint32(b, byteOrderMagic)
		b = binary.LittleEndian.AppendUint16(b, 1) // version 1.0
		b = binary.LittleEndian.AppendUint16(b, 0)
		b = binary.LittleEndian.AppendUint64(b, math.MaxUint64) // length not known
		b = text(b, optComment, comment)
		b = text(b, optUserAppl, application)
		return endOfOptions(b)
	})
}

// interfaceBlock appends an interface description with nanosecond resolution.
func interfaceBlock(b []byte, i Interface) []byte {
	return block(b, blockInterface, func(b []byte) []byte {
		b = binary.LittleEndian.AppendUint16(b, uint16(i.LinkType))
		b = binary.LittleEndian.AppendUint16(b, 0)
		b = binary.LittleEndian.AppendUint32(b, uint32(i.SnapLen))
		b = text(b, optIfName, i.Name)
		b = text(b, optIfDescription, i.Description)
		for _, n := range i.Networks {
			b = network(b, n)
		}
		b = option(b, optIfTsResol, []byte{9})
		return endOfOptions(b)
	})
}

// network appends an address of an interface.
func network(b []byte, n netip.Prefix) []byte {
	switch {
	case !n.IsValid():
		return b
	case n.Addr().Is4():
		a := n.Addr().As4()
		v := binary.BigEndian.AppendUint32(a[:], ^uint32(0)<<(32-n.Bits()))
		return option(b, optIfIPv4, v)
	}
	a := n.Addr().As16()
	return option(b, optIfIPv6, append(a[:], byte(n.Bits())))
}

// parseNetwork reads the value of an option that network wrote; the result is
// invalid for one that makes no sense.
func parseNetwork(code uint16, v []byte) netip.Prefix {
	switch {
	case code == optIfIPv4 && len(v) == 8:
		mask := binary.BigEndian.Uint32(v[4:])
		if n := bits.LeadingZeros32(^mask); mask == ^uint32(0)<<(32-n) {
			return netip.PrefixFrom(netip.AddrFrom4([4]byte(v)), n)
		}
	case code == optIfIPv6 && len(v) == 17:
		return netip.PrefixFrom(netip.AddrFrom16([16]byte(v)), int(v[16]))
	}
	return netip.Prefix{}
}

// packetLen returns an upper bound of what packetBlock appends.
func packetLen(p *Packet, f *link.Frame, snap int) int {
	kept := f.Len()
	if snap > 0 {
		kept = min(kept, snap)
	}
	return 32 + kept + 3 + 4 + min(len(p.Comment), math.MaxUint16) + 3 + 8 + 12 + 4
}

// packetBlock appends an enhanced packet block of p, whose time is given and
// whose data are f's, cut at snap octets (0: not cut).
func packetBlock(b []byte, p *Packet, at time.Time, f *link.Frame, snap int) []byte {
	return block(b, blockEnhanced, func(b []byte) []byte {
		ts := uint64(max(0, at.UnixNano()))
		b = binary.LittleEndian.AppendUint32(b, uint32(p.Interface))
		b = binary.LittleEndian.AppendUint32(b, uint32(ts>>32))
		b = binary.LittleEndian.AppendUint32(b, uint32(ts))
		kept := f.Len()
		if snap > 0 {
			kept = min(kept, snap)
		}
		b = binary.LittleEndian.AppendUint32(b, uint32(kept))
		b = binary.LittleEndian.AppendUint32(b, uint32(p.Length))
		start := len(b)
		b = f.AppendTo(b)
		b = pad(b[:start+kept], start)
		if p.Direction == Unknown && p.Comment == "" && p.Dropped == 0 {
			return b
		}
		b = text(b, optComment, p.Comment)
		if p.Direction != Unknown {
			b = option(b, optFlags, []byte{byte(p.Direction), 0, 0, 0}) // bits 0 and 1: 01 inbound, 10 outbound
		}
		if p.Dropped > 0 {
			b = option(b, optDropCount, binary.LittleEndian.AppendUint64(nil, p.Dropped))
		}
		return endOfOptions(b)
	})
}

// statisticsBlock appends what is known of an interface at a time: how many
// packets were seen, and how many of them are missing.
func statisticsBlock(b []byte, iface int, at time.Time, seen, dropped uint64) []byte {
	return block(b, blockStatistics, func(b []byte) []byte {
		ts := uint64(max(0, at.UnixNano()))
		b = binary.LittleEndian.AppendUint32(b, uint32(iface))
		b = binary.LittleEndian.AppendUint32(b, uint32(ts>>32))
		b = binary.LittleEndian.AppendUint32(b, uint32(ts))
		b = option(b, optIfRecv, binary.LittleEndian.AppendUint64(nil, seen))
		b = option(b, optIfDrop, binary.LittleEndian.AppendUint64(nil, dropped))
		return endOfOptions(b)
	})
}
