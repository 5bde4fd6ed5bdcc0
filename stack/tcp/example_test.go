package tcp_test

import (
	"fmt"
	"net/netip"
	"time"

	"arpeggio/stack/tcp"
)

// Two machines talk without a network: each one's Output is the other's Input.
func Example() {
	a := netip.MustParseAddrPort("192.0.2.1:49152")
	b := netip.MustParseAddrPort("192.0.2.2:80")
	now := tcp.Instant(time.Second)

	client := tcp.NewActive(tcp.Config{Local: a, Remote: b, MSS: 1460}, now)
	var server *tcp.Conn

	// wire carries a segment as octets, as the network layer would.
	wire := func(to **tcp.Conn) func(*tcp.Segment) bool {
		return func(s *tcp.Segment) bool {
			packet := s.AppendHeader(nil)
			for _, piece := range s.Data {
				packet = append(packet, piece...)
			}
			seg, err := tcp.ParseSegment(packet)
			if err != nil {
				return true
			}
			fmt.Printf("port %-5d %-3v %d octets\n", seg.SrcPort, seg.Flags, len(seg.Payload))
			if *to == nil {
				*to = tcp.NewPassive(tcp.Config{Local: b, Remote: a, MSS: 1460}, &seg, now)
			} else {
				(*to).Input(now, &seg)
			}
			return true
		}
	}

	_, _ = client.Write([]byte("hello"))
	client.CloseWrite(now)
	for range 3 {
		client.Output(now, 0, wire(&server))
		server.Output(now, 0, wire(&client))
	}
	buf := make([]byte, 100)
	n, _ := server.Read(buf)
	fmt.Printf("server read %q and is in %v\n", buf[:n], server.State())
	// Output:
	// port 49152 S   0 octets
	// port 80    S.  0 octets
	// port 49152 FP. 5 octets
	// port 80    .   0 octets
	// server read "hello" and is in CLOSE-WAIT
}
