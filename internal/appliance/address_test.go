package appliance

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/arp"
	"arpeggio/stack"
)

// A fixed address is asked for before it is used, for as long as the wire needs;
// one that is taken is refused, and never claimed (RFC 5227 §2.1).
func TestFixedAddressIsAskedFor(t *testing.T) {
	for name, c := range map[string]struct {
		probing     Probing
		least, most time.Duration
		probes      int
	}{
		"standard": {ProbeStandard, 4 * time.Second, 7 * time.Second, 3},
		"brisk":    {ProbeBrisk, 600 * time.Millisecond, 900 * time.Millisecond, 3},
		"never":    {ProbeNever, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				heard := func(kind arp.Kind) int { return int(b.peer.ARP.Stats().Received[kind]) }
				start := time.Now()
				b.start(Config{Probing: c.probing})
				if took := time.Since(start); took < c.least || took > c.most {
					t.Errorf("it took %v, want %v to %v", took, c.least, c.most)
				}
				synctest.Wait()
				if n, m := heard(arp.KindProbe), heard(arp.KindAnnouncement); n != c.probes || m != 1 {
					t.Errorf("%d probes, %d announcements, want %d and 1", n, m, c.probes)
				}
			})
		})
		t.Run(name+", taken", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				if err := b.peer.Interface.AddAddress(ownNet); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				a, err := Start(t.Context(), Config{Device: b.port, Address: ownNet, Probing: c.probing})
				if c.probing == ProbeNever {
					if err != nil {
						t.Fatal(err)
					}
					a.Close(t.Context())
					return
				}
				taken := new(TakenError)
				if !errors.As(err, &taken) || *taken != (TakenError{ownNet.Addr(), b.peer.Interface.Addr(), "appliance"}) {
					t.Errorf("error %v", err)
				}
				if st := b.peer.ARP.Stats(); st.Conflicts != 0 || !b.closed() {
					t.Errorf("%d claims of the address, device closed: %v", st.Conflicts, b.closed())
				}
			})
		})
	}
	t.Run("no host's address", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b, start := newBench(t), time.Now()
			_, err := Start(t.Context(), Config{Device: b.port, Address: netip.MustParsePrefix("10.9.0.255/24")})
			if !errors.Is(err, stack.ErrAddress) || time.Since(start) > 0 {
				t.Errorf("%v after %v", err, time.Since(start))
			}
		})
	})
}

// A station that answers for every address, as simple test programs do, takes
// none away from a host under test; elsewhere its answer counts like any other's.
func TestFixedAddressAmongAnswersForAll(t *testing.T) {
	network := netip.PrefixFrom(ownNet.Masked().Addr(), 32)
	for name, c := range map[string]struct {
		has  []netip.Prefix
		cfg  Config
		used bool
	}{
		"answers for all":               {[]netip.Prefix{ownNet, network}, Config{Inetd: true}, true},
		"answers for all, no test":      {[]netip.Prefix{ownNet, network}, Config{}, false},
		"has the address":               {[]netip.Prefix{ownNet}, Config{Inetd: true}, false},
		"has the address, small net":    {[]netip.Prefix{ownNet}, Config{Inetd: true, Address: netip.PrefixFrom(ownNet.Addr(), 31)}, false},
		"answers for the network alone": {[]netip.Prefix{network}, Config{Inetd: true}, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t)
				for _, p := range c.has {
					if err := b.peer.Interface.AddAddress(p); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(time.Minute)
				c.cfg.Device = b.port
				if !c.cfg.Address.IsValid() {
					c.cfg.Address = ownNet
				}
				a, err := Start(t.Context(), c.cfg)
				if err == nil {
					defer a.Close(t.Context())
				}
				if taken := new(TakenError); c.used && err != nil || !c.used && !errors.As(err, &taken) {
					t.Errorf("error %v, want the address used: %t", err, c.used)
				}
			})
		})
	}
}

// The ports of the appliance's services, of those that begin late too, are never
// drawn for what it sends, and others can be kept free like that.
func TestServicePortsAreNotDrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		a := b.start(Config{Port: 8080, Manage: 8081, Inetd: true,
			Ports: stack.PortRange{First: 8079, Last: 8084}, Reserved: []stack.PortRange{{First: 8082, Last: 8083}}})
		var drawn []int
		for {
			u, err := a.node.Stack.ListenPacket("udp", ":0")
			if err != nil {
				break
			}
			defer u.Close()
			drawn = append(drawn, int(netip.MustParseAddrPort(u.LocalAddr().String()).Port()))
		}
		slices.Sort(drawn)
		if !slices.Equal(drawn, []int{8079, 8084}) {
			t.Errorf("drew %v, want 8079 and 8084", drawn)
		}
		if want := (stack.PortRange{First: 4000, Last: 4000}); !slices.Contains(a.reserved(), want) {
			t.Errorf("the dial command's port can be drawn before it is bound: %v", a.reserved())
		}
	})
}
