package vendors_test

import (
	"fmt"

	"arpeggio/arp/vendors"
	"arpeggio/stack/ethernet"
)

func Example() {
	var table vendors.Table
	for _, s := range []string{"00:1b:21:12:34:56", "52:54:00:12:34:56", "00:00:5e:00:01:07", "da:a1:19:00:00:01"} {
		fmt.Println(s, table.Name(ethernet.MustParseAddr(s)))
	}
	// Output:
	// 00:1b:21:12:34:56 Intel Corporate
	// 52:54:00:12:34:56 QEMU/KVM
	// 00:00:5e:00:01:07 VRRP or CARP
	// da:a1:19:00:00:01 local
}
