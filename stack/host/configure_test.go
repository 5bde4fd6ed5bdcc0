package host

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"

	"arpeggio/stack"
	"arpeggio/stack/ethernet"
	"arpeggio/stack/vnet"
)

// addressLog is a resolver that is told of own addresses.
type addressLog struct{ events []string }

func (l *addressLog) Resolve(a netip.Addr, done func(netip.Addr, ethernet.Addr, error)) (ethernet.Addr, bool) {
	return ethernet.Addr{2, 9}, true
}
func (l *addressLog) AddressAdded(p netip.Prefix, _ func(netip.Addr, ethernet.Addr)) {
	l.events = append(l.events, "+"+p.String())
}
func (l *addressLog) AddressRemoved(a netip.Addr) { l.events = append(l.events, "-"+a.String()) }

// A lease that cannot be put on the interface whole leaves it as it was, and its
// connections alone; one that can replaces the old one.
//
//rfc:2131 old-address
func TestConfigureIsAllOrNothing(t *testing.T) {
	p, a := netip.MustParsePrefix, netip.MustParseAddr
	old := Lease{Addr: p("10.0.0.5/24"), Routers: []netip.Addr{a("10.0.0.1"), a("10.0.0.2")}, Routes: []LeaseRoute{{p("10.1.0.0/16"), a("10.0.0.3")}}, MTU: 1400}
	good := Lease{Addr: p("10.7.0.5/24"), Routers: []netip.Addr{a("10.7.0.1")}, Routes: []LeaseRoute{{p("10.1.0.0/16"), a("10.7.0.3")}, {p("10.2.0.0/16"), a("10.7.0.3")}}, MTU: 1300}
	narrower := good
	narrower.Addr = p("10.0.0.5/25")
	taken := good
	taken.Addr = p("10.9.9.9/24")
	unroutable := LeaseRoute{p("10.3.0.0/16"), a("224.0.0.1")}
	badRoute, badNarrower := good, narrower
	badRoute.Routes = append(slices.Clip(good.Routes), unroutable)
	badNarrower.Routes = badRoute.Routes
	for _, tc := range []struct {
		what   string
		to     Lease
		fails  bool
		events string
	}{
		{"another network", good, false, "[+10.7.0.5/24 -10.0.0.5]"},
		{"another prefix", narrower, false, "[-10.0.0.5 +10.0.0.5/25]"},
		{"an address that is taken", taken, true, "[]"},
		{"a route that is none", badRoute, true, "[+10.7.0.5/24 -10.7.0.5]"},
		{"another prefix and a route that is none", badNarrower, true, "[-10.0.0.5 +10.0.0.5/25 -10.0.0.5 +10.0.0.5/24]"},
		{"nothing", Lease{}, false, "[-10.0.0.5]"},
	} {
		t.Run(tc.what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sw := vnet.New(vnet.Config{Seed: 1})
				defer sw.Close()
				port, err := sw.Port(vnet.PortConfig{Name: "p", Addr: clientHW})
				if err != nil {
					t.Fatal(err)
				}
				s := stack.New(stack.Config{Rand: rand.NewChaCha8([32]byte{1})})
				defer s.Close()
				log := &addressLog{}
				i, err := s.AddInterface(stack.InterfaceConfig{Device: port, Resolver: log, Addresses: []netip.Prefix{p("10.9.9.9/32")}})
				if err != nil {
					t.Fatal(err)
				}
				c, err := NewDHCPClient(DHCPClientConfig{Stack: s, Interface: i})
				if err != nil {
					t.Fatal(err)
				}
				state := func() string { return fmt.Sprint(i.Addresses(), s.Routes(), i.MTU()) }
				bare := state()
				if err := c.configure(i, Lease{}, tc.to); (err != nil) != tc.fails || tc.fails && state() != bare {
					t.Errorf("from nothing: %v, then %s, before %s", err, state(), bare)
				}
				fresh := state()
				if !tc.fails {
					if err := c.configure(i, tc.to, Lease{}); err != nil || state() != bare {
						t.Errorf("back to nothing: %v, then %s, before %s", err, state(), bare)
					}
				}

				if err := c.configure(i, Lease{}, old); err != nil {
					t.Fatal(err)
				}
				before := state()
				log.events = nil
				err = c.configure(i, old, tc.to)
				switch {
				case tc.fails && (err == nil || state() != before):
					t.Errorf("%v, then %s, before %s", err, state(), before)
				case !tc.fails && (err != nil || state() != fresh):
					t.Errorf("%v, then %s, want %s", err, state(), fresh)
				}
				if got := fmt.Sprint(log.events); got != tc.events {
					t.Errorf("addresses %s, want %s", got, tc.events)
				}
			})
		})
	}
}
