package stack_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/ethernet"
	"arpeggio/stack/vnet"
)

// host plugs a new stack into the switch.
func host(sw *vnet.Switch, name, address string, neighbours stack.Resolver, mac string) *stack.Stack {
	port, err := sw.Port(vnet.PortConfig{Name: name, Addr: ethernet.MustParseAddr(mac)})
	if err != nil {
		panic(err)
	}
	s := stack.New(stack.Config{})
	if _, err := s.AddInterface(stack.InterfaceConfig{
		Device: port, Resolver: neighbours, Addresses: []netip.Prefix{netip.MustParsePrefix(address)},
	}); err != nil {
		panic(err)
	}
	return s
}

// net/http runs on two stacks that share a switch; the kernel's network is not
// involved.
func Example() {
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

	ln, err := bob.Listen("tcp", ":80")
	if err != nil {
		fmt.Println(err)
		return
	}
	go http.Serve(ln, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		fmt.Fprintf(w, "hello, %s", host)
	}))

	client := http.Client{Transport: &http.Transport{DialContext: alice.DialContext}}
	resp, err := client.Get("http://10.0.0.2/")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	fmt.Println(string(body), err)
	// Output: hello, 10.0.0.1 <nil>
}

// fixed is a whole Resolver: replacing ARP takes no more than this.
type fixed map[netip.Addr]ethernet.Addr

func (f fixed) Resolve(a netip.Addr, done func(netip.Addr, ethernet.Addr, error)) (ethernet.Addr, bool) {
	mac, ok := f[a]
	if !ok {
		go done(a, mac, syscall.EHOSTUNREACH)
	}
	return mac, ok
}

func ExampleResolver() {
	sw := vnet.New(vnet.Config{})
	defer sw.Close()
	neighbours := fixed{
		netip.MustParseAddr("10.0.0.1"): ethernet.MustParseAddr("02:00:00:00:00:01"),
		netip.MustParseAddr("10.0.0.2"): ethernet.MustParseAddr("02:00:00:00:00:02"),
	}
	alice := host(sw, "alice", "10.0.0.1/24", neighbours, "02:00:00:00:00:01")
	bob := host(sw, "bob", "10.0.0.2/24", neighbours, "02:00:00:00:00:02")
	defer alice.Close()
	defer bob.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err := alice.Ping(ctx, netip.MustParseAddr("10.0.0.2"), 56)
	fmt.Println("10.0.0.2:", err)
	_, err = alice.Ping(ctx, netip.MustParseAddr("10.0.0.3"), 56)
	fmt.Println("10.0.0.3:", err)
	// Output:
	// 10.0.0.2: <nil>
	// 10.0.0.3: ping ip4:icmp 10.0.0.3: no route to host
}

func ExampleStack_ListenPacket() {
	sw := vnet.New(vnet.Config{})
	defer sw.Close()
	s := host(sw, "alice", "10.0.0.1/24", stack.StaticResolver{}, "02:00:00:00:00:01")
	defer s.Close()

	server, err := s.ListenPacket("udp", "10.0.0.1:7")
	if err != nil {
		fmt.Println(err)
		return
	}
	client, err := s.Dial("udp", "10.0.0.1:7")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Fprint(client, "ping")
	buf := make([]byte, 100)
	n, from, err := server.ReadFrom(buf)
	fmt.Println(string(buf[:n]), from.String() == client.LocalAddr().String(), err)
	// Output: ping true <nil>
}

// With Fast Open the first connection brings a cookie, and the requests of the
// later ones travel in their SYNs. Only requests that may come twice belong there.
func ExampleDialer_fastOpen() {
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

	ln, err := (&stack.ListenConfig{FastOpen: 16}).Listen(bob, "tcp", ":7")
	if err != nil {
		fmt.Println(err)
		return
	}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go io.Copy(c, c)
		}
	}()
	dialer := stack.Dialer{FastOpen: true}
	for range 2 {
		c, err := dialer.DialTCP(context.Background(), alice, netip.MustParseAddrPort("10.0.0.2:7"))
		if err != nil {
			fmt.Println(err)
			return
		}
		answer := make([]byte, 5)
		_, _ = c.Write([]byte("hello"))
		_, err = io.ReadFull(c, answer)
		fmt.Println(string(answer), err, c.Info().SynData)
		c.Close()
	}
	// Output:
	// hello <nil> false
	// hello <nil> true
}
