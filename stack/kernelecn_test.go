//go:build linux

package stack_test

import (
	"io"
	"net"
	"strings"
	"testing"
)

// The kernel asks for ECN and a router on the way marks: both ends slow down for
// the other's marks (RFC 3168).
func TestKernelECN(t *testing.T) {
	needTools(t, "nft", "sysctl", "nstat")
	s, ns, wire := onTAP(t, true, true)
	in(t, ns, "sysctl", "-qw", "net.ipv4.tcp_ecn=1")
	filter(t, wire, `table bridge router {
	chain forward {
		type filter hook forward priority 0;
		ip ecn ect0 numgen random mod 100 < 5 ip ecn set ce
	}
}
`)
	c, ours := meet(t, s, ns)
	const n = 8 << 20
	for _, end := range []net.Conn{c, ours} {
		go func() { _, _ = end.Write(make([]byte, n)) }()
	}
	done := make(chan error)
	go func() { _, err := io.ReadFull(c, make([]byte, n)); done <- err }()
	_, err := io.ReadFull(ours, make([]byte, n))
	if err2 := <-done; err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	i := ours.Info()
	if !i.ECN || i.Marks == 0 {
		t.Errorf("%+v", i)
	}
	kernel := in(t, ns, "nstat", "-asz", "TcpExtTCPDeliveredCE", "IpExtInCEPkts")
	if strings.Contains(kernel, "InCEPkts                  0 ") {
		t.Errorf("no mark reached the kernel:\n%s", kernel)
	}
	t.Logf("%d reductions\n%s", i.Marks, kernel)
}
