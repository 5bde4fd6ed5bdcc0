package stack_test

import (
	"io"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/ethernet"
	"arpeggio/stack/vnet"
)

// slowResolver answers when the test says so. It has every ability.
type slowResolver struct {
	mu        sync.Mutex
	asked     map[netip.Addr][]func(netip.Addr, ethernet.Addr, error)
	questions int
	known     map[netip.Addr]ethernet.Addr
	link      ethernet.Addr
	send      func(ethernet.Addr, ethernet.EtherType, []byte) error
	frames    []string
	added     []netip.Prefix
	removed   []netip.Addr
	conflict  func(netip.Addr, ethernet.Addr)
	confirmed []netip.Addr
	closed    int
}

func newSlowResolver() *slowResolver {
	return &slowResolver{asked: map[netip.Addr][]func(netip.Addr, ethernet.Addr, error){}, known: map[netip.Addr]ethernet.Addr{}}
}

func (r *slowResolver) Resolve(a netip.Addr, done func(netip.Addr, ethernet.Addr, error)) (ethernet.Addr, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if mac, ok := r.known[a]; ok {
		return mac, true
	}
	r.questions++
	r.asked[a] = append(r.asked[a], done)
	return ethernet.Addr{}, false
}

func (r *slowResolver) answer(a netip.Addr, mac ethernet.Addr, err error) {
	r.mu.Lock()
	dones := r.asked[a]
	delete(r.asked, a)
	if err == nil {
		r.known[a] = mac
	}
	r.mu.Unlock()
	for _, done := range dones {
		done(a, mac, err)
	}
	synctest.Wait()
}

func (r *slowResolver) AttachLink(_ string, addr ethernet.Addr, _ ethernet.VLAN, _ int,
	send func(ethernet.Addr, ethernet.EtherType, []byte) error) {
	r.link, r.send = addr, send
}

func (r *slowResolver) EtherTypes() []ethernet.EtherType {
	return []ethernet.EtherType{ethernet.TypeARP}
}

func (r *slowResolver) HandleFrame(h ethernet.Header, payload []byte, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.frames = append(r.frames, h.Src.String()+" "+string(payload))
}

func (r *slowResolver) AddressAdded(p netip.Prefix, conflict func(netip.Addr, ethernet.Addr)) {
	r.added, r.conflict = append(r.added, p), conflict
}
func (r *slowResolver) AddressRemoved(a netip.Addr) { r.removed = append(r.removed, a) }
func (r *slowResolver) Confirm(a netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.confirmed = append(r.confirmed, a)
}
func (r *slowResolver) Close() error { r.closed++; return nil }

// slowLAN is a LAN of two where the first stack's neighbours answer slowly.
func slowTest(t *testing.T, name string, f func(t *testing.T, l *lan, r *slowResolver)) {
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := newLAN(t, 2, vnet.PortConfig{})
			defer l.close()
			r := newSlowResolver()
			p, err := l.sw.Port(vnet.PortConfig{Name: "slow"})
			if err != nil {
				t.Fatal(err)
			}
			s := stack.New(stack.Config{})
			if _, err := s.AddInterface(stack.InterfaceConfig{
				Device: p, Resolver: r, Addresses: []netip.Prefix{netip.PrefixFrom(addr(20), 24)},
			}); err != nil {
				t.Fatal(err)
			}
			l.neighbors[addr(20)] = p.Info().Addr
			l.stacks = append([]*stack.Stack{s}, l.stacks...)
			f(t, l, r)
		})
	})
}

//rfc:1122 arp-queue no-arp-entry
func TestPending(t *testing.T) {
	slowTest(t, "packets wait and keep their order, one question", func(t *testing.T, l *lan, r *slowResolver) {
		a, b := listenUDP(t, l.stacks[0], ":1"), listenUDP(t, l.stacks[2], ":2")
		for i := range 10 {
			a.WriteToAddrPort([]byte{byte(i)}, addrPort(2, 2))
		}
		time.Sleep(time.Second)
		if r.questions != 1 {
			t.Errorf("%d questions", r.questions)
		}
		r.answer(addr(2), l.ports[1].Info().Addr, nil)
		for i := range 10 {
			buf := make([]byte, 10)
			if n, _, err := b.ReadFrom(buf); err != nil || n != 1 || int(buf[0]) != i {
				t.Fatalf("datagram %d: % x, %v", i, buf[:n], err)
			}
		}
	})
	slowTest(t, "16 for one address, oldest dropped", func(t *testing.T, l *lan, r *slowResolver) {
		a, b := listenUDP(t, l.stacks[0], ":1"), listenUDP(t, l.stacks[2], ":2")
		for i := range 100 {
			a.WriteToAddrPort([]byte{byte(i)}, addrPort(2, 2))
		}
		r.answer(addr(2), l.ports[1].Info().Addr, nil)
		buf := make([]byte, 10)
		for i := 84; i < 100; i++ {
			if _, _, err := b.ReadFrom(buf); err != nil || int(buf[0]) != i {
				t.Fatalf("got %d, want %d, %v", buf[0], i, err)
			}
		}
		if st := l.stacks[0].Stats(); st.Pending.Queued != 100 || st.Pending.Dropped != 84 {
			t.Errorf("%+v", st)
		}
	})
	slowTest(t, "the fragments of a datagram are one packet", func(t *testing.T, l *lan, r *slowResolver) {
		a, b := listenUDP(t, l.stacks[0], ":1"), listenUDP(t, l.stacks[2], ":2")
		for i := range 18 { // the first two make room, whole
			p := make([]byte, 8000)
			p[0], p[7999] = byte(i), byte(i)
			if _, err := a.WriteToAddrPort(p, addrPort(2, 2)); err != nil {
				t.Fatal(err)
			}
		}
		r.answer(addr(2), l.ports[1].Info().Addr, nil)
		buf := make([]byte, 9000)
		for i := 2; i < 18; i++ {
			if n, _, err := b.ReadFrom(buf); err != nil || n != 8000 || int(buf[0]) != i || int(buf[7999]) != i {
				t.Fatalf("datagram %d: %d octets of %d, %v", i, n, buf[0], err)
			}
		}
		// six frames carry 8,008 octets of 1,480 at most.
		if st := l.stacks[0].Stats(); st.Pending.Queued != 18*6 || st.Pending.Dropped != 2*6 {
			t.Errorf("%+v", st.Pending)
		}
	})
	slowTest(t, "a quarter of the room for one address", func(t *testing.T, l *lan, r *slowResolver) {
		a := listenUDP(t, l.stacks[0], ":1")
		a.WriteToAddrPort([]byte("other"), addrPort(30, 2))
		for range 16 {
			if _, err := a.WriteToAddrPort(make([]byte, 60_000), addrPort(31, 2)); err != nil {
				t.Fatal(err)
			}
		}
		// 41 frames of 1,514 octets and 256 for each: three of such fit.
		if st := l.stacks[0].Stats(); st.Pending.Queued-st.Pending.Dropped != 1+3*41 {
			t.Errorf("%+v", st.Pending)
		}
	})
	slowTest(t, "1 MiB in all, oldest dropped", func(t *testing.T, l *lan, r *slowResolver) {
		a := listenUDP(t, l.stacks[0], ":1")
		for i := range 1200 {
			a.WriteToAddrPort(make([]byte, 1400), addrPort(30+i%200, 2))
		}
		st := l.stacks[0].Stats()
		if kept := st.Pending.Queued - st.Pending.Dropped; kept < 500 || kept > 1<<20/1400 {
			t.Errorf("%d kept", kept)
		}
		if st.Pending.Queued != 1200 {
			t.Errorf("%+v", st)
		}
	})
	slowTest(t, "a dial fails when nobody answers", func(t *testing.T, l *lan, r *slowResolver) {
		go func() {
			time.Sleep(3 * time.Second)
			r.answer(addr(2), ethernet.Addr{}, syscall.EHOSTUNREACH)
		}()
		start := time.Now()
		_, err := l.stacks[0].Dial("tcp", "10.0.0.2:80")
		wantErrno(t, err, "dial", syscall.EHOSTUNREACH)
		if d := time.Since(start); d != 3*time.Second {
			t.Errorf("after %v", d)
		}
	})
	slowTest(t, "an open connection outlives a silent neighbour", func(t *testing.T, l *lan, r *slowResolver) {
		r.answer(addr(2), l.ports[1].Info().Addr, nil)
		r.known[addr(2)] = l.ports[1].Info().Addr
		l2 := *l
		l2.stacks = []*stack.Stack{l.stacks[0], l.stacks[2]}
		c, s := l2.connect()
		synctest.Wait()
		delete(r.known, addr(2))
		c.Write([]byte("hello"))
		synctest.Wait()
		r.answer(addr(2), ethernet.Addr{}, syscall.EHOSTUNREACH)
		time.Sleep(time.Second) // by now it has asked again
		r.answer(addr(2), l.ports[1].Info().Addr, nil)
		buf := make([]byte, 10)
		if n, err := s.Read(buf); err != nil || string(buf[:n]) != "hello" {
			t.Errorf("%q, %v", buf[:n], err)
		}
	})
	slowTest(t, "an answer that is no station's address is a failure", func(t *testing.T, l *lan, r *slowResolver) {
		time.AfterFunc(time.Second, func() { r.answer(addr(2), ethernet.Broadcast, nil) })
		_, err := l.stacks[0].Dial("tcp", "10.0.0.2:80")
		wantErrno(t, err, "dial", syscall.EHOSTUNREACH)
	})
}

// eager answers before Resolve has returned to the stack, from another
// goroutine, again and again: the race that the contract allows.
type eager struct{ mac ethernet.Addr }

func (e eager) Resolve(a netip.Addr, done func(netip.Addr, ethernet.Addr, error)) (ethernet.Addr, bool) {
	c := make(chan struct{})
	go func() { done(a, e.mac, nil); close(c) }()
	<-c
	return ethernet.Addr{}, false
}

func TestAnswerDuringResolve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, 2, vnet.PortConfig{})
		defer l.close()
		p, err := l.sw.Port(vnet.PortConfig{Name: "eager"})
		if err != nil {
			t.Fatal(err)
		}
		s := stack.New(stack.Config{})
		defer s.Close()
		if _, err := s.AddInterface(stack.InterfaceConfig{
			Device: p, Resolver: eager{l.ports[1].Info().Addr}, Addresses: []netip.Prefix{netip.PrefixFrom(addr(20), 24)},
		}); err != nil {
			t.Fatal(err)
		}
		l.neighbors[addr(20)] = p.Info().Addr
		for range 100 {
			if _, err := s.Ping(t.Context(), addr(2), 3000); err != nil {
				t.Fatal(err)
			}
		}
	})
}

//rfc:3927 reset
//rfc:5227 reset
func TestResolverAbilities(t *testing.T) {
	slowTest(t, "all", func(t *testing.T, l *lan, r *slowResolver) {
		i := l.stacks[0].Interfaces()[0]
		if r.link != i.Addr() || len(r.added) != 1 || r.added[0] != i.Addresses()[0] {
			t.Fatalf("attached as %v with %v", r.link, r.added)
		}
		// Frames in and out.
		peer, err := l.sw.Port(vnet.PortConfig{Name: "raw", Addr: rawMAC})
		if err != nil {
			t.Fatal(err)
		}
		raw := &raw{lan: l, dev: peer, mac: r.link}
		if err := r.send(rawMAC, ethernet.TypeARP, []byte("who has?")); err != nil {
			t.Fatal(err)
		}
		f := raw.frames()
		if len(f) != 1 || string(f[0][ethernet.HeaderLen:]) != "who has?" {
			t.Errorf("%q", f)
		}
		raw.frameOf(r.link, ethernet.TypeARP, []byte("it is me"))
		synctest.Wait()
		if len(r.frames) != 1 || r.frames[0] != rawMAC.String()+" it is me" {
			t.Errorf("%q", r.frames)
		}
		// Confirmation by acknowledgments of new data.
		r.answer(addr(2), l.ports[1].Info().Addr, nil)
		r.known[addr(2)] = l.ports[1].Info().Addr
		l2 := *l
		l2.stacks = []*stack.Stack{l.stacks[0], l.stacks[2]}
		c, peer2 := l2.connect()
		synctest.Wait()
		r.confirmed = nil
		c.Write([]byte("hello"))
		time.Sleep(time.Second)
		synctest.Wait()
		if len(r.confirmed) != 1 || r.confirmed[0] != addr(2) {
			t.Errorf("confirmed: %v", r.confirmed)
		}
		// Addresses and conflicts.
		r.conflict(addr(20), rawMAC)
		if st := l.stacks[0].Stats(); st.AddrConflicts != 1 {
			t.Errorf("%+v", st)
		}
		if err := i.AddAddress(netip.PrefixFrom(addr(21), 24)); err != nil {
			t.Error(err)
		}
		if err := i.RemoveAddress(addr(20)); err != nil {
			t.Error(err)
		}
		if len(r.added) != 2 || len(r.removed) != 1 || r.removed[0] != addr(20) {
			t.Errorf("added %v, removed %v", r.added, r.removed)
		}
		_, err = c.Read(make([]byte, 1))
		wantErrno(t, err, "read", syscall.EADDRNOTAVAIL)
		_, err = io.ReadAll(peer2)
		wantErrno(t, err, "read", syscall.ECONNRESET)
		if err := l.stacks[0].RemoveInterface(i); err != nil || r.closed != 1 {
			t.Errorf("%v, closed %d times", err, r.closed)
		}
	})
}
