package ethernet_test

import (
	"fmt"

	"arpeggio/stack/ethernet"
)

func ExampleParse() {
	h := ethernet.Header{
		Dst:  ethernet.Broadcast,
		Src:  ethernet.MustParseAddr("02:50:2a:16:6d:01"),
		Type: ethernet.TypeARP,
	}
	h.SetVLAN(ethernet.VLAN{Inner: 42})
	frame := append(h.AppendTo(nil), "…"...)

	got, payload, err := ethernet.Parse(frame)
	fmt.Println(got.Src, "→", got.Dst, got.Type, "VLAN", got.VLAN(), len(payload), err)
	// Output: 02:50:2a:16:6d:01 → ff:ff:ff:ff:ff:ff ARP VLAN 42 3 <nil>
}
