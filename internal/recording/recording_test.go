package recording

import (
	"net/netip"
	"testing"

	"arpeggio/stack/capture"
	"arpeggio/stack/ethernet"
	"arpeggio/stack/ipv4"
	"arpeggio/stack/tcp"
	"arpeggio/stack/udp"
)

func frame(vlan uint16, typ ethernet.EtherType, payload []byte) []byte {
	h := ethernet.Header{Dst: ethernet.Broadcast, Src: ethernet.MustParseAddr("02:00:00:00:00:01"), Type: typ}
	if vlan != 0 {
		h.SetVLAN(ethernet.VLAN{Inner: vlan})
	}
	return append(h.AppendTo(nil), payload...)
}

func packet(proto ipv4.Proto, offset uint16, body []byte) []byte {
	h := ipv4.Header{Proto: proto, Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddr("10.0.0.2"), Offset: offset, TTL: 64}
	return append(h.AppendTo(nil, nil, len(body)), body...)
}

func TestLabel(t *testing.T) {
	seg := tcp.Segment{SrcPort: 4000, DstPort: 80, Flags: tcp.SYN}
	syn := seg.AppendHeader(nil)
	datagram := udp.Header{SrcPort: 53, DstPort: 5353}
	for name, tc := range map[string]struct {
		d     capture.Direction
		frame []byte
		want  capture.Label
	}{
		"received": {capture.In, frame(0, ethernet.TypeIPv4, packet(ipv4.ProtoTCP, 0, syn)),
			capture.Label{Comment: "tcp 10.0.0.2:80 10.0.0.1:4000", Key: "tcp 10.0.0.2:80 10.0.0.1:4000", Flags: uint8(tcp.SYN), Mark: 1<<32 | uint64(tcp.SYN), Wait: waitNote}},
		"sent": {capture.Out, frame(7, ethernet.TypeIPv4, packet(ipv4.ProtoTCP, 0, syn)),
			capture.Label{Comment: "tcp 10.0.0.1:4000 10.0.0.2:80", Key: "tcp 10.0.0.1:4000 10.0.0.2:80", Flags: uint8(tcp.SYN), Mark: 1<<32 | uint64(tcp.SYN)}},
		"UDP":              {capture.In, frame(0, ethernet.TypeIPv4, packet(ipv4.ProtoUDP, 0, datagram.AppendTo(nil, nil, 0))), capture.Label{Comment: "udp 10.0.0.2:5353 10.0.0.1:53"}},
		"a later fragment": {capture.In, frame(0, ethernet.TypeIPv4, packet(ipv4.ProtoTCP, 8, syn)), capture.Label{}},
		"a cut segment":    {capture.In, frame(0, ethernet.TypeIPv4, packet(ipv4.ProtoTCP, 0, syn[:19])), capture.Label{}},
		"ARP":              {capture.In, frame(0, ethernet.TypeARP, make([]byte, 28)), capture.Label{Wait: waitNote}},
		"ARP of ours":      {capture.Out, frame(0, ethernet.TypeARP, make([]byte, 28)), capture.Label{}},
		"IPv6":             {capture.In, frame(0, ethernet.TypeIPv6, make([]byte, 60)), capture.Label{}},
		"nothing":          {capture.In, nil, capture.Label{}},
	} {
		if got := label(tc.d, tc.frame); got != tc.want {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
}

func FuzzLabel(f *testing.F) {
	f.Add(frame(7, ethernet.TypeIPv4, packet(ipv4.ProtoTCP, 0, make([]byte, 20))))
	f.Add(frame(0, ethernet.TypeARP, make([]byte, 28)))
	f.Fuzz(func(t *testing.T, b []byte) {
		label(capture.In, b)
		label(capture.Out, b)
	})
}
