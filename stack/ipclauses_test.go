package stack_test

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/ethernet"
	"arpeggio/stack/icmp"
	"arpeggio/stack/ipv4"
	"arpeggio/stack/tcp"
)

// What RFC 1122 asks of a host and no other test shows.

// The header of RFC 894 and nothing else: no trailer (whose types are 0x1001 to
// 0x1010), no length of IEEE 802.
//
//rfc:1122 no-trailers ethernet
func TestRFC1122Encapsulation(t *testing.T) { // §2.3.1, §2.3.3
	rawTest(t, "512 octets", func(t *testing.T, r *raw) {
		u := listenUDP(t, r.stacks[0], ":1")
		u.WriteToAddrPort(make([]byte, 512-28), addrPort(9, 9))
		frames := r.frames()
		if len(frames) != 1 || len(frames[0]) != 14+512 || binary.BigEndian.Uint16(frames[0][12:]) != 0x0800 || frames[0][14] != 0x45 {
			t.Errorf("% x", frames)
		}
	})
}

//rfc:1122 not-a-gateway
func TestRFC1122HostForwardsNothing(t *testing.T) { // §3.1
	rawTest(t, "to a neighbour and beyond", func(t *testing.T, r *raw) {
		if err := r.stacks[0].AddRoute(stack.Route{Prefix: prefix("0.0.0.0/0"), Interface: r.ifaces[0], NextHop: addr(9)}); err != nil {
			t.Fatal(err)
		}
		for _, dst := range []string{"10.0.0.9", "192.0.2.1"} {
			h, body := udpPacket(addrPort(9, 1), netip.AddrPortFrom(netip.MustParseAddr(dst), 9), nil)
			h.Src = netip.MustParseAddr("192.0.2.9")
			r.ip(h, nil, body)
		}
		if got := r.got(); len(got) > 0 {
			t.Errorf("%+v", got)
		}
	})
}

//rfc:1122 version checksum
func TestRFC1122BadHeaders(t *testing.T) { // §3.2.1.1, §3.2.1.2
	for name, edit := range map[string]func(b []byte){
		"version 5": func(b []byte) {
			b[0] = 0x55
			binary.BigEndian.PutUint16(b[10:], binary.BigEndian.Uint16(b[10:])-0x1000)
		},
		"checksum": func(b []byte) { b[11] ^= 1 },
	} {
		rawTest(t, name, func(t *testing.T, r *raw) {
			h, body := pingRaw()
			h.TTL = 64
			packet := append(h.AppendTo(nil, nil, len(body)), body...)
			edit(packet)
			r.frame(r.mac, packet)
			if got := r.got(); len(got) > 0 {
				t.Errorf("%+v", got)
			}
		})
	}
}

//rfc:1122 bad-destination
func TestRFC1122NotForUs(t *testing.T) { // §3.2.1.3
	rawTest(t, "silence", func(t *testing.T, r *raw) {
		listenUDP(t, r.stacks[0], ":9")
		for _, port := range []uint16{9, 10} {
			r.ip(udpPacketTo("10.0.0.2", port))
		}
		if got := r.got(); len(got) > 0 || r.stats().UDP.InDatagrams+r.stats().UDP.NoPorts > 0 {
			t.Errorf("%+v, %+v", got, r.stats().UDP)
		}
	})
}

// udpPacketTo is a datagram of the station's in the form that raw.ip takes.
func udpPacketTo(dst string, port uint16) (ipv4.Header, []byte, []byte) {
	h, body := udpPacket(addrPort(9, 1), netip.AddrPortFrom(netip.MustParseAddr(dst), port), []byte("x"))
	return h, nil, body
}

//rfc:1122 error-tos
func TestRFC1122ErrorTOS(t *testing.T) { // §3.2.2
	rawTest(t, "precedence only", func(t *testing.T, r *raw) {
		h, body := udpPacket(addrPort(9, 1), addrPort(1, 9), nil)
		h.TOS = 0x1c
		r.ip(h, nil, body)
		if got := r.got(); len(got) != 1 || got[0].h.TOS&0x1f != 0 {
			t.Errorf("%+v", got)
		}
	})
}

//rfc:1122 echo-source
func TestRFC1122EchoSource(t *testing.T) { // §3.2.2.6
	rawTest(t, "second address", func(t *testing.T, r *raw) {
		r.second()
		h, body := pingRaw()
		h.Dst = addr(7)
		r.ip(h, nil, body)
		if got := r.got(); len(got) != 1 || got[0].m.Type != icmp.EchoReply || got[0].h.Src != addr(7) {
			t.Errorf("%+v", got)
		}
	})
}

// A socket that is bound to a broadcast address sends from the host's own.
//
//rfc:1122 broadcast-source udp-own-source
//rfc:2644 source
func TestRFC1122SourceIsOwn(t *testing.T) { // §3.2.1.3, §4.1.3.6
	rawTest(t, "bound to a broadcast address", func(t *testing.T, r *raw) {
		u := listenUDP(t, r.stacks[0], "10.0.0.255:9")
		u.WriteToAddrPort([]byte("x"), addrPort(9, 9))
		if got := r.got(); len(got) != 1 || got[0].h.Src != addr(1) {
			t.Errorf("%+v", got)
		}
		_, err := r.stacks[0].ListenPacket("udp", "10.0.0.3:9")
		wantErrno(t, err, "listen", syscall.EADDRNOTAVAIL)
	})
}

//rfc:1122 udp-local udp-local-told
//rfc:768 pseudo
//rfc:6864 integrity
//rfc:5452 destination
func TestRFC1122LocalUDPAddress(t *testing.T) { // §4.1.3.5
	rawTest(t, "one, all, told", func(t *testing.T, r *raw) {
		r.second()
		one, all := listenUDP(t, r.stacks[0], "10.0.0.7:9"), listenUDP(t, r.stacks[0], ":10")
		for _, dst := range []string{"10.0.0.1", "10.0.0.7"} {
			r.ip(udpPacketTo(dst, 9))
			r.ip(udpPacketTo(dst, 10))
		}
		count := func(u *stack.UDPConn) (n int) {
			u.SetReadDeadline(time.Now().Add(time.Second))
			for {
				if _, _, err := u.ReadFrom(make([]byte, 1)); err != nil {
					return n
				}
				n++
			}
		}
		if a, b := count(one), count(all); a != 1 || b != 2 {
			t.Errorf("bound to one address %d, to all %d", a, b)
		}
		c, err := r.stacks[0].Dial("udp", "192.168.5.9:9")
		if err != nil {
			t.Fatal(err)
		}
		if a := c.LocalAddr().String(); a[:12] != "192.168.5.1:" {
			t.Errorf("local address %s", a)
		}
	})
}

// A peer that came with another TOS is heard of by the transport: its ECN bits.
//
//rfc:1122 receive-tos
func TestRFC1122TOSReachesTransport(t *testing.T) { // §3.2.1.6
	rawTest(t, "congestion experienced", func(t *testing.T, r *raw) {
		r.listen()
		s := syn(4000)
		s.Flags |= tcp.ECE | tcp.CWR
		r.tcp(s)
		_, synAck := r.one()
		r.tcp(ack(4000, synAck, 0, nil))
		packet := tcpPacket(addr(9), addr(1), nil, ack(4000, synAck, 0, []byte("marked")))
		h, _, body, err := ipv4.Parse(packet)
		if err != nil {
			t.Fatal(err)
		}
		h.TOS = 3
		r.frame(r.mac, append(h.AppendTo(nil, nil, len(body)), body...))
		time.Sleep(time.Second)
		if _, s := r.one(); s.Flags&tcp.ECE == 0 {
			t.Errorf("%v", &s)
		}
	})
}

// What leaves in a link broadcast has a broadcast address, and the other way
// round.
//
//rfc:1122 broadcast-link broadcast-ones
//rfc:894 broadcast
//rfc:919 sent
func TestRFC1122LinkBroadcasts(t *testing.T) { // §3.3.6
	rawTest(t, "both", func(t *testing.T, r *raw) {
		u := listenUDP(t, r.stacks[0], ":1")
		for dst, broadcast := range map[string]bool{"10.0.0.9:9": false, "10.0.0.255:9": true, "255.255.255.255:9": true} {
			u.WriteToAddrPort([]byte("x"), netip.MustParseAddrPort(dst))
			f := r.frames()
			if len(f) != 1 || (ethernet.Addr(f[0][:6]) == ethernet.Broadcast) != broadcast {
				t.Errorf("%s: % x", dst, f)
			}
		}
	})
}

// A segment is not to be cut, and its identification is of no use then.
//
//rfc:1191 df
//rfc:4821 avoided
//rfc:6864 atomic ignored purpose
//rfc:3168 df
func TestRFC6864AtomicDatagrams(t *testing.T) { // §4.1
	rawTest(t, "zero", func(t *testing.T, r *raw) {
		r.listen()
		packet := tcpPacket(addr(9), addr(1), nil, syn(4000))
		h, _, body, err := ipv4.Parse(packet)
		if err != nil {
			t.Fatal(err)
		}
		h.ID = 0 // and nobody minds
		r.frame(r.mac, append(h.AppendTo(nil, nil, len(body)), body...))
		if h, s := r.one(); h.ID != 0 || !h.DF || s.Flags&tcp.SYN == 0 {
			t.Errorf("%+v", h)
		}
	})
	rawTest(t, "the same one again", func(t *testing.T, r *raw) { // is no sign of a copy
		u := listenUDP(t, r.stacks[0], ":9")
		for _, text := range []string{"one", "two"} {
			r.ip(udpText(text))
			buf := make([]byte, 10)
			if n, _, err := u.ReadFrom(buf); err != nil || string(buf[:n]) != text {
				t.Errorf("%q, %v", buf[:n], err)
			}
		}
	})
}

// udpText is a datagram from the station to port 9, whose identification is always
// the same.
func udpText(text string) (ipv4.Header, []byte, []byte) {
	h, body := udpPacket(addrPort(9, 1), addrPort(1, 9), []byte(text))
	return h, nil, body
}

// RFC 6864 §4.2: a copy of what may be fragmented has an identification of its own.
//
//rfc:6864 copy
func TestRFC6864Copies(t *testing.T) {
	rawTest(t, "SYN-ACK", func(t *testing.T, r *raw) {
		r.listen().SetIPHeader(stack.IPHeader{MayFragment: true})
		r.tcp(syn(4000))
		first, s1 := r.one()
		time.Sleep(1500 * time.Millisecond)
		again, s2 := r.one()
		if first.DF || again.DF || first.ID == again.ID || s1.Seq != s2.Seq || s2.Flags != tcp.SYN|tcp.ACK {
			t.Errorf("%+v, then %+v", first, again)
		}
	})
}

// RFC 6864 §5.2: when there are no more identifications, what fits goes out whole
// and must not be fragmented, and what does not fit fails, until there are some. What
// fits does not use them up: a flood of small datagrams leaves room for large ones.
//
//rfc:6864 rate
func TestRFC6864IdentificationsRunOut(t *testing.T) {
	rawTest(t, "UDP", func(t *testing.T, r *raw) {
		u := listenUDP(t, r.stacks[0], ":9")
		send := func(n int) error {
			_, err := u.WriteToAddrPort(make([]byte, n), addrPort(9, 9))
			return err
		}
		for range 65536 {
			if err := send(1); err != nil {
				t.Fatal(err)
			}
		}
		r.got()
		if err := send(1472); err != nil {
			t.Error(err)
		}
		if got := r.got(); len(got) != 1 || !got[0].h.DF || got[0].h.ID != 0 {
			t.Errorf("%+v", got)
		}
		for range 16384 {
			if err := send(1473); err != nil {
				t.Fatal(err)
			}
		}
		r.got()
		wantErrno(t, send(1473), "write", syscall.ENOBUFS)
		if st := r.stats(); st.IP.OutDiscards != 1 || st.IP.OutFragFails != 0 {
			t.Errorf("%+v", st.IP)
		}
		time.Sleep(2 * time.Minute)
		if err := send(1473); err != nil {
			t.Error(err)
		}
		if got := r.got(); len(got) != 2 || got[0].h.DF || got[0].h.ID != got[1].h.ID {
			t.Errorf("%+v", got)
		}
	})
}

// What goes out whole for want of identifications, and is too big for the path, tells
// the size of that: the next ones are fragmented, and the program hears nothing.
func TestIdentificationsRunOutOnASmallPath(t *testing.T) {
	rawTest(t, "UDP", func(t *testing.T, r *raw) {
		u, err := r.stacks[0].DialUDP(netip.AddrPort{}, addrPort(9, 9))
		if err != nil {
			t.Fatal(err)
		}
		send := func(n int) []parsed {
			t.Helper()
			if _, err := u.Write(make([]byte, n)); err != nil {
				t.Fatal(err)
			}
			return r.got()
		}
		for range 65536 {
			send(1)
		}
		got := send(1400)
		if len(got) != 1 || !got[0].h.DF {
			t.Fatalf("%+v", got)
		}
		r.icmp(icmp.NewFragNeeded(600, got[0].packet[:28]))
		if got := send(1400); len(got) != 3 || got[0].h.DF {
			t.Errorf("%+v", got)
		}
	})
}
