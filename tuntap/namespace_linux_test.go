package tuntap_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"

	"arpeggio/internal/netns"
)

var namespaces atomic.Int32

// namespace is a network namespace that the test made and that vanishes with
// it.
type namespace struct {
	t    *testing.T
	name string
}

func newNamespace(t *testing.T) *namespace {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs ip(8) of iproute2")
	}
	n := &namespace{t, fmt.Sprintf("arpeggio-tt-%d-%d", os.Getpid(), namespaces.Add(1))}
	if out, err := exec.Command("ip", "netns", "add", n.name).CombinedOutput(); err != nil {
		t.Skipf("cannot make a network namespace: %v: %s", err, out)
	}
	t.Cleanup(func() { exec.Command("ip", "netns", "delete", n.name).Run() })
	n.do(func() { // a kernel that says nothing unasked
		for _, which := range []string{"all", "default"} {
			os.WriteFile("/proc/sys/net/ipv6/conf/"+which+"/disable_ipv6", []byte("1"), 0)
		}
	})
	n.ip("link", "set", "lo", "up")
	return n
}

// ip runs ip(8) inside the namespace and returns what it says.
func (n *namespace) ip(args ...string) string {
	n.t.Helper()
	out, err := exec.Command("ip", append([]string{"-n", n.name}, args...)...).CombinedOutput()
	if err != nil {
		n.t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// waitUp waits until an interface carries what its kernel sends.
func (n *namespace) waitUp(dev string) {
	n.t.Helper()
	if err := (&netns.Namespace{Name: n.name}).WaitUp(dev); err != nil {
		n.t.Fatal(err)
	}
}

// do runs fn on a thread that is inside the namespace. What fn opens stays
// there.
func (n *namespace) do(fn func()) {
	n.t.Helper()
	err := (&netns.Namespace{Name: n.name}).Do(func() error {
		fn()
		return nil
	})
	if err != nil {
		n.t.Fatal(err)
	}
}

func needTun(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		t.Skip("needs /dev/net/tun (modprobe tun)")
	}
}
