package capture

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

// The magic numbers of classic pcap (draft-ietf-opsawg-pcap §4), by the unit of
// their timestamps.
const (
	pcapMicro = 0xa1b2c3d4
	pcapNano  = 0xa1b23c4d
)

type pcapFormat struct {
	order binary.ByteOrder
	unit  int64 // nanoseconds
	link  LinkType
}

// pcapHeader reads the header of a classic pcap file.
func (r *Reader) pcapHeader(magic []byte) error {
	switch {
	case binary.LittleEndian.Uint32(magic) == pcapMicro:
		r.pcap = pcapFormat{order: binary.LittleEndian, unit: 1000}
	case binary.BigEndian.Uint32(magic) == pcapMicro:
		r.pcap = pcapFormat{order: binary.BigEndian, unit: 1000}
	case binary.LittleEndian.Uint32(magic) == pcapNano:
		r.pcap = pcapFormat{order: binary.LittleEndian, unit: 1}
	case binary.BigEndian.Uint32(magic) == pcapNano:
		r.pcap = pcapFormat{order: binary.BigEndian, unit: 1}
	default:
		return fmt.Errorf("%w: it begins with % x", ErrFormat, magic)
	}
	h, err := r.read(24)
	if err != nil {
		if err == io.ErrUnexpectedEOF {
			return fmt.Errorf("%w: its header is cut off", ErrFormat)
		}
		return err
	}
	if major := r.pcap.order.Uint16(h[4:]); major != 2 {
		return fmt.Errorf("%w: pcap version %d", ErrFormat, major)
	}
	r.pcap.link = LinkType(r.pcap.order.Uint32(h[20:])) // the upper half describes check sequences
	r.ifaces = []Interface{{LinkType: r.pcap.link, SnapLen: int(r.pcap.order.Uint32(h[16:]))}}
	return nil
}

// nextRecord reads one packet of a classic pcap file.
func (r *Reader) nextRecord(p *Packet) error {
	h, err := r.read(16)
	if err != nil {
		return err
	}
	sec, frac := r.pcap.order.Uint32(h), r.pcap.order.Uint32(h[4:])
	kept, length := r.pcap.order.Uint32(h[8:]), r.pcap.order.Uint32(h[12:])
	if kept > maxBlock {
		r.malformed(ReasonLength)
		return fmt.Errorf("%w: packet of %d octets after %d packets", ErrFormat, kept, r.stats.Packets)
	}
	data, err := r.read(int(kept))
	if err != nil {
		return ended(err, true)
	}
	*p = Packet{
		Time:     time.Unix(int64(sec), int64(frac)*r.pcap.unit),
		LinkType: r.pcap.link,
		Data:     data,
		Length:   int(max(kept, length)),
	}
	return nil
}
