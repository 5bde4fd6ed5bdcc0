package tuntap_test

import (
	"bytes"
	"net"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"arpeggio/stack/ethernet"
	"arpeggio/stack/link"
)

var (
	ourMAC  = ethernet.MustParseAddr("02:50:00:00:00:02")
	ourIP   = net.IP{10, 9, 0, 2}
	theirIP = net.IP{10, 9, 0, 1}
)

// peer talks raw frames with a kernel behind a device.
type peer struct {
	t      *testing.T
	dev    link.Device
	theirs ethernet.Addr
	frames []link.Frame
	unread []link.Frame
}

func newPeer(t *testing.T, dev link.Device) *peer {
	return &peer{t: t, dev: dev, frames: make([]link.Frame, 8)}
}

// eth starts a frame to the kernel.
func (p *peer) eth(t layers.EthernetType) *layers.Ethernet {
	return &layers.Ethernet{SrcMAC: ourMAC[:], DstMAC: p.theirs[:], EthernetType: t}
}

func build(t *testing.T, ls ...gopacket.SerializableLayer) []byte {
	t.Helper()
	buf := gopacket.NewSerializeBuffer()
	opt := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(buf, opt, ls...); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func (p *peer) send(fs ...link.Frame) {
	p.t.Helper()
	if n, err := p.dev.WriteFrames(fs); n != len(fs) || err != nil {
		p.t.Fatalf("WriteFrames = %d, %v", n, err)
	}
}

// expect returns the next frame that match accepts, and drops others.
func (p *peer) expect(what string, match func(gopacket.Packet) bool) (gopacket.Packet, link.Frame) {
	p.t.Helper()
	pkt, f, ok := p.within(patience, what, match)
	if !ok {
		p.t.Fatalf("%s: nothing came", what)
	}
	return pkt, f
}

// within is expect for as long as limit.
func (p *peer) within(limit time.Duration, what string, match func(gopacket.Packet) bool) (gopacket.Packet, link.Frame, bool) {
	p.t.Helper()
	deadline := time.Now().Add(limit)
	for time.Now().Before(deadline) {
		for len(p.unread) > 0 {
			f := p.unread[0]
			p.unread = p.unread[1:]
			f.Head = bytes.Clone(f.Head)
			pkt := gopacket.NewPacket(f.Head, layers.LayerTypeEthernet, gopacket.Default)
			if match(pkt) {
				return pkt, f, true
			}
		}
		n, err := p.dev.ReadFrames(p.frames)
		if err != nil {
			p.t.Fatalf("%s: ReadFrames: %v", what, err)
		}
		p.unread = p.frames[:n]
		if n == 0 {
			if err := p.dev.Wait(deadline); err != nil {
				p.t.Fatalf("%s: Wait: %v", what, err)
			}
		}
	}
	return nil, link.Frame{}, false
}

// resolve asks for the kernel's MAC address by ARP, several times as ARP does: a
// kernel that has not noticed yet that its cable is in drops its answer.
func (p *peer) resolve() {
	p.t.Helper()
	p.theirs = ethernet.Broadcast
	arp := func(op uint16, dst net.HardwareAddr) *layers.ARP {
		return &layers.ARP{AddrType: layers.LinkTypeEthernet, Protocol: layers.EthernetTypeIPv4, HwAddressSize: 6, ProtAddressSize: 4,
			Operation: op, SourceHwAddress: ourMAC[:], SourceProtAddress: ourIP, DstHwAddress: dst, DstProtAddress: theirIP}
	}
	for end := time.Now().Add(patience); time.Now().Before(end); {
		p.send(link.Frame{Head: build(p.t, p.eth(layers.EthernetTypeARP), arp(layers.ARPRequest, make(net.HardwareAddr, 6)))})
		pkt, _, ok := p.within(time.Second, "ARP reply", func(pkt gopacket.Packet) bool {
			a, ok := pkt.Layer(layers.LayerTypeARP).(*layers.ARP)
			return ok && a.Operation == layers.ARPReply && bytes.Equal(a.SourceProtAddress, theirIP)
		})
		if ok {
			p.theirs = ethernet.Addr(pkt.Layer(layers.LayerTypeARP).(*layers.ARP).SourceHwAddress)
			return
		}
	}
	p.t.Fatal("no ARP reply came")
}

// ping sends an ICMP echo request, gathered from many slices, and expects its
// reply.
func (p *peer) ping(seq uint16, payload []byte) {
	p.t.Helper()
	ip := &layers.IPv4{Version: 4, IHL: 5, TTL: 64, Protocol: layers.IPProtocolICMPv4, SrcIP: ourIP, DstIP: theirIP}
	icmp := &layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(layers.ICMPv4TypeEchoRequest, 0), Id: 7, Seq: seq}
	b := build(p.t, p.eth(layers.EthernetTypeIPv4), ip, icmp, gopacket.Payload(payload))
	f := link.Frame{Head: b[:14]}
	for rest := b[14:]; len(rest) > 0; {
		n := min(len(rest), 100)
		f.Payload = append(f.Payload, rest[:n], nil)
		rest = rest[n:]
	}
	p.send(f)
	p.expect("echo reply", func(pkt gopacket.Packet) bool {
		i, ok := pkt.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4)
		return ok && i.TypeCode.Type() == layers.ICMPv4TypeEchoReply && i.Seq == seq && bytes.HasPrefix(i.Payload, payload)
	})
}

// tcp returns the headers of a segment, and the whole with payload.
func (p *peer) tcp(dst uint16, seq, ack uint32, set func(*layers.TCP), payload []byte) (head, whole []byte) {
	p.t.Helper()
	ip := &layers.IPv4{Version: 4, IHL: 5, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: ourIP, DstIP: theirIP}
	tcp := &layers.TCP{SrcPort: 4000, DstPort: layers.TCPPort(dst), Seq: seq, Ack: ack, Window: 65535}
	set(tcp)
	tcp.SetNetworkLayerForChecksum(ip)
	b := build(p.t, p.eth(layers.EthernetTypeIPv4), ip, tcp, gopacket.Payload(payload))
	return b[:len(b)-len(payload)], b
}

// exchange sends size octets over TCP to a kernel's echo server at port, the
// data in one super-frame, and reads them back. It returns the length of the
// longest frame that came.
func (p *peer) exchange(port uint16, size int) (longest int) {
	p.t.Helper()
	const mss = 1400
	data := bytes.Repeat([]byte("arpeggio "), size/9+1)[:size]
	_, syn := p.tcp(port, 99, 0, func(t *layers.TCP) {
		t.SYN = true
		t.Options = []layers.TCPOption{
			{OptionType: layers.TCPOptionKindMSS, OptionLength: 4, OptionData: []byte{mss >> 8, mss & 0xff}},
			{OptionType: layers.TCPOptionKindWindowScale, OptionLength: 3, OptionData: []byte{7}},
			{OptionType: layers.TCPOptionKindNop}}
	}, nil)
	p.send(link.Frame{Head: syn})
	fromServer := func(pkt gopacket.Packet) *layers.TCP {
		t, _ := pkt.Layer(layers.LayerTypeTCP).(*layers.TCP)
		if t == nil || t.SrcPort != layers.TCPPort(port) {
			return nil
		}
		return t
	}
	pkt, f := p.expect("SYN-ACK", func(pkt gopacket.Packet) bool { t := fromServer(pkt); return t != nil && t.SYN && t.ACK })
	p.checksum(pkt, f)
	next := fromServer(pkt).Seq + 1
	ackOnly := func(t *layers.TCP) { t.ACK = true }
	_, b := p.tcp(port, 100, next, ackOnly, nil)
	p.send(link.Frame{Head: b})

	head, whole := p.tcp(port, 100, next, func(t *layers.TCP) { t.ACK, t.PSH = true, true }, data)
	super := link.Frame{
		Head: head, Payload: [][]byte{whole[len(head) : len(head)+100], whole[len(head)+100:]},
		Csum: link.Csum{State: link.CsumPartial, Start: 34, Offset: 16},
		GSO:  link.GSO{Type: link.GSOTCP4, HdrLen: uint16(len(head)), Size: mss},
	}
	if caps := p.dev.Info().Caps; caps.Has(link.CapTSO4 | link.CapTxChecksum) {
		// With partial checksum the field holds the pseudo-header's sum.
		sum := 6 + len(whole) - 34
		for i := 26; i < 34; i += 2 {
			sum += int(head[i])<<8 | int(head[i+1])
		}
		sum = sum&0xffff + sum>>16
		sum = sum&0xffff + sum>>16
		head[50], head[51] = byte(sum>>8), byte(sum)
		p.send(super)
	} else if err := link.Segment(&super, p.dev.Info().MTU, func(b []byte) { p.send(link.Frame{Head: b}) }); err != nil {
		p.t.Fatal(err)
	}

	echo := make([]byte, 0, size)
	first := next
	for len(echo) < size {
		pkt, f := p.expect("echo", func(pkt gopacket.Packet) bool {
			t := fromServer(pkt)
			return t != nil && len(t.Payload) > 0 && t.Seq == next // nothing is lost here, duplicates may come
		})
		p.checksum(pkt, f)
		payload := fromServer(pkt).Payload
		if f.GSO.Type == link.GSONone && f.Len() > p.dev.Info().MTU+14 {
			p.t.Errorf("frame of %d octets without a segmentation descriptor", f.Len())
		}
		if f.GSO.Type == link.GSOTCP4 && int(f.GSO.HdrLen) != f.Len()-len(payload) {
			p.t.Errorf("GSO.HdrLen %d, headers have %d octets", f.GSO.HdrLen, f.Len()-len(payload))
		}
		longest = max(longest, f.Len())
		echo = append(echo, payload...)
		next = first + uint32(len(echo))
		_, ack := p.tcp(port, 100+uint32(size), next, ackOnly, nil)
		p.send(link.Frame{Head: ack})
	}
	if !bytes.Equal(echo, data) {
		p.t.Error("the echo differs from what was sent")
	}
	_, rst := p.tcp(port, 100+uint32(size), next, func(t *layers.TCP) { t.RST, t.ACK = true, true }, nil)
	p.send(link.Frame{Head: rst})
	return longest
}

// exchanges is exchange, again until a super-frame came: which frames the kernel
// makes depends on how far the server has got, and on what overtook what.
func (p *peer) exchanges(port uint16, size int) (longest int) {
	p.t.Helper()
	for end := time.Now().Add(patience); longest <= 1514 && time.Now().Before(end); {
		longest = p.exchange(port, size)
	}
	return longest
}

// checksum verifies the TCP checksum of a frame that does not claim to be
// partial, and the descriptor of one that does.
func (p *peer) checksum(pkt gopacket.Packet, f link.Frame) {
	p.t.Helper()
	ip := pkt.Layer(layers.LayerTypeIPv4).(*layers.IPv4)
	if f.Csum.State == link.CsumPartial {
		if start := 14 + 4*int(ip.IHL); int(f.Csum.Start) != start || f.Csum.Offset != 16 {
			p.t.Errorf("partial checksum at %d+%d, want %d+16", f.Csum.Start, f.Csum.Offset, start)
		}
		return
	}
	tcp := pkt.Layer(layers.LayerTypeTCP).(*layers.TCP)
	had := tcp.Checksum
	tcp.SetNetworkLayerForChecksum(ip)
	build(p.t, tcp, gopacket.Payload(tcp.Payload)) // computes it again into tcp
	if tcp.Checksum != had {
		p.t.Errorf("TCP checksum %#04x, want %#04x", had, tcp.Checksum)
	}
}

// echoServer runs a TCP echo server of the kernel inside ns.
func echoServer(t *testing.T, ns *namespace) (port uint16) {
	t.Helper()
	var l net.Listener
	var err error
	ns.do(func() { l, err = net.Listen("tcp4", "10.9.0.1:0") })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf := make([]byte, 256<<10)
				for {
					n, err := c.Read(buf)
					if err != nil {
						return
					}
					c.Write(buf[:n])
				}
			}()
		}
	}()
	return uint16(l.Addr().(*net.TCPAddr).Port)
}
