package arptest_test

import (
	"fmt"
	"net/netip"

	"arpeggio/arp"
	"arpeggio/arp/arptest"
	"arpeggio/stack/ethernet"
)

// A Hub carries frames between a resolver and what the test says.
func ExampleHub() {
	me, other := ethernet.MustParseAddr("02:50:00:00:00:01"), ethernet.MustParseAddr("02:50:00:00:00:0a")
	s := arp.NewService(arp.Config{AnnounceNum: -1})
	defer s.Close()
	hub := &arptest.Hub{}
	hub.Join(s, me)
	station := hub.Join(nil, other)
	s.AddressAdded(netip.MustParsePrefix("10.9.0.1/24"), nil)

	station.Say(ethernet.Broadcast, arp.Packet{Op: arp.OpRequest, SenderMAC: other,
		SenderIP: netip.MustParseAddr("10.9.0.10"), TargetIP: netip.MustParseAddr("10.9.0.1")})
	for _, f := range station.Got() {
		fmt.Println(f.Packet.Op, f.Packet.SenderIP, "is at", f.Packet.SenderMAC)
	}
	// Output: reply 10.9.0.1 is at 02:50:00:00:00:01
}
