package versioned

import (
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
	"arpeggio/stack/link"
	"arpeggio/vcs/mem"
)

// gateways is what answers for the gateways, of the kernel behind a TAP and of a
// Service: at gatewayMAC, at once.
type gateways struct {
	k        *kernel
	svc      *arp.Service
	mu       sync.Mutex
	answered map[netip.Addr]time.Time // when the kernel last got an answer
}

// reply returns the answer to a request for a gateway.
func (g *gateways) reply(b []byte) (p arp.Packet, ok bool) {
	q, err := arp.Parse(b)
	if err != nil || q.Op != arp.OpRequest || q.TargetIP.As4()[3] < 200 || q.SenderMAC == attackerMAC {
		return p, false
	}
	return arp.Packet{Op: arp.OpReply, SenderMAC: gatewayMAC, SenderIP: q.TargetIP, TargetMAC: q.SenderMAC, TargetIP: q.SenderIP}, true
}

// run answers the kernel until its TAP is closed.
func (g *gateways) run() {
	frames := make([]link.Frame, 16)
	for !errors.Is(g.k.dev.Wait(time.Time{}), link.ErrClosed) {
		n, err := g.k.dev.ReadFrames(frames)
		if err != nil {
			return
		}
		for _, f := range frames[:n] {
			h, b, err := ethernet.Parse(f.Head)
			if err != nil || h.Type != ethernet.TypeARP {
				continue
			}
			if p, ok := g.reply(b); ok {
				g.mu.Lock()
				g.answered[p.SenderIP] = time.Now()
				g.mu.Unlock()
				h := ethernet.Header{Dst: p.TargetMAC, Src: gatewayMAC, Type: ethernet.TypeARP}
				g.wire(p.AppendTo(h.AppendTo(nil)))
			}
		}
	}
}

// wire sends a frame to the kernel.
func (g *gateways) wire(frame []byte) { g.k.dev.WriteFrames([]link.Frame{{Head: frame}}) }

// hand gives a frame to the Service.
func (g *gateways) hand(frame []byte) {
	if h, b, err := ethernet.Parse(frame); err == nil {
		g.svc.HandleFrame(h, b, time.Now())
	}
}

// The six attack frames in real time, against the Linux kernel and against us,
// at the same moments after the same answers. What becomes of the kernel's
// entries is printed; ours stay, and the history tells of each attempt.
func TestSixAttackFramesBesideTheKernel(t *testing.T) {
	t.Parallel() // it takes real seconds
	kernelMAC := ethernet.MustParseAddr("02:50:00:00:00:0a")
	k := newKernel(t, "sysctl -qw net.ipv6.conf.tap0.disable_ipv6=1", "ip link set tap0 address "+kernelMAC.String(), "ip addr add 10.9.0.1/24 dev tap0")
	tab, store := openStore(t, mem.New(), Config{Node: "us"})
	us, me := ethernet.MustParseAddr("02:50:00:00:00:02"), netip.MustParseAddr("10.9.0.2")
	g := &gateways{k: k, svc: arp.NewService(arp.Config{Table: tab}), answered: make(map[netip.Addr]time.Time)}
	g.svc.AttachLink("tap0", us, ethernet.VLAN{}, 1500, func(_ ethernet.Addr, _ ethernet.EtherType, b []byte) error {
		if p, ok := g.reply(b); ok {
			h := ethernet.Header{Dst: us, Src: gatewayMAC, Type: ethernet.TypeARP}
			go g.hand(p.AppendTo(h.AppendTo(nil)))
		}
		return nil
	})
	g.svc.AddressAdded(netip.PrefixFrom(me, 24), nil)
	ended := make(chan struct{})
	go func() { defer close(ended); g.run() }()

	attempts := uint64(0)
	for i, a := range attacks {
		gw := netip.AddrFrom4([4]byte{10, 9, 0, byte(200 + i)})
		got := make(chan ethernet.Addr, 1)
		if mac, ok := g.svc.Resolve(gw, func(_ netip.Addr, mac ethernet.Addr, _ error) { got <- mac }); ok {
			got <- mac
		}
		if mac := <-got; mac != gatewayMAC {
			t.Fatalf("%s: the gateway is at %v from the start", a.name, mac)
		}
		start := time.Now()
		if a.forgot {
			g.svc.Flush()
		} else {
			k.run("ping", "-c", "1", "-W", "0.05", gw.String())
			g.mu.Lock()
			start = g.answered[gw]
			g.mu.Unlock()
		}
		for n := range a.times {
			if n == 0 {
				time.Sleep(time.Until(start.Add(a.after)))
			} else {
				time.Sleep(a.after)
				// Attempts that come together are one.
				k.eventually("the attempt before is judged", func() bool { return g.svc.Stats().Refused == attempts })
			}
			attempts++
			g.wire(a.bytes(gw, netip.MustParseAddr("10.9.0.1"), kernelMAC))
			g.hand(a.bytes(gw, me, us))
		}
		time.Sleep(100 * time.Millisecond)
		neigh := k.run("ip", "neigh", "show", gw.String())
		t.Logf("%-45s Linux: taken %v (6.18: %v)", a.name, strings.Contains(neigh, attackerMAC.String()), a.linux)
	}
	k.eventually("the attempts are judged", func() bool { return g.svc.Stats().Refused == attempts })
	for i, a := range attacks {
		gw := netip.AddrFrom4([4]byte{10, 9, 0, byte(200 + i)})
		got := make(chan ethernet.Addr, 1)
		if mac, ok := g.svc.Resolve(gw, func(_ netip.Addr, mac ethernet.Addr, _ error) { got <- mac }); ok {
			got <- mac
		}
		if mac := <-got; mac != gatewayMAC {
			t.Errorf("%s: our gateway is at %v", a.name, mac)
		}
	}
	if err := g.svc.Close(); err != nil {
		t.Error(err)
	}
	settle(t, tab)
	for i, a := range attacks {
		a.recorded(t, tab, netip.AddrFrom4([4]byte{10, 9, 0, byte(200 + i)}), a.bytes(netip.AddrFrom4([4]byte{10, 9, 0, byte(200 + i)}), me, us))
	}
	closeBoth(t, tab, store)
	k.dev.Close()
	<-ended
}
