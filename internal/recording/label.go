package recording

import (
	"encoding/binary"
	"net/netip"

	"arpeggio/stack/capture"
	"arpeggio/stack/ethernet"
	"arpeggio/stack/ipv4"
	"arpeggio/stack/tcp"
)

// parsed is what a frame says of connections.
type parsed struct {
	ethertype ethernet.EtherType
	proto     ipv4.Proto // of IPv4 when the ends are valid
	fragment  bool       // not the first one: it has no ends
	src, dst  netip.AddrPort
	body      []byte // of the IPv4 packet, padding left out
}

// parse reads a frame. The checksum of a super-frame's header may be the card's to
// fill in, so package ipv4 is not asked.
func parse(frame []byte) (p parsed, ok bool) {
	h, payload, err := ethernet.Parse(frame)
	if err != nil {
		return p, false
	}
	p.ethertype = h.Type
	if h.Type != ethernet.TypeIPv4 || len(payload) < ipv4.MinHeaderLen || payload[0]>>4 != 4 || int(payload[0]&15) < 5 {
		return p, true
	}
	p.proto = ipv4.Proto(payload[9])
	hlen, total := int(payload[0]&15)*4, int(binary.BigEndian.Uint16(payload[2:]))
	if total >= hlen && total < len(payload) {
		payload = payload[:total]
	}
	p.body = payload[min(hlen, len(payload)):]
	src, dst := netip.AddrFrom4([4]byte(payload[12:])), netip.AddrFrom4([4]byte(payload[16:]))
	p.fragment = binary.BigEndian.Uint16(payload[6:])&0x1fff != 0
	if !p.fragment && len(p.body) >= 4 && (p.proto == ipv4.ProtoTCP || p.proto == ipv4.ProtoUDP) {
		p.src = netip.AddrPortFrom(src, binary.BigEndian.Uint16(p.body))
		p.dst = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(p.body[2:]))
	}
	return p, true
}

// isSegment says whether the packet holds the header of a TCP segment.
func (p *parsed) isSegment() bool {
	return p.proto == ipv4.ProtoTCP && p.src.IsValid() && len(p.body) >= tcp.HeaderLen
}

// flags returns the flags of a segment.
func (p *parsed) flags() tcp.Flags { return tcp.Flags(p.body[13]) }

// mark tells a received segment from others of its connection, never zero: the end
// of its sequence numbers, its acknowledgment, and the flags that change states. They
// are the same for a row of segments that a kernel has joined and the last one of them.
func (p *parsed) mark() uint64 {
	f := p.flags() & (tcp.FIN | tcp.SYN | tcp.RST | tcp.ACK)
	end := binary.BigEndian.Uint32(p.body[4:]) + uint32(len(p.body)-min(len(p.body), int(p.body[12]>>4)*4))
	for _, bit := range []tcp.Flags{tcp.SYN, tcp.FIN} {
		if f&bit != 0 {
			end++
		}
	}
	return uint64(end)<<32 | uint64(binary.BigEndian.Uint32(p.body[8:]))<<8&0xffffff00 | uint64(f)
}

// label reads from a frame which connection of ours it belongs to.
func label(d capture.Direction, frame []byte) (l capture.Label) {
	if d == capture.Unknown { // it passes between others
		return l
	}
	p, ok := parse(frame)
	if !ok {
		return l
	}
	if p.ethertype == ethernet.TypeARP && d == capture.In {
		l.Wait = waitNote
	}
	local, remote := p.src, p.dst
	if d == capture.In {
		local, remote = p.dst, p.src
	}
	switch {
	case p.isSegment():
		l.Comment = connection("tcp", local, remote)
		l.Key, l.Flags, l.Mark = l.Comment, uint8(p.flags()), p.mark()
		if d == capture.In {
			l.Wait = waitNote
		}
	case p.proto == ipv4.ProtoUDP && p.src.IsValid():
		l.Comment = connection("udp", local, remote)
	}
	return l
}

// isARP says whether a frame may lead to a commit.
func isARP(frame []byte) bool {
	h, _, err := ethernet.Parse(frame)
	return err == nil && h.Type == ethernet.TypeARP
}

// connection names a connection by its ends, ours first.
func connection(proto string, local, remote netip.AddrPort) string {
	return proto + " " + local.String() + " " + remote.String()
}
