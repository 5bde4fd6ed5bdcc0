package arp_test

import (
	"fmt"
	"net/netip"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
)

// fixed is a whole Table: a map that nobody changes.
type fixed map[netip.Addr]ethernet.Addr

func (f fixed) Get(k arp.Key) (arp.Binding, bool) {
	mac, ok := f[k.Addr]
	return arp.Binding{MAC: mac, Static: true}, ok
}
func (fixed) Put(arp.Change)    {}
func (fixed) Expire(arp.Change) {}

func ExampleTable() {
	gateway := netip.MustParseAddr("10.9.0.254")
	s := arp.NewService(arp.Config{Table: fixed{gateway: ethernet.MustParseAddr("02:50:00:00:00:fe")}})
	defer s.Close()
	s.AttachLink("eth0", ethernet.MustParseAddr("02:50:00:00:00:01"), ethernet.VLAN{}, 1500,
		func(ethernet.Addr, ethernet.EtherType, []byte) error { return nil })
	fmt.Println(s.Resolve(gateway, nil))
	// Output: 02:50:00:00:00:fe true
}

// An Engine has no clock and no wire of its own: time goes in, packets come out.
func ExampleEngine() {
	now := time.Unix(0, 0)
	e := arp.NewEngine(arp.Config{AnnounceNum: -1}, "eth0", ethernet.MustParseAddr("02:50:00:00:00:01"), ethernet.VLAN{})
	e.AddAddress(now, netip.MustParsePrefix("10.9.0.1/24"))
	e.Resolve(now, netip.MustParseAddr("10.9.0.7"))
	for range 4 {
		for _, a := range e.Drain(nil) {
			switch a.Kind {
			case arp.ActSend:
				fmt.Println(now.Unix(), "s:", a.Packet.Kind(), "for", a.Packet.TargetIP, "to", a.Dst)
			case arp.ActFailed:
				fmt.Println(now.Unix(), "s:", a.Err)
			}
		}
		now = e.Deadline()
		e.Poll(now)
	}
	// Output:
	// 0 s: request for 10.9.0.7 to ff:ff:ff:ff:ff:ff
	// 1 s: request for 10.9.0.7 to ff:ff:ff:ff:ff:ff
	// 2 s: request for 10.9.0.7 to ff:ff:ff:ff:ff:ff
	// 3 s: arp: no answer
}
