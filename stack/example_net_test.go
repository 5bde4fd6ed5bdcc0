package stack_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/tcp"
	"arpeggio/stack/vnet"
)

// The options of net.TCPConn, under the same names.
func ExampleTCPConn() {
	alice, bob, stop := twoHosts()
	defer stop()
	ln, err := bob.Listen("tcp", ":7")
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		io.Copy(c, c) // until the other side has no more to say
	}()
	conn, err := alice.Dial("tcp", "10.0.0.2:7")
	if err != nil {
		log.Fatal(err)
	}
	c := conn.(*stack.TCPConn)
	defer c.Close()
	for _, err := range []error{
		c.SetNoDelay(false), // Nagle's algorithm
		c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: time.Minute, Interval: 10 * time.Second, Count: 3}),
		c.SetReadBuffer(64 << 10),
		c.SetWriteBuffer(64 << 10),
		c.SetLinger(5),
		c.SetDeadline(time.Now().Add(time.Minute)),
	} {
		if err != nil {
			log.Fatal(err)
		}
	}
	fmt.Fprint(c, "half a connection is enough")
	c.CloseWrite()
	text, err := io.ReadAll(c)
	fmt.Println(string(text), err)
	// Output: half a connection is enough <nil>
}

// Who wants to hear no more waits for nothing, and can still write.
func ExampleTCPConn_CloseRead() {
	alice, bob, stop := twoHosts()
	defer stop()
	ln, err := bob.Listen("tcp", ":9")
	if err != nil {
		log.Fatal(err)
	}
	heard := make(chan string)
	go func() {
		c, err := ln.Accept()
		if err != nil {
			log.Fatal(err)
		}
		defer c.Close()
		text, _ := io.ReadAll(c)
		heard <- string(text)
	}()
	conn, err := alice.Dial("tcp", "10.0.0.2:9")
	if err != nil {
		log.Fatal(err)
	}
	c := conn.(*stack.TCPConn)
	defer c.Close()
	c.CloseRead()
	_, err = c.Read(make([]byte, 1))
	fmt.Println(err)
	fmt.Fprint(c, "writing goes on")
	c.CloseWrite()
	fmt.Println(<-heard)
	// Output:
	// EOF
	// writing goes on
}

// Errors are those of package net on the kernel's sockets.
func ExampleStack_DialContext_errors() {
	alice, bob, stop := twoHosts()
	defer stop()
	_, err := alice.Dial("tcp", "10.0.0.2:81")
	fmt.Println(err, errors.Is(err, syscall.ECONNREFUSED))
	_, err = alice.Dial("tcp", "192.0.2.1:80")
	fmt.Println(err, errors.Is(err, syscall.ENETUNREACH))
	if _, err = bob.Listen("tcp", ":80"); err != nil {
		log.Fatal(err)
	}
	_, err = bob.Listen("tcp", ":80")
	fmt.Println(err, errors.Is(err, syscall.EADDRINUSE))
	// Output:
	// dial tcp 10.0.0.2:81: connect: connection refused true
	// dial tcp 192.0.2.1:80: connect: network is unreachable true
	// listen tcp 0.0.0.0:80: bind: address already in use true
}

// Deadlines end what waits, and leave the connection as it is.
func ExampleTCPConn_SetReadDeadline() {
	alice, bob, stop := twoHosts()
	defer stop()
	ln, err := bob.Listen("tcp", ":80")
	if err != nil {
		log.Fatal(err)
	}
	conn, err := alice.Dial("tcp", "10.0.0.2:80")
	if err != nil {
		log.Fatal(err)
	}
	peer, err := ln.Accept()
	if err != nil {
		log.Fatal(err)
	}
	conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	_, err = conn.Read(make([]byte, 1))
	fmt.Println(errors.Is(err, os.ErrDeadlineExceeded))
	conn.SetReadDeadline(time.Time{})
	go fmt.Fprint(peer, "x")
	_, err = conn.Read(make([]byte, 1))
	fmt.Println(err)
	// Output:
	// true
	// <nil>
}

// Options of a listener and of the connections that it accepts.
func ExampleListenConfig() {
	alice, bob, stop := twoHosts()
	defer stop()
	ln, err := (&stack.ListenConfig{
		Backlog: 128, ReadBuffer: 32 << 10,
		Adjust: func(c *tcp.Config) { c.CongestionControl = new(tcp.Reno) },
	}).Listen(bob, "tcp", ":80")
	if err != nil {
		log.Fatal(err)
	}
	defer ln.Close()
	conn, err := alice.Dial("tcp", "10.0.0.2:80")
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	peer, err := ln.Accept()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(peer.(*stack.TCPConn).Info().CongestionControl)
	// Output: reno
}

// A process may have as many stacks as it likes: this one has fifty, each with a
// web of its own.
func Example_manyStacks() {
	sw := vnet.New(vnet.Config{})
	defer sw.Close()
	neighbours := stack.StaticResolver{}
	var stacks []*stack.Stack
	for n := range 50 {
		port, err := sw.Port(vnet.PortConfig{Name: fmt.Sprint("host", n)})
		if err != nil {
			log.Fatal(err)
		}
		a := netip.AddrFrom4([4]byte{10, 0, 0, byte(n + 1)})
		neighbours[a] = port.Info().Addr
		s := stack.New(stack.Config{})
		defer s.Close()
		stacks = append(stacks, s)
		if _, err := s.AddInterface(stack.InterfaceConfig{
			Device: port, Resolver: neighbours, Addresses: []netip.Prefix{netip.PrefixFrom(a, 24)},
		}); err != nil {
			log.Fatal(err)
		}
		ln, err := s.Listen("tcp", ":80") // the same port on each
		if err != nil {
			log.Fatal(err)
		}
		go func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				fmt.Fprint(c, n)
				c.Close()
			}
		}()
	}
	sum := 0
	for n := range stacks {
		c, err := stacks[(n+1)%50].Dial("tcp", fmt.Sprintf("10.0.0.%d:80", n+1))
		if err != nil {
			log.Fatal(err)
		}
		var got int
		fmt.Fscan(c, &got)
		sum += got
		c.Close()
	}
	fmt.Println(sum)
	// Output: 1225
}

// Local ports where the program names none: from a range, and never those that are
// reserved for servers that start later (Linux's ip_local_port_range and
// ip_local_reserved_ports).
func ExampleConfig_ports() {
	sw := vnet.New(vnet.Config{})
	defer sw.Close()
	port, err := sw.Port(vnet.PortConfig{Name: "host"})
	if err != nil {
		log.Fatal(err)
	}
	s := stack.New(stack.Config{
		Ports:         stack.PortRange{First: 32768, Last: 32771},
		ReservedPorts: []stack.PortRange{{First: 32769, Last: 32770}},
	})
	defer s.Close()
	if _, err := s.AddInterface(stack.InterfaceConfig{
		Device: port, Resolver: stack.StaticResolver{}, Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")},
	}); err != nil {
		log.Fatal(err)
	}
	drawn := map[int]bool{}
	for {
		c, err := s.ListenPacket("udp", ":0")
		if err != nil {
			fmt.Println(errors.Is(err, syscall.EADDRINUSE))
			break
		}
		drawn[c.LocalAddr().(*net.UDPAddr).Port] = true
	}
	fmt.Println(drawn)
	_, err = s.ListenPacket("udp", ":32769") // who names it gets it
	fmt.Println(err)
	// Output:
	// true
	// map[32768:true 32771:true]
	// <nil>
}

// A bound in octets a second on what a connection sends (SO_MAX_PACING_RATE).
func ExampleTCPConn_SetMaxPacingRate() {
	alice, bob, stop := twoHosts()
	defer stop()
	ln, err := bob.Listen("tcp", ":9")
	if err != nil {
		log.Fatal(err)
	}
	received := make(chan int64)
	go func() {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		n, _ := io.Copy(io.Discard, c)
		received <- n
	}()
	conn, err := alice.Dial("tcp", "10.0.0.2:9")
	if err != nil {
		log.Fatal(err)
	}
	c := conn.(*stack.TCPConn)
	c.SetMaxPacingRate(1 << 20)
	start := time.Now()
	c.Write(make([]byte, 100<<10))
	c.Close()
	fmt.Println(<-received, time.Since(start) > 80*time.Millisecond)
	// Output: 102400 true
}
