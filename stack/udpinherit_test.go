package stack_test

import (
	"errors"
	"net/netip"
	"syscall"
	"testing"

	"arpeggio/stack"
)

// A socket that inherits from another sends as that one does, and stays in its
// groups when that one is closed.
func TestUDPInherit(t *testing.T) {
	rawTest(t, "inherit", func(t *testing.T, r *raw) {
		s := r.stacks[0]
		from, u := listenUDP(t, s, ":9"), listenUDP(t, s, ":10")
		ifc, groupA, groupB := s.Interfaces()[0], netip.MustParseAddr("224.1.1.1"), netip.MustParseAddr("224.1.1.2")
		for _, err := range []error{
			from.SetTTL(7), from.SetTOS(0x20), from.SetDontFragment(true), from.SetBroadcast(false), from.SetMulticastTTL(3),
			from.JoinGroup(ifc, groupA), from.JoinSource(ifc, groupB, addr(5)), u.JoinGroup(ifc, groupB),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := u.Inherit(from); err != nil {
			t.Fatal(err)
		}
		from.Close()
		if g := ifc.Groups(); len(g) != 2 || g[0].Addr != groupA || !g[1].Filter.Allows(addr(6)) {
			t.Errorf("groups %v", g)
		}
		r.got()
		u.WriteToAddrPort([]byte("x"), addrPort(9, 5))
		if h := r.got()[0].h; h.TTL != 7 || h.TOS != 0x20 || !h.DF {
			t.Errorf("%+v", h)
		}
		u.WriteToAddrPort([]byte("x"), netip.AddrPortFrom(groupA, 5))
		if h := r.got()[0].h; h.TTL != 3 {
			t.Errorf("%+v", h)
		}
		_, err := u.WriteToAddrPort([]byte("x"), netip.MustParseAddrPort("255.255.255.255:5"))
		wantErrno(t, err, "write", syscall.EACCES)
		wantErrno(t, u.Connect(netip.MustParseAddrPort("255.255.255.255:5")), "connect", syscall.EACCES)

		other := stack.New(stack.Config{})
		defer other.Close()
		wantErrno(t, listenUDP(t, other, ":9").Inherit(u), "set", syscall.ENODEV)
		u.Close()
		if g := ifc.Groups(); len(g) != 0 {
			t.Errorf("groups %v", g)
		}
	})
	rawTest(t, "path probing", func(t *testing.T, r *raw) {
		r.smallPath()
		from, u := listenUDP(t, r.stacks[0], ":9"), listenUDP(t, r.stacks[0], ":10")
		if err := errors.Join(from.SetPathProbing(true), u.Inherit(from)); err != nil {
			t.Fatal(err)
		}
		if _, err := u.WriteToAddrPort(make([]byte, 1472), addrPort(9, 9)); err != nil {
			t.Error(err)
		}
	})
}
