package link_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"arpeggio/stack/ethernet"
	"arpeggio/stack/link"
)

// segmentCase describes a TCP packet for build.
type segmentCase struct {
	name    string
	vlan    ethernet.VLAN
	v6      bool
	options int // octets of TCP options, a multiple of 4
	payload int
	mss     int
	padding int
}

var segmentCases = []segmentCase{
	{name: "IPv4", payload: 10000, mss: 1460},
	{name: "IPv4 multiple of MSS", payload: 4380, mss: 1460},
	{name: "IPv4 odd MSS", payload: 1001, mss: 333},
	{name: "IPv4 with options and a tag", vlan: ethernet.VLAN{Inner: 5}, options: 12, payload: 3000, mss: 1448},
	{name: "IPv4 QinQ largest", vlan: ethernet.VLAN{Outer: 2, Inner: 5}, options: 40, payload: 65535 - 80, mss: 536},
	{name: "IPv4 one octet", payload: 1, mss: 1460},
	{name: "IPv4 no payload", payload: 0, mss: 1460},
	{name: "IPv4 with padding", payload: 10, mss: 4, padding: 6},
	{name: "MSS shorter than the headers", payload: 100, mss: 7},
	{name: "IPv6", v6: true, payload: 10000, mss: 1440},
	{name: "IPv6 tagged", v6: true, vlan: ethernet.VLAN{Inner: 7}, options: 12, payload: 2000, mss: 1000},
}

const tcpFlagsOffset = 13

func (c segmentCase) frame(t testing.TB) (f link.Frame, payload []byte) {
	t.Helper()
	eth := ethernet.Header{Dst: ethernet.Addr{2, 1}, Src: ethernet.Addr{2, 2}, Type: ethernet.TypeIPv4}
	eth.SetVLAN(c.vlan)
	tcp := &layers.TCP{SrcPort: 80, DstPort: 40000, Seq: 0xfffffff0, Ack: 7, ACK: true, PSH: true, FIN: true, CWR: true, Window: 500}
	for range c.options {
		tcp.Options = append(tcp.Options, layers.TCPOption{OptionType: layers.TCPOptionKindNop, OptionLength: 1})
	}
	var ip gopacket.SerializableLayer
	g := link.GSO{Type: link.GSOTCP4, Size: uint16(c.mss)}
	iplen := 20
	if c.v6 {
		eth.Type, g.Type, iplen = ethernet.TypeIPv6, link.GSOTCP6, 40
		v6 := &layers.IPv6{Version: 6, NextHeader: layers.IPProtocolTCP, HopLimit: 64, SrcIP: net.ParseIP("fd00::1"), DstIP: net.ParseIP("fd00::2")}
		tcp.SetNetworkLayerForChecksum(v6)
		ip = v6
	} else {
		v4 := &layers.IPv4{Version: 4, IHL: 5, Id: 0xfffe, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: net.IP{10, 9, 0, 1}, DstIP: net.IP{10, 9, 0, 2}}
		tcp.SetNetworkLayerForChecksum(v4)
		ip = v4
	}
	payload = make([]byte, c.payload)
	for i := range payload {
		payload[i] = byte(i * 7)
	}
	buf := gopacket.NewSerializeBuffer()
	opt := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(buf, opt, ip, tcp, gopacket.Payload(payload)); err != nil {
		t.Fatal(err)
	}
	hdr := iplen + 20 + c.options
	f.Head = append(eth.AppendTo(nil), buf.Bytes()[:hdr]...)
	rest := append(bytes.Clone(buf.Bytes()[hdr:]), make([]byte, c.padding)...)
	f.Payload = [][]byte{rest[:len(rest)/2], rest[len(rest)/2:]}
	g.HdrLen = uint16(len(f.Head))
	f.GSO = g
	f.Csum = link.Csum{State: link.CsumPartial, Start: uint16(eth.Len() + iplen), Offset: 16}
	return f, payload
}

func TestSegmentCutsSuperFrames(t *testing.T) {
	for _, c := range segmentCases {
		t.Run(c.name, func(t *testing.T) {
			f, want := c.frame(t)
			original := f.AppendTo(nil)
			var pieces [][]byte
			if err := link.Segment(&f, 0, func(b []byte) { pieces = append(pieces, bytes.Clone(b)) }); err != nil {
				t.Fatal(err)
			}
			if n := max(1, (c.payload+c.mss-1)/c.mss); len(pieces) != n {
				t.Fatalf("%d packets, want %d", len(pieces), n)
			}
			var whole []byte
			for i, b := range pieces {
				pkt := gopacket.NewPacket(b, layers.LayerTypeEthernet, gopacket.Default)
				if e := pkt.ErrorLayer(); e != nil {
					t.Fatalf("packet %d: %v", i, e.Error())
				}
				if again := rebuilt(t, pkt); !bytes.Equal(again, b[len(b)-len(again):]) {
					t.Fatalf("packet %d: lengths or checksums:\n% x, want\n% x", i, b[len(b)-len(again):], again)
				}
				tcp := pkt.Layer(layers.LayerTypeTCP).(*layers.TCP)
				if seq := uint32(0xfffffff0) + uint32(len(whole)); tcp.Seq != seq {
					t.Errorf("packet %d: sequence %d, want %d", i, tcp.Seq, seq)
				}
				if last := i == len(pieces)-1; tcp.FIN != last || tcp.PSH != last || tcp.CWR != (i == 0) || !tcp.ACK {
					t.Errorf("packet %d of %d: FIN %v PSH %v CWR %v ACK %v", i, len(pieces), tcp.FIN, tcp.PSH, tcp.CWR, tcp.ACK)
				}
				if v4, ok := pkt.Layer(layers.LayerTypeIPv4).(*layers.IPv4); ok && v4.Id != uint16(0xfffe+i) {
					t.Errorf("packet %d: identification %d", i, v4.Id)
				}
				if i < len(pieces)-1 && len(tcp.Payload) != c.mss {
					t.Errorf("packet %d: %d octets of payload", i, len(tcp.Payload))
				}
				whole = append(whole, tcp.Payload...)
			}
			if !bytes.Equal(whole, want) {
				t.Error("payload was changed")
			}
			if !bytes.Equal(f.AppendTo(nil), original) {
				t.Error("Segment modified its input")
			}
		})
	}
}

// rebuilt serializes pkt's network layer again with lengths and checksums of
// the library's own making.
func rebuilt(t *testing.T, pkt gopacket.Packet) []byte {
	t.Helper()
	tcp := pkt.Layer(layers.LayerTypeTCP).(*layers.TCP)
	tcp.SetNetworkLayerForChecksum(pkt.NetworkLayer())
	buf := gopacket.NewSerializeBuffer()
	opt := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	err := gopacket.SerializeLayers(buf, opt, pkt.NetworkLayer().(gopacket.SerializableLayer), tcp, gopacket.Payload(tcp.Payload))
	if err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestSegmentCompletesChecksum(t *testing.T) {
	f, _ := segmentCase{payload: 777, mss: 1460}.frame(t)
	want := f.AppendTo(nil) // complete as built
	field := int(f.Csum.Start + f.Csum.Offset)
	// What a stack would leave there: the folded pseudo-header sum.
	pseudo := uint32(10<<8|9) + 1 + (10<<8 | 9) + 2 + 6 + uint32(len(want)-34)
	f.Head[field], f.Head[field+1] = byte(pseudo>>8), byte(pseudo)
	f.GSO = link.GSO{}
	calls := 0
	err := link.Segment(&f, 1500, func(b []byte) {
		calls++
		if !bytes.Equal(b, want) {
			t.Errorf("checksum % x, want % x", b[field:field+2], want[field:field+2])
		}
	})
	if err != nil || calls != 1 {
		t.Errorf("%d calls, %v", calls, err)
	}
}

func TestSegmentRespectsMTU(t *testing.T) {
	none := func([]byte) { t.Error("emitted in spite of the MTU") }
	f, _ := segmentCase{payload: 5000, mss: 1461}.frame(t)
	if err := link.Segment(&f, 1500, none); !errors.Is(err, link.ErrTooBig) {
		t.Errorf("super-frame: %v", err)
	}
	f, _ = segmentCase{payload: 1461, mss: 1460}.frame(t)
	f.GSO = link.GSO{}
	if err := link.Segment(&f, 1500, none); !errors.Is(err, link.ErrTooBig) {
		t.Errorf("frame: %v", err)
	}
}

func TestSegmentRefusesWrongDescriptors(t *testing.T) {
	for name, spoil := range map[string]func(*link.Frame){
		"size 0":                func(f *link.Frame) { f.GSO.Size = 0 },
		"wrong family":          func(f *link.Frame) { f.GSO.Type = link.GSOTCP6 },
		"unknown type":          func(f *link.Frame) { f.GSO.Type = 9 },
		"UDP":                   func(f *link.Frame) { f.Head[23] = 17 },
		"fragment":              func(f *link.Frame) { f.Head[21] = 1 },
		"IP length too long":    func(f *link.Frame) { f.Head[16] = 0xff },
		"IP length too short":   func(f *link.Frame) { f.Head[16], f.Head[17] = 0, 30 },
		"IP header length":      func(f *link.Frame) { f.Head[14] = 0x44 },
		"TCP header length":     func(f *link.Frame) { f.Head[46] = 0x10 },
		"cut off":               func(f *link.Frame) { f.Head, f.Payload = f.Head[:40], nil },
		"empty":                 func(f *link.Frame) { f.Head, f.Payload = nil, nil },
		"checksum out of range": func(f *link.Frame) { f.GSO, f.Csum.Offset = link.GSO{}, 60000 },
	} {
		f, _ := segmentCase{payload: 100, mss: 50}.frame(t)
		spoil(&f)
		err := link.Segment(&f, 0, func([]byte) { t.Errorf("%s: emitted", name) })
		if !errors.Is(err, link.ErrDescriptor) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSegmenterAllocatesNothing(t *testing.T) {
	f, _ := segmentCase{payload: 60000, mss: 1460}.frame(t)
	var s link.Segmenter
	n := 0
	emit := func(b []byte) { n += len(b) }
	if a := testing.AllocsPerRun(50, func() { s.Segment(&f, 1500, emit) }); a > 0 {
		t.Errorf("%v allocations", a)
	}
}

func FuzzSegment(f *testing.F) {
	for _, c := range segmentCases {
		c.payload = min(c.payload, 100)
		fr, _ := c.frame(f)
		f.Add(fr.AppendTo(nil), uint8(fr.GSO.Type), fr.GSO.Size, fr.Csum.Start, fr.Csum.Offset)
	}
	f.Fuzz(func(t *testing.T, b []byte, typ uint8, size, start, offset uint16) {
		fr := link.Frame{
			Head: b,
			GSO:  link.GSO{Type: link.GSOType(typ), Size: size},
			Csum: link.Csum{State: link.CsumPartial, Start: start, Offset: offset},
		}
		link.Segment(&fr, 1500, func(p []byte) {
			if len(p) > 1500+ethernet.MaxHeaderLen {
				t.Errorf("emitted %d octets", len(p))
			}
		})
	})
}

// A super-frame of three packets, cut in software.
func ExampleSegment() {
	head := append(make([]byte, 12), 0x08, 0x00,
		0x45, 0, 0, 70, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
		0, 80, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x18, 1, 0, 0, 0, 0, 0)
	f := link.Frame{
		Head:    head,
		Payload: [][]byte{[]byte("abcdefghijklmnopqrstuvwxyz0123")},
		Csum:    link.Csum{State: link.CsumPartial, Start: 34, Offset: 16},
		GSO:     link.GSO{Type: link.GSOTCP4, HdrLen: 54, Size: 12},
	}
	err := link.Segment(&f, 1500, func(b []byte) {
		fmt.Printf("seq %d %s flags %#02x\n", b[41], b[54:], b[34+tcpFlagsOffset])
	})
	fmt.Println(err)
	// Output:
	// seq 0 abcdefghijkl flags 0x10
	// seq 12 mnopqrstuvwx flags 0x10
	// seq 24 yz0123 flags 0x18
	// <nil>
}
