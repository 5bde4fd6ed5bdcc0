package stack_test

import (
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/igmp"
	"arpeggio/stack/ipv4"
)

// What is sent to everybody, or to a group that is received, is for the sockets of
// this host as well, raw ones too (RFC 1112 §6.1); only that of groups can be
// switched off. Linux does the same in each of these cases.
//
//rfc:1112 loop
func TestOwnBroadcastsAndMulticasts(t *testing.T) {
	rawTest(t, "", func(t *testing.T, r *raw) {
		s, i := r.stacks[0], r.ifaces[0]
		u := listenUDP(t, s, ":9")
		listen := func(p ipv4.Proto) *stack.IPConn {
			c, err := s.ListenIP(p, netip.Addr{})
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		datagrams, others := listen(ipv4.ProtoUDP), listen(253)
		defer datagrams.Close()
		defer others.Close()
		read := func(c net.PacketConn) (out string) {
			t.Helper()
			b := make([]byte, 100)
			for {
				_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
				n, from, err := c.ReadFrom(b)
				if err != nil {
					if !os.IsTimeout(err) {
						t.Fatal(err)
					}
					return out
				}
				if from, err := netip.ParseAddr(from.String()); err == nil && from != addr(1) {
					t.Errorf("from %v", from)
				}
				out += string(b[max(0, n-1):n])
			}
		}
		check := func(dst netip.Addr, want string, frames int) {
			t.Helper()
			if _, err := u.WriteToAddrPort([]byte("u"), netip.AddrPortFrom(dst, 9)); err != nil {
				t.Fatal(err)
			}
			if _, err := others.WriteTo([]byte("r"), &net.IPAddr{IP: dst.AsSlice()}); err != nil {
				t.Fatal(err)
			}
			if got := read(u) + read(datagrams) + read(others); got != want {
				t.Errorf("to %v: received %q, want %q", dst, got, want)
			}
			if n := len(r.got()); n != frames {
				t.Errorf("to %v: %d packets left, want %d", dst, n, frames)
			}
		}
		group := netip.MustParseAddr("239.1.2.3")
		check(netip.MustParseAddr("10.0.0.255"), "uur", 2)
		check(netip.MustParseAddr("255.255.255.255"), "uur", 2)
		check(igmp.AllSystems, "uur", 2) // which needs no joining
		check(group, "", 2)
		if err := u.JoinGroup(i, group); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		r.got()
		check(group, "uur", 2)
		if err := others.SetMulticastLoopback(false); err != nil {
			t.Fatal(err)
		}
		check(group, "uu", 2)
		check(netip.MustParseAddr("10.0.0.255"), "uur", 2)
		if n := r.stats().UDP.NoPorts; n != 0 {
			t.Errorf("%d datagrams for no port", n)
		}
		others.Close()
		wantErrno(t, others.SetMulticastLoopback(true), "set", net.ErrClosed)
	})
	rawTest(t, "nobody answers them", func(t *testing.T, r *raw) {
		s := r.stacks[0]
		for _, p := range []ipv4.Proto{ipv4.ProtoICMP, 199} {
			c, err := s.ListenIP(p, netip.Addr{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.WriteTo([]byte{8, 0, 0xf7, 0xff, 0, 0, 0, 0}, &net.IPAddr{IP: net.IPv4bcast}); err != nil {
				t.Fatal(err)
			}
			c.Close()
		}
		u := listenUDP(t, s, ":9")
		if _, err := u.WriteToAddrPort(nil, netip.MustParseAddrPort("10.0.0.255:10")); err != nil {
			t.Fatal(err)
		}
		if n := len(r.got()); n != 3 {
			t.Errorf("%d packets left, want those that were sent", n)
		}
		_ = u.SetBroadcast(false)
		_, err := u.WriteToAddrPort([]byte("x"), netip.MustParseAddrPort("10.0.0.255:9"))
		wantErrno(t, err, "write", syscall.EACCES)
		if got := texts(u); got != "" {
			t.Errorf("what was refused was received: %q", got)
		}
	})
}

// A report of our own that comes back is not another member's: it keeps nobody from
// reporting (RFC 3376 §5).
func TestOwnReportComesBack(t *testing.T) {
	rawTest(t, "", func(t *testing.T, r *raw) {
		s, group := r.stacks[0], netip.MustParseAddr("239.1.2.3")
		if err := listenUDP(t, s, ":9").JoinGroup(nil, group); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		c, err := s.ListenIP(ipv4.ProtoIGMP, netip.Addr{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		query := igmp.Message{Type: igmp.Query, Version: 2, MaxResp: 10 * time.Second}
		r.ip(ipv4.Header{TTL: 1, Proto: ipv4.ProtoIGMP, Src: addr(9), Dst: igmp.AllSystems}, []byte{148, 4, 0, 0}, query.AppendTo(nil))
		r.got()
		report := igmp.Message{Type: igmp.ReportV2, Version: 2, Group: group}
		if _, err := c.WriteTo(report.AppendTo(nil), &net.IPAddr{IP: group.AsSlice()}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		if n := len(r.got()); n != 2 {
			t.Errorf("%d packets left, want the program's and the host's own report", n)
		}
	})
}
