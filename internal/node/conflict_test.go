package node

import (
	"errors"
	"net/netip"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
	"arpeggio/stack/link"
	"arpeggio/stack/vnet"
)

// An address that ARP gives up is none of the interface's any more: what it sent from
// there would be another station's (RFC 5227 §2.1.1 and §2.4). One that is held stays.
func TestAddressIsGivenUp(t *testing.T) {
	own, peer := netip.MustParsePrefix("10.9.0.2/24"), netip.MustParsePrefix("10.9.0.1/24")
	for name, c := range map[string]struct {
		cfg    arp.Config
		claims int
		held   bool
	}{
		"found by a probe":        {arp.Config{Probe: true}, 1, false},
		"defended once, in vain":  {arp.Config{Defend: arp.DefendOnce}, 2, false},
		"defended once":           {arp.Config{Defend: arp.DefendOnce}, 1, true},
		"given up without a word": {arp.Config{Defend: arp.DefendNever}, 1, false},
		"held":                    {arp.Config{}, 5, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sw := vnet.New(vnet.Config{})
				defer sw.Close()
				port := func(name string) *vnet.Port {
					p, err := sw.Port(vnet.PortConfig{Name: name})
					if err != nil {
						t.Fatal(err)
					}
					return p
				}
				p, err := Start(Config{Device: port("peer"), Addresses: []netip.Prefix{peer}})
				if err != nil {
					t.Fatal(err)
				}
				defer p.Close()
				told := 0
				n, err := Start(Config{Device: port("node"), Addresses: []netip.Prefix{own}, ARP: c.cfg, Conflict: func(netip.Addr, ethernet.Addr) { told++ }})
				if err != nil {
					t.Fatal(err)
				}
				defer n.Close()
				other := port("other")
				for range c.claims {
					h := ethernet.Header{Dst: ethernet.Broadcast, Src: other.Info().Addr, Type: ethernet.TypeARP}
					claim := arp.Packet{Op: arp.OpRequest, SenderMAC: other.Info().Addr, SenderIP: own.Addr(), TargetIP: own.Addr()}
					if _, err := other.WriteFrames([]link.Frame{{Head: claim.AppendTo(h.AppendTo(nil))}}); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Second)
				}
				synctest.Wait()
				_, err = n.Stack.Dial("udp", "10.9.0.1:9")
				if held := len(n.Interface.Addresses()) == 1; held != c.held || held != n.ARP.Holds(own.Addr()) || held != (err == nil) {
					t.Errorf("held %v, want %v; ARP: %v; dial: %v", held, c.held, n.ARP.Holds(own.Addr()), err)
				}
				if !c.held && (!errors.Is(err, syscall.ENETUNREACH) || told != 1) {
					t.Errorf("%v; the user heard %d times", err, told)
				}
			})
		})
	}
}
