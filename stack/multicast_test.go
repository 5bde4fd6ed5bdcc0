package stack_test

import (
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/ethernet"
	"arpeggio/stack/igmp"
	"arpeggio/stack/ipv4"
	"arpeggio/stack/vnet"
)

var group = netip.MustParseAddr("239.1.2.3")

// reports returns the IGMP messages that have left, checked for what all have in
// common (RFC 3376 §4).
func (r *raw) reports() (out []string) {
	r.t.Helper()
	synctest.Wait()
	for _, f := range r.frames() {
		h, packet, err := ethernet.Parse(f)
		if err != nil {
			r.t.Fatal(err)
		}
		ip, opts, body, err := ipv4.Parse(packet)
		if err != nil || ip.Proto != ipv4.ProtoIGMP {
			r.t.Fatalf("no IGMP: %+v, %v", ip, err)
		}
		m, err := igmp.Parse(body)
		if err != nil {
			r.t.Fatal(err)
		}
		b := ip.Dst.As4()
		if mac := (ethernet.Addr{1, 0, 0x5e, b[1] & 0x7f, b[2], b[3]}); h.Dst != mac || ip.TTL != 1 || ip.Src != addr(1) || string(opts) != "\x94\x04\x00\x00" {
			r.t.Errorf("sent to %v from %v with TTL %d and options % x", h.Dst, ip.Src, ip.TTL, opts)
		}
		text := map[igmp.Type]string{igmp.ReportV1: "v1", igmp.ReportV2: "v2", igmp.Leave: "leave"}[m.Type] + " " + m.Group.String()
		if m.Type == igmp.ReportV3 {
			text = ""
			for _, rec := range m.Records {
				text += strings.TrimSuffix(fmt.Sprintf("%d:%v %v", rec.Type, rec.Group, rec.Sources), " []")
			}
		}
		out = append(out, text)
	}
	return out
}

func (r *raw) wantReports(want ...string) {
	r.t.Helper()
	if got := r.reports(); strings.Join(got, "; ") != strings.Join(want, "; ") {
		r.t.Errorf("sent %q, want %q", got, want)
	}
}

func (r *raw) igmp(dst netip.Addr, m igmp.Message) {
	r.ip(ipv4.Header{TTL: 1, Proto: ipv4.ProtoIGMP, Src: addr(9), Dst: dst}, []byte{148, 4, 0, 0}, m.AppendTo(nil))
}

// cast sends a datagram to a group's port 9.
func (r *raw) cast(src, dst netip.Addr, text string) {
	h, body := udpPacket(netip.AddrPortFrom(src, 1), netip.AddrPortFrom(dst, 9), []byte(text))
	h.TTL = 1
	r.frame(ethernet.MustParseAddr("01:00:5e:01:02:03"), append(h.AppendTo(nil, nil, len(body)), body...))
	synctest.Wait()
}

// texts returns what waits for u.
func texts(u *stack.UDPConn) (out string) {
	for {
		data, _, err := u.ReceiveNow(false)
		if err != nil {
			return out
		}
		out += string(data)
	}
}

// Joining and leaving from the wire, with version 3 (RFC 3376 §5.1).
//
//rfc:1112 join not-joined all-hosts
//rfc:3376 ip-header source
func TestMulticastMembership(t *testing.T) {
	rawTest(t, "version 3", func(t *testing.T, r *raw) {
		u := listenUDP(t, r.stacks[0], ":9")
		r.cast(addr(9), group, "a")
		if err := u.JoinGroup(nil, group); err != nil {
			t.Fatal(err)
		}
		r.wantReports("4:239.1.2.3")
		time.Sleep(time.Second)
		r.wantReports("4:239.1.2.3")
		r.cast(addr(9), group, "b")
		r.cast(addr(9), netip.MustParseAddr("239.1.2.4"), "c")
		if got := texts(u); got != "b" {
			t.Errorf("received %q", got)
		}
		if st := r.stats(); st.IP.Foreign != 2 {
			t.Errorf("%+v", st.IP)
		}
		if g := r.ifaces[0].Groups(); len(g) != 1 || g[0].Addr != group || !g[0].Filter.Equal(igmp.Everyone) {
			t.Errorf("groups %+v", g)
		}
		r.igmp(igmp.AllSystems, igmp.Message{Type: igmp.Query, Version: 3, MaxResp: time.Second, Robustness: 2})
		time.Sleep(time.Second)
		r.wantReports("2:239.1.2.3")
		// A second member changes nothing; the last one to leave does.
		v, err := r.stacks[0].ListenMulticastUDP(r.ifaces[0], netip.AddrPortFrom(group, 10))
		if err != nil {
			t.Fatal(err)
		}
		u.Close()
		r.wantReports()
		v.Close()
		r.wantReports("3:239.1.2.3")
		time.Sleep(2 * time.Second)
		r.wantReports("3:239.1.2.3")
		r.cast(addr(9), group, "d")
		if st := r.stats(); st.IP.Foreign != 3 || len(r.ifaces[0].Groups()) != 0 {
			t.Errorf("%+v", st.IP)
		}
	})
	rawTest(t, "an interface that goes away says so", func(t *testing.T, r *raw) {
		u := listenUDP(t, r.stacks[0], ":9")
		u.JoinGroup(nil, group)
		time.Sleep(time.Second)
		r.reports()
		r.stacks[0].RemoveInterface(r.ifaces[0])
		r.wantReports("3:239.1.2.3")
		wantErrno(t, u.JoinGroup(r.ifaces[0], group), "set", syscall.ENODEV)
		wantErrno(t, u.LeaveGroup(nil, group), "set", syscall.ENODEV)
	})
}

// RFC 2236 and RFC 3376 §7: older queriers.
//
//rfc:3376 sent-to-a-group any-destination report-any-destination
func TestMulticastOldQueriers(t *testing.T) {
	rawTest(t, "version 2", func(t *testing.T, r *raw) {
		u := listenUDP(t, r.stacks[0], ":9")
		u.JoinGroup(nil, group)
		time.Sleep(time.Second)
		r.reports()
		query := igmp.Message{Type: igmp.Query, Version: 2, MaxResp: time.Second}
		r.igmp(igmp.AllSystems, query)
		time.Sleep(time.Second)
		r.wantReports("v2 239.1.2.3")
		// Another member is quicker, so that we say nothing and leave in silence.
		r.igmp(igmp.AllSystems, query)
		r.igmp(group, igmp.Message{Type: igmp.ReportV2, Group: group})
		time.Sleep(2 * time.Second)
		r.wantReports()
		u.LeaveGroup(nil, group)
		r.wantReports()
		u.JoinGroup(nil, group)
		r.wantReports("v2 239.1.2.3")
		time.Sleep(10 * time.Second)
		r.reports()
		// Or says so to us alone.
		r.igmp(igmp.AllSystems, query)
		r.igmp(addr(1), igmp.Message{Type: igmp.ReportV2, Group: group})
		time.Sleep(2 * time.Second)
		r.wantReports()
		u.LeaveGroup(nil, group)
		u.JoinGroup(nil, group)
		r.wantReports("v2 239.1.2.3")
		u.LeaveGroup(nil, group)
		r.wantReports("leave 239.1.2.3")
	})
	rawTest(t, "version 1", func(t *testing.T, r *raw) {
		r.igmp(igmp.AllSystems, igmp.Message{Type: igmp.Query, Version: 1})
		u := listenUDP(t, r.stacks[0], ":9")
		u.JoinGroup(nil, group)
		r.igmp(igmp.AllSystems, igmp.Message{Type: igmp.Query, Version: 1})
		time.Sleep(time.Second)
		if got := r.reports(); len(got) == 0 || got[0] != "v1 239.1.2.3" && got[0] != "4:239.1.2.3" {
			t.Errorf("%q", got)
		}
		time.Sleep(time.Minute)
		r.reports()
		r.igmp(igmp.AllSystems, igmp.Message{Type: igmp.Query, Version: 1})
		time.Sleep(10 * time.Second)
		r.wantReports("v1 239.1.2.3")
		u.LeaveGroup(nil, group)
		r.wantReports()
	})
	rawTest(t, "where a query was sent to", func(t *testing.T, r *raw) {
		listenUDP(t, r.stacks[0], ":9").JoinGroup(nil, group)
		time.Sleep(time.Second)
		r.reports()
		query := igmp.Message{Type: igmp.Query, Version: 3, MaxResp: time.Second, Robustness: 2}
		r.igmp(group, query)
		time.Sleep(2 * time.Second)
		r.wantReports()
		if st := r.stats().IGMP; st.BadGroup != 1 {
			t.Errorf("%+v", st)
		}
		r.igmp(addr(1), query)
		time.Sleep(2 * time.Second)
		r.wantReports("2:239.1.2.3")
		query.Group = group
		r.igmp(group, query)
		time.Sleep(2 * time.Second)
		r.wantReports("2:239.1.2.3")
	})
	rawTest(t, "malformed", func(t *testing.T, r *raw) {
		u := listenUDP(t, r.stacks[0], ":9")
		for n := range 2 { // as a non-member and as a member
			for _, b := range [][]byte{nil, {0x11, 0, 1, 2, 0, 0, 0, 0}, {0x99, 0, 0x66, 0xff, 0, 0, 0, 0}, {0x16, 0, 0xdf, 0xfe, 10, 0, 0, 1}} {
				r.ip(ipv4.Header{TTL: 1, Proto: ipv4.ProtoIGMP, Src: addr(9), Dst: igmp.AllSystems}, nil, b)
			}
			k := uint64(n + 1)
			if st := r.stats().IGMP; st.InMsgs != 4*k || st.Short != k || st.BadChecksum != k || st.BadType != k || st.BadGroup != k {
				t.Errorf("%+v", st)
			}
			u.JoinGroup(nil, group)
		}
	})
}

// RFC 1112 §6, RFC 1122 §3.3.7 and §4.1.3.6: what is sent to groups.
//
//rfc:1112 ttl mapping source interface loop loop-off
func TestMulticastSend(t *testing.T) {
	rawTest(t, "options", func(t *testing.T, r *raw) {
		s := r.stacks[0]
		// A default route is no way for groups: they stay on the link.
		if err := s.AddRoute(stack.Route{Prefix: prefix("0.0.0.0/0"), Interface: r.ifaces[0], NextHop: addr(9)}); err != nil {
			t.Fatal(err)
		}
		u := listenUDP(t, s, ":9")
		to := netip.AddrPortFrom(netip.MustParseAddr("239.129.2.3"), 9)
		sent := func() (ethernet.Addr, ipv4.Header) {
			t.Helper()
			if _, err := u.WriteToAddrPort([]byte("x"), to); err != nil {
				t.Fatal(err)
			}
			f := r.frames()
			if len(f) != 1 {
				return ethernet.Addr{}, ipv4.Header{}
			}
			e, packet, _ := ethernet.Parse(f[0])
			h, _, _, err := ipv4.Parse(packet)
			if err != nil {
				t.Fatal(err)
			}
			return e.Dst, h
		}
		if mac, h := sent(); mac != ethernet.MustParseAddr("01:00:5e:01:02:03") || h.TTL != 1 || h.Src != addr(1) {
			t.Errorf("to %v: %+v", mac, h)
		}
		if got := texts(u); got != "" {
			t.Errorf("heard itself without having joined: %q", got)
		}
		u.SetMulticastTTL(33)
		u.SetTTL(44)
		if _, h := sent(); h.TTL != 33 {
			t.Errorf("TTL %d", h.TTL)
		}
		u.SetMulticastTTL(0)
		if mac, _ := sent(); mac != (ethernet.Addr{}) {
			t.Error("a packet with TTL 0 left")
		}
		u.JoinGroup(nil, to.Addr())
		time.Sleep(time.Second)
		r.frames()
		sent()
		u.SetMulticastTTL(1)
		sent()
		if got := texts(u); got != "xx" {
			t.Errorf("looped %q", got)
		}
		u.SetMulticastLoopback(false)
		sent()
		if got := texts(u); got != "" {
			t.Errorf("looped %q", got)
		}
		wantErrno(t, u.SetMulticastTTL(256), "set", syscall.EINVAL)
		// Another interface.
		q := port(t, r.sw, vnet.PortConfig{Name: "second"})
		i := add(t, s, stack.InterfaceConfig{Device: q, Resolver: r.neighbors, Addresses: []netip.Prefix{prefix("10.5.0.1/24")}})
		if err := u.SetMulticastInterface(i); err != nil {
			t.Fatal(err)
		}
		if _, h := sent(); h.Src != netip.MustParseAddr("10.5.0.1") {
			t.Errorf("left from %v", h.Src)
		}
		u.SetMulticastInterface(nil)
		if _, h := sent(); h.Src != addr(1) {
			t.Errorf("left from %v", h.Src)
		}
		wantErrno(t, u.SetMulticastInterface(new(stack.Interface)), "set", syscall.ENODEV)
	})
	rawTest(t, "bound to an interface", func(t *testing.T, r *raw) {
		q := port(t, r.sw, vnet.PortConfig{Name: "second"})
		i := add(t, r.stacks[0], stack.InterfaceConfig{Device: q, Resolver: r.neighbors, Addresses: []netip.Prefix{prefix("10.5.0.1/24")}})
		p, err := (&stack.ListenConfig{Interface: i}).ListenPacket(r.stacks[0], "udp", ":9")
		if err != nil {
			t.Fatal(err)
		}
		u := p.(*stack.UDPConn)
		if err := u.JoinGroup(nil, group); err != nil {
			t.Fatal(err)
		}
		if n, m := len(i.Groups()), len(r.ifaces[0].Groups()); n != 1 || m != 0 {
			t.Errorf("%d groups on it, %d on the other", n, m)
		}
		// One that package net would have made hears nothing of its own.
		v, err := r.stacks[0].ListenMulticastUDP(i, netip.AddrPortFrom(group, 10))
		if err != nil {
			t.Fatal(err)
		}
		v.WriteToAddrPort([]byte("v"), netip.AddrPortFrom(group, 10))
		u.WriteToAddrPort([]byte("u"), netip.AddrPortFrom(group, 10))
		if got := texts(v); got != "u" {
			t.Errorf("received %q", got)
		}
	})
	lanTest(t, "between hosts", 3, vnet.PortConfig{}, func(t *testing.T, l *lan) {
		to := netip.AddrPortFrom(group, 9)
		var ends []*stack.UDPConn
		for k := range 3 {
			for range 2 { // several sockets share the port
				u, err := l.stacks[k].ListenMulticastUDP(nil, to)
				if err != nil {
					t.Fatal(err)
				}
				ends = append(ends, u)
			}
		}
		listenUDP(t, l.stacks[1], ":10").WriteToAddrPort(make([]byte, 5000), to)
		for k, u := range ends {
			n, d, err := u.ReadDatagram(make([]byte, 100))
			if err != nil || n != 100 || d.Len != 5000 || d.Dst != group || d.TTL != 1 || d.Interface == nil || d.From.Addr() != addr(2) {
				t.Errorf("socket %d: %d octets, %+v, %v", k, n, d, err)
			}
		}
		_, err := l.stacks[0].ListenPacket("udp", "239.1.2.3:9")
		wantErrno(t, err, "listen", syscall.EADDRINUSE)
		_, err = l.stacks[0].ListenMulticastUDP(nil, addrPort(1, 9))
		wantErrno(t, err, "listen", syscall.EINVAL)
	})
}
