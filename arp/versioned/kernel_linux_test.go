package versioned

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"arpeggio/arp"
	"arpeggio/internal/netns"
	"arpeggio/stack/ethernet"
	"arpeggio/stack/link"
	"arpeggio/tuntap"
	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// kernels numbers the namespaces.
var kernels atomic.Int32

// kernel is a Linux network stack in a namespace of its own, on the other end
// of a TAP.
type kernel struct {
	*testing.T
	ns  string
	dev link.Device
}

func newKernel(t *testing.T, setup ...string) *kernel {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	for _, tool := range []string{"ip", "arping", "sysctl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s", tool)
		}
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		t.Skip("needs /dev/net/tun (modprobe tun)")
	}
	k := &kernel{T: t, ns: fmt.Sprintf("arpeggio-arp-%d-%d", os.Getpid(), kernels.Add(1))}
	if out, err := exec.Command("ip", "netns", "add", k.ns).CombinedOutput(); err != nil {
		t.Skipf("cannot make a network namespace: %v: %s", err, out)
	}
	t.Cleanup(func() { exec.Command("ip", "netns", "delete", k.ns).Run() })
	err := (&netns.Namespace{Name: k.ns}).Do(func() (err error) {
		k.dev, err = tuntap.OpenTAP(tuntap.TAPConfig{Name: "tap0", Up: true})
		return err
	})
	if err != nil {
		t.Skipf("cannot open a TAP: %v", err)
	}
	t.Cleanup(func() { k.dev.Close() })
	for _, cmd := range setup {
		k.run(strings.Fields(cmd)...)
	}
	return k
}

// run runs a command inside the namespace; it may fail.
func (k *kernel) run(args ...string) string {
	out, _ := exec.Command("ip", append([]string{"netns", "exec", k.ns}, args...)...).CombinedOutput()
	k.Logf("$ %s\n%s", strings.Join(args, " "), out)
	return string(out)
}

// attach makes a Service the only thing on the other end.
func (k *kernel) attach(s *arp.Service, mac ethernet.Addr) {
	s.AttachLink("tap0", mac, ethernet.VLAN{}, 1500, func(dst ethernet.Addr, t ethernet.EtherType, b []byte) error {
		h := ethernet.Header{Dst: dst, Src: mac, Type: t}
		_, err := k.dev.WriteFrames([]link.Frame{{Head: append(h.AppendTo(nil), b...)}})
		return err
	})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		frames := make([]link.Frame, 16)
		for !errors.Is(k.dev.Wait(time.Time{}), link.ErrClosed) {
			n, err := k.dev.ReadFrames(frames)
			if err != nil {
				return
			}
			for _, f := range frames[:n] {
				if h, payload, err := ethernet.Parse(f.Head); err == nil && h.Type == ethernet.TypeARP {
					s.HandleFrame(h, payload, f.Time)
				}
			}
		}
	}()
	k.Cleanup(func() { k.dev.Close(); <-ended })
}

// eventually waits for something that another machine does in its own time.
func (k *kernel) eventually(what string, ok func() bool) {
	const limit = time.Minute
	k.Helper()
	for end := time.Now().Add(limit); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			k.Fatalf("%s: not within %v", what, limit)
		}
	}
}

// The Linux kernel and arping as neighbours: they find us, we find them, the
// kernel's new MAC address is followed, a collision is defended, and its silence
// expires. The repository tells it all.
func TestAgainstTheKernel(t *testing.T) {
	t.Parallel() // it takes real seconds
	k := newKernel(t, "sysctl -qw net.ipv6.conf.tap0.disable_ipv6=1", "ip addr add 10.9.0.1/24 dev tap0",
		"ip link set tap0 address 02:50:00:00:00:0a", "sysctl -qw net.ipv4.conf.tap0.arp_notify=1")
	tab, store := openStore(t, mem.New(), Config{Node: "us"})
	svc := arp.NewService(arp.Config{Table: tab, ExpireAfter: 4 * time.Second, Rand: rand.New(rand.NewPCG(1, 1))})
	us, me := ethernet.MustParseAddr("02:50:00:00:00:02"), netip.MustParseAddr("10.9.0.2")
	them := netip.MustParseAddr("10.9.0.1")
	k.attach(svc, us)
	svc.AddressAdded(netip.PrefixFrom(me, 24), nil)

	if out := k.run("arping", "-C", "2", "-w", "60", "-i", "tap0", me.String()); !strings.Contains(out, "2 packets received") || !strings.Contains(out, us.String()) {
		t.Errorf("arping had no two answers from %v", us)
	}
	if out := k.run("arping", "-0", "-C", "1", "-w", "60", "-i", "tap0", me.String()); !strings.Contains(out, "1 packets received") {
		t.Error("a probe from 0.0.0.0 (RFC 5227) was not answered")
	}
	if out := k.run("arping", "-c", "1", "-w", "0.3", "-i", "tap0", "10.9.0.77"); !strings.Contains(out, "0 packets received") {
		t.Error("we answered for an address that is not ours")
	}
	k.run("ping", "-c", "1", "-W", "0.3", me.String()) // nobody speaks IP here, but the kernel must resolve
	k.eventually("the kernel resolves us", func() bool {
		return strings.Contains(k.run("ip", "neigh", "show", "dev", "tap0"), me.String()+" lladdr "+us.String())
	})

	svc.Flush()
	k.eventually("we resolve the kernel", func() bool {
		got := make(chan ethernet.Addr, 1)
		if mac, ok := svc.Resolve(them, func(_ netip.Addr, mac ethernet.Addr, _ error) { got <- mac }); ok {
			got <- mac
		}
		return (<-got).String() == "02:50:00:00:00:0a"
	})

	k.run("ip", "link", "set", "tap0", "address", "02:50:00:00:00:0b") // arp_notify: it announces
	k.eventually("the kernel's new address", func() bool {
		b, _ := tab.Get(arp.Key{Domain: arp.DefaultDomain, Addr: them})
		return b.MAC.String() == "02:50:00:00:00:0b"
	})

	before := svc.Stats().Defended
	k.run("arping", "-c", "1", "-W", "0.2", "-i", "tap0", "-S", me.String(), "10.9.0.99")
	k.eventually("the defence of our address", func() bool { return svc.Stats().Defended > before })

	k.run("ip", "link", "set", "tap0", "arp", "off") // as if its cable were pulled
	k.eventually("the expiry", func() bool {
		_, ok := tab.Get(arp.Key{Domain: arp.DefaultDomain, Addr: them})
		return !ok
	})
	if err := svc.Close(); err != nil {
		t.Error(err)
	}
	if err := tab.Sync(context.Background()); err != nil {
		t.Error(err)
	}
	checkKernelHistory(t, tab, store)
}

func checkKernelHistory(t *testing.T, tab *Table, store *vcs.Store) {
	closeBoth(t, tab, store)
	dir := export(t, "us", store)
	log := lines(t, dir, "log", "--format=%s", "primary")
	for _, want := range []string{
		"arp: 10.9.0.1 -> 02:50:00:00:00:0a",
		"arp: 10.9.0.1 -> 02:50:00:00:00:0b (was 02:50:00:00:00:0a)",
		"arp: 10.9.0.2 is ours and claimed by 02:50:00:00:00:0b",
		"arp: 10.9.0.1 expired (was 02:50:00:00:00:0b)",
	} {
		wantLine(t, log, want)
	}
	blame := lines(t, dir, "blame", "primary", "--", "lan/v4/10.9.0.0_16/10.9.0.0_20/10.9.0.0_24/10.9.0.0_28/10.9.0.1")
	wantLine(t, blame, "earlier 02:50:00:00:00:0a")
	wantLine(t, lines(t, dir, "log", "--format=%B", "primary"), "Arp-Frame: ")
}
