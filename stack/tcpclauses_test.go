package stack_test

import (
	"net/netip"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/ethernet"
	"arpeggio/stack/icmp"
	"arpeggio/stack/ipv4"
	"arpeggio/stack/link"
	"arpeggio/stack/tcp"
	"arpeggio/stack/vnet"
)

// What RFC 9293 asks of TCP together with the IP layer and the user's face.

//rfc:9293 MUST-2
func TestRFC9293ChecksumIsSent(t *testing.T) { // §3.1
	rawTest(t, "SYN-ACK, text, reset", func(t *testing.T, r *raw) {
		ln := r.listen()
		r.open(4000)
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		c.Write([]byte("some text"))
		if _, s := r.one(); string(s.Payload) != "some text" { // r.segments checks
			t.Fatalf("%v", &s)
		}
		r.tcp(tcp.Segment{SrcPort: 5000, DstPort: 81, Seq: 5, Flags: tcp.SYN})
		if _, s := r.one(); s.Flags != tcp.RST|tcp.ACK {
			t.Fatalf("%v", &s)
		}
	})
}

//rfc:9293 MUST-3
func TestRFC9293ChecksumIsChecked(t *testing.T) { // §3.1
	rawTest(t, "every wrong bit", func(t *testing.T, r *raw) {
		r.listen()
		good := tcpPacket(addr(9), addr(1), nil, syn(4000))
		for at := ipv4.MinHeaderLen; at < len(good); at++ {
			bad := append([]byte(nil), good...)
			bad[at] ^= 0x10
			r.frame(r.mac, bad)
		}
		if _, segs := r.segments(); len(segs) > 0 {
			t.Fatalf("%d answers", len(segs))
		}
		if n := r.stats().TCP.BadChecksum; n != uint64(len(good)-ipv4.MinHeaderLen) {
			t.Errorf("%d counted", n)
		}
		r.frame(r.mac, good)
		r.one()
	})
}

// A listener that comes, or cannot come, leaves connections of its port alone.
//
//rfc:9293 MUST-41
func TestRFC9293ListenLeavesConnectionsAlone(t *testing.T) { // §3.9.1.1
	rawTest(t, "listen again", func(t *testing.T, r *raw) {
		ln := r.listen()
		synAck := r.open(4000)
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.stacks[0].Listen("tcp", ":80"); err == nil {
			t.Error("two listeners")
		}
		ln.Close()
		r.listen()
		r.tcp(ack(4000, synAck, 0, []byte("still here")))
		b := make([]byte, 100)
		if n, err := c.Read(b); string(b[:n]) != "still here" {
			t.Errorf("%q, %v", b[:n], err)
		}
	})
}

//rfc:9293 MUST-42
func TestRFC9293ListenWhileConnecting(t *testing.T) { // §3.9.1.1
	rawTest(t, "same port", func(t *testing.T, r *raw) {
		go r.stacks[0].DialTCP(t.Context(), addrPort(1, 80), addrPort(9, 7))
		if _, s := r.one(); s.Flags&tcp.SYN == 0 || s.SrcPort != 80 {
			t.Fatalf("%v", &s)
		}
		r.listen()
		r.open(4000)
	})
}

// second gives the stack another address beside 10.0.0.1 and a network of its
// own.
func (r *raw) second() {
	r.t.Helper()
	for _, p := range []string{"10.0.0.7/24", "192.168.5.1/24"} {
		if err := r.ifaces[0].AddAddress(netip.MustParsePrefix(p)); err != nil {
			r.t.Fatal(err)
		}
	}
	r.neighbors[netip.MustParseAddr("192.168.5.9")] = rawMAC
	r.got()
}

//rfc:9293 MUST-43
//rfc:1122 choose-source
func TestRFC9293LocalAddressIsAsked(t *testing.T) { // §3.9.1.1
	rawTest(t, "10.0.0.7", func(t *testing.T, r *raw) {
		r.second()
		go r.stacks[0].DialTCP(t.Context(), addrPort(7, 0), addrPort(9, 7))
		if h, _ := r.one(); h.Src != addr(7) {
			t.Errorf("from %v", h.Src)
		}
	})
}

//rfc:9293 MUST-44
func TestRFC9293LocalAddressIsChosen(t *testing.T) { // §3.9.1.1
	rawTest(t, "by the way", func(t *testing.T, r *raw) {
		r.second()
		far := netip.MustParseAddrPort("192.168.5.9:7")
		go r.stacks[0].DialTCP(t.Context(), netip.AddrPort{}, far)
		if h, _ := r.one(); h.Src != netip.MustParseAddr("192.168.5.1") {
			t.Errorf("from %v", h.Src)
		}
	})
}

//rfc:9293 MUST-45
//rfc:1122 reply-source
func TestRFC9293LocalAddressStays(t *testing.T) { // §3.9.1.1
	rawTest(t, "that of the SYN", func(t *testing.T, r *raw) {
		r.second()
		ln := r.listen()
		r.frame(r.mac, tcpPacket(addr(9), addr(7), nil, syn(4000)))
		h, synAck := r.one()
		if h.Src != addr(7) {
			t.Fatalf("SYN-ACK from %v", h.Src)
		}
		r.frame(r.mac, tcpPacket(addr(9), addr(7), nil, ack(4000, synAck, 0, nil)))
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		c.Write([]byte("text"))
		c.Close()
		hs, _ := r.segments()
		for _, h := range hs {
			if h.Src != addr(7) {
				t.Errorf("from %v", h.Src)
			}
		}
		if len(hs) == 0 {
			t.Error("nothing came")
		}
	})
}

//rfc:9293 MUST-49
//rfc:1122 ttl-configurable
func TestRFC9293TimeToLive(t *testing.T) { // §3.9.2
	synctest.Test(t, func(t *testing.T) {
		r := newRaw(t, stack.Config{TTL: 7})
		defer r.close()
		r.tcp(syn(4000))
		if h, _ := r.one(); h.TTL != 7 {
			t.Errorf("reset with TTL %d", h.TTL)
		}
		go r.stacks[0].DialTCP(t.Context(), netip.AddrPort{}, addrPort(9, 7))
		if h, _ := r.one(); h.TTL != 7 {
			t.Errorf("SYN with TTL %d", h.TTL)
		}
	})
}

//rfc:9293 MUST-50
func TestRFC9293UnknownIPOptions(t *testing.T) { // §3.9.2
	rawTest(t, "ignored", func(t *testing.T, r *raw) {
		r.listen()
		r.frame(r.mac, tcpPacket(addr(9), addr(1), []byte{0x5e, 8, 1, 2, 3, 4, 5, 6}, syn(4000)))
		if _, s := r.one(); s.Flags&tcp.SYN == 0 {
			t.Errorf("%v", &s)
		}
	})
}

//rfc:9293 MUST-55
//rfc:5927 quench
func TestRFC9293SourceQuench(t *testing.T) { // §3.9.2.2
	rawTest(t, "discarded", func(t *testing.T, r *raw) {
		ln := r.listen()
		r.open(4000)
		c, err := ln.AcceptTCP()
		if err != nil {
			t.Fatal(err)
		}
		c.Write([]byte("text"))
		before := c.Info()
		r.icmp(icmp.Message{Type: icmp.SourceQuench, Body: r.got()[0].packet})
		if after := c.Info(); after != before {
			t.Errorf("%+v, before %+v", after, before)
		}
		if got := r.got(); len(got) > 0 {
			t.Errorf("%+v", got)
		}
	})
}

//rfc:9293 MUST-57
func TestRFC9293NoConnectionsWithGroups(t *testing.T) { // §3.9.2.3
	rawTest(t, "broadcast and multicast", func(t *testing.T, r *raw) {
		r.listen()
		for _, dst := range []string{"10.0.0.255", "255.255.255.255", "224.0.0.1"} {
			r.frame(ethernet.Broadcast, tcpPacket(addr(9), netip.MustParseAddr(dst), nil, syn(4000)))
		}
		if got := r.got(); len(got) > 0 || len(r.stacks[0].Conns()) > 0 {
			t.Errorf("%d answers, %d connections", len(got), len(r.stacks[0].Conns()))
		}
	})
}

//rfc:9293 MUST-63
func TestRFC9293NoConnectionsFromNowhere(t *testing.T) { // §3.9.2.3
	rawTest(t, "invalid sources", func(t *testing.T, r *raw) {
		if err := r.stacks[0].AddRoute(stack.Route{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Interface: r.ifaces[0], NextHop: addr(9)}); err != nil {
			t.Fatal(err)
		}
		r.listen()
		for _, src := range []string{"127.0.0.1", "224.0.0.9", "250.1.2.3", "255.255.255.255", "10.0.0.255", "0.1.2.3"} {
			r.frame(r.mac, tcpPacket(netip.MustParseAddr(src), addr(1), nil, syn(4000)))
		}
		if got := r.got(); len(got) > 0 || len(r.stacks[0].Conns()) > 0 {
			t.Errorf("%d answers, %d connections", len(got), len(r.stacks[0].Conns()))
		}
	})
}

// Segments that arrive together are all processed before anything is
// acknowledged, and share their acknowledgment.
//
//rfc:9293 MUST-58 MUST-59
func TestRFC9293AcksAreAggregated(t *testing.T) { // §3.10.7.4
	rawTest(t, "a batch", func(t *testing.T, r *raw) {
		r.listen()
		synAck := r.open(4000)
		var batch []link.Frame
		h := ethernet.Header{Dst: r.mac, Src: rawMAC, Type: ethernet.TypeIPv4}
		for i := range 6 {
			batch = append(batch, link.Frame{Head: append(h.AppendTo(nil), tcpPacket(addr(9), addr(1), nil, ack(4000, synAck, 1000*i, make([]byte, 1000)))...)})
		}
		// On the cable to the stack all six arrive at one instant; without a delay the
		// stack may look when some of them are there.
		if err := r.ports[0].SetImpairment(vnet.Egress, vnet.Impairment{Delay: time.Millisecond}); err != nil {
			t.Fatal(err)
		}
		r.dev.WriteFrames(batch)
		time.Sleep(time.Millisecond)
		if _, s := r.one(); s.Ack != 1001+6000 {
			t.Errorf("%v", &s)
		}
	})
}

//rfc:9293 MUST-67
//rfc:1122 reassembly-mms mms-s
func TestRFC9293MSSFitsTheLink(t *testing.T) { // §3.7.1
	for mtu, want := range map[int]uint16{576: 536, 1500: 1460, 9000: 8960} {
		synctest.Test(t, func(t *testing.T) {
			sw := vnet.New(vnet.Config{})
			defer sw.Close()
			p := port(t, sw, vnet.PortConfig{Name: "a", MTU: mtu})
			s := stack.New(stack.Config{})
			defer s.Close()
			add(t, s, stack.InterfaceConfig{Device: p, Resolver: stack.StaticResolver{addr(9): rawMAC}, Addresses: []netip.Prefix{netip.PrefixFrom(addr(1), 24)}})
			var got tcp.Segment
			defer sw.Monitor(func(_ string, f []byte, _ time.Time) {
				if _, _, body, err := ipv4.Parse(f[14:]); err == nil {
					got, _ = tcp.ParseSegment(body)
				}
			})()
			go s.DialTCP(t.Context(), netip.AddrPort{}, addrPort(9, 7))
			synctest.Wait()
			if got.Options.MSS != want {
				t.Errorf("MTU %d: MSS option %d", mtu, got.Options.MSS)
			}
		})
	}
}

//rfc:9293 MUST-25 MUST-28
func TestRFC9293KeepAliveDefaults(t *testing.T) { // §3.8.4
	rawTest(t, "off, then two hours", func(t *testing.T, r *raw) {
		ln := r.listen()
		r.open(4000)
		c, err := ln.AcceptTCP()
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(24 * time.Hour)
		if got := r.got(); len(got) > 0 {
			t.Fatalf("%d packets in a day of silence", len(got))
		}
		c.SetKeepAlive(true)
		time.Sleep(2*time.Hour - time.Second)
		if got := r.got(); len(got) > 0 {
			t.Fatalf("%d packets in two hours of silence", len(got))
		}
		time.Sleep(2 * time.Second)
		r.one()
	})
}

//rfc:9293 MUST-52 MUST-53
func TestRFC9293SourceRoutesAreRefused(t *testing.T) { // §3.9.2.1
	rawTest(t, "SYN by a route that ends here", func(t *testing.T, r *raw) {
		r.listen()
		for _, kind := range []byte{131, 137} {
			r.frame(r.mac, tcpPacket(addr(9), addr(1), []byte{kind, 7, 8, 10, 0, 0, 7, 0}, syn(4000)))
		}
		if got := r.got(); len(got) > 0 || r.stats().IP.SourceRoute != 2 {
			t.Errorf("%+v", got)
		}
	})
}

// What may be wrong is told while the connection goes on, to who wants to know.
//
//rfc:9293 MUST-47 SHLD-20 SHLD-9
func TestRFC9293SoftErrorsAreReported(t *testing.T) { // §3.9.1.8, §3.8.3
	rawTest(t, "ICMP, R1", func(t *testing.T, r *raw) {
		ln := r.listen()
		synAck := r.open(4000)
		c, err := ln.AcceptTCP()
		if err != nil {
			t.Fatal(err)
		}
		errs := make(chan error, 4)
		c.NotifyErrors(errs)
		c.Write([]byte("text"))
		text := r.got()[0].packet
		host := icmp.NewUnreachable(icmp.CodeHost, text)
		r.icmp(host)
		if got := <-errs; got != syscall.EHOSTUNREACH {
			t.Errorf("%v", got)
		}
		time.Sleep(10 * time.Second) // several retransmissions
		if got := <-errs; got != syscall.ETIMEDOUT || len(errs) > 0 {
			t.Errorf("%v, and %d more", got, len(errs))
		}
		c.NotifyErrors(nil)
		r.icmp(host)
		if len(errs) > 0 {
			t.Errorf("told although that was switched off: %v", <-errs)
		}
		r.tcp(ack(4000, synAck, 0, []byte("and it goes on")))
		if n, err := c.Read(make([]byte, 100)); n != 14 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})
}
