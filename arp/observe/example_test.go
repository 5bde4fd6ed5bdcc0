package observe_test

import (
	"fmt"
	"net/netip"
	"time"

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

// The engine says what happened, the holder what to print.
func Example() {
	engine := observe.New(observe.Config{})
	iface, err := engine.AddInterface(observe.Interface{Name: "eth0", Networks: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/24")}})
	if err != nil {
		panic(err)
	}
	var holder observe.Holder
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	for _, host := range []byte{1, 2, 1} { // two stations use one address
		now = now.Add(20 * time.Second)
		mac := ethernet.Addr{2, 0, 0, 0, 0, host}
		a := netip.MustParseAddr("10.9.0.7")
		h := ethernet.Header{Dst: ethernet.Broadcast, Src: mac, Type: ethernet.TypeARP}
		frame := arp.Packet{Op: arp.OpRequest, SenderMAC: mac, SenderIP: a, TargetIP: a}.AppendTo(h.AppendTo(nil))

		s := observe.Sighting{Time: now, Interface: iface}
		observe.Parse(&s, frame, 0)
		for _, r := range engine.Input(&s) {
			fmt.Println("record:", r.Type, r.Key, r.MAC, r.Op)
			holder.Add(&r, "")
		}
	}
	for _, line := range holder.Flush() {
		e := &line.Record.Event
		fmt.Println("line:", e.Type, e.Key, e.MAC)
	}
	// Output:
	// record: new-station 10.9.0.7 02:00:00:00:00:01 learned
	// record: changed 10.9.0.7 02:00:00:00:00:02 moved
	// record: flip-flop 10.9.0.7 02:00:00:00:00:01 moved
	// record: dup-ip 10.9.0.7 02:00:00:00:00:02 none
	// line: new-station 10.9.0.7 02:00:00:00:00:01
	// line: dup-ip 10.9.0.7 02:00:00:00:00:02
}

// After a restart the engine goes on with what a history and its seen index know.
func ExampleEngine_Seed() {
	engine := observe.New(observe.Config{})
	iface, err := engine.AddInterface(observe.Interface{Name: "eth0"})
	if err != nil {
		panic(err)
	}
	old, fresh := ethernet.MustParseAddr("02:00:00:00:00:01"), ethernet.MustParseAddr("02:00:00:00:00:02")
	key := arp.Key{Domain: "lan", Addr: netip.MustParseAddr("10.9.0.7")}
	noon := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	if err := engine.Seed(observe.Known{Key: key, Held: true, Owners: []observe.Owner{{MAC: old, First: noon.Add(-time.Hour), Last: noon, Frames: 9}}}); err != nil {
		panic(err)
	}
	h := ethernet.Header{Dst: ethernet.Broadcast, Src: fresh, Type: ethernet.TypeARP}
	s := observe.Sighting{Time: noon.Add(time.Minute), Interface: iface}
	observe.Parse(&s, arp.Packet{Op: arp.OpRequest, SenderMAC: fresh, SenderIP: key.Addr, TargetIP: key.Addr}.AppendTo(h.AppendTo(nil)), 0)
	for _, r := range engine.Input(&s) {
		fmt.Println(r.Type, r.MAC, "was", r.Old, "last seen", r.Previous.Format("15:04"), "in", r.OldFrames, "frames")
	}
	// Output:
	// changed 02:00:00:00:00:02 was 02:00:00:00:00:01 last seen 12:00 in 9 frames
}
