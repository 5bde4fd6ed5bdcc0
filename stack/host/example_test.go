package host_test

import (
	"context"
	"fmt"
	"net/netip"

	"arpeggio/stack"
	"arpeggio/stack/host"
	"arpeggio/stack/vnet"
)

// A server and a client on a software switch.
func Example() {
	sw := vnet.New(vnet.Config{Seed: 1})
	defer sw.Close()
	attach := func(name string, addrs ...netip.Prefix) (*stack.Stack, *stack.Interface) {
		port, err := sw.Port(vnet.PortConfig{Name: name})
		if err != nil {
			panic(err)
		}
		s := stack.New(stack.Config{})
		i, err := s.AddInterface(stack.InterfaceConfig{Device: port, Resolver: stack.StaticResolver{}, Addresses: addrs})
		if err != nil {
			panic(err)
		}
		return s, i
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()

	s, i := attach("gateway", netip.MustParsePrefix("192.168.7.1/24"))
	defer s.Close()
	server, err := host.NewDHCPServer(host.DHCPServerConfig{
		Stack: s, Interface: i, Router: netip.MustParseAddr("192.168.7.1"),
		First: netip.MustParseAddr("192.168.7.100"), Last: netip.MustParseAddr("192.168.7.100"),
	})
	if err != nil {
		panic(err)
	}
	go server.Run(ctx)

	s, i = attach("guest")
	defer s.Close()
	client, err := host.NewDHCPClient(host.DHCPClientConfig{Stack: s, Interface: i, Hostname: "guest"})
	if err != nil {
		panic(err)
	}
	go client.Run(ctx)
	lease, err := client.Acquire(ctx)
	fmt.Println(lease.Addr, "via", lease.Router, err)
	// Output:
	// 192.168.7.100/24 via 192.168.7.1 <nil>
}
