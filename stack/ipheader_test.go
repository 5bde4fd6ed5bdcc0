package stack_test

import (
	"testing"

	"arpeggio/stack"
	"arpeggio/stack/ipv4"
	"arpeggio/stack/tcp"
)

// RFC 9293 §3.9.1.9: a program learns what type of service its peer's segments have.
//
//rfc:9293 MAY-9
func TestPeerTOS(t *testing.T) {
	rawTest(t, "each segment's", func(t *testing.T, r *raw) {
		ln := r.listen()
		r.tcp(tcp.Segment{SrcPort: 1000, DstPort: 80, Flags: tcp.SYN, Seq: 100, Window: 1000})
		_, answer := r.one()
		segment := func(tos uint8, text string) {
			packet := tcpPacket(addr(9), addr(1), nil, tcp.Segment{SrcPort: 1000, DstPort: 80, Flags: tcp.ACK, Seq: 101, Ack: answer.Seq + 1, Window: 1000, Payload: []byte(text)})
			h, _, body, err := ipv4.Parse(packet)
			if err != nil {
				t.Fatal(err)
			}
			h.TOS = tos
			r.ip(h, nil, body)
		}
		segment(0xb8, "")
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conn := c.(*stack.TCPConn)
		if tos := conn.PeerTOS(); tos != 0xb8 {
			t.Errorf("%#x after the handshake", tos)
		}
		segment(0x28, "x")
		if tos := conn.PeerTOS(); tos != 0x28 {
			t.Errorf("%#x after text", tos)
		}
	})
}

// Type of service and time to live of a connection, from its first packet on;
// the bits of ECN are not the user's.
//
//rfc:9293 MUST-48 SHLD-21 SHLD-22
//rfc:1123 tos
//rfc:1122 link-tos
func TestIPHeader(t *testing.T) {
	rawTest(t, "dialled", func(t *testing.T, r *raw) {
		d := stack.Dialer{Header: stack.IPHeader{TOS: 0x23, TTL: 7}}
		c, err := d.Start(r.stacks[0], addrPort(9, 80))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		got := r.got()
		if len(got) != 1 || got[0].h.TOS != 0x20 || got[0].h.TTL != 7 {
			t.Fatalf("%+v", got)
		}
	})
	rawTest(t, "accepted, and changed later", func(t *testing.T, r *raw) {
		lc := stack.ListenConfig{Header: stack.IPHeader{TOS: 0x48}}
		ln, err := lc.Listen(r.stacks[0], "tcp", "10.0.0.1:80")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		r.tcp(tcp.Segment{SrcPort: 1000, DstPort: 80, Flags: tcp.SYN, Seq: 100, Window: 1000})
		h, answer := r.one()
		if h.TOS != 0x48 || h.TTL != stack.DefaultTTL || !h.DF || h.ID != 0 {
			t.Fatalf("%+v", h)
		}
		r.tcp(tcp.Segment{SrcPort: 1000, DstPort: 80, Flags: tcp.ACK, Seq: 101, Ack: answer.Seq + 1, Window: 1000})
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.(*stack.TCPConn).SetIPHeader(stack.IPHeader{TTL: 3}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if h, _ := r.one(); h.TOS != 0 || h.TTL != 3 {
			t.Fatalf("%+v", h)
		}
		if err := c.(*stack.TCPConn).SetIPHeader(stack.IPHeader{MayFragment: true}); err != nil {
			t.Fatal(err)
		}
		ids := make(map[uint16]bool)
		for i := range 3 {
			if _, err := c.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			h, seg := r.one()
			if ids[h.ID] || h.DF {
				t.Fatalf("segment %d: %+v", i, h)
			}
			ids[h.ID] = true
			r.tcp(tcp.Segment{SrcPort: 1000, DstPort: 80, Flags: tcp.ACK, Seq: 101, Ack: seg.Seq + 1, Window: 1000})
		}
		ln.(*stack.TCPListener).SetIPHeader(stack.IPHeader{TTL: 5})
		r.tcp(tcp.Segment{SrcPort: 1001, DstPort: 80, Flags: tcp.SYN, Seq: 100, Window: 1000})
		if h, _ := r.one(); h.TTL != 5 {
			t.Fatalf("%+v", h)
		}
	})
}
