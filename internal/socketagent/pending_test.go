package socketagent

import (
	"syscall"
	"testing"
)

// An option that is set before there is a port fails at once if it cannot be set,
// and a group is joined from then on, through bind. Closing leaves nothing behind.
func TestOptionsBeforeThePort(t *testing.T) {
	a, dial := newAgent(t)
	c := dial()
	iface := a.stack.Interfaces()[0]
	mreq := func(group byte) []byte { return []byte{224, 1, 1, group, 10, 0, 0, 1} }
	for _, bind := range []bool{true, false} {
		fd, errno, _ := c.call(opSocket, nil, syscall.AF_INET, syscall.SOCK_DGRAM, 0)
		if errno != 0 {
			t.Fatal(errno)
		}
		set := func(op int32, group byte, want syscall.Errno) {
			t.Helper()
			if _, errno, _ := c.call(opSetsockopt, mreq(group), fd, syscall.IPPROTO_IP, op); errno != want {
				t.Errorf("bound %v: option %d, group %d: %v, want %v", bind, op, group, errno, want)
			}
		}
		set(ipAddMembership, 1, 0)
		set(ipAddMembership, 1, syscall.EADDRINUSE)
		set(ipDropMembership, 2, syscall.EADDRNOTAVAIL)
		set(ipAddMembership, 2, 0)
		if n := len(iface.Groups()); n != 2 {
			t.Errorf("%d groups before bind, want 2", n)
		}
		if bind {
			if _, errno, _ := c.call(opBind, appendAddr(nil, anywhere), fd); errno != 0 {
				t.Errorf("bind: %v", errno)
			}
			set(ipAddMembership, 1, syscall.EADDRINUSE)
			set(ipDropMembership, 2, 0)
			if n := len(iface.Groups()); n != 1 {
				t.Errorf("%d groups after bind, want 1", n)
			}
		}
		c.call(opClose, nil, fd)
		if n := len(iface.Groups()); n != 0 {
			t.Errorf("%d groups at the end", n)
		}
	}
}
