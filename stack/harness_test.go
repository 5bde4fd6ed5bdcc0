package stack_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"

	"arpeggio/stack"
	"arpeggio/stack/vnet"
)

// lan is a switch with stacks 10.0.0.1, 10.0.0.2, ... that know each other.
type lan struct {
	t         testing.TB
	sw        *vnet.Switch
	ports     []*vnet.Port
	stacks    []*stack.Stack
	ifaces    []*stack.Interface
	neighbors stack.StaticResolver
}

func addr(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(n)}) }

func addrPort(n int, port uint16) netip.AddrPort { return netip.AddrPortFrom(addr(n), port) }

// newLAN makes n stacks with the same port configuration. close must be called
// (inside the bubble, if there is one).
func newLAN(t testing.TB, n int, pc vnet.PortConfig, configs ...stack.Config) *lan {
	t.Helper()
	l := &lan{t: t, sw: vnet.New(vnet.Config{Seed: 1}), neighbors: stack.StaticResolver{}}
	for i := 1; i <= n; i++ {
		pc.Name = fmt.Sprint("host", i)
		p, err := l.sw.Port(pc)
		if err != nil {
			t.Fatal(err)
		}
		l.ports = append(l.ports, p)
		l.neighbors[addr(i)] = p.Info().Addr
	}
	for i, p := range l.ports {
		cfg := stack.Config{Rand: rand.NewChaCha8([32]byte{byte(i + 1)})}
		if i < len(configs) {
			rnd := cfg.Rand
			cfg = configs[i]
			cfg.Rand = rnd
		}
		s := stack.New(cfg)
		ifc, err := s.AddInterface(stack.InterfaceConfig{
			Device: p, Resolver: l.neighbors, Addresses: []netip.Prefix{netip.PrefixFrom(addr(i+1), 24)},
		})
		if err != nil {
			t.Fatal(err)
		}
		l.stacks, l.ifaces = append(l.stacks, s), append(l.ifaces, ifc)
	}
	return l
}

func (l *lan) close() {
	for _, s := range l.stacks {
		if err := s.Close(); err != nil {
			l.t.Error(err)
		}
	}
	l.sw.Close()
}

// connect returns both ends of a connection from stacks[0] to stacks[1].
func (l *lan) connect() (client, server *stack.TCPConn) {
	l.t.Helper()
	ln, err := l.stacks[1].ListenTCP(netip.AddrPort{})
	if err != nil {
		l.t.Fatal(err)
	}
	defer ln.Close()
	done := make(chan error, 1)
	go func() {
		c, err := ln.AcceptTCP()
		server = c
		done <- err
	}()
	port := ln.Addr().(*net.TCPAddr).Port
	client, err = l.stacks[0].DialTCP(l.t.Context(), netip.AddrPort{}, addrPort(2, uint16(port)))
	if err != nil {
		l.t.Fatal(err)
	}
	if err := <-done; err != nil {
		l.t.Fatal(err)
	}
	return client, server
}

// stream yields n pseudo-random octets.
func stream(seed uint64, n int64) io.Reader {
	var s [32]byte
	s[0] = byte(seed)
	return io.LimitReader(rand.NewChaCha8(s), n)
}

// same compares what r gives with stream(seed, n).
func same(r io.Reader, seed uint64, n int64) error {
	want := stream(seed, n)
	a, b := make([]byte, 64<<10), make([]byte, 64<<10)
	var total int64
	for {
		k, err := r.Read(a)
		if _, err := io.ReadFull(want, b[:k]); err != nil {
			return fmt.Errorf("more than %d octets", n)
		}
		if !bytes.Equal(a[:k], b[:k]) {
			return fmt.Errorf("octets differ after %d", total)
		}
		total += int64(k)
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("after %d octets: %w", total, err)
		}
	}
	if total != n {
		return fmt.Errorf("%d octets, want %d", total, n)
	}
	return nil
}
