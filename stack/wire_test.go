package stack_test

import (
	"fmt"
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
	"arpeggio/stack/udp"
	"arpeggio/stack/vnet"
)

// Conformance of IPv4 and ICMP as a station beside the stack sees it.

// pingRaw is an echo request of the station's.
func pingRaw() (ipv4.Header, []byte) {
	m := icmp.NewEcho(5, 6, []byte("abc"))
	return ipv4.Header{Proto: ipv4.ProtoICMP, Src: addr(9), Dst: addr(1)}, m.AppendTo(nil)
}

// RFC 1122 §3.2.1.7: a small time to live is no reason to drop what has arrived.
//
//rfc:1122 ttl-arrived
func TestTTLAtDestination(t *testing.T) {
	for _, ttl := range []uint8{0, 1, 255} {
		rawTest(t, fmt.Sprint(ttl), func(t *testing.T, r *raw) {
			h, body := pingRaw()
			h.TTL = ttl
			r.frame(r.mac, append(h.AppendTo(nil, nil, len(body)), body...))
			if got := r.got(); len(got) != 1 || got[0].m.Type != icmp.EchoReply || got[0].h.TTL == 0 {
				t.Errorf("%+v", got)
			}
		})
	}
}

// RFC 791 §3.1, RFC 1122 §3.2.1.8 and §3.2.2.6: options of an echo request.
//
//rfc:1122 receive-options unknown-options stream-identifier record-route timestamp-option echo-options parameter-problem-sent
//rfc:791 record-route timestamp overflow
//rfc:792 pointer
func TestEchoOptions(t *testing.T) {
	for name, tc := range map[string]struct {
		opts, want []byte // want nil: a parameter problem at pointer
		pointer    int
	}{
		"router alert":        {[]byte{148, 4, 0, 0}, []byte{}, 0},
		"security":            {[]byte{130, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, []byte{}, 0},
		"stream identifier":   {[]byte{136, 4, 0, 1}, []byte{}, 0},
		"unknown":             {[]byte{222, 4, 1, 2}, []byte{}, 0},
		"record route":        {[]byte{7, 7, 4, 0, 0, 0, 0, 0}, []byte{7, 7, 8, 10, 0, 0, 1, 0}, 0},
		"full record route":   {[]byte{7, 7, 8, 1, 2, 3, 4, 0}, []byte{7, 7, 8, 1, 2, 3, 4, 0}, 0},
		"half a record":       {[]byte{7, 7, 6, 1, 2, 3, 4, 0}, nil, 22},
		"too many timestamps": {[]byte{68, 8, 9, 0xf0, 1, 2, 3, 4}, nil, 23},
		"length 0":            {[]byte{7, 0, 4, 0}, nil, 21},
		"runs over":           {[]byte{1, 1, 7, 39}, nil, 23},
		"no length":           {[]byte{1, 1, 1, 222}, nil, 23},
	} {
		rawTest(t, name, func(t *testing.T, r *raw) {
			h, body := pingRaw()
			r.ip(h, tc.opts, body)
			got := r.got()
			switch {
			case len(got) != 1:
				t.Errorf("%d answers", len(got))
			case tc.want == nil:
				if m := got[0].m; m.Type != icmp.ParamProblem || m.Code != 0 || m.Pointer() != tc.pointer {
					t.Errorf("%+v, want a parameter problem at %d", m, tc.pointer)
				}
				if st := r.stats(); st.IP.BadOptions+st.ICMP.BadOption != 1 {
					t.Error("not counted")
				}
			case got[0].m.Type != icmp.EchoReply || string(got[0].opts) != string(tc.want):
				t.Errorf("type %d, options % x, want % x", got[0].m.Type, got[0].opts, tc.want)
			}
		})
	}
	rawTest(t, "timestamp", func(t *testing.T, r *raw) {
		h, body := pingRaw()
		r.ip(h, []byte{68, 12, 5, 1, 0, 0, 0, 0, 0, 0, 0, 0}, body)
		now := time.Now().UTC()
		ms := uint32(now.Sub(now.Truncate(24*time.Hour)) / time.Millisecond)
		want := []byte{68, 12, 13, 1, 10, 0, 0, 1, byte(ms >> 24), byte(ms >> 16), byte(ms >> 8), byte(ms)}
		if got := r.got(); len(got) != 1 || string(got[0].opts) != string(want) {
			t.Errorf("%+v, want options % x", got, want)
		}
	})
	rawTest(t, "malformed and from an impossible source", func(t *testing.T, r *raw) {
		for _, src := range []string{"10.0.0.1", "10.0.0.255", "127.0.0.1", "224.0.0.1", "0.0.0.0"} {
			h, body := pingRaw()
			h.Src = netip.MustParseAddr(src)
			r.ip(h, []byte{7, 0, 4, 0}, body)
		}
		if got := r.got(); len(got) > 0 || r.stats().IP.InAddrErrors != 5 {
			t.Errorf("%+v", got)
		}
	})
}

// RFC 1122 §3.3.5: who is asked to forward along a source route and does not
// says so; RFC 7126 §4.3: nor is the last hop's packet taken.
//
//rfc:1122 source-route-end echo-source-route source-route-refused
func TestSourceRoutes(t *testing.T) {
	via, end := []byte{131, 7, 4, 10, 0, 0, 7, 0}, []byte{137, 7, 8, 10, 0, 0, 7, 0}
	for name, tc := range map[string]struct {
		opts  []byte
		dst   string
		error bool
	}{
		"loose, goes on":        {via, "10.0.0.1", true},
		"strict, goes on":       {append([]byte{137}, via[1:]...), "10.0.0.1", true},
		"ends here":             {end, "10.0.0.1", false},
		"for the broadcast":     {via, "10.0.0.255", false},
		"for somebody else":     {via, "10.0.0.7", false},
		"behind another option": {[]byte{148, 4, 0, 0, 131, 7, 4, 10, 0, 0, 7, 0}, "10.0.0.1", true},
	} {
		rawTest(t, name, func(t *testing.T, r *raw) {
			h, body := pingRaw()
			h.Dst = netip.MustParseAddr(tc.dst)
			r.ip(h, tc.opts, body)
			got := r.got()
			if (len(got) == 1) != tc.error || tc.error && (got[0].m.Type != icmp.Unreachable || got[0].m.Code != icmp.CodeSourceRoute) {
				t.Errorf("%+v", got)
			}
			if r.stats().IP.SourceRoute != 1 {
				t.Errorf("%+v", r.stats())
			}
		})
	}
	rawTest(t, "in an error", func(t *testing.T, r *raw) {
		h, _ := pingRaw()
		m := icmp.NewUnreachable(icmp.CodePort, make([]byte, 28))
		r.ip(h, via, m.AppendTo(nil))
		if got := r.got(); len(got) > 0 {
			t.Errorf("%+v", got)
		}
	})
}

// RFC 6918, RFC 1122 §3.2.2 and §3.2.2.9: messages that nobody answers.
//
//rfc:1122 icmp-unknown information mask-told
//rfc:6918 deprecated unsent
func TestSilentICMP(t *testing.T) {
	types := []icmp.Type{1, 2, icmp.SourceQuench, icmp.Redirect, 6, 7, 9, 10, icmp.Timestamp, icmp.TimestampReply,
		15, 16, 17, 18, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 42, 200, 255}
	rawTest(t, "all", func(t *testing.T, r *raw) {
		for _, typ := range types {
			m := icmp.Message{Type: typ, Body: make([]byte, 28)}
			r.ip(ipv4.Header{Proto: ipv4.ProtoICMP, Src: addr(9), Dst: addr(1)}, nil, m.AppendTo(nil))
		}
		if got, st := r.got(), r.stats(); len(got) > 0 || st.ICMP.Ignored != uint64(len(types)) {
			t.Errorf("%d answers, %d of %d ignored", len(got), st.ICMP.Ignored, len(types))
		}
	})
}

// RFC 6633: a quench slows nobody down; redirects are not followed.
//
//rfc:1122 redirect-followed quench-up
func TestRedirectIgnored(t *testing.T) {
	rawTest(t, "redirect and quench", func(t *testing.T, r *raw) {
		far := netip.MustParseAddrPort("192.0.2.1:9")
		r.neighbors[addr(8)] = ethernet.MustParseAddr("02:00:00:00:00:08")
		if err := r.stacks[0].AddRoute(stack.Route{Prefix: prefix("0.0.0.0/0"), Interface: r.ifaces[0], NextHop: addr(9)}); err != nil {
			t.Fatal(err)
		}
		u := listenUDP(t, r.stacks[0], ":1")
		for range 2 {
			u.WriteToAddrPort([]byte("x"), far)
			got := r.got()
			if len(got) != 1 || got[0].h.Dst != far.Addr() {
				t.Fatalf("%+v", got)
			}
			gw := addr(8).As4()
			r.icmp(icmp.Message{Type: icmp.Redirect, Code: 1, Rest: gw, Body: got[0].packet})
			r.icmp(icmp.Message{Type: icmp.SourceQuench, Body: got[0].packet})
		}
		if st := r.stats(); st.ICMP.Ignored != 4 {
			t.Errorf("%+v", st)
		}
	})
}

// RFC 1122 §3.3.6: today's broadcast addresses and 4.2BSD's are received, and
// nobody answers them with an error or an echo.
//
//rfc:1122 broadcast-forms broadcast-recognized
//rfc:919 recognized limited
func TestBroadcastForms(t *testing.T) {
	for _, dst := range []string{"10.0.0.255", "255.255.255.255", "10.0.0.0", "0.0.0.0"} {
		rawTest(t, dst, func(t *testing.T, r *raw) {
			u := listenUDP(t, r.stacks[0], ":9")
			to := netip.MustParseAddr(dst)
			send := func(h ipv4.Header, body []byte) {
				h.Dst, h.TTL = to, 64
				r.frame(ethernet.Broadcast, append(h.AppendTo(nil, nil, len(body)), body...))
			}
			for _, port := range []uint16{9, 10} {
				send(udpPacket(addrPort(9, 1), netip.AddrPortFrom(to, port), []byte("x")))
			}
			send(pingRaw())
			send(ipv4.Header{Proto: 199, Src: addr(9)}, []byte("12345678"))
			if got := r.got(); len(got) > 0 {
				t.Errorf("answered: %+v", got)
			}
			if n, _, err := u.ReadFrom(make([]byte, 10)); n != 1 || err != nil {
				t.Errorf("%d, %v", n, err)
			}
		})
	}
	rawTest(t, "no source", func(t *testing.T, r *raw) {
		for _, src := range []string{"10.0.0.0", "10.0.0.255", "0.0.0.9", "240.0.0.1"} {
			h, body := pingRaw()
			h.Src = netip.MustParseAddr(src)
			r.ip(h, nil, body)
		}
		for _, dst := range []string{"240.0.0.1", "0.0.0.9", "127.0.0.1"} {
			h, body := pingRaw()
			h.Dst = netip.MustParseAddr(dst)
			r.ip(h, nil, body)
		}
		if got, st := r.got(), r.stats(); len(got) > 0 || st.IP.Martians != 7 {
			t.Errorf("%d answers, %d martians", len(got), st.IP.Martians)
		}
	})
}

// RFC 1122 §3.3.6: an address of ours in a frame for a group is dropped.
//
//rfc:1122 link-broadcast broadcast-link-only
func TestUnicastInGroupFrame(t *testing.T) {
	rawTest(t, "broadcast and multicast", func(t *testing.T, r *raw) {
		h, body := pingRaw()
		h.TTL = 64
		for _, mac := range []string{"ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "33:33:00:00:00:01"} {
			r.frame(ethernet.MustParseAddr(mac), append(h.AppendTo(nil, nil, len(body)), body...))
		}
		if got, st := r.got(), r.stats(); len(got) > 0 || st.IP.GroupFrame != 3 {
			t.Errorf("%d answers, %d dropped", len(got), st.IP.GroupFrame)
		}
	})
}

// RFC 1122 §3.2.2: an error quotes the packet as it came.
//
//rfc:1122 error-unaltered
//rfc:791 padding
//rfc:894 padding
func TestQuoteUnaltered(t *testing.T) {
	rawTest(t, "flags, options, padding", func(t *testing.T, r *raw) {
		h, body := udpPacket(addrPort(9, 1), addrPort(1, 9), []byte("0123456789"))
		h.TTL, h.TOS, h.RF, h.DF = 3, 0x2b, true, true
		packet := append(h.AppendTo(nil, []byte{148, 4, 0, 0, 222, 3, 9, 1}, len(body)), body...)
		r.frame(r.mac, append(packet[:len(packet):len(packet)], "padding"...))
		if got := r.got(); len(got) != 1 || string(got[0].m.Body) != string(packet) {
			t.Errorf("%+v\nwant a quotation of % x", got, packet)
		}
	})
}

// RFC 5927 §4: an error that came to another address than the one that sent.
func TestErrorForOtherAddress(t *testing.T) {
	rawTest(t, "second address", func(t *testing.T, r *raw) {
		if err := r.ifaces[0].AddAddress(prefix("10.0.0.5/24")); err != nil {
			t.Fatal(err)
		}
		c, err := r.stacks[0].Dial("udp", "10.0.0.9:9")
		if err != nil {
			t.Fatal(err)
		}
		c.Write([]byte("x"))
		m := icmp.NewUnreachable(icmp.CodePort, r.got()[0].packet)
		r.ip(ipv4.Header{Proto: ipv4.ProtoICMP, Src: addr(9), Dst: addr(5)}, nil, m.AppendTo(nil))
		if _, err := c.Write([]byte("x")); err != nil {
			t.Errorf("believed: %v", err)
		}
		r.icmp(m)
		_, err = c.Write([]byte("x"))
		wantErrno(t, err, "write", syscall.ECONNREFUSED)
	})
}

// RFC 1122 §3.2.1.3 (g): 127.0.0.0/8 is the host itself; the rest of what is no
// host's address is nowhere.
//
//rfc:1122 loopback
func TestLoopbackNetwork(t *testing.T) {
	rawTest(t, "inside", func(t *testing.T, r *raw) {
		s := r.stacks[0]
		if err := s.AddRoute(stack.Route{Prefix: prefix("0.0.0.0/0"), Interface: r.ifaces[0], NextHop: addr(9)}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Ping(t.Context(), netip.MustParseAddr("127.3.2.1"), 5000); err != nil {
			t.Error(err)
		}
		ln, err := s.Listen("tcp", "127.0.0.1:80")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			if c, err := ln.Accept(); err == nil {
				c.Write([]byte("x"))
				c.Close()
			}
		}()
		c, err := s.Dial("tcp", "127.0.0.1:80")
		if err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(make([]byte, 2)); n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		c.Close()
		ln.Close()
		_, err = s.Dial("tcp", "10.0.0.1:80")
		wantErrno(t, err, "dial", syscall.ECONNREFUSED)
		u := listenUDP(t, s, "127.0.0.1:5")
		if _, err := u.WriteToAddrPort([]byte("x"), netip.MustParseAddrPort("127.0.0.1:5")); err != nil {
			t.Error(err)
		}
		if n, from, err := u.ReadFrom(make([]byte, 2)); n != 1 || err != nil || from.String() != "127.0.0.1:5" {
			t.Errorf("%d from %v, %v", n, from, err)
		}
		_, err = u.WriteToAddrPort([]byte("x"), addrPort(9, 9))
		wantErrno(t, err, "write", syscall.EINVAL)
		for _, dst := range []string{"240.0.0.1:9", "0.0.0.1:9", "255.255.255.254:9"} {
			_, err := listenUDP(t, s, ":0").WriteToAddrPort([]byte("x"), netip.MustParseAddrPort(dst))
			wantErrno(t, err, "write", syscall.ENETUNREACH)
		}
		if got := r.got(); len(got) > 0 {
			t.Errorf("left the host: %+v", got)
		}
	})
}

// RFC 815, RFC 1122 §3.3.2: fragments of two networks with the same addresses.
func TestReassemblyByInterface(t *testing.T) {
	rawTest(t, "VLAN", func(t *testing.T, r *raw) {
		s := r.stacks[0]
		vlan := ethernet.VLAN{Inner: 7}
		add(t, s, stack.InterfaceConfig{Device: r.ports[0], VLAN: vlan, Resolver: r.neighbors, Addresses: []netip.Prefix{prefix("10.0.1.1/24")}})
		u := listenUDP(t, s, ":9")
		h, body := udpPacket(addrPort(9, 1), addrPort(1, 9), make([]byte, 100))
		send := func(off, end int, v ethernet.VLAN) {
			f := h
			f.TTL, f.Offset, f.MF = 64, uint16(off), end < len(body)
			e := ethernet.Header{Dst: r.mac, Src: rawMAC, Type: ethernet.TypeIPv4}
			e.SetVLAN(v)
			packet := append(f.AppendTo(e.AppendTo(nil), nil, end-off), body[off:end]...)
			r.dev.WriteFrames([]link.Frame{{Head: packet}})
			synctest.Wait()
		}
		send(0, 64, ethernet.VLAN{})
		send(64, 108, vlan)
		if st := s.Stats(); st.IP.ReasmOKs != 0 || st.IP.ReasmReqds != 2 {
			t.Fatalf("%+v", st)
		}
		send(64, 108, ethernet.VLAN{})
		if n, _, err := u.ReadFrom(make([]byte, 200)); n != 100 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})
}

// RFC 3927 §2.7, RFC 2644: what a router must not pass on is not offered to the
// forward hook either.
//
//rfc:3927 not-forwarded
//rfc:2644 not-passed-on
func TestForwardable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []netip.Addr
		r := newRaw(t, stack.Config{Forward: func(_ *stack.Interface, p []byte) {
			seen = append(seen, netip.AddrFrom4([4]byte(p[16:20])))
		}})
		defer r.close()
		q := port(t, r.sw, vnet.PortConfig{Name: "second"})
		add(t, r.stacks[0], stack.InterfaceConfig{Device: q, Resolver: r.neighbors, Addresses: []netip.Prefix{prefix("10.5.0.1/24")}})
		for _, pair := range [][2]string{
			{"10.0.0.9", "169.254.1.1"}, {"169.254.1.1", "192.0.2.1"}, {"10.0.0.9", "10.5.0.255"},
			{"10.0.0.9", "224.0.0.251"}, {"10.0.0.9", "192.0.2.1"},
		} {
			h, body := udpPacket(netip.AddrPortFrom(netip.MustParseAddr(pair[0]), 1), netip.AddrPortFrom(netip.MustParseAddr(pair[1]), 9), nil)
			r.ip(h, nil, body)
		}
		if len(seen) != 1 || seen[0] != netip.MustParseAddr("192.0.2.1") {
			t.Errorf("offered: %v", seen)
		}
	})
}

// RFC 792, RFC 1122 §3.2.2: about a datagram in fragments one error, when it is
// whole, and none about a fragment.
func TestErrorsAndFragments(t *testing.T) {
	rawTest(t, "closed port", func(t *testing.T, r *raw) {
		h, body := udpPacket(addrPort(9, 1), addrPort(1, 9), make([]byte, 3000))
		h.TTL = 64
		var frags [][]byte
		if err := ipv4.Fragment(h, nil, body, 1500, func(h ipv4.Header, opts, part []byte) {
			frags = append(frags, append(h.AppendTo(nil, opts, len(part)), part...))
		}); err != nil {
			t.Fatal(err)
		}
		for i, f := range frags {
			if got := r.got(); len(got) > 0 {
				t.Fatalf("an error after %d fragments", i)
			}
			r.frame(r.mac, f)
		}
		got := r.got()
		if len(got) != 1 || got[0].m.Type != icmp.Unreachable || len(got[0].packet) > icmp.MaxErrorLen {
			t.Fatalf("%+v", got)
		}
		if q := got[0].m.Body; string(q[20:20+udp.HeaderLen]) != string(body[:udp.HeaderLen]) {
			t.Errorf("quotes % x", q[:28])
		}
	})
}
