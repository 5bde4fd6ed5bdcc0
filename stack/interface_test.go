package stack_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/ethernet"
	"arpeggio/stack/vnet"
)

func port(t testing.TB, sw *vnet.Switch, pc vnet.PortConfig) *vnet.Port {
	t.Helper()
	p, err := sw.Port(pc)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func add(t testing.TB, s *stack.Stack, cfg stack.InterfaceConfig) *stack.Interface {
	t.Helper()
	i, err := s.AddInterface(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// Untagged, 802.1Q and QinQ on one device, with overlapping addresses kept
// apart by the VLAN.
func TestVLANs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := vnet.New(vnet.Config{})
		defer sw.Close()
		a, b := port(t, sw, vnet.PortConfig{Name: "a"}), port(t, sw, vnet.PortConfig{Name: "b"})
		sa, sb := stack.New(stack.Config{}), stack.New(stack.Config{})
		defer sa.Close()
		defer sb.Close()
		vlans := []ethernet.VLAN{{}, {Inner: 5}, {Outer: 100, Inner: 5}}
		for i, v := range vlans {
			n := stack.StaticResolver{}
			na, nb := fmt.Sprintf("10.0.%d.1/24", i), fmt.Sprintf("10.0.%d.2/24", i)
			n[prefix(na).Addr()], n[prefix(nb).Addr()] = a.Info().Addr, b.Info().Addr
			add(t, sa, stack.InterfaceConfig{Device: a, VLAN: v, Resolver: n, Addresses: []netip.Prefix{prefix(na)}})
			add(t, sb, stack.InterfaceConfig{Device: b, VLAN: v, Resolver: n, Addresses: []netip.Prefix{prefix(nb)}})
		}
		for i := range vlans {
			for _, size := range []int{10, 1472, 4000} {
				if _, err := sa.Ping(t.Context(), netip.AddrFrom4([4]byte{10, 0, byte(i), 2}), size); err != nil {
					t.Errorf("VLAN %v: %v", vlans[i], err)
				}
			}
		}
		if names := []string{sa.Interfaces()[0].Name(), sa.Interfaces()[1].Name(), sa.Interfaces()[2].Name()}; fmt.Sprint(names) != "[a a.5 a.100.5]" {
			t.Errorf("names %v", names)
		}
		_, err := sa.AddInterface(stack.InterfaceConfig{Name: "other", Device: a, Resolver: stack.StaticResolver{}})
		if !errors.Is(err, stack.ErrInUse) {
			t.Errorf("the same VLAN twice: %v", err)
		}
		// The device lives as long as its last interface.
		sa.RemoveInterface(sa.InterfaceByName("a"))
		if _, err := sa.Ping(t.Context(), netip.MustParseAddr("10.0.1.2"), 10); err != nil {
			t.Error(err)
		}
		if _, err := sa.Ping(t.Context(), netip.MustParseAddr("10.0.0.2"), 10); !errors.Is(err, syscall.ENETUNREACH) {
			t.Errorf("over a removed interface: %v", err)
		}
	})
}

//rfc:1122 subnets mask-configured local-or-remote route-default route-cache route-static route-manual
func TestRoutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, 1, vnet.PortConfig{})
		defer l.close()
		s, i := l.stacks[0], l.ifaces[0]
		for n := 2; n <= 4; n++ {
			l.neighbors[addr(n)] = ethernet.Addr{2, 0, 0, 0, 0, byte(n)}
		}
		a := netip.MustParseAddr
		for _, r := range []stack.Route{
			{Prefix: prefix("0.0.0.0/0"), Interface: i, NextHop: addr(2)},
			{Prefix: prefix("192.0.2.0/24"), Interface: i, NextHop: addr(3)},
			{Prefix: prefix("192.0.2.128/25"), Interface: i, NextHop: addr(4)},
		} {
			if err := s.AddRoute(r); err != nil {
				t.Fatal(err)
			}
		}
		var dst ethernet.Addr
		stop := l.sw.Monitor(func(_ string, f []byte, _ time.Time) { dst = ethernet.Addr(f[:6]) })
		defer stop()
		u := listenUDP(t, s, ":1")
		check := func(to string, want byte) {
			t.Helper()
			dst = ethernet.Addr{}
			u.WriteToAddrPort([]byte("x"), netip.AddrPortFrom(a(to), 9))
			synctest.Wait()
			if dst[5] != want {
				t.Errorf("%s went to %v, want station %d", to, dst, want)
			}
		}
		check("203.0.113.1", 2)
		check("192.0.2.1", 3)
		check("192.0.2.200", 4)
		check("10.0.0.3", 3)
		if err := s.RemoveRoute(stack.Route{Prefix: prefix("192.0.2.128/25"), Interface: i, NextHop: addr(4)}); err != nil {
			t.Error(err)
		}
		check("192.0.2.200", 3)
		if err := s.RemoveRoute(stack.Route{Prefix: prefix("192.0.2.128/25"), Interface: i}); !errors.Is(err, stack.ErrNoRoute) {
			t.Errorf("%v", err)
		}
		if err := s.AddRoute(stack.Route{Prefix: prefix("2001:db8::/32"), Interface: i}); !errors.Is(err, stack.ErrRoute) {
			t.Errorf("%v", err)
		}
		if n := len(s.Routes()); n != 3 {
			t.Errorf("%d routes", n)
		}
	})
}

func TestInterfaceErrors(t *testing.T) {
	sw := vnet.New(vnet.Config{})
	defer sw.Close()
	p := port(t, sw, vnet.PortConfig{Name: "p"})
	q := port(t, sw, vnet.PortConfig{Name: "q"})
	r := stack.StaticResolver{}
	s := stack.New(stack.Config{})
	defer s.Close()
	add(t, s, stack.InterfaceConfig{Device: q, Resolver: r, Addresses: []netip.Prefix{prefix("10.1.0.1/24")}})
	for name, tc := range map[string]struct {
		cfg  stack.InterfaceConfig
		want error
	}{
		"no device":           {stack.InterfaceConfig{Resolver: r}, stack.ErrNoDevice},
		"no resolver":         {stack.InterfaceConfig{Device: p}, stack.ErrNoResolver},
		"network's address":   {stack.InterfaceConfig{Device: p, Resolver: r, Addresses: []netip.Prefix{prefix("10.0.0.0/24")}}, stack.ErrAddress},
		"broadcast address":   {stack.InterfaceConfig{Device: p, Resolver: r, Addresses: []netip.Prefix{prefix("10.0.0.255/24")}}, stack.ErrAddress},
		"multicast":           {stack.InterfaceConfig{Device: p, Resolver: r, Addresses: []netip.Prefix{prefix("224.0.0.5/24")}}, stack.ErrAddress},
		"IPv6":                {stack.InterfaceConfig{Device: p, Resolver: r, Addresses: []netip.Prefix{prefix("2001:db8::1/64")}}, stack.ErrAddress},
		"gateway far away":    {stack.InterfaceConfig{Device: p, Resolver: r, Addresses: []netip.Prefix{prefix("10.0.0.1/24")}, Gateway: netip.MustParseAddr("10.9.0.1")}, stack.ErrGateway},
		"address is taken":    {stack.InterfaceConfig{Device: p, Resolver: r, Addresses: []netip.Prefix{prefix("10.1.0.1/24")}}, nil},
		"address given twice": {stack.InterfaceConfig{Device: p, Resolver: r, Addresses: []netip.Prefix{prefix("10.0.0.1/24"), prefix("10.0.0.1/16")}}, nil},
		"group MAC address":   {stack.InterfaceConfig{Device: p, Resolver: r, Addr: ethernet.Broadcast}, nil},
		"name is taken":       {stack.InterfaceConfig{Name: "q", Device: p, Resolver: r}, nil},
	} {
		if _, err := s.AddInterface(tc.cfg); err == nil || tc.want != nil && !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
	// None of these has touched the device.
	add(t, s, stack.InterfaceConfig{Device: p, Resolver: r, Addresses: []netip.Prefix{prefix("10.0.0.1/31")}})
}

// A network of two addresses has two hosts, neither of which is everybody
// (RFC 3021).
//
//rfc:3021 hosts limited
func TestPointToPoint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := vnet.New(vnet.Config{})
		defer sw.Close()
		resolver := stack.StaticResolver{}
		var stacks []*stack.Stack
		var conns []*stack.UDPConn
		for n := range 2 {
			p := port(t, sw, vnet.PortConfig{Name: fmt.Sprint("end", n)})
			a := netip.AddrFrom4([4]byte{10, 0, 0, byte(n)})
			resolver[a] = p.Info().Addr
			s := stack.New(stack.Config{})
			defer s.Close()
			add(t, s, stack.InterfaceConfig{Device: p, Resolver: resolver, Addresses: []netip.Prefix{netip.PrefixFrom(a, 31)}})
			stacks, conns = append(stacks, s), append(conns, listenUDP(t, s, ":9"))
		}
		var broadcasts int
		stop := sw.Monitor(func(_ string, f []byte, _ time.Time) {
			if ethernet.Addr(f[:6]) == ethernet.Broadcast {
				broadcasts++
			}
		})
		defer stop()
		for n, s := range stacks {
			to := netip.AddrFrom4([4]byte{10, 0, 0, byte(1 - n)})
			if _, err := s.Ping(t.Context(), to, 10); err != nil {
				t.Errorf("%d: %v", n, err)
			}
			for _, dst := range []netip.Addr{to, netip.MustParseAddr("255.255.255.255")} {
				broadcasts = 0
				if _, err := conns[n].WriteToAddrPort([]byte("x"), netip.AddrPortFrom(dst, 9)); err != nil {
					t.Errorf("%d to %v: %v", n, dst, err)
				}
				other := conns[1-n]
				other.SetReadDeadline(time.Now().Add(time.Second))
				_, d, err := other.ReadDatagram(make([]byte, 9))
				if err != nil || d.Dst != dst || d.From.Addr() != netip.AddrFrom4([4]byte{10, 0, 0, byte(n)}) {
					t.Errorf("%d to %v: %+v, %v", n, dst, d, err)
				}
				if want := dst != to; (broadcasts > 0) != want {
					t.Errorf("%d to %v: %d broadcasts", n, dst, broadcasts)
				}
				conns[n].SetReadDeadline(time.Now().Add(time.Millisecond))
				conns[n].ReadDatagram(make([]byte, 9)) // a broadcast reaches its sender, too
			}
		}
	})
}

// A device that fails takes its connections with it, with a reason, and
// nothing else.
func TestDeviceFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, 2, vnet.PortConfig{})
		defer l.close()
		c, s := l.connect()
		u := listenUDP(t, l.stacks[0], ":1")
		l.ports[0].Close()
		_, err := c.Read(make([]byte, 1))
		wantErrno(t, err, "read", syscall.ENETDOWN)
		_, err = u.WriteToAddrPort(nil, addrPort(2, 1))
		wantErrno(t, err, "write", syscall.ENETUNREACH)
		if n := len(l.stacks[0].Interfaces()); n != 0 {
			t.Errorf("%d interfaces", n)
		}
		// A new device brings it back.
		synctest.Wait() // the end of the old one asks the resolver, too
		p := port(t, l.sw, vnet.PortConfig{Name: "again"})
		l.neighbors[addr(1)] = p.Info().Addr
		add(t, l.stacks[0], stack.InterfaceConfig{Device: p, Resolver: l.neighbors, Addresses: []netip.Prefix{prefix("10.0.0.1/24")}})
		if _, err := l.stacks[0].Ping(t.Context(), addr(2), 1); err != nil {
			t.Error(err)
		}
		s.Close()
	})
}

func TestForwardHook(t *testing.T) {
	var mu sync.Mutex
	var seen [][]byte
	synctest.Test(t, func(t *testing.T) {
		r := newRaw(t, stack.Config{Forward: func(in *stack.Interface, packet []byte) {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, append([]byte(in.Name()+" "), packet...))
		}})
		defer r.close()
		h, body := udpPacket(addrPort(9, 1), netip.MustParseAddrPort("192.0.2.7:9"), []byte("transit"))
		h.TTL = 1
		r.ip(h, nil, body)
		mu.Lock()
		defer mu.Unlock()
		if len(seen) != 1 || string(seen[0][len(seen[0])-7:]) != "transit" || r.stats().IP.Foreign != 1 {
			t.Errorf("%q, %+v", seen, r.stats())
		}
	})
}

// Many stacks in one process, all talking to all.
func TestManyStacks(t *testing.T) {
	const n = 40
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, n, vnet.PortConfig{Ingress: vnet.Impairment{Delay: time.Millisecond}})
		defer l.close()
		var wg sync.WaitGroup
		for i, s := range l.stacks {
			ln, err := s.Listen("tcp", ":7")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			go func() {
				for {
					c, err := ln.Accept()
					if err != nil {
						return
					}
					go func() { io.Copy(c, c); c.Close() }()
				}
			}()
			wg.Go(func() {
				for k := 1; k <= 5; k++ {
					peer := 1 + (i+k*7)%n
					c, err := s.Dial("tcp", addrPort(peer, 7).String())
					if err != nil {
						t.Error(err)
						return
					}
					go func() { io.Copy(c, stream(uint64(i), 20_000)); c.(*stack.TCPConn).CloseWrite() }()
					if err := same(c, uint64(i), 20_000); err != nil {
						t.Errorf("%d to %d: %v", i+1, peer, err)
					}
					c.Close()
				}
			})
		}
		wg.Wait()
	})
}

func TestShutdown(t *testing.T) {
	lanTest(t, "drains", 2, vnet.PortConfig{Ingress: vnet.Impairment{Rate: 8_000_000, RateQueue: 1 << 20}}, func(t *testing.T, l *lan) {
		c, s := l.connect()
		if _, err := s.Write(make([]byte, 500_000)); err != nil { // half a second on this wire
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- l.stacks[1].Shutdown(t.Context()) }()
		n, err := io.Copy(io.Discard, c)
		if n != 500_000 || err != nil {
			t.Errorf("%d octets, %v", n, err)
		}
		c.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if _, err := l.stacks[1].Listen("tcp", ":1"); !errors.Is(err, net.ErrClosed) {
			t.Errorf("listening on a closed stack: %v", err)
		}
	})
	lanTest(t, "gives up with its context", 2, vnet.PortConfig{}, func(t *testing.T, l *lan) {
		c, _ := l.connect()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.stacks[1].Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, want the context's error: the peer never closes", err)
		}
		c.Read(make([]byte, 1)) // the FIN
		time.Sleep(time.Second)
		if _, err := c.Write([]byte("x")); err == nil {
			time.Sleep(time.Second)
			if _, err = c.Write([]byte("x")); err == nil {
				t.Error("the connection was not reset")
			}
		}
	})
	lanTest(t, "close wakes everybody", 2, vnet.PortConfig{}, func(t *testing.T, l *lan) {
		c, _ := l.connect()
		ln, _ := l.stacks[0].Listen("tcp", ":80")
		u := listenUDP(t, l.stacks[0], ":80")
		errs := make(chan error, 4)
		go func() { _, err := c.Read(make([]byte, 1)); errs <- err }()
		go func() { _, err := ln.Accept(); errs <- err }()
		go func() { _, _, err := u.ReadFrom(nil); errs <- err }()
		go func() { _, err := l.stacks[0].Ping(t.Context(), addr(1), 0); errs <- err }()
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		l.stacks[0].Close()
		for range 3 {
			if err := <-errs; !errors.Is(err, net.ErrClosed) {
				t.Errorf("%v", err)
			}
		}
		if err := l.stacks[0].Close(); err != nil {
			t.Error(err)
		}
	})
}

// SetMTU bounds what is sent: fragments by UDP, smaller segments on connections
// that are open; what the device cannot carry is refused.
func TestSetMTU(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, 2, vnet.PortConfig{})
		defer l.close()
		c, s := l.connect()
		var mu sync.Mutex
		largest := 0
		stop := l.sw.Monitor(func(port string, frame []byte, _ time.Time) {
			mu.Lock()
			defer mu.Unlock()
			if port == "host1" {
				largest = max(largest, len(frame)-ethernet.HeaderLen)
			}
		})
		defer stop()
		reset := func() int {
			mu.Lock()
			defer mu.Unlock()
			was := largest
			largest = 0
			return was
		}
		send := func() int {
			if _, err := c.Write(make([]byte, 100_000)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(s, make([]byte, 100_000)); err != nil {
				t.Fatal(err)
			}
			return reset()
		}
		if got := send(); got != 1500 {
			t.Fatalf("packets of %d octets", got)
		}
		if err := l.ifaces[0].SetMTU(1300); err != nil || l.ifaces[0].MTU() != 1300 {
			t.Fatalf("%v, MTU %d", err, l.ifaces[0].MTU())
		}
		if got := send(); got > 1300 || got < 1200 {
			t.Errorf("segments of %d octets", got)
		}
		u, err := l.stacks[0].Dial("udp", "10.0.0.2:9")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := u.Write(make([]byte, 1400)); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if got := reset(); got > 1300 {
			t.Errorf("fragments of %d octets", got)
		}
		for _, bad := range []int{-1, 67, 1501} {
			if err := l.ifaces[0].SetMTU(bad); err == nil {
				t.Errorf("an MTU of %d", bad)
			}
		}
		if err := l.ifaces[0].SetMTU(0); err != nil || l.ifaces[0].MTU() != 1500 {
			t.Errorf("%v, MTU %d", err, l.ifaces[0].MTU())
		}
	})
}
