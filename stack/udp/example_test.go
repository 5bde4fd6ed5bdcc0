package udp_test

import (
	"fmt"
	"net/netip"

	"arpeggio/stack/checksum"
	"arpeggio/stack/udp"
)

func Example() {
	src, dst := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	pseudo := func(n int) uint32 { return checksum.Pseudo(src, dst, 17, n) }

	h := udp.Header{SrcPort: 40000, DstPort: 7}
	b := h.AppendTo(nil, []byte("hello"), pseudo(udp.HeaderLen+5))

	got, payload, err := udp.Parse(b)
	fmt.Println(got.DstPort, string(payload), err, udp.Verify(b, pseudo(len(b))))
	// Output: 7 hello <nil> true
}
