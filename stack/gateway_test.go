package stack_test

import (
	"errors"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/ethernet"
	"arpeggio/stack/tcp"
	"arpeggio/stack/vnet"
)

// moody is a Resolver whose neighbours may fall silent. It knows a station
// 02:00:00:00:00:n for 10.x.x.n.
type moody struct {
	mu     sync.Mutex
	silent map[netip.Addr]bool
	asked  []netip.Addr // without an answer
}

func (m *moody) Resolve(a netip.Addr, done func(netip.Addr, ethernet.Addr, error)) (ethernet.Addr, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.silent[a] {
		m.asked = append(m.asked, a)
		time.AfterFunc(3*time.Second, func() { done(a, ethernet.Addr{}, syscall.EHOSTUNREACH) })
		return ethernet.Addr{}, false
	}
	return ethernet.Addr{2, 0, 0, 0, 0, a.As4()[3]}, true
}

func (m *moody) set(n int, silent bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.silent[addr(n)] = silent
}

// twoGateways is a stack 10.0.0.1 with default routes over 10.0.0.7 and, with a
// higher metric, 10.0.0.8.
type twoGateways struct {
	t    *testing.T
	s    *stack.Stack
	sw   *vnet.Switch
	i    *stack.Interface
	m    *moody
	mu   sync.Mutex
	sent []byte // the last octet of the destination MAC of each frame
}

var anywhere = prefix("0.0.0.0/0")

func gatewayTest(t *testing.T, name string, f func(t *testing.T, g *twoGateways)) {
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := &twoGateways{t: t, s: stack.New(stack.Config{}), sw: vnet.New(vnet.Config{}), m: &moody{silent: map[netip.Addr]bool{}}}
			defer g.sw.Close()
			defer g.s.Close()
			g.i = add(t, g.s, stack.InterfaceConfig{Device: port(t, g.sw, vnet.PortConfig{Name: "host"}), Resolver: g.m, Addresses: []netip.Prefix{prefix("10.0.0.1/24")}})
			for n := 8; n >= 7; n-- {
				if err := g.s.AddRoute(stack.Route{Prefix: anywhere, Interface: g.i, NextHop: addr(n), Metric: n}); err != nil {
					t.Fatal(err)
				}
			}
			defer g.sw.Monitor(func(_ string, f []byte, _ time.Time) {
				g.mu.Lock()
				defer g.mu.Unlock()
				g.sent = append(g.sent, f[5])
			})()
			f(t, g)
		})
	})
}

// stations returns which stations frames went to since the last call.
func (g *twoGateways) stations() (out string) {
	synctest.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, n := range g.sent {
		out += string('0' + rune(n))
	}
	g.sent = nil
	return out
}

// by checks them.
func (g *twoGateways) by(want string) {
	g.t.Helper()
	if got := g.stations(); got != want {
		g.t.Errorf("frames went to %q, want %q", got, want)
	}
}

var far = netip.MustParseAddrPort("192.0.2.1:9")

// RFC 1122 §3.3.1.4: a gateway whose address is not found is replaced, also for
// what waits for it, and used again when it is back.
//
//rfc:1122 gateway-dead gateway-not-forever
func TestDeadGatewaySilent(t *testing.T) {
	gatewayTest(t, "silent", func(t *testing.T, g *twoGateways) {
		u := listenUDP(t, g.s, ":1")
		send := func() {
			t.Helper()
			if _, err := u.WriteToAddrPort([]byte("x"), far); err != nil {
				t.Fatal(err)
			}
		}
		send()
		g.by("7")
		g.m.set(7, true)
		send()
		send()
		g.by("")
		time.Sleep(4 * time.Second)
		g.by("88") // the two that had waited
		send()
		g.by("8")
		if r := g.s.Routes(); !r[1].Dead || r[2].Dead || g.s.Stats().IP.DeadGateways != 1 {
			t.Errorf("%+v", r)
		}
		// Tried again after a minute, in vain: nothing is lost.
		time.Sleep(time.Minute)
		send()
		g.by("")
		time.Sleep(4 * time.Second)
		g.by("8")
		// Then after two; it is back.
		time.Sleep(time.Minute)
		send()
		g.by("8")
		g.m.set(7, false)
		time.Sleep(time.Minute)
		send()
		g.by("7")
		if r := g.s.Routes(); r[1].Dead {
			t.Errorf("%+v", r)
		}
		// Both silent: the sender learns of it.
		g.m.set(7, true)
		g.m.set(8, true)
		u.SetReceiveErrors(true)
		send()
		_, _, err := u.ReadFrom(nil)
		wantErrno(t, err, "read", syscall.EHOSTUNREACH)
		// An only gateway is never given up.
		if err := g.s.RemoveRoute(stack.Route{Prefix: anywhere, Interface: g.i, NextHop: addr(8)}); err != nil {
			t.Fatal(err)
		}
		g.m.set(7, false)
		send()
		g.by("7")
	})
	gatewayTest(t, "over another interface", func(t *testing.T, g *twoGateways) {
		vlan := add(t, g.s, stack.InterfaceConfig{Device: port(t, g.sw, vnet.PortConfig{Name: "other"}), VLAN: ethernet.VLAN{Inner: 5},
			Resolver: g.m, Addresses: []netip.Prefix{prefix("10.1.0.1/24")}})
		g.s.RemoveRoute(stack.Route{Prefix: anywhere, Interface: g.i, NextHop: addr(8)})
		if err := g.s.AddRoute(stack.Route{Prefix: anywhere, Interface: vlan, NextHop: netip.MustParseAddr("10.1.0.6"), Metric: 9}); err != nil {
			t.Fatal(err)
		}
		g.m.set(7, true)
		listenUDP(t, g.s, ":1").WriteToAddrPort([]byte("x"), far)
		var frame []byte
		defer g.sw.Monitor(func(_ string, f []byte, _ time.Time) { frame = append(frame[:0], f...) })()
		time.Sleep(4 * time.Second)
		g.by("6")
		if len(frame) < 46 || frame[12] != 0x81 || frame[15] != 5 || frame[18] != 0x45 || netip.AddrFrom4([4]byte(frame[34:38])) != far.Addr() {
			t.Errorf("% x", frame)
		}
	})
}

// Negative advice from TCP at R1 (RFC 1122 §3.3.1.4 and §4.2.3.5, RFC 9293
// §3.8.3), unless others get through.
//
//rfc:1122 gateway-advice gateway-switch
//rfc:9293 MUST-20-R1 SHLD-10
func TestDeadGatewayAdvice(t *testing.T) {
	gatewayTest(t, "nobody behind it answers", func(t *testing.T, g *twoGateways) {
		go g.s.DialTCP(t.Context(), netip.AddrPort{}, far)
		time.Sleep(20 * time.Second) // SYNs at 0, 1, 3, 7 and 15 s
		g.by("77778")
		u := listenUDP(t, g.s, ":1")
		u.WriteToAddrPort([]byte("x"), far)
		g.by("8")
		time.Sleep(2 * time.Minute)
		g.stations()
		u.WriteToAddrPort([]byte("x"), far) // its time is over: it is tried again
		g.by("7")
	})
	synctest.Test(t, func(t *testing.T) {
		r := newRaw(t, stack.Config{})
		defer r.close()
		s := r.stacks[0]
		r.neighbors[addr(8)] = ethernet.Addr{2, 8}
		for n := 8; n <= 9; n++ {
			if err := s.AddRoute(stack.Route{Prefix: anywhere, Interface: r.ifaces[0], NextHop: addr(n), Metric: 10 - n}); err != nil {
				t.Fatal(err)
			}
		}
		// One peer behind the gateway answers all the time, the other never.
		ln, err := s.Listen("tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			for range 40 {
				c.Write([]byte("x"))
				time.Sleep(time.Second)
			}
		}()
		peer := netip.MustParseAddrPort("192.0.2.7:4000")
		send := func(seg tcp.Segment) { r.frame(r.mac, tcpPacket(peer.Addr(), addr(1), nil, seg)) }
		answer := func() {
			for _, p := range r.got() {
				seg, err := tcp.ParseSegment(p.body)
				if err != nil || p.h.Dst != peer.Addr() {
					continue
				}
				n := tcp.Seq(seg.DataLen())
				if seg.Flags.Has(tcp.SYN) {
					n++
				}
				send(tcp.Segment{SrcPort: 4000, DstPort: 80, Seq: 2, Ack: seg.Seq + n, Flags: tcp.ACK, Window: 60000})
			}
		}
		send(tcp.Segment{SrcPort: 4000, DstPort: 80, Seq: 1, Flags: tcp.SYN, Window: 60000})
		answer()
		go s.DialTCP(t.Context(), netip.AddrPort{}, far)
		for range 41 {
			time.Sleep(time.Second)
			answer()
		}
		if n := s.Stats().IP.DeadGateways; n != 0 {
			t.Errorf("%d gateways were taken for dead", n)
		}
		ln.Close()
	})
}

// The order of AddRoute: prefix, then the interface that has the source, then the
// metric.
//
//rfc:1122 route-gateways
func TestRouteOrder(t *testing.T) {
	gatewayTest(t, "metric and source", func(t *testing.T, g *twoGateways) {
		other := add(t, g.s, stack.InterfaceConfig{Device: port(t, g.sw, vnet.PortConfig{Name: "other"}),
			Resolver: g.m, Addresses: []netip.Prefix{prefix("10.1.0.1/24"), prefix("10.1.2.1/16")}})
		for _, r := range []stack.Route{
			{Prefix: anywhere, Interface: other, NextHop: netip.MustParseAddr("10.1.0.5"), Metric: 9},
			{Prefix: prefix("198.51.100.0/24"), Interface: other, NextHop: netip.MustParseAddr("10.1.0.4"), Metric: 99},
		} {
			if err := g.s.AddRoute(r); err != nil {
				t.Fatal(err)
			}
		}
		send := func(local, to string) {
			t.Helper()
			if _, err := listenUDP(t, g.s, local).WriteToAddrPort([]byte("x"), netip.MustParseAddrPort(to)); err != nil {
				t.Fatal(err)
			}
		}
		send(":1", "192.0.2.1:9")
		send(":2", "198.51.100.1:9")
		send("10.1.0.1:3", "192.0.2.1:9")
		send("10.0.0.1:3", "192.0.2.1:9")
		g.by("7457")
		for dst, want := range map[string]string{"10.1.0.9": "10.1.0.1", "10.1.9.9": "10.1.2.1", "10.0.0.9": "10.0.0.1", "198.51.100.1": "10.1.0.1"} {
			c, err := g.s.Dial("udp", dst+":9")
			if err != nil {
				t.Fatal(err)
			}
			if got := c.LocalAddr().String(); got[:len(want)+1] != want+":" {
				t.Errorf("source for %s is %s, want %s", dst, got, want)
			}
		}
	})
}

// A connection takes another way at once when its route is removed and when a
// better one is added (RFC 1122 §3.3.1.5). Without any its segments are lost, the
// user hears why, and it goes on with the next route.
func TestConnectionsFollowRoutes(t *testing.T) {
	gatewayTest(t, "", func(t *testing.T, g *twoGateways) {
		over := func(n int) stack.Route {
			return stack.Route{Prefix: anywhere, Interface: g.i, NextHop: addr(n), Metric: n}
		}
		change := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		c, err := new(stack.Dialer).Start(g.s, far)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		said := make(chan error, 9)
		change(c.NotifyErrors(said))
		g.by("7")
		change(g.s.RemoveRoute(over(7)))
		time.Sleep(1500 * time.Millisecond) // a SYN a second after the first
		g.by("8")
		change(g.s.RemoveRoute(over(8)))
		time.Sleep(2 * time.Second) // and after three
		g.by("")
		if err := <-said; err != syscall.ENETUNREACH || g.s.Stats().IP.OutNoRoutes != 1 {
			t.Errorf("%v, %+v", err, g.s.Stats().IP)
		}
		change(g.s.AddRoute(over(8)))
		g.by("8") // at once, by the hop that it had
		time.Sleep(3 * time.Second)
		g.by("")
		change(g.s.AddRoute(over(7)))
		g.by("")
		time.Sleep(2 * time.Second) // four after the last
		g.by("7")
		// Nobody adds one: the connection ends, and says why.
		change(g.s.RemoveRoute(over(7)))
		change(g.s.RemoveRoute(over(8)))
		time.Sleep(5 * time.Minute)
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ENETUNREACH) {
			t.Errorf("%v", err)
		}
		g.by("")
	})
	gatewayTest(t, "addresses bring and take routes", func(t *testing.T, g *twoGateways) {
		near := netip.MustParseAddrPort("192.0.2.9:9")
		c, err := new(stack.Dialer).Start(g.s, near)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		g.by("7")
		if err := g.i.AddAddress(prefix("192.0.2.1/24")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(1500 * time.Millisecond)
		g.by("9")
		if err := g.i.RemoveAddress(netip.MustParseAddr("192.0.2.1")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		g.by("7")
	})
}
