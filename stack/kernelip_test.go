//go:build linux

package stack_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What the kernel's ping makes of our answers to requests with options.
func TestKernelPingOptions(t *testing.T) {
	needTools(t, "ping")
	_, ns, _ := onTAP(t, false, false)
	for _, args := range [][]string{{"-R"}, {"-T", "tsonly"}, {"-T", "tsandaddr"}} {
		out := in(t, ns, append([]string{"ping", "-c", "1", "-W", "5", "10.9.0.2"}, args...)...)
		if !strings.Contains(out, " 0% packet loss") || args[0] == "-R" && strings.Count(out, "10.9.0.2\n") < 1 {
			t.Errorf("%v:\n%s", args, out)
		}
		if args[len(args)-1] == "tsandaddr" && !strings.Contains(out, "10.9.0.2\t") {
			t.Errorf("%v: we are not in the list\n%s", args, out)
		}
	}
}

// The kernel as sender, as listener and, in its bridge, as querier and as the
// switch that keeps groups from those who have not joined them.
func TestKernelMulticast(t *testing.T) {
	needTools(t, "bridge")
	s, ns, wire := onTAP(t, false, true)
	run(t, "ip", "-n", ns, "route", "add", "239.0.0.0/8", "dev", "va")
	if out, err := exec.Command("ip", "-n", wire, "link", "set", "br0", "type", "bridge", "mcast_snooping", "1", "mcast_query_response_interval", "100").CombinedOutput(); err != nil {
		t.Skipf("a bridge without IGMP: %s", out)
	}
	members := func() string { return run(t, "bridge", "-n", wire, "-d", "mdb", "show") }
	to := netip.MustParseAddrPort("239.1.2.3:7000")
	sender := inside(t, ns, func() (net.Conn, error) { return net.Dial("udp4", to.String()) })
	defer sender.Close()
	u, err := s.ListenMulticastUDP(nil, to)
	if err != nil {
		t.Fatal(err)
	}
	wait := func(what string, done func() bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !done(); {
			if time.Now().After(end) {
				t.Fatalf("%s\n%s%+v", what, members(), s.Stats().IGMP)
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	joined := func() bool { return strings.Contains(members(), "port tap0 grp 239.1.2.3") }
	wait("the bridge does not know of our membership", joined)
	for version, reports := range []uint64{2: 1, 3: 1} {
		if reports == 0 {
			continue
		}
		before := s.Stats().IGMP
		run(t, "ip", "-n", wire, "link", "set", "br0", "type", "bridge", "mcast_querier", "0")
		run(t, "ip", "-n", wire, "link", "set", "br0", "type", "bridge", "mcast_igmp_version", fmt.Sprint(version), "mcast_querier", "1")
		wait("no answer to the bridge's query", func() bool {
			now := s.Stats().IGMP
			return now.InMsgs > before.InMsgs && now.OutMsgs > before.OutMsgs
		})
		// Only now: in version 2 the kernel's answer would have silenced ours.
		listener := inside(t, ns, func() (*net.UDPConn, error) {
			i, err := net.InterfaceByName("va")
			if err != nil {
				return nil, err
			}
			return net.ListenMulticastUDP("udp4", i, net.UDPAddrFromAddrPort(to))
		})
		u.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := io.WriteString(sender, "to us"); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 100)
		if n, from, err := u.ReadFrom(buf); err != nil || string(buf[:n]) != "to us" {
			t.Errorf("%q from %v, %v", buf[:n], from, err)
		}
		// The bridge passes it on when it has learned that the kernel listens.
		for end := time.Now().Add(time.Minute); ; { // it hears its own too
			if _, err := u.WriteToAddrPort([]byte("to the kernel"), to); err != nil {
				t.Fatal(err)
			}
			listener.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
			n, from, err := listener.ReadFrom(buf)
			if errors.Is(err, os.ErrDeadlineExceeded) && time.Now().Before(end) {
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			if string(buf[:n]) == "to the kernel" {
				if from.String() != "10.9.0.2:7000" {
					t.Errorf("from %v", from)
				}
				break
			}
		}
		listener.Close()
	}
	if st := s.Stats().IGMP; st.Short+st.BadChecksum+st.BadType+st.BadGroup > 0 {
		t.Errorf("%+v", st)
	}
	u.Close()
	wait("the bridge still takes us for a member", func() bool { return !joined() })
}

// What the kernel says of a closed port reaches the socket that sent there, with a
// peer or without.
func TestKernelPortUnreachable(t *testing.T) {
	s, _, _ := onTAP(t, true, false)
	c, err := s.Dial("udp", "10.9.0.1:9")
	if err != nil {
		t.Fatal(err)
	}
	u := listenUDP(t, s, ":0")
	u.SetReceiveErrors(true)
	c.Write([]byte("x"))
	u.WriteToAddrPort(make([]byte, 5000), netip.MustParseAddrPort("10.9.0.1:9"))
	for _, r := range []net.Conn{c, u} {
		_ = r.SetReadDeadline(time.Now().Add(time.Minute))
		_, err := r.Read(make([]byte, 1))
		wantErrno(t, err, "read", syscall.ECONNREFUSED)
		if a := err.(*net.OpError).Addr; a == nil || a.String() != "10.9.0.1:9" {
			t.Errorf("about %v", a)
		}
	}
}
