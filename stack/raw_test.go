package stack_test

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/checksum"
	"arpeggio/stack/ethernet"
	"arpeggio/stack/icmp"
	"arpeggio/stack/ipv4"
	"arpeggio/stack/link"
	"arpeggio/stack/udp"
	"arpeggio/stack/vnet"
)

// raw is a scripted station, 10.0.0.9, beside the stack 10.0.0.1.
type raw struct {
	*lan
	dev *vnet.Port
	mac ethernet.Addr
}

var rawMAC = ethernet.MustParseAddr("02:00:00:00:00:09")

// newRaw makes the pair; whatever 10.0.0.x the stack asks for is the station.
func newRaw(t testing.TB, cfg stack.Config) *raw {
	l := newLAN(t, 1, vnet.PortConfig{}, cfg)
	dev, err := l.sw.Port(vnet.PortConfig{Name: "raw", Addr: rawMAC})
	if err != nil {
		t.Fatal(err)
	}
	l.neighbors[addr(9)] = rawMAC
	return &raw{lan: l, dev: dev, mac: l.ports[0].Info().Addr}
}

func (r *raw) frame(dst ethernet.Addr, packet []byte) {
	h := ethernet.Header{Dst: dst, Src: rawMAC, Type: ethernet.TypeIPv4}
	r.dev.WriteFrames([]link.Frame{{Head: append(h.AppendTo(nil), packet...)}})
}

// ip sends a packet to the stack's MAC address and lets it react.
func (r *raw) ip(h ipv4.Header, opts, payload []byte) {
	if h.TTL == 0 {
		h.TTL = 64
	}
	r.frame(r.mac, append(h.AppendTo(nil, opts, len(payload)), payload...))
	synctest.Wait()
}

// got returns the packets that the stack has sent, parsed.
func (r *raw) got() (out []parsed) {
	r.t.Helper()
	synctest.Wait()
	frames := make([]link.Frame, 64)
	for {
		n, err := r.dev.ReadFrames(frames)
		if n == 0 || err != nil {
			return out
		}
		for _, f := range frames[:n] {
			_, packet, err := ethernet.Parse(f.Head)
			if err != nil {
				r.t.Fatal(err)
			}
			p := parsed{packet: append([]byte(nil), packet...)}
			if p.h, p.opts, p.body, err = ipv4.Parse(p.packet); err != nil {
				r.t.Fatal(err)
			}
			if p.h.Proto == ipv4.ProtoICMP && !p.h.IsFragment() {
				if p.m, err = icmp.Parse(p.body); err != nil {
					r.t.Fatal(err)
				}
			}
			out = append(out, p)
		}
	}
}

type parsed struct {
	packet     []byte
	h          ipv4.Header
	opts, body []byte
	m          icmp.Message
}

func udpPacket(src, dst netip.AddrPort, body []byte) (ipv4.Header, []byte) {
	h := udp.Header{SrcPort: src.Port(), DstPort: dst.Port()}
	return ipv4.Header{Proto: ipv4.ProtoUDP, Src: src.Addr(), Dst: dst.Addr(), ID: 77},
		h.AppendTo(nil, body, checksum.Pseudo(src.Addr(), dst.Addr(), 17, 8+len(body)))
}

func (r *raw) stats() stack.Stats { return r.stacks[0].Stats() }

func rawTest(t *testing.T, name string, f func(t *testing.T, r *raw)) {
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newRaw(t, stack.Config{})
			defer r.close()
			f(t, r)
		})
	})
}

//rfc:1122 ttl-not-zero echo-server echo-data echo-broadcast
//rfc:792 echo
func TestEcho(t *testing.T) {
	echo := func(n int) []byte { m := icmp.NewEcho(5, 6, make([]byte, n)); return m.AppendTo(nil) }
	ask := ipv4.Header{Proto: ipv4.ProtoICMP, Src: addr(9), Dst: addr(1), TOS: 0x20}
	rawTest(t, "id, seq and data are equal", func(t *testing.T, r *raw) {
		r.ip(ask, nil, echo(100))
		got := r.got()
		if len(got) != 1 || got[0].m.Type != icmp.EchoReply || got[0].m.ID() != 5 || got[0].m.Seq() != 6 || len(got[0].m.Body) != 100 {
			t.Fatalf("%+v", got)
		}
		if h := got[0].h; h.Src != addr(1) || h.Dst != addr(9) || h.TTL != stack.DefaultTTL || h.TOS != 0x20 {
			t.Errorf("%+v", h)
		}
	})
	rawTest(t, "short and corrupt messages are ignored", func(t *testing.T, r *raw) {
		r.ip(ask, nil, echo(0)[:7])
		b := echo(10)
		b[12] ^= 1
		r.ip(ask, nil, b)
		if got := r.got(); len(got) > 0 || r.stats().ICMP.InErrors != 2 {
			t.Errorf("%d answers, %+v", len(got), r.stats())
		}
	})
	rawTest(t, "other address is silent", func(t *testing.T, r *raw) {
		h := ask
		h.Dst = addr(2)
		r.ip(h, nil, echo(10))
		if got := r.got(); len(got) > 0 || r.stats().IP.Foreign != 1 {
			t.Errorf("%d answers, %+v", len(got), r.stats())
		}
	})
	rawTest(t, "broadcast is silent", func(t *testing.T, r *raw) {
		for _, dst := range []string{"10.0.0.255", "255.255.255.255", "224.0.0.1"} {
			h := ask
			h.Dst = netip.MustParseAddr(dst)
			r.frame(ethernet.Broadcast, append(h.AppendTo(nil, nil, 18), echo(10)...))
		}
		if got := r.got(); len(got) > 0 || r.stats().ICMP.Ignored != 3 {
			t.Errorf("%d answers, %+v", len(got), r.stats())
		}
	})
}

// RFC 1122 §3.2.1.3, §3.3.6: what must be dropped without a word.
//
//rfc:1122 discards-counted bad-source udp-bad-source
func TestMartians(t *testing.T) {
	a := netip.MustParseAddr
	own, peer := netip.AddrPortFrom(addr(1), 9), netip.AddrPortFrom(addr(9), 9)
	for name, tc := range map[string]struct {
		src, dst netip.Addr
		count    func(s stack.Stats) uint64
	}{
		"from 0.0.0.0":          {a("0.0.0.0"), addr(1), func(s stack.Stats) uint64 { return s.IP.Martians }},
		"from 127.0.0.1":        {a("127.0.0.1"), addr(1), func(s stack.Stats) uint64 { return s.IP.Martians }},
		"from multicast":        {a("224.0.0.9"), addr(1), func(s stack.Stats) uint64 { return s.IP.Martians }},
		"from class E":          {a("250.0.0.9"), addr(1), func(s stack.Stats) uint64 { return s.IP.Martians }},
		"from broadcast":        {a("255.255.255.255"), addr(1), func(s stack.Stats) uint64 { return s.IP.Martians }},
		"from subnet broadcast": {a("10.0.0.255"), addr(1), func(s stack.Stats) uint64 { return s.IP.Martians }},
		"from our address":      {addr(1), addr(1), func(s stack.Stats) uint64 { return s.IP.Spoofed }},
		"to 127.0.0.1":          {addr(9), a("127.0.0.1"), func(s stack.Stats) uint64 { return s.IP.Martians }},
		"to 0.0.0.0":            {addr(9), a("0.0.0.0"), func(s stack.Stats) uint64 { return s.IP.Martians }},
	} {
		rawTest(t, name, func(t *testing.T, r *raw) {
			h, body := udpPacket(netip.AddrPortFrom(tc.src, 9), netip.AddrPortFrom(tc.dst, 9), []byte("x"))
			r.ip(h, nil, body)
			if got := r.got(); len(got) > 0 || tc.count(r.stats()) != 1 {
				t.Errorf("%d answers, %+v", len(got), r.stats())
			}
		})
	}
	rawTest(t, "our address in a link broadcast", func(t *testing.T, r *raw) {
		h, body := udpPacket(peer, own, []byte("x"))
		r.frame(ethernet.Broadcast, append(h.AppendTo(nil, nil, len(body)), body...))
		if got := r.got(); len(got) > 0 || r.stats().IP.GroupFrame != 1 {
			t.Errorf("%d answers, %+v", len(got), r.stats())
		}
	})
	rawTest(t, "source route that ends here", func(t *testing.T, r *raw) {
		h, body := udpPacket(peer, own, []byte("x"))
		r.ip(h, []byte{131, 7, 8, 10, 0, 0, 7, 0}, body)
		if got := r.got(); len(got) > 0 || r.stats().IP.SourceRoute != 1 {
			t.Errorf("%d answers, %+v", len(got), r.stats())
		}
	})
	rawTest(t, "frames for others", func(t *testing.T, r *raw) {
		h, body := udpPacket(peer, own, []byte("x"))
		packet := append(h.AppendTo(nil, nil, len(body)), body...)
		r.frame(ethernet.MustParseAddr("02:00:00:00:00:77"), packet)
		tagged := ethernet.Header{Dst: r.mac, Src: rawMAC, Type: ethernet.TypeIPv4}
		tagged.SetVLAN(ethernet.VLAN{Inner: 5})
		for _, h := range []ethernet.Header{
			tagged,
			{Dst: r.mac, Src: rawMAC, Type: ethernet.TypeIPv6},
			{Dst: ethernet.Broadcast, Src: r.mac, Type: ethernet.TypeIPv4},
		} {
			r.dev.WriteFrames([]link.Frame{{Head: append(h.AppendTo(nil), packet...)}})
		}
		synctest.Wait()
		st := r.stats()
		if len(r.got()) > 0 || st.Frames.ForeignMAC != 1 || st.Frames.OwnSource != 1 || st.Frames.UnknownType != 1 || st.Frames.ForeignVLAN != 1 {
			t.Errorf("%+v", st)
		}
	})
}

//rfc:1122 error-quotes error-returned unreachable-sent reassembly-timeout reassembly-fixed udp-unreachable
//rfc:792 quote
func TestICMPErrors(t *testing.T) {
	own, peer := netip.AddrPortFrom(addr(1), 9), netip.AddrPortFrom(addr(9), 4000)
	rawTest(t, "port unreachable quotes the packet", func(t *testing.T, r *raw) {
		h, body := udpPacket(peer, own, make([]byte, 1000))
		h.TTL = 64
		r.ip(h, nil, body)
		got := r.got()
		if len(got) != 1 || got[0].m.Type != icmp.Unreachable || got[0].m.Code != icmp.CodePort {
			t.Fatalf("%+v", got)
		}
		want := append(h.AppendTo(nil, nil, len(body)), body...)
		if len(got[0].packet) != icmp.MaxErrorLen || string(got[0].m.Body) != string(want[:len(got[0].m.Body)]) {
			t.Errorf("a packet of %d octets quotes % x", len(got[0].packet), got[0].m.Body[:28])
		}
	})
	rawTest(t, "unknown protocol", func(t *testing.T, r *raw) {
		r.ip(ipv4.Header{Proto: 199, Src: addr(9), Dst: addr(1)}, nil, []byte("12345678"))
		if got := r.got(); len(got) != 1 || got[0].m.Type != icmp.Unreachable || got[0].m.Code != icmp.CodeProtocol {
			t.Errorf("%+v", got)
		}
	})
	rawTest(t, "bad option", func(t *testing.T, r *raw) {
		r.ip(ipv4.Header{Proto: ipv4.ProtoUDP, Src: addr(9), Dst: addr(1)}, []byte{1, 7, 3, 3}, []byte("12345678"))
		if got := r.got(); len(got) != 1 || got[0].m.Type != icmp.ParamProblem || got[0].m.Pointer() != 23 {
			t.Errorf("%+v", got)
		}
	})
	rawTest(t, "reassembly time exceeded", func(t *testing.T, r *raw) {
		h, body := udpPacket(peer, own, make([]byte, 1000))
		h.MF = true
		r.ip(h, nil, body[:504])
		later := h
		later.ID++
		later.Offset, later.MF = 504, false
		r.ip(later, nil, body[504:])
		time.Sleep(ipv4.DefaultReassemblyTimeout - time.Millisecond)
		if got := r.got(); len(got) > 0 {
			t.Fatal("too early")
		}
		time.Sleep(2 * time.Millisecond)
		got := r.got()
		if len(got) != 1 || got[0].m.Type != icmp.TimeExceeded || got[0].m.Code != icmp.CodeReassembly {
			t.Fatalf("%d messages, %+v", len(got), got)
		}
		if st := r.stats(); st.IP.FragmentTimeouts != 2 {
			t.Errorf("%+v", st)
		}
	})
	rawTest(t, "never about errors, broadcasts and fragments", func(t *testing.T, r *raw) {
		h, body := udpPacket(peer, netip.AddrPortFrom(netip.MustParseAddr("10.0.0.255"), 9), []byte("x"))
		r.frame(ethernet.Broadcast, append(h.AppendTo(nil, nil, len(body)), body...))
		r.ip(ipv4.Header{Proto: 199, Src: addr(9), Dst: addr(1), MF: true}, nil, make([]byte, 8))
		m := icmp.NewUnreachable(icmp.CodePort, []byte("nonsense"))
		r.ip(ipv4.Header{Proto: ipv4.ProtoICMP, Src: addr(9), Dst: addr(1)}, nil, m.AppendTo(nil))
		if got := r.got(); len(got) > 0 {
			t.Errorf("%+v", got)
		}
	})
	rawTest(t, "rate limit", func(t *testing.T, r *raw) {
		h, body := udpPacket(peer, own, []byte("x"))
		for range 100 {
			r.ip(h, nil, body)
		}
		if n, limited := len(r.got()), r.stats().ICMP.Limited; n != icmp.DefaultHostBurst || limited != 100-icmp.DefaultHostBurst {
			t.Errorf("%d errors sent, %d not", n, limited)
		}
	})
}

// frameOf sends a frame of any type.
func (r *raw) frameOf(dst ethernet.Addr, typ ethernet.EtherType, payload []byte) {
	h := ethernet.Header{Dst: dst, Src: rawMAC, Type: typ}
	r.dev.WriteFrames([]link.Frame{{Head: append(h.AppendTo(nil), payload...)}})
}

// frames returns the frames that have arrived, whole.
func (r *raw) frames() (out [][]byte) {
	synctest.Wait()
	frames := make([]link.Frame, 64)
	n, _ := r.dev.ReadFrames(frames)
	for _, f := range frames[:n] {
		out = append(out, append([]byte(nil), f.Head...))
	}
	return out
}
