package stack_test

import (
	"fmt"
	"net/netip"

	"arpeggio/stack"
	"arpeggio/stack/ethernet"
	"arpeggio/stack/icmp"
	"arpeggio/stack/vnet"
)

// A group on the LAN: what one host sends, all who listen receive.
func ExampleStack_ListenMulticastUDP() {
	sw := vnet.New(vnet.Config{})
	defer sw.Close()
	alice := host(sw, "alice", "10.0.0.1/24", stack.StaticResolver{}, "02:00:00:00:00:01")
	bob := host(sw, "bob", "10.0.0.2/24", stack.StaticResolver{}, "02:00:00:00:00:02")
	defer alice.Close()
	defer bob.Close()

	group := netip.MustParseAddrPort("239.1.2.3:5000")
	news, err := bob.ListenMulticastUDP(nil, group)
	if err != nil {
		fmt.Println(err)
		return
	}
	out, err := alice.ListenPacket("udp", ":0")
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := out.(*stack.UDPConn).WriteToAddrPort([]byte("hello, all"), group); err != nil {
		fmt.Println(err)
		return
	}
	buf := make([]byte, 100)
	n, d, err := news.ReadDatagram(buf)
	fmt.Printf("%s, to %v from %v, TTL %d, %v\n", buf[:n], d.Dst, d.From.Addr(), d.TTL, err)
	fmt.Println(bob.Interfaces()[0].Groups()[0].Addr)
	// Output:
	// hello, all, to 239.1.2.3 from 10.0.0.1, TTL 1, <nil>
	// 239.1.2.3
}

// Two gateways, of which the second is used while the first is dead.
func ExampleStack_AddRoute() {
	sw := vnet.New(vnet.Config{})
	defer sw.Close()
	s := host(sw, "host", "10.0.0.5/24", stack.StaticResolver{}, "02:00:00:00:00:05")
	defer s.Close()
	for metric, gateway := range []string{"10.0.0.1", "10.0.0.2"} {
		if err := s.AddRoute(stack.Route{
			Prefix: netip.MustParsePrefix("0.0.0.0/0"), Interface: s.InterfaceByName("host"),
			NextHop: netip.MustParseAddr(gateway), Metric: metric,
		}); err != nil {
			fmt.Println(err)
		}
	}
	for _, r := range s.Routes() {
		fmt.Println(r.Prefix, r.NextHop, r.Metric, r.Dead)
	}
	// Output:
	// 10.0.0.0/24 invalid IP 0 false
	// 0.0.0.0/0 10.0.0.1 0 false
	// 0.0.0.0/0 10.0.0.2 1 false
}

// A program that speaks an IP protocol of its own, or, as here, makes its own
// pings, uses the networks of package net's raw sockets.
func ExampleIPConn() {
	sw := vnet.New(vnet.Config{})
	defer sw.Close()
	neighbours := stack.StaticResolver{
		netip.MustParseAddr("10.0.0.1"): ethernet.MustParseAddr("02:00:00:00:00:01"),
		netip.MustParseAddr("10.0.0.2"): ethernet.MustParseAddr("02:00:00:00:00:02"),
	}
	alice := host(sw, "alice", "10.0.0.1/24", neighbours, "02:00:00:00:00:01")
	bob := host(sw, "bob", "10.0.0.2/24", neighbours, "02:00:00:00:00:02")
	defer alice.Close()
	defer bob.Close()

	c, err := alice.Dial("ip4:icmp", "10.0.0.2")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	echo := icmp.NewEcho(1, 1, []byte("hello"))
	if _, err := c.Write(echo.AppendTo(nil)); err != nil {
		fmt.Println(err)
		return
	}
	buf := make([]byte, 1500)
	n, err := c.Read(buf)
	if err != nil {
		fmt.Println(err)
		return
	}
	reply, err := icmp.Parse(buf[:n])
	fmt.Println(reply.Type == icmp.EchoReply, string(reply.Body), err)
	// Output: true hello <nil>
}
