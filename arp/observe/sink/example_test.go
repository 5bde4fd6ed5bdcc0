package sink_test

import (
	"fmt"
	"net/netip"
	"time"

	"arpeggio/arp"
	"arpeggio/arp/observe"
	"arpeggio/arp/observe/sink"
	"arpeggio/arp/vendors"
	"arpeggio/stack/ethernet"
)

func Example() {
	l := &observe.Line{Commit: "3f2c1d9aa0b1c2d3e4f5a6b7c8d9e0f1a2b3c4d5", Record: observe.Record{Event: observe.Event{
		Type: observe.Changed, Time: time.Date(2026, 3, 1, 12, 0, 2, 0, time.UTC), Iface: "eth0",
		Key: arp.Key{Domain: arp.DefaultDomain, Addr: netip.MustParseAddr("10.9.0.7")},
		MAC: ethernet.MustParseAddr("52:54:00:00:00:0b"), Old: ethernet.MustParseAddr("00:1b:21:00:00:0a"),
	}}}
	names := &vendors.Table{}
	text := sink.Text{Vendors: names, Zone: time.UTC}
	fmt.Println(text.Line(l))
	fmt.Println(sink.Words(l))
	e := sink.NewEvent(l, names)
	fmt.Println(e.TS, e.Type, e.IP, e.MAC, e.Vendor)
	// Output:
	// 2026-03-01 12:00:02.000  changed          10.9.0.7            52:54:00:00:00:0b (QEMU/KVM) was 00:1b:21:00:00:0a (Intel Corporate)  eth0  3f2c1d9
	// changed ethernet address 10.9.0.7 52:54:00:00:00:0b (00:1b:21:00:00:0a) eth0
	// 2026-03-01T12:00:02.000000Z changed 10.9.0.7 52:54:00:00:00:0b QEMU/KVM
}
