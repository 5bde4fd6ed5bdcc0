package ipv4_test

import (
	"fmt"
	"net/netip"
	"time"

	"arpeggio/stack/ipv4"
)

func Example() {
	h := ipv4.Header{
		ID: 1, TTL: 64, Proto: ipv4.ProtoUDP,
		Src: netip.MustParseAddr("192.0.2.1"), Dst: netip.MustParseAddr("192.0.2.2"),
	}
	var wire [][]byte
	err := ipv4.Fragment(h, nil, make([]byte, 4000), 1500, func(h ipv4.Header, opts, part []byte) {
		wire = append(wire, append(h.AppendTo(nil, opts, len(part)), part...))
	})
	fmt.Println(len(wire), "fragments", err)

	r := ipv4.NewReassembler(ipv4.ReassemblerConfig{})
	for _, packet := range wire {
		h, opts, payload, err := ipv4.Parse(packet)
		if err != nil {
			fmt.Println(err)
			return
		}
		if _, _, whole, _ := r.Input(time.Now(), 1, h, opts, payload); whole != nil {
			fmt.Println(len(whole), "octets")
		}
	}
	// Output:
	// 3 fragments <nil>
	// 4000 octets
}
