package socketagent

import (
	"syscall"
	"testing"
)

// An option that was set before there was a port and fails with it takes neither the
// port nor the options behind it away.
func TestPendingOptionFails(t *testing.T) {
	_, dial := newAgent(t)
	c := dial()
	fd, errno, _ := c.call(opSocket, nil, syscall.AF_INET, syscall.SOCK_DGRAM, 0)
	if errno != 0 {
		t.Fatal(errno)
	}
	mreq := func(group byte) []byte { return []byte{224, 1, 1, group, 10, 0, 0, 1} }
	for _, group := range []byte{1, 1, 2} { // the second join of one group fails
		c.call(opSetsockopt, mreq(group), fd, syscall.IPPROTO_IP, ipAddMembership)
	}
	if _, errno, _ := c.call(opBind, appendAddr(nil, anywhere), fd); errno != 0 {
		t.Errorf("bind: %v", errno)
	}
	for _, group := range []byte{1, 2} {
		if _, errno, _ := c.call(opSetsockopt, mreq(group), fd, syscall.IPPROTO_IP, ipAddMembership); errno != syscall.EADDRINUSE {
			t.Errorf("group %d again: %v, want EADDRINUSE", group, errno)
		}
	}
}
