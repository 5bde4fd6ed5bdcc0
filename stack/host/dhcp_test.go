package host_test

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/ethernet"
	"arpeggio/stack/host"
)

//rfc:2131 told
func TestAcquireAndRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, host.DHCPServerConfig{
			First: netip.MustParseAddr("10.0.0.100"), Last: netip.MustParseAddr("10.0.0.199"), Router: gateway.Addr(),
			DNS: []netip.Addr{netip.MustParseAddr("10.0.0.53")}, NTP: []netip.Addr{netip.MustParseAddr("10.0.0.123")},
			Domain: "lan", Lease: time.Hour,
		})
		defer l.close()
		begin := time.Now()
		c := l.client(1, host.DHCPClientConfig{Hostname: "guest"})
		le := c.acquire(t)
		if d := time.Since(begin); d > time.Second {
			t.Errorf("a lease took %v on an idle network", d)
		}
		if a := le.Addr.Addr(); a.Less(netip.MustParseAddr("10.0.0.100")) || netip.MustParseAddr("10.0.0.199").Less(a) || le.Addr.Bits() != 24 {
			t.Errorf("address %v", le.Addr)
		}
		if le.Router != gateway.Addr() || le.Server != gateway.Addr() || fmt.Sprint(le.DNS) != "[10.0.0.53]" || fmt.Sprint(le.NTP) != "[10.0.0.123]" || le.Domain != "lan" {
			t.Errorf("lease %+v", le)
		}
		if le.Expiry.Sub(le.Start) != time.Hour || le.Renew.Sub(le.Start) != 30*time.Minute || le.Rebind.Sub(le.Start) != 52*time.Minute+30*time.Second {
			t.Errorf("times %v %v %v", le.Renew.Sub(le.Start), le.Rebind.Sub(le.Start), le.Expiry.Sub(le.Start))
		}
		if got := c.addrs(); !slices.Equal(got, []netip.Prefix{le.Addr}) {
			t.Errorf("the interface has %v", got)
		}
		if !slices.ContainsFunc(c.s.Routes(), func(r stack.Route) bool { return r.Prefix.Bits() == 0 && r.NextHop == gateway.Addr() }) {
			t.Errorf("no default route in %v", c.s.Routes())
		}
		if _, err := c.s.Ping(t.Context(), gateway.Addr(), 8); err != nil {
			t.Errorf("ping from the leased address: %v", err)
		}
		if bs := l.server.Bindings(); len(bs) != 1 || bs[0].Addr != le.Addr.Addr() || bs[0].MAC != mac(1) {
			t.Errorf("bindings %v", bs)
		}

		c.stop()
		synctest.Wait()
		if len(c.addrs()) != 0 || len(c.s.Routes()) != 0 || len(l.server.Bindings()) != 0 {
			t.Errorf("after release: addresses %v, routes %v, bindings %v", c.addrs(), c.s.Routes(), l.server.Bindings())
		}
		if want := []string{"invalid Prefix -> " + le.Addr.String(), le.Addr.String() + " -> invalid Prefix"}; !slices.Equal(c.changes, want) {
			t.Errorf("changes %q, want %q", c.changes, want)
		}
		if _, err := c.Acquire(t.Context()); err != host.ErrStopped {
			t.Errorf("Acquire after Run: %v", err)
		}
		if err := c.Run(t.Context()); err != host.ErrRunning {
			t.Errorf("a second Run: %v", err)
		}
	})
}

// RFC 2131 §4.4.5: the lease is renewed at T1, unnoticed by the interface.
func TestRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, host.DHCPServerConfig{Lease: 10 * time.Minute})
		defer l.close()
		c := l.client(1, host.DHCPClientConfig{})
		first := c.acquire(t)
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		le, ok := c.Lease()
		if !ok || le.Addr != first.Addr || time.Until(le.Expiry) < 4*time.Minute {
			t.Errorf("after a day: %v, %v left", le.Addr, time.Until(le.Expiry))
		}
		if len(c.changes) != 1 {
			t.Errorf("changes %q", c.changes)
		}
	})
}

// The server falls silent: T1, T2, and at the end of the lease the address goes.
//
//rfc:2131 expire
func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, host.DHCPServerConfig{Lease: 10 * time.Minute})
		defer l.close()
		c := l.client(1, host.DHCPClientConfig{})
		le := c.acquire(t)
		l.stop[1]() // the server's Run
		time.Sleep(time.Until(le.Expiry) - time.Second)
		synctest.Wait()
		if len(c.addrs()) != 1 {
			t.Errorf("a second before the end of the lease: %v", c.addrs())
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if len(c.addrs()) != 0 {
			t.Errorf("a second after the end of the lease: %v", c.addrs())
		}
		if _, ok := c.Lease(); ok {
			t.Error("Lease still says yes")
		}
	})
}

func TestStableAndConflictFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := host.DHCPServerConfig{First: netip.MustParseAddr("10.0.0.10"), Last: netip.MustParseAddr("10.0.0.29"), Lease: time.Minute}
		assign := func() map[int]netip.Addr {
			l := newLAN(t, cfg)
			defer l.close()
			got, seen := make(map[int]netip.Addr), make(map[netip.Addr]bool)
			for n := range 20 {
				a := l.client(n+1, host.DHCPClientConfig{}).acquire(t).Addr.Addr()
				if seen[a] {
					t.Errorf("%v was given twice", a)
				}
				got[n], seen[a] = a, true
			}
			return got
		}
		if a, b := assign(), assign(); !maps.Equal(a, b) {
			t.Errorf("the same stations got %v, then %v", a, b)
		}
	})
}

func TestPoolExhausted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := netip.MustParseAddr("10.0.0.10")
		l := newLAN(t, host.DHCPServerConfig{First: one, Last: one, Lease: time.Minute})
		defer l.close()
		c1 := l.client(1, host.DHCPClientConfig{})
		c1.acquire(t)
		c2 := l.client(2, host.DHCPClientConfig{})
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if _, ok := c2.Lease(); ok || l.server.Refused()["pool exhausted"] == 0 {
			t.Errorf("two leases of one address; refused %v", l.server.Refused())
		}
		c1.stop() // what it releases is there for the other
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if le, _ := c2.Lease(); le.Addr.Addr() != one {
			t.Errorf("after the release: %v", le.Addr)
		}
	})
}

func TestReservation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fixed := netip.MustParseAddr("10.0.0.77")
		l := newLAN(t, host.DHCPServerConfig{
			First: fixed, Last: netip.MustParseAddr("10.0.0.78"), Reserved: map[ethernet.Addr]netip.Addr{mac(1): fixed},
		})
		defer l.close()
		if a := l.client(2, host.DHCPClientConfig{Request: fixed}).acquire(t).Addr.Addr(); a == fixed {
			t.Error("a stranger got the reserved address")
		}
		if a := l.client(1, host.DHCPClientConfig{}).acquire(t).Addr.Addr(); a != fixed {
			t.Errorf("the owner got %v", a)
		}
	})
}

// A client that asks for its former address gets it when it is free.
func TestRequestedAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, host.DHCPServerConfig{})
		defer l.close()
		wish := netip.MustParseAddr("10.0.0.200")
		if a := l.client(1, host.DHCPClientConfig{Request: wish}).acquire(t).Addr.Addr(); a != wish {
			t.Errorf("got %v", a)
		}
		if a := l.client(2, host.DHCPClientConfig{Request: wish}).acquire(t).Addr.Addr(); a == wish {
			t.Error("the address was given twice")
		}
		for n, bad := range []string{"10.0.0.0", "10.0.0.1", "10.0.0.255", "192.0.2.1"} {
			if a := l.client(3+n, host.DHCPClientConfig{Request: netip.MustParseAddr(bad)}).acquire(t).Addr.Addr(); a.String() == bad {
				t.Errorf("%v was given", bad)
			}
		}
	})
}

// RFC 2131 §4.4.4: an address that is in use is declined, and not offered again
// for a while.
//
//rfc:2131 probe decline decline-wait
func TestDecline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, host.DHCPServerConfig{})
		defer l.close()
		var asked []netip.Addr
		begin := time.Now()
		c := l.client(1, host.DHCPClientConfig{InUse: func(_ context.Context, a netip.Addr) bool {
			asked = append(asked, a)
			return len(asked) == 1
		}})
		le := c.acquire(t)
		synctest.Wait()
		if len(asked) != 2 || asked[0] == asked[1] || le.Addr.Addr() != asked[1] {
			t.Errorf("asked about %v, got %v", asked, le.Addr)
		}
		if d := time.Since(begin); d < 10*time.Second {
			t.Errorf("began again after %v, want 10 s at least (RFC 2131 §3.1.5)", d)
		}
		if l.server.Refused()["declined"] != 1 || c.Refused()["in use"] != 1 {
			t.Errorf("server %v, client %v", l.server.Refused(), c.Refused())
		}
		if len(c.changes) != 1 {
			t.Errorf("the interface saw %q", c.changes)
		}
	})
}

// An address that the stack has already, from elsewhere, stays as it is.
func TestUnusableAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		taken := netip.MustParsePrefix("10.0.0.50/32")
		l := newLAN(t, host.DHCPServerConfig{Reserved: map[ethernet.Addr]netip.Addr{mac(1): taken.Addr()}})
		defer l.close()
		c := l.clientWith(1, host.DHCPClientConfig{}, taken)
		time.Sleep(time.Minute)
		c.stop()
		synctest.Wait()
		if c.Refused()["not usable"] == 0 || !slices.Equal(c.addrs(), []netip.Prefix{taken}) {
			t.Errorf("refused %v, addresses %v", c.Refused(), c.addrs())
		}
	})
}

// The server comes back without its memory: its clients keep what they have.
func TestServerRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, host.DHCPServerConfig{Lease: 10 * time.Minute})
		defer l.close()
		c := l.client(1, host.DHCPClientConfig{Request: netip.MustParseAddr("10.0.0.123")})
		le := c.acquire(t)
		l.stop[1]()
		srv, err := host.NewDHCPServer(host.DHCPServerConfig{Stack: l.gw, Interface: l.gw.Interfaces()[0], Lease: 10 * time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		l.start(srv.Run)
		time.Sleep(time.Hour)
		synctest.Wait()
		if now, _ := c.Lease(); now.Addr != le.Addr || len(c.changes) != 1 || len(srv.Bindings()) != 1 {
			t.Errorf("lease %v, changes %q, bindings %v", now.Addr, c.changes, srv.Bindings())
		}
	})
}

// A third of everything is lost, both ways.
func TestLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, host.DHCPServerConfig{})
		defer l.close()
		l.loss = 0.3
		begin := time.Now()
		var cs []*client
		for n := range 8 {
			cs = append(cs, l.client(n+1, host.DHCPClientConfig{}))
		}
		seen := make(map[netip.Addr]bool)
		for _, c := range cs {
			le, err := c.Acquire(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			seen[le.Addr.Addr()] = true
		}
		if time.Since(begin) < 3*time.Second {
			t.Error("nothing was lost: the test shows nothing")
		}
		if len(seen) != len(cs) {
			t.Errorf("%d addresses for %d clients", len(seen), len(cs))
		}
	})
}

// noConn is a connection that nobody uses.
type noConn struct{ host.PacketConn }

func TestConfigIsChecked(t *testing.T) {
	conn := noConn{}
	for _, cfg := range []host.DHCPServerConfig{
		{},
		{Conn: conn},
		{Conn: conn, Addr: netip.MustParsePrefix("10.0.0.1/31")},
		{Conn: conn, Addr: netip.MustParsePrefix("::1/64")},
		{Conn: conn, Addr: gateway, First: netip.MustParseAddr("10.0.1.1")},
		{Conn: conn, Addr: gateway, First: netip.MustParseAddr("10.0.0.9"), Last: netip.MustParseAddr("10.0.0.8")},
		{Conn: conn, Addr: netip.MustParsePrefix("10.0.0.1/8"), Last: netip.MustParseAddr("10.99.0.0")},
		{Conn: conn, Addr: gateway, Router: netip.MustParseAddr("10.0.1.1")},
		{Conn: conn, Addr: gateway, Lease: time.Second},
		{Conn: conn, Addr: gateway, Reserved: map[ethernet.Addr]netip.Addr{mac(1): gateway.Addr()}},
		{Conn: conn, Addr: gateway, Reserved: map[ethernet.Addr]netip.Addr{ethernet.Broadcast: netip.MustParseAddr("10.0.0.9")}},
	} {
		if _, err := host.NewDHCPServer(cfg); err == nil {
			t.Errorf("NewDHCPServer(%+v) succeeded", cfg)
		}
	}
	if _, err := host.NewDHCPServer(host.DHCPServerConfig{Conn: conn, Addr: netip.MustParsePrefix("10.0.0.1/8")}); err != nil {
		t.Errorf("a large network with the default pool: %v", err)
	}
	for _, cfg := range []host.DHCPClientConfig{
		{}, {Conn: conn}, {Conn: conn, MAC: ethernet.Broadcast},
		{Conn: conn, MAC: mac(1), Request: netip.MustParseAddr("127.0.0.1")},
		{Conn: conn, MAC: mac(1), Hostname: string(make([]byte, 256))},
	} {
		if _, err := host.NewDHCPClient(cfg); err == nil {
			t.Errorf("NewDHCPClient(%+v) succeeded", cfg)
		}
	}
}
