package vnet_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"arpeggio/stack/link"
	"arpeggio/stack/vnet"
)

// superFrame returns a TCP super-frame from a to b, headers in Head and payload
// in Payload, its checksum partial.
func superFrame(t *testing.T, payload []byte, mss int) link.Frame {
	t.Helper()
	eth := &layers.Ethernet{SrcMAC: macA[:], DstMAC: macB[:], EthernetType: layers.EthernetTypeIPv4}
	ip := &layers.IPv4{Version: 4, IHL: 5, TTL: 64, Protocol: layers.IPProtocolTCP,
		SrcIP: []byte{10, 9, 0, 1}, DstIP: []byte{10, 9, 0, 2}}
	tcp := &layers.TCP{SrcPort: 1, DstPort: 2, Seq: 100, ACK: true, PSH: true, Window: 1000}
	tcp.SetNetworkLayerForChecksum(ip)
	buf := gopacket.NewSerializeBuffer()
	opt := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(buf, opt, eth, ip, tcp, gopacket.Payload(payload)); err != nil {
		t.Fatal(err)
	}
	b := buf.Bytes()
	return link.Frame{
		Head:    b[:54:54],
		Payload: [][]byte{b[54:]},
		Csum:    link.Csum{State: link.CsumPartial, Start: 34, Offset: 16},
		GSO:     link.GSO{Type: link.GSOTCP4, HdrLen: 54, Size: uint16(mss)},
	}
}

func TestSuperFrameBetweenOffloadPorts(t *testing.T) {
	l := newLAN(t, vnet.Config{})
	src := l.port(vnet.PortConfig{Name: "src", Offload: true})
	dst := l.port(vnet.PortConfig{Name: "dst", Offload: true})
	payload := bytes.Repeat([]byte("0123456789"), 2500)
	f := superFrame(t, payload, 1460)
	if !src.Info().Caps.Has(link.CapTxChecksum | link.CapRxChecksum | link.CapTSO4 | link.CapGRO) {
		t.Errorf("caps %v", src.Info().Caps)
	}
	if n, err := src.WriteFrames([]link.Frame{f}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	got := make([]link.Frame, 2)
	if n, _ := dst.ReadFrames(got); n != 1 {
		t.Fatalf("%d frames, want the super-frame", n)
	}
	if got[0].GSO != f.GSO || got[0].Csum != f.Csum || got[0].Len() != f.Len() {
		t.Errorf("super-frame came as %+v, %+v, %d octets", got[0].GSO, got[0].Csum, got[0].Len())
	}

	// To a port without offloads it comes as finished packets.
	var whole []byte
	for _, b := range recv(t, l.b) {
		if len(b) > 1514 {
			t.Errorf("packet of %d octets", len(b))
		}
		whole = append(whole, b[54:]...)
	}
	if !bytes.Equal(whole, payload) {
		t.Errorf("%d octets of payload came, want %d", len(whole), len(payload))
	}
	if n, err := l.a.WriteFrames([]link.Frame{f}); n != 0 || !errors.Is(err, link.ErrTooBig) {
		t.Errorf("super-frame on a port without offload: %d, %v", n, err)
	}
}

func TestImpairedCableCutsSuperFrames(t *testing.T) {
	for _, d := range []vnet.Direction{vnet.Ingress, vnet.Egress} {
		l := newLAN(t, vnet.Config{})
		src := l.port(vnet.PortConfig{Name: "src", Offload: true})
		dst := l.port(vnet.PortConfig{Name: "dst", Offload: true})
		p := map[vnet.Direction]*vnet.Port{vnet.Ingress: src, vnet.Egress: dst}[d]
		// Duplicating everything proves that packets were seen one by one,
		// trailing octets that no packet runs into the next.
		p.SetImpairment(d, vnet.Impairment{Duplicate: 1, Trailing: 9})
		payload := bytes.Repeat([]byte("0123456789"), 1000)
		src.WriteFrames([]link.Frame{superFrame(t, payload, 1000)})
		var whole []byte
		fs := make([]link.Frame, 30)
		n, _ := dst.ReadFrames(fs)
		if n != 20 {
			t.Fatalf("direction %d: %d packets, want 20", d, n)
		}
		for i := range fs[:n] {
			if fs[i].Csum.State != link.CsumUnknown || fs[i].GSO.Type != link.GSONone {
				t.Errorf("packet still carries %+v %+v", fs[i].Csum, fs[i].GSO)
			}
			if i%2 == 0 {
				whole = append(whole, fs[i].Head[54:1054]...)
			}
		}
		if !bytes.Equal(whole, payload) {
			t.Error("payload was damaged")
		}
	}
}

func TestBadDescriptorIsCounted(t *testing.T) {
	l := newLAN(t, vnet.Config{})
	src := l.port(vnet.PortConfig{Name: "src", Offload: true})
	f := link.Frame{Head: frame(macB, macA, "no TCP at all"), GSO: link.GSO{Type: link.GSOTCP4, HdrLen: 54, Size: 100}}
	src.WriteFrames([]link.Frame{f})
	f = link.Frame{Head: frame(macB, macA, "x"), Csum: link.Csum{State: link.CsumPartial, Start: 14, Offset: 16}}
	src.WriteFrames([]link.Frame{f})
	if st := l.b.Stats(); st.Rx.Dropped[vnet.DropMalformed] != 2 || st.Rx.Frames != 0 {
		t.Errorf("%+v", st.Rx)
	}
}
