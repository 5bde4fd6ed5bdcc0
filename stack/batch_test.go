package stack_test

import (
	"encoding/binary"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/checksum"
	"arpeggio/stack/ethernet"
	"arpeggio/stack/ipv4"
	"arpeggio/stack/link"
	"arpeggio/stack/tcp"
)

// Acknowledgments that report a hole are answered one by one although they
// arrive in one batch: a new segment for each of the first two (RFC 3042), which
// then tell whether the retransmission arrives, and the retransmission for the
// third.
func TestRFC3042InABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRaw(t, stack.Config{})
		defer r.close()
		ln, err := r.stacks[0].Listen("tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		var iss tcp.Seq
		sent := func() (at []int) {
			for _, p := range r.got() {
				seg, err := tcp.ParseSegment(p.body)
				if err != nil {
					t.Fatal(err)
				}
				if seg.Flags.Has(tcp.SYN) {
					iss = seg.Seq.Add(1)
				} else if len(seg.Payload) > 0 {
					at = append(at, seg.Seq.Sub(iss))
				}
			}
			return at
		}
		r.segment(&tcp.Segment{SrcPort: 9, DstPort: 80, Seq: 100, Flags: tcp.SYN, Window: 60000,
			Options: tcp.Options{MSS: 1000, SACKPermitted: true}}, "")
		sent()
		ack := func(blocks ...tcp.SACKBlock) link.Frame {
			seg := tcp.Segment{SrcPort: 9, DstPort: 80, Seq: 101, Ack: iss, Flags: tcp.ACK, Window: 60000}
			seg.Options.NSACK = uint8(copy(seg.Options.SACK[:], blocks))
			b := seg.AppendHeader(nil)
			sum := checksum.Checksum(checksum.Sum(b, checksum.Pseudo(addr(9), addr(1), 6, len(b))))
			binary.BigEndian.PutUint16(b[tcp.ChecksumOffset:], sum)
			e := ethernet.Header{Dst: r.mac, Src: rawMAC, Type: ethernet.TypeIPv4}
			ip := ipv4.Header{TTL: 64, Proto: ipv4.ProtoTCP, Src: addr(9), Dst: addr(1)}
			return link.Frame{Head: append(ip.AppendTo(e.AppendTo(nil), nil, len(b)), b...)}
		}
		_, _ = r.dev.WriteFrames([]link.Frame{ack()})
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		go func(c net.Conn) { _, _ = c.Write(make([]byte, 30_000)) }(c)
		if at := sent(); len(at) != 10 {
			t.Fatalf("%d segments in the initial window", len(at))
		}
		block := func(to int) tcp.SACKBlock { return tcp.SACKBlock{Start: iss.Add(1000), End: iss.Add(to)} }
		time.Sleep(10 * time.Millisecond)
		_, _ = r.dev.WriteFrames([]link.Frame{ack(block(2000)), ack(block(3000)), ack(block(4000))})
		if at, want := sent(), []int{10000, 11000, 0}; !slices.Equal(at, want) {
			t.Errorf("sent %v, want %v", at, want)
		}
		c.(*stack.TCPConn).SetLinger(0)
		c.Close()
	})
}
