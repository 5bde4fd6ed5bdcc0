package drivers_test

import (
	"bufio"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/vnet"
)

// hosts plugs a client, 10.0.0.1, and a server, 10.0.0.2, into a new switch.
func hosts(pc vnet.PortConfig) (client, server *stack.Stack, stop func()) {
	sw := vnet.New(vnet.Config{Seed: 1})
	neighbours := stack.StaticResolver{}
	var stacks [2]*stack.Stack
	for n, name := range []string{"client", "server"} {
		pc.Name = name
		port, err := sw.Port(pc)
		if err != nil {
			panic(err)
		}
		a := netip.AddrFrom4([4]byte{10, 0, 0, byte(n + 1)})
		neighbours[a] = port.Info().Addr
		stacks[n] = stack.New(stack.Config{})
		if _, err := stacks[n].AddInterface(stack.InterfaceConfig{
			Device: port, Resolver: neighbours, Addresses: []netip.Prefix{netip.PrefixFrom(a, 24)},
		}); err != nil {
			panic(err)
		}
	}
	return stacks[0], stacks[1], func() {
		stacks[0].Close()
		stacks[1].Close()
		sw.Close()
	}
}

// rough is a link that loses, delays and reorders.
var rough = vnet.PortConfig{Ingress: vnet.Impairment{Loss: 0.01, Delay: time.Millisecond, Jitter: time.Millisecond}}

// serve runs handle for each connection to a port, until the stack closes.
func serve(s *stack.Stack, address string, handle func(c *stack.TCPConn, r *bufio.Reader) error) {
	ln, err := s.Listen("tcp", address)
	if err != nil {
		panic(err)
	}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_ = handle(c.(*stack.TCPConn), bufio.NewReader(c)) // the client sees how it ended
			}()
		}
	}()
}

// hangUp resets a connection.
func hangUp(c *stack.TCPConn) error {
	_ = c.SetLinger(0)
	_ = c.Close()
	return net.ErrClosed
}

// take reads n octets.
func take(r io.Reader, n int) ([]byte, error) {
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	return b, err
}

// within runs f and fails when it takes longer than d.
func within(t *testing.T, d time.Duration, f func()) {
	t.Helper()
	begin := time.Now()
	f()
	if took := time.Since(begin); took > d {
		t.Errorf("it took %v", took)
	}
}
