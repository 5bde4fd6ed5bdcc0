package capture

import (
	"encoding/binary"
	"fmt"
	"io"
	"iter"
)

// section is the state of one pcapng section.
type section struct {
	order  binary.ByteOrder
	base   int // index of its first interface
	clocks []clock
	skip   bool // of a version that is not ours to read
}

// nextBlock reads one block.
func (r *Reader) nextBlock(p *Packet) error {
	h, err := r.r.Peek(12)
	if err != nil {
		return ended(err, len(h) > 0)
	}
	if binary.BigEndian.Uint32(h) == blockSection { // reads the same in both orders
		switch {
		case binary.LittleEndian.Uint32(h[8:]) == byteOrderMagic:
			r.ng.order = binary.LittleEndian
		case binary.BigEndian.Uint32(h[8:]) == byteOrderMagic:
			r.ng.order = binary.BigEndian
		default:
			return fmt.Errorf("%w: section with the byte order mark % x", ErrFormat, h[8:12])
		}
	}
	typ, length := r.ng.order.Uint32(h), r.ng.order.Uint32(h[4:])
	if length < 12 || length%4 != 0 {
		r.malformed(ReasonLength)
		return fmt.Errorf("%w: block of %d octets after %d packets", ErrFormat, length, r.stats.Packets)
	}
	if length > maxBlock {
		r.malformed(ReasonLarge)
		return r.discard(int64(length))
	}
	b, err := r.read(int(length))
	if err != nil {
		return ended(err, true)
	}
	if end := r.ng.order.Uint32(b[length-4:]); end != length {
		r.malformed(ReasonTrailer)
		return fmt.Errorf("%w: block of %d octets ends as one of %d after %d packets", ErrFormat, length, end, r.stats.Packets)
	}
	body := b[8 : length-4]
	if typ == blockSection {
		return r.section(body)
	}
	if r.ng.skip {
		r.stats.Skipped++
		return errSkip
	}
	switch typ {
	case blockInterface:
		return r.iface(body)
	case blockEnhanced:
		return r.enhanced(p, body)
	case blockObsolete:
		return r.obsolete(p, body)
	case blockSimple:
		return r.simple(p, body)
	}
	r.stats.Skipped++
	return errSkip
}

func (r *Reader) discard(n int64) error {
	if _, err := io.CopyN(io.Discard, r.r, n); err != nil {
		return ended(err, true)
	}
	return errSkip
}

func (r *Reader) section(b []byte) error {
	if len(b) < 16 {
		return r.malformed(ReasonSection)
	}
	major := r.ng.order.Uint16(b[4:])
	r.ng = section{order: r.ng.order, base: len(r.ifaces), skip: major != 1}
	if r.ng.skip {
		return r.malformed(ReasonSection)
	}
	return errSkip
}

// Bounds of what is kept of an interface.
const (
	maxIfaceText = 256 // octets of a name, and of a description
	maxNetworks  = 16
)

func (r *Reader) iface(b []byte) error {
	if len(r.ifaces) == MaxInterfaces {
		return fmt.Errorf("%w: more than %d interfaces", ErrFormat, MaxInterfaces)
	}
	i, c := Interface{}, clock{resolution: 6}
	if len(b) >= 8 {
		i.LinkType = LinkType(r.ng.order.Uint16(b))
		i.SnapLen = int(r.ng.order.Uint32(b[4:]))
		for code, v := range r.options(b[8:]) {
			switch {
			case code == optIfName:
				i.Name = ifaceText(v)
			case code == optIfDescription:
				i.Description = ifaceText(v)
			case code == optIfTsResol && len(v) >= 1:
				c.resolution = v[0]
			case code == optIfTsOffset && len(v) >= 8:
				c.offset = int64(r.ng.order.Uint64(v))
			case code == optIfIPv4 || code == optIfIPv6:
				if n := parseNetwork(code, v); n.IsValid() && len(i.Networks) < maxNetworks {
					i.Networks = append(i.Networks, n)
				}
			}
		}
	} else {
		r.malformed(ReasonInterface) // it keeps its number all the same
	}
	r.ifaces = append(r.ifaces, i)
	r.ng.clocks = append(r.ng.clocks, c)
	return errSkip
}

// ifaceText returns a text, cut where it is too long to keep.
func ifaceText(v []byte) string {
	return string(v[:min(len(v), maxIfaceText)])
}

// enhanced reads an enhanced packet block.
func (r *Reader) enhanced(p *Packet, b []byte) error {
	if len(b) < 20 {
		return r.malformed(ReasonShort)
	}
	return r.dated(p, r.ng.order.Uint32(b), b)
}

// obsolete reads the packet block that it replaced, which differs in a 16-bit
// interface and a drop count, which is FFFF when it is not known.
func (r *Reader) obsolete(p *Packet, b []byte) error {
	if len(b) < 20 {
		return r.malformed(ReasonShort)
	}
	err := r.dated(p, uint32(r.ng.order.Uint16(b)), b)
	if n := r.ng.order.Uint16(b[2:]); err == nil && n != 0xffff {
		p.Dropped = uint64(n)
	}
	return err
}

// dated reads a packet block with a timestamp.
func (r *Reader) dated(p *Packet, iface uint32, b []byte) error {
	kept, length := r.ng.order.Uint32(b[12:]), r.ng.order.Uint32(b[16:])
	if iface >= uint32(len(r.ng.clocks)) {
		return r.malformed(ReasonUnknown)
	}
	if uint64(kept) > uint64(len(b)-20) {
		return r.malformed(ReasonShort)
	}
	n := r.ng.base + int(iface)
	ts := uint64(r.ng.order.Uint32(b[4:]))<<32 | uint64(r.ng.order.Uint32(b[8:]))
	*p = Packet{
		Time:      r.ng.clocks[iface].time(ts),
		Interface: n,
		LinkType:  r.ifaces[n].LinkType,
		Data:      b[20 : 20+kept : 20+kept],
		Length:    int(max(kept, length)),
	}
	padded := min(len(b), 20+(int(kept)+3)&^3)
	for code, v := range r.options(b[padded:]) {
		switch {
		case code == optComment && p.Comment == "":
			p.Comment = string(v)
		case code == optFlags && len(v) >= 4:
			if d := Direction(r.ng.order.Uint32(v) & 3); d <= Out {
				p.Direction = d
			}
		case code == optDropCount && len(v) >= 8:
			p.Dropped = r.ng.order.Uint64(v)
		}
	}
	return nil
}

// simple reads a simple packet block: interface 0, no time, cut at the
// interface's snap length.
func (r *Reader) simple(p *Packet, b []byte) error {
	if len(r.ng.clocks) == 0 {
		return r.malformed(ReasonUnknown)
	}
	if len(b) < 4 {
		return r.malformed(ReasonShort)
	}
	i := r.ifaces[r.ng.base]
	length := r.ng.order.Uint32(b)
	kept := uint64(length)
	if i.SnapLen > 0 {
		kept = min(kept, uint64(i.SnapLen))
	}
	if kept > uint64(len(b)-4) {
		return r.malformed(ReasonShort)
	}
	*p = Packet{Interface: r.ng.base, LinkType: i.LinkType, Data: b[4 : 4+kept : 4+kept], Length: int(length)}
	return nil
}

// options yields the options in b up to the first that does not fit.
func (r *Reader) options(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= 4 {
			code, n := r.ng.order.Uint16(b), int(r.ng.order.Uint16(b[2:]))
			if code == optEnd || n > len(b)-4 || !yield(code, b[4:4+n]) {
				return
			}
			b = b[min(len(b), 4+(n+3)&^3):]
		}
	}
}
