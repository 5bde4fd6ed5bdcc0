package host_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/ethernet"
	"arpeggio/stack/host"
	"arpeggio/stack/vnet"
)

var (
	gateway    = netip.MustParsePrefix("10.0.0.1/24")
	gatewayMAC = ethernet.MustParseAddr("02:50:00:00:00:01")
)

// lan is a switch with a gateway that serves DHCP, in virtual time.
type lan struct {
	t      *testing.T
	sw     *vnet.Switch
	gw     *stack.Stack
	server *host.DHCPServer
	loss   float64 // of stations to come
	stop   []func()

	mu     sync.Mutex
	ifaces []*stack.Interface
	stacks []*stack.Stack
}

func newLAN(t *testing.T, cfg host.DHCPServerConfig) *lan {
	t.Helper()
	l := &lan{t: t, sw: vnet.New(vnet.Config{Seed: 1})}
	s, i := l.station(gatewayMAC, gateway)
	l.gw = s
	cfg.Stack, cfg.Interface = s, i
	srv, err := host.NewDHCPServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l.server = srv
	l.start(srv.Run)
	synctest.Wait() // it listens
	return l
}

// Resolve finds whoever has the address now, as ARP would.
func (l *lan) Resolve(a netip.Addr, done func(netip.Addr, ethernet.Addr, error)) (ethernet.Addr, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, i := range l.ifaces {
		if slices.ContainsFunc(i.Addresses(), func(p netip.Prefix) bool { return p.Addr() == a }) {
			return i.Addr(), true
		}
	}
	go done(a, ethernet.Addr{}, errors.New("nobody has "+a.String()))
	return ethernet.Addr{}, false
}

// station attaches a stack to the switch.
func (l *lan) station(mac ethernet.Addr, addrs ...netip.Prefix) (*stack.Stack, *stack.Interface) {
	l.t.Helper()
	p, err := l.sw.Port(vnet.PortConfig{
		Name: mac.String(), Addr: mac, Ingress: vnet.Impairment{Loss: l.loss}, Egress: vnet.Impairment{Loss: l.loss},
	})
	if err != nil {
		l.t.Fatal(err)
	}
	s := stack.New(stack.Config{Rand: rand.NewChaCha8([32]byte(append(mac[:], make([]byte, 26)...)))})
	i, err := s.AddInterface(stack.InterfaceConfig{Device: p, Resolver: l, Addresses: addrs})
	if err != nil {
		l.t.Fatal(err)
	}
	l.mu.Lock()
	l.ifaces, l.stacks = append(l.ifaces, i), append(l.stacks, s)
	l.mu.Unlock()
	l.stop = append(l.stop, func() {
		if err := s.Close(); err != nil {
			l.t.Error(err)
		}
	})
	return s, i
}

// start runs f until stop or the end.
func (l *lan) start(f func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			l.t.Errorf("Run: %v", err)
		}
	}
	l.stop = append(l.stop, stop)
	return stop
}

func (l *lan) close() {
	for _, f := range slices.Backward(l.stop) {
		f()
	}
	l.sw.Close()
}

func mac(n int) ethernet.Addr { return ethernet.Addr{0x02, 0x50, 0, 0, 1, byte(n)} }

// client puts a new station with a DHCP client on the LAN.
type client struct {
	*host.DHCPClient
	s       *stack.Stack
	i       *stack.Interface
	stop    func()
	changes []string
}

func (l *lan) client(n int, cfg host.DHCPClientConfig) *client {
	l.t.Helper()
	return l.clientWith(n, cfg)
}

// clientWith is client for a station that has addresses already.
func (l *lan) clientWith(n int, cfg host.DHCPClientConfig, addrs ...netip.Prefix) *client {
	l.t.Helper()
	c := &client{}
	c.s, c.i = l.station(mac(n), addrs...)
	cfg.Stack, cfg.Interface, cfg.Rand = c.s, c.i, rand.New(rand.NewPCG(uint64(n), 1))
	cfg.Changed = func(old, new host.Lease) {
		c.changes = append(c.changes, fmt.Sprint(old.Addr, " -> ", new.Addr))
	}
	var err error
	if c.DHCPClient, err = host.NewDHCPClient(cfg); err != nil {
		l.t.Fatal(err)
	}
	c.stop = l.start(c.Run)
	return c
}

func (c *client) acquire(t *testing.T) host.Lease {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	le, err := c.Acquire(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return le
}

func (c *client) addrs() []netip.Prefix { return c.i.Addresses() }
