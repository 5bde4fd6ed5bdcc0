package stack_test

import (
	"errors"
	"syscall"
	"testing"

	"arpeggio/stack/icmp"
	"arpeggio/stack/ipv4"
)

// smallPath has the stack believe that datagrams to 10.0.0.9 may have 600 octets.
func (r *raw) smallPath() {
	r.t.Helper()
	u := listenUDP(r.t, r.stacks[0], ":77")
	defer u.Close()
	u.SetDontFragment(true)
	u.WriteToAddrPort(make([]byte, 1000), addrPort(9, 9999))
	r.icmp(icmp.NewFragNeeded(600, r.got()[0].packet[:28]))
	if _, err := u.WriteToAddrPort(make([]byte, 573), addrPort(9, 9999)); !errors.Is(err, syscall.EMSGSIZE) {
		r.t.Errorf("%v", err)
	}
}

// A program that probes sends datagrams whole that are larger than what is known of
// the path, as large as the interface takes them.
//
//rfc:4821 programs-probe
func TestRFC4821ProgramsProbe(t *testing.T) { // §4, §9
	rawTest(t, "", func(t *testing.T, r *raw) {
		r.smallPath()
		u := listenUDP(t, r.stacks[0], ":53")
		if err := u.SetPathProbing(true); err != nil {
			t.Fatal(err)
		}
		if _, err := u.WriteToAddrPort(make([]byte, 1472), addrPort(9, 9)); err != nil {
			t.Fatal(err)
		}
		if got := r.got(); len(got) != 1 || !got[0].h.DF || len(got[0].packet) != 1500 {
			t.Errorf("%+v", got)
		}
		_, err := u.WriteToAddrPort(make([]byte, 1473), addrPort(9, 9))
		wantErrno(t, err, "write", syscall.EMSGSIZE)
		if err := u.SetDontFragment(true); err != nil { // which is bound by the path again
			t.Fatal(err)
		}
		_, err = u.WriteToAddrPort(make([]byte, 573), addrPort(9, 9))
		wantErrno(t, err, "write", syscall.EMSGSIZE)
		if err := u.SetPathProbing(false); err != nil {
			t.Fatal(err)
		}
		u.WriteToAddrPort(make([]byte, 10), addrPort(9, 9))
		if got := r.got(); len(got) != 1 || got[0].h.DF {
			t.Errorf("%+v", got)
		}
	})
}

// A datagram that may be fragmented is, here, to what the path carries.
//
//rfc:4821 here
func TestRFC4821FragmentsFitThePath(t *testing.T) { // §4, §8
	rawTest(t, "", func(t *testing.T, r *raw) {
		r.smallPath()
		u := listenUDP(t, r.stacks[0], ":53")
		u.WriteToAddrPort(make([]byte, 1400), addrPort(9, 9))
		got := r.got()
		if len(got) != 3 {
			t.Errorf("%d packets", len(got))
		}
		n := 0
		for _, p := range got {
			if len(p.packet) > 600 {
				t.Errorf("a fragment of %d octets", len(p.packet))
			}
			n += len(p.packet) - ipv4.MinHeaderLen
		}
		if n != 1408 {
			t.Errorf("%d octets in all", n)
		}
	})
}
