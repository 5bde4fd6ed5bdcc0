package stack_test

import (
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/ethernet"
	"arpeggio/stack/link"
	"arpeggio/stack/vnet"
)

// An MTU for which TCP makes no segments is refused where it is set.
func TestLeastMTU(t *testing.T) {
	l := newLAN(t, 1, vnet.PortConfig{})
	defer l.close()
	if err := l.ifaces[0].SetMTU(87); err == nil || l.ifaces[0].MTU() != 1500 {
		t.Errorf("87: %v, MTU %d", err, l.ifaces[0].MTU())
	}
	if err := l.ifaces[0].SetMTU(88); err != nil {
		t.Error(err)
	}
	p := port(t, l.sw, vnet.PortConfig{Name: "narrow", MTU: 68})
	defer p.Close()
	if _, err := l.stacks[0].AddInterface(stack.InterfaceConfig{Device: narrower{p}, Resolver: stack.StaticResolver{}}); !errors.Is(err, stack.ErrMTU) {
		t.Errorf("a device of 67: %v", err)
	}
}

// narrower is a device that takes an octet less than it could.
type narrower struct{ link.Device }

func (d narrower) Info() link.Info {
	i := d.Device.Info()
	i.MTU--
	return i
}

// The narrowest links that there may be (RFC 791 §3.2) carry streams, although the
// options of TCP hardly leave room for text.
func TestNarrowLinks(t *testing.T) {
	for _, mtu := range []int{68, 72, 88, 100} {
		synctest.Test(t, func(t *testing.T) {
			l := newLAN(t, 2, vnet.PortConfig{MTU: mtu, Ingress: vnet.Impairment{Loss: 0.03, Duplicate: 0.02, Delay: time.Millisecond}})
			defer l.close()
			both(t, l, 20_000)
			for i, p := range l.ports {
				if n := p.Stats().Tx.Dropped[vnet.DropTooBig] + p.Stats().Rx.Dropped[vnet.DropTooBig]; n > 0 {
					t.Errorf("MTU %d: host %d sent %d packets that are too large", mtu, i, n)
				}
			}
		})
	}
}

// closings counts how often a device is closed, and holds its writes.
type closings struct {
	link.Device
	mu      sync.Mutex
	n       int
	writing chan struct{}
	hold    chan struct{}
	once    sync.Once
}

func (d *closings) WriteFrames(f []link.Frame) (int, error) {
	d.once.Do(func() { close(d.writing); <-d.hold })
	return d.Device.WriteFrames(f)
}

func (d *closings) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.n++
	return d.Device.Close()
}

// Two callers that both wait for the queue remove an interface once.
func TestRemoveInterfaceTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := vnet.New(vnet.Config{Seed: 1})
		defer sw.Close()
		d := &closings{Device: port(t, sw, vnet.PortConfig{Name: "a"}), writing: make(chan struct{}), hold: make(chan struct{})}
		s := stack.New(stack.Config{})
		defer s.Close()
		i := add(t, s, stack.InterfaceConfig{Device: d, Resolver: stack.StaticResolver{addr(2): rawMAC}, Addresses: []netip.Prefix{prefix("10.0.0.1/24")}})
		u := listenUDP(t, s, ":53")
		go u.WriteToAddrPort(make([]byte, 10), addrPort(2, 7))
		<-d.writing
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() {
				if err := s.RemoveInterface(i); err != nil {
					t.Error(err)
				}
			})
		}
		time.Sleep(time.Millisecond)
		close(d.hold)
		both.Wait()
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.n != 1 {
			t.Errorf("the device was closed %d times", d.n)
		}
	})
}

// RemoveInterface waits for what was sent over the interface, not for a device of
// another one.
func TestRemoveInterfaceWaitsForItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := vnet.New(vnet.Config{Seed: 1})
		defer sw.Close()
		d := &closings{Device: port(t, sw, vnet.PortConfig{Name: "slow"}), writing: make(chan struct{}), hold: make(chan struct{})}
		s := stack.New(stack.Config{})
		defer s.Close()
		add(t, s, stack.InterfaceConfig{Device: d, Resolver: stack.StaticResolver{addr(2): rawMAC}, Addresses: []netip.Prefix{prefix("10.0.0.1/24")}})
		var others []*stack.Interface
		peer := netip.MustParseAddrPort("10.1.0.2:7")
		for n, p := range []string{"10.1.0.1/24", "10.2.0.1/24"} {
			others = append(others, add(t, s, stack.InterfaceConfig{Device: port(t, sw, vnet.PortConfig{Name: p}), VLAN: ethernet.VLAN{Inner: uint16(n + 1)},
				Resolver: stack.StaticResolver{peer.Addr(): rawMAC}, Addresses: []netip.Prefix{prefix(p)}}))
		}
		u := listenUDP(t, s, ":53")
		if _, err := u.WriteToAddrPort(make([]byte, 10), peer); err != nil { // gone long ago
			t.Fatal(err)
		}
		go u.WriteToAddrPort(make([]byte, 10), addrPort(2, 7))
		<-d.writing
		if err := s.RemoveInterface(others[1]); err != nil {
			t.Fatal(err)
		}
		var sent atomic.Int32
		defer sw.Monitor(func(port string, _ []byte, _ time.Time) {
			if port == "10.1.0.1/24" {
				sent.Add(1)
			}
		})()
		go u.WriteToAddrPort(make([]byte, 10), peer) // behind the slow one
		start := time.Now()
		time.AfterFunc(time.Second, func() { close(d.hold) })
		synctest.Wait()
		if err := s.RemoveInterface(others[0]); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took != time.Second || sent.Load() != 1 {
			t.Errorf("removed after %v with %d frames sent", took, sent.Load())
		}
	})
}

// flood is a device from which more frames can be read than anybody reads.
type flood struct{ link.Device }

func (flood) ReadFrames(f []link.Frame) (int, error) {
	for n := range f {
		f[n].Head = append(f[n].Head[:0], make([]byte, 60)...)
	}
	return len(f), nil
}

// CatchUp returns although frames do not end.
func TestCatchUpInFlood(t *testing.T) {
	sw := vnet.New(vnet.Config{Seed: 1})
	defer sw.Close()
	s := stack.New(stack.Config{})
	defer s.Close()
	add(t, s, stack.InterfaceConfig{Device: flood{port(t, sw, vnet.PortConfig{Name: "a"})}, Resolver: stack.StaticResolver{}})
	var all sync.WaitGroup
	for range 3 {
		all.Go(s.CatchUp)
	}
	all.Wait()
	if n := s.Stats().Frames.In; n < 16<<10 {
		t.Errorf("it returned after %d frames", n)
	}
}

// CatchUp waits for what another goroutine is writing.
func TestCatchUpWaitsForWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sw := vnet.New(vnet.Config{Seed: 1})
		defer sw.Close()
		d := &closings{Device: port(t, sw, vnet.PortConfig{Name: "a"}), writing: make(chan struct{}), hold: make(chan struct{})}
		s := stack.New(stack.Config{})
		defer s.Close()
		add(t, s, stack.InterfaceConfig{Device: d, Resolver: stack.StaticResolver{addr(2): rawMAC}, Addresses: []netip.Prefix{prefix("10.0.0.1/24")}})
		u := listenUDP(t, s, ":53")
		go u.WriteToAddrPort(make([]byte, 10), addrPort(2, 7))
		<-d.writing
		start := time.Now()
		time.AfterFunc(time.Second, func() { close(d.hold) })
		s.CatchUp()
		if took := time.Since(start); took < time.Second {
			t.Errorf("returned after %v, the frame left after 1s", took)
		}
	})
}
