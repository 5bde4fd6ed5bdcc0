package stack

import (
	crand "crypto/rand"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"arpeggio/stack/ethernet"
	"arpeggio/stack/igmp"
	"arpeggio/stack/ipv4"
	"arpeggio/stack/link"
	"arpeggio/stack/tcp"
)

func seeded(n byte) *Stack { return New(Config{Rand: rand.NewChaCha8([32]byte{n})}) }

// RFC 6528 §3: sequence numbers of one pair of ends follow a clock of 4 µs;
// those of others tell nothing about them; the secret decides.
//
//rfc:9293 MUST-8 SHLD-1 MUST-9
//rfc:7323 origin
//rfc:6528 generation clock secret
func TestInitialSequence(t *testing.T) {
	a, b := netip.MustParseAddrPort("10.0.0.1:80"), netip.MustParseAddrPort("10.0.0.2:4000")
	iss := func(s *Stack, b netip.AddrPort, at time.Duration) tcp.Seq {
		return s.connConfig(a, b, hop{}, tcp.Instant(at)).ISS
	}
	s := seeded(1)
	if d := iss(s, b, time.Second).Sub(iss(s, b, 0)); d != 250_000 {
		t.Errorf("%d in a second, want 250000", d)
	}
	if iss(s, b, 0) != iss(seeded(1), b, 0) || iss(s, b, 0) == iss(seeded(2), b, 0) {
		t.Error("the seed does not decide")
	}
	next := netip.AddrPortFrom(b.Addr(), b.Port()+1)
	if d := iss(s, next, 0).Sub(iss(s, b, 0)); d > -10_000 && d < 10_000 {
		t.Errorf("neighbouring ports are %d apart", d)
	}
	if s.connConfig(a, b, hop{}, 0).TSOffset == s.connConfig(a, next, hop{}, 0).TSOffset {
		t.Error("timestamps start alike")
	}
}

// Where nobody hands in another source, the secret is of the system's.
//
//rfc:6528 randomness
func TestRFC6528Secret(t *testing.T) { // §4
	s, other := New(Config{}), New(Config{})
	if s.cfg.Rand != crand.Reader {
		t.Errorf("%T", s.cfg.Rand)
	}
	if s.secret == other.secret {
		t.Error("two hosts have the same secret")
	}
}

// RFC 6056 §3.3.3: ports walk from a secret place for each pair of hosts.
//
//rfc:6056 range unpredictable no-reuse listeners
func TestChoosePort(t *testing.T) {
	any := func(uint16) bool { return true }
	const n = 65536 - 1024
	k := connKey{remote: [4]byte{10, 0, 0, 2}, rport: 80}
	s := seeded(1)
	seen := map[uint16]bool{}
	for range n { // all of them, each once
		p := s.choosePort(k, any)
		if p < 1024 || seen[p] {
			t.Fatalf("port %d", p)
		}
		seen[p] = true
	}
	other := k
	other.rport = 81
	p, q := seeded(1).choosePort(k, any), seeded(1).choosePort(other, any)
	if d := int(p) - int(q); d > -2 && d < 2 {
		t.Errorf("ports of two destinations are neighbours: %d and %d", p, q)
	}
	if p := s.choosePort(k, func(p uint16) bool { return p == 40000 }); p != 40000 {
		t.Errorf("the only free port was not found: %d", p)
	}
	if p := s.choosePort(k, func(uint16) bool { return false }); p != 0 {
		t.Errorf("port %d although none is free", p)
	}
}

// Ports behind a long row that is kept out are drawn no more often than others.
//
//rfc:6056 unbiased
func TestRFC6056Unbiased(t *testing.T) { // §5
	s := New(Config{Ports: PortRange{10000, 20000}, ReservedPorts: []PortRange{{10010, 19989}}, Rand: rand.NewChaCha8([32]byte{1})})
	any := func(uint16) bool { return true }
	seen := map[uint16]int{}
	for i := range 210 { // 21 ports
		seen[s.choosePort(connKey{remote: [4]byte{10, 0, 0, 2}, rport: 80}, any)]++
		if least := slices.Min(slices.Collect(maps.Values(seen))); len(seen) == 21 && slices.Max(slices.Collect(maps.Values(seen))) > least+1 {
			t.Fatalf("after %d: %v", i, seen)
		}
	}
	if len(seen) != 21 {
		t.Errorf("%v", seen)
	}
	last := 0
	for range 2100 {
		if s.randomPort(any) == 20000-10 {
			last++ // the first behind the row
		}
	}
	if last > 200 { // of a hundred that are due
		t.Errorf("the port behind the row was drawn %d times", last)
	}
	if p := s.randomPort(func(p uint16) bool { return p == 20000 }); p != 20000 {
		t.Errorf("the only free port was not found: %d", p)
	}
	if p := s.randomPort(func(uint16) bool { return false }); p != 0 {
		t.Errorf("port %d although none is free", p)
	}
}

// The range and what is kept out of it are the owner's to say.
//
//rfc:6056 reserved
//rfc:5452 avoid
func TestConfiguredPorts(t *testing.T) {
	any := func(uint16) bool { return true }
	for _, c := range []struct {
		cfg  Config
		want []uint16
	}{
		{Config{Ports: PortRange{40000, 40005}, ReservedPorts: []PortRange{{40001, 40002}, {40005, 50000}}}, []uint16{40000, 40003, 40004}},
		{Config{Ports: PortRange{First: 65534}}, []uint16{65534, 65535}},
		{Config{Ports: PortRange{Last: 1025}}, []uint16{1024, 1025}},
		{Config{Ports: PortRange{7, 7}}, []uint16{7}},
		{Config{Ports: PortRange{7, 7}, ReservedPorts: []PortRange{{1, 1023}}}, []uint16{0}},
	} {
		s := New(c.cfg)
		seen, random := map[uint16]bool{}, map[uint16]bool{}
		for range 50 {
			seen[s.choosePort(connKey{}, any)] = true
			random[s.randomPort(any)] = true
		}
		for _, m := range []map[uint16]bool{seen, random} {
			if got := slices.Sorted(maps.Keys(m)); !slices.Equal(got, c.want) {
				t.Errorf("%+v: %v, want %v", c.cfg.Ports, got, c.want)
			}
		}
		s.Close()
	}
	s := New(Config{Ports: PortRange{9, 8}}) // makes no sense
	defer s.Close()
	if s.cfg.Ports != (PortRange{1024, 65535}) {
		t.Errorf("%+v", s.cfg.Ports)
	}
}

// Connections that took their place in TIME-WAIT again and again leave nothing
// behind an older one.
func TestTimeWaitForgetsReopened(t *testing.T) {
	s := seeded(1)
	ends := func(port uint16) *TCPConn {
		cfg := tcp.Config{Local: netip.MustParseAddrPort("10.0.0.1:80"), Remote: netip.AddrPortFrom(netip.MustParseAddr("10.0.0.2"), port)}
		c := s.newConn(tcp.NewPassive(cfg, &tcp.Segment{Flags: tcp.SYN}, 1), hop{})
		s.lingers(c, 1)
		return c
	}
	ends(1)
	for range 1000 {
		s.remove(ends(2))
	}
	if n := s.timeWait.Len(); n != 1 || s.busy() != 0 {
		t.Errorf("%d in TIME-WAIT, %d busy; want one and none", n, s.busy())
	}
	for port := range uint16(maxTimeWait + 10) {
		ends(100 + port)
	}
	if n := s.timeWait.Len(); n != maxTimeWait || len(s.conns) != n {
		t.Errorf("%d in TIME-WAIT, %d connections; want %d", n, len(s.conns), maxTimeWait)
	}
}

// igmpQuery is a general query of version 2 behind its length, as FuzzReceive takes
// it.
func igmpQuery() []byte {
	m := igmp.Message{Type: igmp.Query, Version: 2, Group: netip.IPv4Unspecified(), MaxResp: time.Second}
	body := m.AppendTo(nil)
	h := ipv4.Header{TTL: 1, Proto: ipv4.ProtoIGMP, Src: netip.MustParseAddr("10.0.0.9"), Dst: igmp.AllSystems}
	packet := append(h.AppendTo(nil, routerAlert, len(body)), body...)
	return append([]byte{0, byte(len(packet))}, packet...)
}

// idleDevice never has a frame.
type idleDevice struct{ link.Device }

func (idleDevice) Info() link.Info                         { return link.Info{Name: "idle", MTU: 1500} }
func (idleDevice) WriteFrames(f []link.Frame) (int, error) { return len(f), nil }

// FuzzReceive gives packets, each with its length in front, to a stack with a
// listener and a packet connection.
func FuzzReceive(f *testing.F) {
	f.Add(igmpQuery())
	f.Add([]byte("\x00\x1c\x45\x00\x00\x1c\x00\x00\x00\x00\x40\x01\x66\xce\x0a\x00\x00\x09\x0a\x00\x00\x01\x08\x00\xf7\xff\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s := seeded(1)
		dev := idleDevice{}
		i := &Interface{s: s, dev: dev, name: "idle", mtu: 1500, mac: ethernet.Addr{2}, resolver: StaticResolver{netip.MustParseAddr("10.0.0.9"): {2, 9}}}
		i.done = i.resolved
		i.port = &port{s: s, dev: dev, info: dev.Info()}
		i.port.ifaces.Store(&[]*Interface{i})
		s.ifaces = []*Interface{i}
		if err := i.AddAddress(netip.MustParsePrefix("10.0.0.1/24")); err != nil {
			t.Fatal(err)
		}
		if _, err := s.ListenTCP(netip.MustParseAddrPort("0.0.0.0:80")); err != nil {
			t.Fatal(err)
		}
		u, err := s.newUDP(netip.MustParseAddrPort("0.0.0.0:53"), netip.AddrPort{}, &ListenConfig{})
		if err != nil {
			t.Fatal(err)
		}
		u.tellAll, u.whole = true, new(bigSent)
		for n, join := range []func() error{
			func() error { return u.JoinGroup(i, netip.MustParseAddr("239.1.2.3")) },
			func() error {
				return u.JoinSource(i, netip.MustParseAddr("239.1.2.4"), netip.MustParseAddr("10.0.0.9"))
			},
			func() error {
				return s.AddRoute(Route{Prefix: netip.MustParsePrefix("0.0.0.0/0"), Interface: i, NextHop: netip.MustParseAddr("10.0.0.9")})
			},
		} {
			if err := join(); err != nil {
				t.Fatal(n, err)
			}
		}
		now := tcp.Instant(1)
		for len(b) >= 2 {
			n := min(int(b[0])<<8|int(b[1]), len(b)-2)
			s.mu.Lock()
			s.receive(i, b[2:2+n], arrival{now: now, csum: link.CsumValid})
			s.runTimers(now)
			s.unlock(now)
			now = now.Add(time.Second)
			b = b[2+n:]
		}
		if s.pending.bytes > pendingMaxBytes || s.tx.busy || len(s.tx.frames) > 0 {
			t.Fatal("something is left behind")
		}
	})
}

// What is remembered of servers for Fast Open does not grow without bound.
func TestFastOpenPeersAreBounded(t *testing.T) {
	s := New(Config{})
	defer s.Close()
	cookie, _ := tcp.NewFastOpenCookie([]byte("chocolat"))
	for i := range 3 * maxFastOpenPeers {
		c := &TCPConn{key: connKey{remote: [4]byte{10, 0, byte(i >> 8), byte(i)}}}
		s.fastOpenLearn(c, tcp.FastOpenResult{Cookie: cookie, MSS: 1460}, 1)
	}
	if n := len(s.fastPeers); n != maxFastOpenPeers {
		t.Errorf("%d servers are remembered, the bound is %d", n, maxFastOpenPeers)
	}
}
