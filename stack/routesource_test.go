package stack_test

import (
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"arpeggio/stack"
)

// RFC 3927 §2.6.2: link-local addresses, as destination and as source, stay on the
// link although there is a gateway.
//
//rfc:3927 direct-to direct-from
func TestLinkLocalRoutes(t *testing.T) {
	gatewayTest(t, "to", func(t *testing.T, g *twoGateways) {
		u := listenUDP(t, g.s, ":1")
		u.WriteToAddrPort([]byte("x"), netip.MustParseAddrPort("169.254.1.3:9"))
		g.by("3")
		if err := g.i.AddAddress(prefix("169.254.1.9/16")); err != nil {
			t.Fatal(err)
		}
		c, err := g.s.Dial("udp", "169.254.1.4:9")
		if err != nil || c.LocalAddr().String()[:11] != "169.254.1.9" {
			t.Errorf("%v, %v", c.LocalAddr(), err)
		}
		u.WriteToAddrPort([]byte("x"), far) // from the other address, by the gateway
		g.by("7")
		listenUDP(t, g.s, "169.254.1.9:3").WriteToAddrPort([]byte("x"), far)
		g.by("1")
		if err := g.i.RemoveAddress(addr(1)); err != nil {
			t.Fatal(err)
		}
		u.WriteToAddrPort([]byte("x"), far)
		g.by("1")
	})
	gatewayTest(t, "without a route", func(t *testing.T, g *twoGateways) {
		for n := 7; n <= 8; n++ {
			g.s.RemoveRoute(stack.Route{Prefix: anywhere, Interface: g.i, NextHop: addr(n)})
		}
		u := listenUDP(t, g.s, ":1")
		u.WriteToAddrPort([]byte("x"), netip.MustParseAddrPort("169.254.1.3:9"))
		g.by("3")
		_, err := u.WriteToAddrPort([]byte("x"), far)
		wantErrno(t, err, "write", syscall.ENETUNREACH)
	})
}

// RFC 3927 §1.9: what begins has a routable address where there is one, whichever came
// first.
//
//rfc:3927 routable-source
func TestRoutableSourceIsPreferred(t *testing.T) {
	gatewayTest(t, "source", func(t *testing.T, g *twoGateways) {
		g.i.RemoveAddress(addr(1))
		for _, p := range []string{"169.254.1.9/16", "10.0.0.1/24"} {
			if err := g.i.AddAddress(prefix(p)); err != nil {
				t.Fatal(err)
			}
		}
		c, err := g.s.Dial("udp", "224.0.0.9:9")
		if err != nil || !strings.HasPrefix(c.LocalAddr().String(), "10.0.0.1:") {
			t.Errorf("%v, %v", c.LocalAddr(), err)
		}
	})
}

// What a connection sent while it had no route goes again at once when there is one,
// by the same hop too, and no more of it than after a pause.
func TestStrandedConnectionIsWoken(t *testing.T) {
	rawTest(t, "", func(t *testing.T, r *raw) {
		ln := r.listen()
		defer ln.Close()
		r.open(4000)
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		s, near := r.stacks[0], stack.Route{Prefix: prefix("10.0.0.0/24"), Interface: r.ifaces[0]}
		move := func(do func(stack.Route) error, texts int) {
			t.Helper()
			if err := do(near); err != nil {
				t.Fatal(err)
			}
			if _, segs := r.segments(); len(segs) != texts {
				t.Fatalf("%d segments, want %d: %v", len(segs), texts, segs)
			}
		}
		move(s.RemoveRoute, 0)
		if _, err := c.Write(make([]byte, 50_000)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2500 * time.Millisecond)
		move(s.AddRoute, 1) // there were timeouts
		move(s.RemoveRoute, 0)
		move(s.AddRoute, 0) // nothing was sent meanwhile
	})
}
