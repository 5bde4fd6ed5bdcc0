package host_test

import (
	"context"
	"fmt"
	"net/netip"

	"arpeggio/stack"
	"arpeggio/stack/ethernet"
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

// A host that dials by name: the name server is on the LAN as well.
func ExampleResolver() {
	sw := vnet.New(vnet.Config{Seed: 1})
	defer sw.Close()
	neighbours := stack.StaticResolver{}
	attach := func(name, address, mac string) *stack.Stack {
		port, err := sw.Port(vnet.PortConfig{Name: name, Addr: ethernet.MustParseAddr(mac)})
		if err != nil {
			panic(err)
		}
		s := stack.New(stack.Config{})
		p := netip.MustParsePrefix(address)
		neighbours[p.Addr()] = port.Info().Addr
		if _, err := s.AddInterface(stack.InterfaceConfig{Device: port, Resolver: neighbours, Addresses: []netip.Prefix{p}}); err != nil {
			panic(err)
		}
		return s
	}
	alice := attach("alice", "10.0.0.1/24", "02:00:00:00:00:01")
	defer alice.Close()
	bob := attach("bob", "10.0.0.2/24", "02:00:00:00:00:02")
	defer bob.Close()
	pc, err := bob.ListenPacket("udp", ":53")
	if err != nil {
		panic(err)
	}
	go answerNames(pc, map[string]netip.Addr{"bob.lan.": netip.MustParseAddr("10.0.0.2")})
	ln, err := bob.Listen("tcp", ":80")
	if err != nil {
		panic(err)
	}
	defer ln.Close()

	names, err := host.NewResolver(host.ResolverConfig{
		Stack: alice, Servers: []netip.Addr{netip.MustParseAddr("10.0.0.2")}, Search: []string{"lan"},
	})
	if err != nil {
		panic(err)
	}
	alice.SetNames(names)
	conn, err := alice.Dial("tcp", "bob:80")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()
	fmt.Println(conn.RemoteAddr())
	// Output: 10.0.0.2:80
}
