package arp

import (
	"math/rand/v2"
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

// seeded returns a shelf that is the same in every run.
func seeded(n int, seed uint64) *shelf {
	return newShelf(n, rand.New(rand.NewPCG(seed, 0)).Uint32)
}

// A shelf finds what was put there and not what was removed, whatever shares
// its slots.
func TestShelf(t *testing.T) {
	for seed := range uint64(20) {
		sh := seeded(64, seed)
		all := map[netip.Addr]*hot{}
		for i := range 200 {
			h := &hot{addr: word(ipOf(i)), mac: ethernet.Addr{2, byte(i)}, slot: -1}
			sh.put(h)
			all[ipOf(i)] = h
		}
		check := func() {
			t.Helper()
			for ip, h := range all {
				if got := sh.find(ip); (got == h) != (h.slot >= 0) {
					t.Errorf("seed %d: %v: found %v, in slot %d", seed, ip, got, h.slot)
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
			t.Errorf("seed %d: found what is no IPv4 address", seed)
		}
	}
}

// placed puts the first n of addrs on sh and returns how many found a place.
func placed(sh *shelf, n int, addr func(int) netip.Addr) (taken int) {
	for i := range n {
		h := &hot{addr: word(addr(i)), slot: -1}
		if sh.put(h); h.slot >= 0 {
			taken++
		}
	}
	return taken
}

// fewest returns the largest k such that fewer than k of n addresses that stand
// independently find a place among the slots with a chance below p. While c
// slots are taken, at most c-reach+1 starts have all their slots taken (one run
// of c), which bounds the chance that the next address finds none.
func fewest(n, slots int, p float64) int {
	chance := make([]float64, slots+2) // of c taken, after each address
	chance[0] = 1
	for range n {
		for c := slots; c >= 0; c-- {
			full := float64(max(0, c-reach+1)) / float64(slots)
			if c == slots {
				full = 1
			}
			chance[c+1] += chance[c] * (1 - full)
			chance[c] *= full
		}
	}
	k := 0
	for sum := chance[0]; sum < p; sum += chance[k] {
		k++
	}
	return k
}

// Neighbouring addresses spread over the shelf as independent random numbers
// would, whatever the random numbers: an overcrowded shelf fills, and one of a
// Service that is at its capacity places nearly all. The seeds are fixed; the
// bound of the first part is missed by one shelf in 10^12.
func TestShelfSpread(t *testing.T) {
	least := fewest(200, 128, 1e-12)
	if least < 70 {
		t.Fatalf("a bound of %d proves little", least)
	}
	for seed := range uint64(3000) {
		sh := seeded(64, seed)
		if n := placed(sh, 200, ipOf); n < least || n > len(sh.slots) {
			t.Errorf("seed %d: %d of 200 have a place in %d slots, want at least %d", seed, n, len(sh.slots), least)
		}
	}
	// A window of 8 slots is full only if, for some j in 0..7, the 8+j slots that
	// end with it are the first of as many addresses: of 4096 addresses on 16384
	// slots that happens to 0.3 % (the sum of the Poisson tails), so to 12 of them.
	const n, seeds, most = 4096, 50, 12
	for name, addr := range map[string]func(int) netip.Addr{
		"neighbours":   ipOf,
		"every eighth": func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i >> 13), byte(i >> 5), byte(i << 3)}) },
		"one a /24":    func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1}) },
	} {
		lost := 0
		for seed := range uint64(seeds) {
			lost += n - placed(seeded(2*n, seed), n, addr)
		}
		if lost > most*seeds {
			t.Errorf("%s: %d of %d have no place, want at most %d", name, lost, n*seeds, most*seeds)
		}
		t.Logf("%s: %d of %d have no place", name, lost, n*seeds)
	}
}
