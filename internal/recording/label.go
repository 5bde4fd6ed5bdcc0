package recording

import (
	"encoding/binary"
	"net/netip"

	"arpeggio/stack/capture"
	"arpeggio/stack/ethernet"
	"arpeggio/stack/ipv4"
	"arpeggio/stack/tcp"
)

// label reads from a frame which connection it belongs to.
func label(d capture.Direction, frame []byte) (l capture.Label) {
	h, payload, err := ethernet.Parse(frame)
	if err != nil {
		return l
	}
	if h.Type == ethernet.TypeARP && d == capture.In {
		l.Wait = waitNote
	}
	if h.Type != ethernet.TypeIPv4 {
		return l
	}
	// The checksum of a super-frame's header may be the card's to fill in, so
	// package ipv4 is not asked.
	if len(payload) < ipv4.MinHeaderLen || payload[0]>>4 != 4 || int(payload[0]&15) < 5 {
		return l
	}
	if binary.BigEndian.Uint16(payload[6:])&0x1fff != 0 { // not the first fragment
		return l
	}
	hlen := int(payload[0]&15) * 4
	body := payload[min(hlen, len(payload)):]
	if len(body) < 4 {
		return l
	}
	src := netip.AddrPortFrom(netip.AddrFrom4([4]byte(payload[12:])), binary.BigEndian.Uint16(body))
	dst := netip.AddrPortFrom(netip.AddrFrom4([4]byte(payload[16:])), binary.BigEndian.Uint16(body[2:]))
	local, remote := src, dst
	if d == capture.In {
		local, remote = dst, src
	}
	switch ipv4.Proto(payload[9]) {
	case ipv4.ProtoTCP:
		if len(body) < tcp.HeaderLen {
			return l
		}
		l.Comment = connection("tcp", local, remote)
		l.Key, l.Flags = l.Comment, body[13]
		if d == capture.In {
			l.Wait = waitNote
		}
	case ipv4.ProtoUDP:
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
