package stack_test

import (
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"arpeggio/stack"
)

// RFC 3376 §2: a socket's list of sources is bounded, by more than 64.
//
//rfc:3376 limit limit-size limit-told
func TestMulticastSourceLimit(t *testing.T) {
	rawTest(t, "256", func(t *testing.T, r *raw) {
		u := listenUDP(t, r.stacks[0], ":9")
		join := func(n int) error {
			return u.JoinSource(nil, group, netip.AddrFrom4([4]byte{10, 0, byte(1 + n>>7), byte(1 + n&0x7f)}))
		}
		for n := range 256 {
			if err := join(n); err != nil {
				t.Fatalf("source %d: %v", n, err)
			}
		}
		wantErrno(t, join(256), "set", syscall.ENOBUFS)
	})
}

// Filters of sources (RFC 3376 §3, RFC 3678).
//
//rfc:1122 multicast
func TestMulticastSources(t *testing.T) {
	rawTest(t, "sources", func(t *testing.T, r *raw) {
		s, i := r.stacks[0], r.ifaces[0]
		open := func() *stack.UDPConn {
			p, err := (&stack.ListenConfig{ReuseAddr: true}).ListenPacket(s, "udp", ":9")
			if err != nil {
				t.Fatal(err)
			}
			return p.(*stack.UDPConn)
		}
		u, v := open(), open()
		check := func(wantU, wantV string) {
			t.Helper()
			for n := 7; n <= 9; n++ {
				r.cast(addr(n), group, fmt.Sprint(n))
			}
			if a, b := texts(u), texts(v); a != wantU || b != wantV {
				t.Errorf("received %q and %q, want %q and %q", a, b, wantU, wantV)
			}
		}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Error(err)
			}
		}
		must(u.JoinSource(i, group, addr(7)))
		r.wantReports("5:239.1.2.3 [10.0.0.7]")
		check("7", "")
		must(v.JoinGroup(i, group))
		r.wantReports("4:239.1.2.3")
		check("7", "789")
		must(v.BlockSource(i, group, addr(8)))
		must(u.JoinSource(i, group, addr(9)))
		check("79", "79")
		must(u.LeaveSource(i, group, addr(7)))
		check("9", "79")
		must(v.UnblockSource(i, group, addr(8)))
		check("9", "789")
		must(u.LeaveSource(i, group, addr(9)))
		check("", "789")
		wantErrno(t, v.JoinGroup(i, group), "set", syscall.EADDRINUSE)
		wantErrno(t, u.LeaveGroup(i, group), "set", syscall.EADDRNOTAVAIL)
		wantErrno(t, v.UnblockSource(i, group, addr(7)), "set", syscall.EADDRNOTAVAIL)
		must(v.BlockSource(i, group, addr(7)))
		wantErrno(t, v.JoinSource(i, group, addr(7)), "set", syscall.EINVAL)
		must(v.UnblockSource(i, group, addr(7)))
		must(v.JoinSource(i, group, addr(8)))
		check("", "8")
		wantErrno(t, v.BlockSource(i, group, addr(7)), "set", syscall.EINVAL)
		wantErrno(t, u.BlockSource(i, group, addr(7)), "set", syscall.EINVAL)
		wantErrno(t, u.JoinGroup(i, addr(7)), "set", syscall.EINVAL)
		wantErrno(t, u.JoinSource(i, group, group), "set", syscall.EINVAL)
		for n := range 300 {
			err := u.JoinGroup(i, netip.AddrFrom4([4]byte{239, 9, byte(n >> 8), byte(n)}))
			if n < 256 && err != nil || n >= 256 && err == nil {
				t.Fatalf("group %d: %v", n, err)
			}
			if n == 299 {
				wantErrno(t, err, "set", syscall.ENOBUFS)
			}
		}
		must(v.LeaveGroup(i, group))
		for n := range 300 {
			err := v.JoinSource(i, group, netip.AddrFrom4([4]byte{10, 9, byte(n >> 8), byte(n)}))
			if n < 256 && err != nil || n >= 256 && err == nil {
				t.Fatalf("source %d: %v", n, err)
			}
		}
		u.Close()
		wantErrno(t, u.JoinGroup(i, group), "set", net.ErrClosed)
	})
}
