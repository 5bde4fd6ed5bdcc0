package observe_test

import (
	"fmt"
	"net/netip"

	"arpeggio/arp"
	"arpeggio/arp/observe"
	"arpeggio/stack/ethernet"
)

// A frame says who claims to hold which address, or why it cannot be read.
func ExampleParse() {
	host := ethernet.MustParseAddr("02:00:00:00:00:07")
	h := ethernet.Header{Dst: ethernet.Broadcast, Src: host, Type: ethernet.TypeARP}
	h.SetVLAN(ethernet.VLAN{Inner: 5})
	frame := arp.Packet{
		Op: arp.OpRequest, SenderMAC: host,
		SenderIP: netip.MustParseAddr("10.9.0.7"), TargetIP: netip.MustParseAddr("10.9.0.1"),
	}.AppendTo(h.AppendTo(nil))

	var s observe.Sighting
	observe.Parse(&s, frame, 0)
	fmt.Println(s.Kind, s.VLAN, s.Addr, s.MAC, s.Claims())

	r := observe.Parse(&s, frame[:30], 46) // the capture kept 30 octets
	fmt.Println(r, s.MAC)
	// Output:
	// request 5 10.9.0.7 02:00:00:00:00:07 true
	// truncated 00:00:00:00:00:00
}
