package arp

import (
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack/ethernet"
)

// knownService has learned the stations of ipOf from answers.
func knownService(t testing.TB, cfg Config, n int) *Service {
	s := NewService(cfg)
	s.AttachLink("eth0", meMAC, ethernet.VLAN{}, 1500, discard)
	s.AddressAdded(netip.PrefixFrom(meIP, 16), nil)
	for i := range n {
		s.Resolve(ipOf(i), func(netip.Addr, ethernet.Addr, error) {})
		p := reply(aMAC, ipOf(i))
		s.HandleFrame(ethernet.Header{Dst: meMAC, Src: aMAC, Type: ethernet.TypeARP}, p.AppendTo(nil), time.Time{})
	}
	return s
}

func BenchmarkServiceHit(b *testing.B) {
	never := func(netip.Addr, ethernet.Addr, error) { b.Error("called") }
	const n = 1024
	ips := make([]netip.Addr, n)
	for i := range ips {
		ips[i] = ipOf(i)
	}
	b.Run("one", func(b *testing.B) {
		s := knownService(b, Config{}, 1)
		defer s.Close()
		b.ReportAllocs()
		for b.Loop() {
			s.Resolve(ips[0], never)
		}
	})
	b.Run("1024", func(b *testing.B) {
		s := knownService(b, Config{}, n)
		defer s.Close()
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			s.Resolve(ips[i%n], never)
		}
	})
	b.Run("confirm", func(b *testing.B) {
		s := knownService(b, Config{}, 1)
		defer s.Close()
		b.ReportAllocs()
		for b.Loop() {
			s.Confirm(ips[0])
		}
	})
}

// stuck is a Table whose Put does not return before it is told to.
type stuck struct {
	*MemTable
	entered chan struct{}
	release chan struct{}
}

func (t stuck) Put(c Change) {
	t.entered <- struct{}{}
	<-t.release
	t.MemTable.Put(c)
}

// A Table that blocks and a card that blocks hold up neither lookups that hit,
// nor confirmations, nor frames, nor anybody else's question.
func TestNothingIsLockedAcrossIO(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tab := stuck{NewMemTable(), make(chan struct{}, 100), make(chan struct{})}
		wire := make(chan struct{})
		var sending sync.Mutex
		blocked := false
		s := NewService(Config{Table: tab})
		s.AttachLink("eth0", meMAC, ethernet.VLAN{}, 1500, func(ethernet.Addr, ethernet.EtherType, []byte) error {
			sending.Lock()
			wait := blocked
			sending.Unlock()
			if wait {
				<-wire
			}
			return nil
		})
		s.AddressAdded(netip.PrefixFrom(meIP, 16), nil)
		say := func(p Packet) {
			s.HandleFrame(ethernet.Header{Dst: meMAC, Src: p.SenderMAC, Type: ethernet.TypeARP}, p.AppendTo(nil), time.Time{})
		}
		never := func(netip.Addr, ethernet.Addr, error) { t.Error("called") }
		s.Resolve(aIP, func(netip.Addr, ethernet.Addr, error) {})
		go say(reply(aMAC, aIP)) // stays in the Table
		<-tab.entered

		sending.Lock()
		blocked = true
		sending.Unlock()
		go s.Resolve(ipOf(7), func(netip.Addr, ethernet.Addr, error) {}) // stays in the card
		synctest.Wait()

		for range 3 {
			if mac, ok := s.Resolve(aIP, never); !ok || mac != aMAC {
				t.Fatal("a hit was held up")
			}
			s.Confirm(aIP)
			say(reply(aMAC, aIP)) // a refresh
			say(reply(bMAC, bIP)) // nobody asked
			if n := s.Stats().Entries; n != 2 {
				t.Fatalf("%d entries", n)
			}
		}
		close(wire)
		close(tab.release)
		s.Close()
		if b, ok := tab.Get(Key{Domain: DefaultDomain, Addr: aIP}); !ok || b.MAC != aMAC {
			t.Error("Close did not wait for the Table")
		}
	})
}

// What happens on the packet path all the time allocates nothing.
func TestPacketPathAllocatesNothing(t *testing.T) {
	s := knownService(t, Config{Move: MoveStrict, Table: still{}}, 10)
	defer s.Close()
	frame := func(p Packet) func() {
		b := p.AppendTo(nil)
		h := ethernet.Header{Dst: meMAC, Src: p.SenderMAC, Type: ethernet.TypeARP}
		return func() { s.HandleFrame(h, b, time.Time{}) }
	}
	for name, f := range map[string]func(){
		"a request for us":       frame(request(aMAC, ipOf(0), meIP)),
		"a refresh":              frame(announcement(aMAC, ipOf(1))),
		"hearsay":                frame(request(bMAC, netip.MustParseAddr("10.9.200.1"), ipOf(1))),
		"a claim that is denied": frame(announcement(xMAC, ipOf(2))),
		"nonsense":               frame(Packet{Op: 77, SenderMAC: aMAC}),
		"a hit":                  func() { s.Resolve(ipOf(3), nil) },
		"a confirmation":         func() { s.Confirm(ipOf(4)) },
	} {
		if n := testing.AllocsPerRun(200, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// still is a Table and Recorder that does nothing.
type still struct{}

func (still) Get(Key) (Binding, bool) { return Binding{}, false }
func (still) Put(Change)              {}
func (still) Expire(Change)           {}
func (still) Record(Change)           {}

// Entries that are used only by hits, which take no lock, are in use all the
// same: a flood evicts others, and the counters know.
func TestHitsCountAsUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := knownService(t, Config{Capacity: 16, Learn: LearnAlways}, 16)
		hits := s.Stats().Hits
		for round := range 30 { // five minutes
			time.Sleep(10 * time.Second)
			for i := range 8 {
				if _, ok := s.Resolve(ipOf(i), nil); !ok {
					t.Fatalf("round %d: %v is gone", round, ipOf(i))
				}
				s.Confirm(ipOf(i))
			}
		}
		for i := range 1000 {
			p := announcement(ethernet.Addr{2, 9, byte(i >> 8), byte(i)}, ipOf(1000+i))
			s.HandleFrame(ethernet.Header{Dst: ethernet.Broadcast, Src: p.SenderMAC, Type: ethernet.TypeARP}, p.AppendTo(nil), time.Time{})
		}
		now, left := time.Now(), 0
		for _, n := range s.Neighbors() {
			for i := range 8 {
				if n.Addr == ipOf(i) {
					left++
					if n.State != StateReachable || now.Sub(n.Used) > 30*time.Second || now.Sub(n.Confirmed) > time.Second {
						t.Errorf("%v: %v, used %v ago, confirmed %v ago", n.Addr, n.State, now.Sub(n.Used), now.Sub(n.Confirmed))
					}
				}
			}
		}
		if left != 8 {
			t.Errorf("%d of 8 entries in use have survived", left)
		}
		if d := s.Stats().Hits - hits; d != 240 {
			t.Errorf("%d hits were counted, want 240", d)
		}
		s.Close()
	})
}

// What a transport heard before a claim does not refute it; what it hears from
// then on does.
func TestOnlyLaterConfirmationsRefuteAClaim(t *testing.T) {
	for _, later := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := knownService(t, Config{}, 1)
			defer s.Close()
			time.Sleep(2 * time.Second)
			s.Resolve(ipOf(0), nil)
			s.Confirm(ipOf(0))
			time.Sleep(100 * time.Millisecond)
			p := announcement(xMAC, ipOf(0))
			s.HandleFrame(ethernet.Header{Dst: ethernet.Broadcast, Src: xMAC, Type: ethernet.TypeARP}, p.AppendTo(nil), time.Time{})
			if later {
				s.Confirm(ipOf(0))
			}
			time.Sleep(1500 * time.Millisecond)
			want := xMAC
			if later {
				want = aMAC
			}
			if mac, ok := s.Resolve(ipOf(0), nil); !ok || mac != want {
				t.Errorf("confirmed later %v: the address is at %v, want %v", later, mac, want)
			}
		})
	}
}

// A shelf finds what was put there and not what was removed, whatever shares
// its slots.
func TestShelf(t *testing.T) {
	sh := newShelf(64)
	all := map[netip.Addr]*hot{}
	placed := 0
	for i := range 200 {
		h := &hot{addr: word(ipOf(i)), mac: ethernet.Addr{2, byte(i)}, slot: -1}
		sh.put(h)
		all[ipOf(i)] = h
		if h.slot >= 0 {
			placed++
		}
	}
	if placed < 64 || placed > len(sh.slots) {
		t.Errorf("%d of 200 have a place in %d slots", placed, len(sh.slots))
	}
	check := func() {
		t.Helper()
		for ip, h := range all {
			if got := sh.find(ip); (got == h) != (h.slot >= 0) {
				t.Errorf("%v: found %v, in slot %d", ip, got, h.slot)
			}
		}
	}
	check()
	for i := 0; i < 200; i += 2 {
		sh.remove(all[ipOf(i)])
	}
	check()
	for i := 0; i < 200; i += 2 {
		sh.put(all[ipOf(i)])
	}
	check()
	if sh.find(netip.MustParseAddr("fe80::1")) != nil || sh.find(netip.Addr{}) != nil {
		t.Error("found what is no IPv4 address")
	}
}
