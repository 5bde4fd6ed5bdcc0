package stack_test

import (
	"encoding/binary"
	"net/netip"
	"testing/synctest"

	"arpeggio/stack"
	"arpeggio/stack/checksum"
	"arpeggio/stack/ipv4"
	"arpeggio/stack/tcp"
)

// The scripted station speaks TCP.

// tcpPacket returns a segment between two addresses as a packet, checksum set.
func tcpPacket(src, dst netip.Addr, opts []byte, seg tcp.Segment) []byte {
	body := append(seg.AppendHeader(nil), seg.Payload...)
	sum := checksum.Checksum(checksum.Sum(body, checksum.Pseudo(src, dst, uint8(ipv4.ProtoTCP), len(body))))
	binary.BigEndian.PutUint16(body[tcp.ChecksumOffset:], sum)
	h := ipv4.Header{TTL: 64, Proto: ipv4.ProtoTCP, Src: src, Dst: dst}
	return append(h.AppendTo(nil, opts, len(body)), body...)
}

// tcp sends a segment from the station to the stack and lets it react.
func (r *raw) tcp(seg tcp.Segment) {
	r.frame(r.mac, tcpPacket(addr(9), addr(1), nil, seg))
	synctest.Wait()
}

// segments returns the TCP segments that the stack has sent, with the headers
// of their packets. Every checksum must be right.
func (r *raw) segments() (hs []ipv4.Header, segs []tcp.Segment) {
	r.t.Helper()
	for _, p := range r.got() {
		if p.h.Proto != ipv4.ProtoTCP {
			continue
		}
		if checksum.Checksum(checksum.Sum(p.body, checksum.Pseudo(p.h.Src, p.h.Dst, uint8(ipv4.ProtoTCP), len(p.body)))) != 0 {
			r.t.Fatalf("checksum of % x", p.body)
		}
		s, err := tcp.ParseSegment(p.body)
		if err != nil {
			r.t.Fatal(err)
		}
		hs, segs = append(hs, p.h), append(segs, s)
	}
	return hs, segs
}

// one is segments where exactly one is expected.
func (r *raw) one() (ipv4.Header, tcp.Segment) {
	r.t.Helper()
	hs, segs := r.segments()
	if len(segs) != 1 {
		r.t.Fatalf("%d segments: %v", len(segs), segs)
	}
	return hs[0], segs[0]
}

// syn is the station's SYN to port 80.
func syn(port uint16) tcp.Segment {
	return tcp.Segment{SrcPort: port, DstPort: 80, Seq: 1000, Flags: tcp.SYN, Window: 60000, Options: tcp.Options{MSS: 1460}}
}

// ack is the station's segment seq octets into its stream, acknowledging what
// the stack has sent.
func ack(port uint16, ours tcp.Segment, seq int, payload []byte) tcp.Segment {
	return tcp.Segment{SrcPort: port, DstPort: 80, Seq: tcp.Seq(1001).Add(seq), Ack: ours.Seq.Add(ours.Len()),
		Flags: tcp.ACK, Window: 60000, Payload: payload}
}

// open makes a connection from the station's port to the stack's port 80, where
// somebody listens.
func (r *raw) open(port uint16) (synAck tcp.Segment) {
	r.t.Helper()
	r.tcp(syn(port))
	_, synAck = r.one()
	if synAck.Flags&^tcp.ECE != tcp.SYN|tcp.ACK {
		r.t.Fatalf("%v", &synAck)
	}
	r.tcp(ack(port, synAck, 0, nil))
	return synAck
}

// listen announces on the stack's port 80.
func (r *raw) listen() *stack.TCPListener {
	r.t.Helper()
	ln, err := r.stacks[0].ListenTCP(netip.AddrPortFrom(netip.IPv4Unspecified(), 80))
	if err != nil {
		r.t.Fatal(err)
	}
	return ln
}
