package stack_test

import (
	"net"
	"testing"

	"arpeggio/stack"
	"arpeggio/stack/ipv4"
	"arpeggio/stack/tcp"
)

// RFC 9293 §3.9.1.9: a program learns what type of service its peer's segments have.
//
//rfc:9293 MAY-9
func TestPeerTOS(t *testing.T) {
	send := func(t *testing.T, r *raw, tos uint8, seg tcp.Segment) {
		t.Helper()
		seg.SrcPort, seg.DstPort, seg.Window = 1000, 80, 1000
		h, _, body, err := ipv4.Parse(tcpPacket(addr(9), addr(1), nil, seg))
		if err != nil {
			t.Fatal(err)
		}
		h.TOS = tos
		r.ip(h, nil, body)
	}
	accepted := func(t *testing.T, ln net.Listener, want uint8) *stack.TCPConn {
		t.Helper()
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if tos := c.(*stack.TCPConn).PeerTOS(); tos != want {
			t.Errorf("%#x at first, want %#x", tos, want)
		}
		return c.(*stack.TCPConn)
	}
	rawTest(t, "each segment's", func(t *testing.T, r *raw) {
		ln := r.listen()
		send(t, r, 0, tcp.Segment{Flags: tcp.SYN, Seq: 100})
		_, answer := r.one()
		send(t, r, 0xb8, tcp.Segment{Flags: tcp.ACK, Seq: 101, Ack: answer.Seq + 1})
		c := accepted(t, ln, 0xb8)
		defer c.Close()
		send(t, r, 0x28, tcp.Segment{Flags: tcp.ACK, Seq: 101, Ack: answer.Seq + 1, Payload: []byte("x")})
		if tos := c.PeerTOS(); tos != 0x28 {
			t.Errorf("%#x after text", tos)
		}
	})
	rawTest(t, "that of a cookie's answer", func(t *testing.T, r *raw) {
		ln, err := (&stack.ListenConfig{Backlog: 1}).Listen(r.stacks[0], "tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		r.tcp(tcp.Segment{SrcPort: 999, DstPort: 80, Flags: tcp.SYN, Seq: 1, Window: 1000}) // has the only place
		r.one()
		send(t, r, 0, tcp.Segment{Flags: tcp.SYN, Seq: 100})
		_, answer := r.one()
		send(t, r, 0xb8, tcp.Segment{Flags: tcp.ACK, Seq: 101, Ack: answer.Seq + 1})
		defer accepted(t, ln, 0xb8).Close()
		if n := r.stats().TCP.CookiesUsed; n != 1 {
			t.Errorf("%d cookies used", n)
		}
	})
	rawTest(t, "that of a SYN with text", func(t *testing.T, r *raw) {
		ln, err := (&stack.ListenConfig{FastOpen: 1, FastOpenNoCookie: true}).Listen(r.stacks[0], "tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		send(t, r, 0xb8, tcp.Segment{Flags: tcp.SYN, Seq: 100, Payload: []byte("x")})
		defer accepted(t, ln, 0xb8).Close()
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
