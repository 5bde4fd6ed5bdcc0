package host_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"arpeggio/arp"
	"arpeggio/internal/netns"
	"arpeggio/internal/testproc"
	"arpeggio/stack"
	"arpeggio/stack/host"
	"arpeggio/tuntap"
)

// Servers that know nothing of us, on the Linux kernel's stack in a network
// namespace, behind a TAP.

var (
	foreignNet  = netip.MustParsePrefix("10.77.0.1/24")
	foreignPool = [2]netip.Addr{netip.MustParseAddr("10.77.0.100"), netip.MustParseAddr("10.77.0.120")}
)

// foreign is a namespace with a TAP whose other end is ours.
type foreign struct {
	t   *testing.T
	ns  string
	dir string
	s   *stack.Stack
	i   *stack.Interface
	arp *arp.Service
}

func command(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func newForeign(t *testing.T, server string) *foreign {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		t.Skip("needs /dev/net/tun (modprobe tun)")
	}
	for _, tool := range []string{"ip", server} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s", tool)
		}
	}
	f := &foreign{t: t, ns: fmt.Sprintf("arpeggio-ho-%d-%s", os.Getpid(), server), dir: t.TempDir()}
	if out, err := exec.Command("ip", "netns", "add", f.ns).CombinedOutput(); err != nil {
		t.Skipf("cannot make a network namespace: %v: %s", err, out)
	}
	t.Cleanup(func() { exec.Command("ip", "netns", "delete", f.ns).Run() })
	var dev *tuntap.TAP
	err := (&netns.Namespace{Name: f.ns}).Do(func() (err error) {
		dev, err = tuntap.OpenTAP(tuntap.TAPConfig{Name: "tap0", Up: true})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	command(t, "ip", "-n", f.ns, "link", "set", "lo", "up")
	command(t, "ip", "-n", f.ns, "addr", "add", foreignNet.String(), "dev", "tap0")
	f.s = stack.New(stack.Config{})
	f.arp = arp.NewService(arp.Config{ProbeWait: -1, ProbeMin: 50 * time.Millisecond, ProbeMax: 60 * time.Millisecond, AnnounceWait: 50 * time.Millisecond})
	if f.i, err = f.s.AddInterface(stack.InterfaceConfig{Device: dev, Resolver: f.arp, Addr: mac(77)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.s.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// run runs a server inside the namespace until the test ends.
func (f *foreign) run(args ...string) {
	f.t.Helper()
	cmd := exec.Command("ip", append([]string{"netns", "exec", f.ns}, args...)...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := testproc.Start(cmd); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if f.t.Failed() {
			f.t.Logf("%s said:\n%s", args[0], out.String())
		}
	})
}

// lease runs a client until stop, and returns the lease that it gets.
func (f *foreign) lease(cfg host.DHCPClientConfig) (c *host.DHCPClient, l host.Lease, stop func()) {
	f.t.Helper()
	cfg.Stack, cfg.Interface = f.s, f.i
	c, err := host.NewDHCPClient(cfg)
	if err != nil {
		f.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	stop = func() {
		cancel()
		if err := <-done; err != nil {
			f.t.Errorf("Run: %v", err)
		}
	}
	wait, end := context.WithTimeout(ctx, time.Minute)
	defer end()
	if l, err = c.Acquire(wait); err != nil {
		stop()
		f.t.Fatalf("%v; refused %v", err, c.Refused())
	}
	if a := l.Addr.Addr(); a.Less(foreignPool[0]) || foreignPool[1].Less(a) || l.Addr.Bits() != 24 || l.Server != foreignNet.Addr() {
		f.t.Errorf("lease %+v", l)
	}
	return c, l, stop
}

func (f *foreign) ping() {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), time.Minute)
	defer cancel()
	if _, err := f.s.Ping(ctx, foreignNet.Addr(), 56); err != nil {
		f.t.Errorf("ping: %v", err)
	}
}

// eventually waits for what a server does in its own time.
func (f *foreign) eventually(what string, ok func() bool) {
	f.t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			f.t.Fatalf("not within a minute: %s", what)
		}
	}
}

func TestDnsmasq(t *testing.T) {
	f := newForeign(t, "dnsmasq")
	leases := filepath.Join(f.dir, "leases")
	f.run("dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--user=root", "--pid-file=", "--interface=tap0", "--bind-interfaces",
		"--no-resolv", "--no-hosts", "--log-dhcp", "--dhcp-authoritative", "--dhcp-leasefile="+leases, "--no-ping",
		fmt.Sprintf("--dhcp-range=%v,%v,255.255.255.0,2m", foreignPool[0], foreignPool[1]), "--domain=lan.test",
		"--dhcp-option=26,1400", "--dhcp-option=119,lan.test,corp.test", "--dhcp-option=42,10.77.0.5",
		"--dhcp-option=121,0.0.0.0/0,10.77.0.1,10.9.0.0/16,10.77.0.7",
		"--host-record=box.corp.test,10.77.0.9", "--txt-record=long.lan.test,"+strings.TrimSuffix(strings.Repeat(strings.Repeat("x", 200)+",", 12), ","))
	f.eventually("dnsmasq listens", func() bool {
		out, _ := exec.Command("ip", "netns", "exec", f.ns, "cat", "/proc/net/udp").Output()
		return strings.Contains(string(out), ":0043 ")
	})

	_, l, stop := f.lease(host.DHCPClientConfig{Hostname: "guest", InUse: f.arp.InUse})
	if l.MTU != 1400 || f.i.MTU() != 1400 || l.Router != foreignNet.Addr() || !slices.Equal(l.Search, []string{"lan.test", "corp.test"}) ||
		fmt.Sprint(l.NTP) != "[10.77.0.5]" || fmt.Sprint(l.Routes) != "[{10.9.0.0/16 10.77.0.7}]" || l.Domain != "lan.test" || l.Expiry.Sub(l.Start) != 2*time.Minute {
		t.Errorf("lease %+v", l)
	}
	f.ping()
	r, err := host.NewResolver(host.ResolverConfig{Stack: f.s, Servers: l.DNS, Search: l.Search})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := r.LookupNetIP(t.Context(), "ip4", "box"); err != nil || fmt.Sprint(got) != "[10.77.0.9]" {
		t.Errorf("box: %v, %v", got, err)
	}
	if got, err := r.LookupNetIP(t.Context(), "ip4", "guest"); err != nil || fmt.Sprint(got) != fmt.Sprintf("[%v]", l.Addr.Addr()) {
		t.Errorf("our own name: %v, %v", got, err)
	}
	txt, err := r.Net().LookupTXT(t.Context(), "long.lan.test.") // 2.4 kB: by TCP
	if err != nil || len(strings.Join(txt, "")) != 2400 {
		t.Errorf("%d records, %v", len(txt), err)
	}
	inFile := func() bool { b, _ := os.ReadFile(leases); return strings.Contains(string(b), l.Addr.Addr().String()) }
	f.eventually("the lease is in the server's file", inFile)
	stop()
	f.eventually("the lease is released", func() bool { return !inFile() })

	// After a reboot: the same address with one REQUEST, and one of another network
	// is refused.
	c, again, stop := f.lease(host.DHCPClientConfig{Previous: l})
	refused := c.Refused()
	delete(refused, "unexpected") // the ACK of a REQUEST that was repeated, late
	if again.Addr != l.Addr || len(refused) != 0 {
		t.Errorf("INIT-REBOOT of %v brought %v, refused %v", l.Addr, again.Addr, refused)
	}
	stop()
	moved := host.Lease{Addr: netip.MustParsePrefix("192.168.5.5/24"), Server: netip.MustParseAddr("192.168.5.1")}
	c, _, stop = f.lease(host.DHCPClientConfig{Previous: moved})
	if c.Refused()["nak"] != 1 {
		t.Errorf("INIT-REBOOT with an address of another network: refused %v", c.Refused())
	}
	stop()
}

func TestUdhcpd(t *testing.T) {
	f := newForeign(t, "udhcpd")
	conf := filepath.Join(f.dir, "udhcpd.conf")
	text := fmt.Sprintf("start %v\nend %v\ninterface tap0\nlease_file %s\npidfile %s\nopt subnet 255.255.255.0\nopt router 10.77.0.1\nopt dns 10.77.0.1 10.77.0.2\nopt lease 60\nopt mtu 1300\n",
		foreignPool[0], foreignPool[1], filepath.Join(f.dir, "leases"), filepath.Join(f.dir, "pid"))
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(f.dir, "leases"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f.run("udhcpd", "-f", conf)
	time.Sleep(300 * time.Millisecond) // a DISCOVER that comes too early costs four seconds
	asked := 0
	_, l, stop := f.lease(host.DHCPClientConfig{InUse: func(ctx context.Context, a netip.Addr) bool {
		asked++
		return f.arp.InUse(ctx, a)
	}})
	defer stop()
	if l.Router != foreignNet.Addr() || l.MTU != 1300 || fmt.Sprint(l.DNS) != "[10.77.0.1 10.77.0.2]" || l.Expiry.Sub(l.Start) != time.Minute || asked != 1 {
		t.Errorf("lease %+v, asked %d times", l, asked)
	}
	f.ping()
}
