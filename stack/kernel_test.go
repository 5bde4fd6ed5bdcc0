//go:build linux

package stack_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"arpeggio/arp"
	"arpeggio/internal/netns"
	"arpeggio/stack"
	"arpeggio/stack/link"
	"arpeggio/tuntap"
)

// The peer of these tests is the Linux kernel's own stack, in network
// namespaces that they make, behind a TAP.

var kernelSpaces atomic.Int32

func needTools(t *testing.T, tools ...string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		t.Skip("needs /dev/net/tun (modprobe tun)")
	}
	for _, tool := range append(tools, "ip") {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s", tool)
		}
	}
}

func run(t *testing.T, command string, args ...string) string {
	t.Helper()
	out, err := exec.Command(command, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", command, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// newNamespace makes a network namespace and returns its name.
func newNamespace(t *testing.T) string {
	t.Helper()
	name := fmt.Sprintf("arpeggio-st-%d-%d", os.Getpid(), kernelSpaces.Add(1))
	if out, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		t.Skipf("cannot make a network namespace: %v: %s", err, out)
	}
	t.Cleanup(func() { exec.Command("ip", "netns", "delete", name).Run() })
	run(t, "ip", "-n", name, "link", "set", "lo", "up")
	return name
}

// in runs a command inside the namespace.
func in(t *testing.T, ns string, args ...string) string {
	t.Helper()
	return run(t, "ip", append([]string{"netns", "exec", ns}, args...)...)
}

// inside runs open on a thread that is inside the namespace; what it opens
// stays there.
func inside[D any](t *testing.T, ns string, open func() (D, error)) (dev D) {
	t.Helper()
	err := (&netns.Namespace{Name: ns}).Do(func() (err error) {
		dev, err = open()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return dev
}

// onTAP returns a stack 10.9.0.2/24 on a TAP in a namespace whose kernel is
// 10.9.0.1/24. Bridged, the kernel's address is in a second namespace, ns,
// behind a bridge in the first, wire, whose ports lossy can hook.
func onTAP(t *testing.T, offload, bridged bool) (s *stack.Stack, ns, wire string) {
	t.Helper()
	needTools(t)
	wire = newNamespace(t)
	tap := inside(t, wire, func() (*tuntap.TAP, error) {
		return tuntap.OpenTAP(tuntap.TAPConfig{Name: "tap0", Offload: offload, Up: true})
	})
	ns = wire
	dev := "tap0"
	if bridged {
		ns, dev = newNamespace(t), "va"
		for _, c := range []string{
			"-n " + wire + " link add br0 type bridge",
			"-n " + wire + " link set br0 up",
			"-n " + wire + " link set tap0 master br0",
			"-n " + wire + " link add vb type veth peer name va netns " + ns,
			"-n " + wire + " link set vb up master br0",
			"-n " + ns + " link set va up",
		} {
			run(t, "ip", strings.Fields(c)...)
		}
	}
	run(t, "ip", "-n", ns, "addr", "add", "10.9.0.1/24", "dev", dev)
	return attachKernel(t, tap), ns, wire
}

// attachKernel returns a stack 10.9.0.2/24 on dev.
func attachKernel(t *testing.T, dev link.Device) *stack.Stack {
	t.Helper()
	s := stack.New(stack.Config{})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	add(t, s, stack.InterfaceConfig{
		Device: dev, Resolver: arp.NewService(arp.Config{}),
		Addresses: []netip.Prefix{netip.MustParsePrefix("10.9.0.2/24")},
	})
	return s
}

// lossy makes the bridge's ports lose frames in both directions. (An egress
// hook would only tell the sender ENOBUFS, which then tries again.)
func lossy(t *testing.T, wire string, percent int) {
	t.Helper()
	var rules strings.Builder
	fmt.Fprintln(&rules, "table netdev loss {")
	for _, dev := range []string{"tap0", "vb"} {
		fmt.Fprintf(&rules, "chain %s { type filter hook ingress device %s priority 0; numgen random mod 100 < %d counter drop; }\n", dev, dev, percent)
	}
	fmt.Fprintln(&rules, "}")
	filter(t, wire, rules.String())
}

// filter loads rules for nftables in a namespace.
func filter(t *testing.T, ns, rules string) {
	t.Helper()
	cmd := exec.Command("ip", "netns", "exec", ns, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(rules)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("nftables takes no such rules here: %v\n%s", err, out)
	}
}

// meet connects a socket of the kernel in ns to our port 7000, and returns both
// ends, which end with the test.
func meet(t *testing.T, s *stack.Stack, ns string) (kernel net.Conn, ours *stack.TCPConn) {
	t.Helper()
	ln, err := s.Listen("tcp", ":7000")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	kernel = inside(t, ns, func() (net.Conn, error) { return net.DialTimeout("tcp", "10.9.0.2:7000", time.Minute) })
	accepted, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{kernel, accepted} {
		t.Cleanup(func() { c.Close() })
		_ = c.SetDeadline(time.Now().Add(time.Minute))
	}
	return kernel, accepted.(*stack.TCPConn)
}

// serve answers GET with n octets of stream(7, n) and PUT with the SHA-256 of
// what came.
func serve(t *testing.T, s *stack.Stack, n int64) {
	t.Helper()
	ln, err := s.Listen("tcp", ":80")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			h := sha256.New()
			io.Copy(h, r.Body)
			fmt.Fprintf(w, "%x", h.Sum(nil))
			return
		}
		w.Header().Set("Content-Length", fmt.Sprint(n))
		io.Copy(w, stream(7, n))
	})}
	go srv.Serve(ln)
	t.Cleanup(func() { srv.Close() })
}

func TestKernelPing(t *testing.T) {
	needTools(t, "ping")
	s, ns, _ := onTAP(t, true, false)
	for _, size := range []string{"0", "56", "1472", "1473", "65000", "65507"} {
		for range 2 { // ping waits -W only for a first answer, but an interval for the next ones
			out := in(t, ns, "ping", "-c", "1", "-W", "60", "-s", size, "10.9.0.2")
			if !strings.Contains(out, " 0% packet loss") {
				t.Errorf("%s octets:\n%s%+v", size, out, s.Stats())
			}
		}
	}
	for _, size := range []int{0, 1473, 65507} {
		if rtt, err := s.Ping(t.Context(), netip.MustParseAddr("10.9.0.1"), size); err != nil || rtt <= 0 {
			t.Errorf("%d octets to the kernel: %v, %v", size, rtt, err)
		}
	}
}

func TestKernelTransfer(t *testing.T) {
	needTools(t, "curl")
	for _, offload := range []bool{true, false} {
		t.Run(fmt.Sprintf("offload=%v", offload), func(t *testing.T) {
			const n = 64 << 20
			s, ns, _ := onTAP(t, offload, false)
			serve(t, s, n)
			transfer(t, ns, n, n)
			if st := s.Stats(); st.TCP.BadChecksum+st.IP.BadChecksum+st.TCP.InErrs+st.Frames.OutErrors > 0 {
				t.Errorf("%+v", st)
			}
		})
	}
}

// transfer downloads down octets with curl, uploads up octets, and compares.
func transfer(t *testing.T, ns string, down, up int64) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	start := time.Now()
	in(t, ns, "curl", "-sS", "--max-time", "240", "-o", file, "http://10.9.0.2/")
	d := time.Since(start)
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	err = same(f, 7, down)
	f.Close()
	if err != nil {
		t.Fatal(err)
	}
	if f, err = os.Create(file); err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	if _, err := io.Copy(io.MultiWriter(f, h), stream(8, up)); err != nil {
		t.Fatal(err)
	}
	f.Close()
	start = time.Now()
	out := in(t, ns, "curl", "-sS", "--max-time", "240", "-T", file, "http://10.9.0.2/up")
	u := time.Since(start)
	if out != hex.EncodeToString(h.Sum(nil)) {
		t.Errorf("what arrived has another hash than what was sent")
	}
	t.Logf("download %.0f Mbit/s, upload %.0f Mbit/s", float64(down)*8e-6/d.Seconds(), float64(up)*8e-6/u.Seconds())
}

func TestKernelLoss(t *testing.T) {
	needTools(t, "curl", "nft")
	for offload, n := range map[bool]int64{false: 8 << 20, true: 2 << 20} {
		t.Run(fmt.Sprintf("offload=%v", offload), func(t *testing.T) {
			s, ns, wire := onTAP(t, offload, true)
			lossy(t, wire, 5)
			serve(t, s, n)
			// With offload a transfer is so few frames that one may lose none.
			for left := 20; ; left-- {
				transfer(t, ns, n, n)
				out := in(t, wire, "nft", "list", "table", "netdev", "loss")
				if !strings.Contains(out, "packets 0 ") {
					break
				}
				if left == 0 {
					t.Fatalf("a direction lost nothing: the test shows nothing\n%s", out)
				}
			}
		})
	}
}

// A card behind AF_PACKET, as in a guest. Over veth, frames overtake each other.
func TestKernelPacket(t *testing.T) {
	needTools(t, "curl", "ping")
	const n = 16 << 20
	wire, ns := newNamespace(t), newNamespace(t)
	run(t, "ip", "-n", wire, "link", "add", "vb", "type", "veth", "peer", "name", "va", "netns", ns)
	run(t, "ip", "-n", wire, "link", "set", "vb", "up")
	run(t, "ip", "-n", ns, "link", "set", "va", "up")
	run(t, "ip", "-n", ns, "addr", "add", "10.9.0.1/24", "dev", "va")
	s := attachKernel(t, inside(t, wire, func() (*tuntap.Packet, error) {
		return tuntap.OpenPacket(tuntap.PacketConfig{Interface: "vb"})
	}))
	if err := (&netns.Namespace{Name: wire}).WaitUp("vb"); err != nil {
		t.Fatal(err)
	}
	in(t, ns, "ping", "-c", "1", "-W", "60", "-s", "65000", "10.9.0.2")
	serve(t, s, n)
	transfer(t, ns, n, n)
	if st := s.Stats(); st.TCP.BadChecksum+st.IP.BadChecksum+st.TCP.InErrs > 0 {
		t.Errorf("%+v", st)
	}
}

// One frame for a foreign MAC address ends gVisor's loop on a TAP for good.
func TestKernelForeignFrames(t *testing.T) {
	needTools(t, "ping", "curl")
	s, ns, _ := onTAP(t, true, false)
	run(t, "ip", "-n", ns, "neigh", "add", "10.9.0.77", "lladdr", "02:00:00:00:00:77", "dev", "tap0")
	exec.Command("ip", "netns", "exec", ns, "ping", "-c", "1", "-W", "1", "10.9.0.77").Run()
	for end := time.Now().Add(time.Minute); s.Stats().Frames.ForeignMAC == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the foreign frame did not arrive: the test shows nothing")
		}
	}
	serve(t, s, 1<<10)
	in(t, ns, "ping", "-c", "1", "-W", "60", "10.9.0.2")
	if out := in(t, ns, "curl", "-sS", "--max-time", "60", "http://10.9.0.2/"); len(out) != 1<<10 {
		t.Errorf("%d octets", len(out))
	}
}

// What the kernel reports to programs shows that our resets and ICMP errors
// are right.
func TestKernelRefusals(t *testing.T) {
	needTools(t, "curl", "bash")
	s, ns, _ := onTAP(t, true, false)
	out, err := exec.Command("ip", "netns", "exec", ns, "curl", "-sS", "--max-time", "60", "http://10.9.0.2:81/").CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("onnect")) || bytes.Contains(out, []byte("timed out")) {
		t.Errorf("closed TCP port: %s", out)
	}
	// A connected UDP socket learns of the closed port at its next operation.
	script := `exec 3<>/dev/udp/10.9.0.2/9; for i in $(seq 600); do echo x >&3 || exit 1; sleep 0.1; done`
	if out, err := exec.Command("ip", "netns", "exec", ns, "bash", "-c", script).CombinedOutput(); err == nil || !bytes.Contains(out, []byte("refused")) {
		t.Errorf("closed UDP port: %v, %s", err, out)
	}
	if st := s.Stats(); st.UDP.NoPorts == 0 || st.TCP.NoListener == 0 {
		t.Errorf("%+v", st)
	}
}
