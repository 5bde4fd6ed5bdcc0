package observe

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
)

// A capture that a seed made, with what happens in it.
type story struct {
	frames []storyFrame
	truth  map[string]bool // "type address or MAC"
	rng    *rand.Rand
	next   int // host number

	proxied int // addresses that a proxy answered for
}

type storyFrame struct {
	at   time.Time
	data []byte
}

// fact is the name under which truth and findings are compared.
func fact(typ Type, a netip.Addr, m ethernet.Addr) string {
	switch typ {
	case Scan, ProxyARP, Malformed, EtherBroadcast, EtherMulticast:
		return fmt.Sprint(typ, " ", m)
	case Flood:
		return "flood"
	}
	return fmt.Sprint(typ, " ", a)
}

func (s *story) happens(typ Type, a netip.Addr, m ethernet.Addr) { s.truth[fact(typ, a, m)] = true }

func (s *story) send(at time.Duration, dst, src ethernet.Addr, p arp.Packet) {
	h := ethernet.Header{Dst: dst, Src: src, Type: ethernet.TypeARP}
	s.frames = append(s.frames, storyFrame{labStart.Add(at), p.AppendTo(h.AppendTo(nil))})
}

func (s *story) announce(at time.Duration, m ethernet.Addr, a netip.Addr) {
	s.send(at, ethernet.Broadcast, m, arp.Packet{Op: arp.OpRequest, SenderMAC: m, SenderIP: a, TargetIP: a})
}

func (s *story) ask(at time.Duration, m ethernet.Addr, a, target netip.Addr) {
	s.send(at, ethernet.Broadcast, m, arp.Packet{Op: arp.OpRequest, SenderMAC: m, SenderIP: a, TargetIP: target})
}

func (s *story) reply(at time.Duration, m ethernet.Addr, a netip.Addr, to ethernet.Addr, toIP netip.Addr) {
	s.send(at, to, m, arp.Packet{Op: arp.OpReply, SenderMAC: m, SenderIP: a, TargetMAC: to, TargetIP: toIP})
}

// host makes a station that announces itself at a random time of the first ten
// minutes and then asks for the gateway every 20 to 50 s until end.
func (s *story) host(end time.Duration) (ethernet.Addr, netip.Addr) {
	s.next++
	m, a := mac(s.next), ip(s.next)
	s.live(m, a, s.jitter(0, 10*time.Minute), end)
	return m, a
}

func (s *story) live(m ethernet.Addr, a netip.Addr, from, end time.Duration) {
	s.announce(from, m, a)
	for at := from; at < end; at += s.jitter(20*time.Second, 50*time.Second) {
		s.ask(at, m, a, gateway)
	}
}

func (s *story) jitter(lo, hi time.Duration) time.Duration {
	return lo + time.Duration(s.rng.Int64N(int64(hi-lo)))
}

var gateway, gatewayMAC = ip(60_000), mac(60_000)

const storyEnd = 60 * time.Minute

// acts are what a story may have in it. Each begins when every host is known,
// at a time of its own choice.
var acts = map[string]func(s *story){
	"replaced card": func(s *story) {
		at := s.jitter(20*time.Minute, 40*time.Minute)
		_, a := s.host(at - 2*time.Minute)
		s.next++
		s.live(mac(s.next), a, at, storyEnd)
		s.happens(Changed, a, mac(s.next))
	},
	"back and forth": func(s *story) {
		at := s.jitter(20*time.Minute, 30*time.Minute)
		m, a := s.host(at - 2*time.Minute)
		s.next++
		n := mac(s.next)
		s.live(n, a, at, at+5*time.Minute)
		s.live(m, a, at+8*time.Minute, storyEnd)
		s.happens(Changed, a, n)
		s.happens(FlipFlop, a, m)
	},
	"three cards": func(s *story) {
		at := s.jitter(15*time.Minute, 20*time.Minute)
		m, a := s.host(at - 2*time.Minute)
		s.next += 2
		s.live(mac(s.next-1), a, at, at+5*time.Minute)
		s.live(mac(s.next), a, at+8*time.Minute, at+13*time.Minute)
		s.live(m, a, at+16*time.Minute, storyEnd)
		s.happens(Changed, a, m)
		s.happens(Reused, a, m)
	},
	"DHCP": func(s *story) { // the next host had another address, and probes first
		at := s.jitter(20*time.Minute, 40*time.Minute)
		_, a := s.host(at - s.jitter(time.Second, 2*time.Minute))
		m, b := s.host(at - time.Second)
		_ = b
		s.send(at, ethernet.Broadcast, m, arp.Packet{Op: arp.OpRequest, SenderMAC: m, SenderIP: zero4, TargetIP: a})
		s.live(m, a, at+5*time.Second, storyEnd)
		s.happens(Changed, a, m)
	},
	"duplicate": func(s *story) {
		at := s.jitter(20*time.Minute, 40*time.Minute)
		m, a := s.host(storyEnd)
		s.next++
		n := mac(s.next)
		s.announce(at-time.Second, m, a)
		for i := range 10 {
			s.ask(at+time.Duration(i)*7*time.Second, n, a, gateway)
		}
		s.happens(DupIP, a, n)
	},
	"poisoning": func(s *story) {
		at := s.jitter(20*time.Minute, 40*time.Minute)
		m, a := s.host(storyEnd)
		n, b := s.host(storyEnd)
		evil, _ := s.host(storyEnd)
		for i := range 30 {
			d := at + time.Duration(i)*2*time.Second
			s.reply(d, evil, a, n, b)
			s.reply(d+time.Millisecond, evil, b, m, a)
		}
		s.happens(Spoof, a, evil)
		s.happens(Spoof, b, evil)
	},
	"scan": func(s *story) {
		m, a := s.host(storyEnd)
		at := s.jitter(20*time.Minute, 40*time.Minute)
		n := 100 + s.rng.IntN(200)
		for i := range n {
			s.ask(at+time.Duration(i)*9*time.Second/time.Duration(n), m, a, ip(30_000+i))
		}
		s.happens(Scan, a, m)
	},
	"slow survey": func(s *story) { // 50 targets in 10 s
		m, a := s.host(storyEnd)
		at := s.jitter(20*time.Minute, 40*time.Minute)
		for i := range 300 {
			s.ask(at+time.Duration(i)*200*time.Millisecond, m, a, ip(31_000+i))
		}
	},
	"proxy": func(s *story) {
		m, _ := s.host(storyEnd)
		at := s.jitter(20*time.Minute, 40*time.Minute)
		for i := range 8 + s.rng.IntN(8) {
			d := at + time.Duration(i)*3*time.Second
			s.proxied++
			a := ip(40_000 + s.proxied)
			s.ask(d, gatewayMAC, gateway, a)
			s.reply(d+time.Millisecond, m, a, gatewayMAC, gateway)
		}
		s.happens(ProxyARP, netip.Addr{}, m)
	},
	"few aliases": func(s *story) {
		m, _ := s.host(storyEnd)
		at := s.jitter(20*time.Minute, 40*time.Minute)
		for i := range 7 {
			s.next++
			s.reply(at+time.Duration(i)*time.Second, m, ip(s.next), gatewayMAC, gateway)
		}
	},
	"conflict": func(s *story) {
		at := s.jitter(20*time.Minute, 40*time.Minute)
		m, a := s.host(storyEnd)
		s.next++
		n := mac(s.next)
		s.send(at, ethernet.Broadcast, n, arp.Packet{Op: arp.OpRequest, SenderMAC: n, SenderIP: zero4, TargetIP: a})
		s.reply(at+time.Millisecond, m, a, n, zero4)
		s.happens(ACDConflict, a, n)
	},
	"bogon": func(s *story) {
		s.next++
		m, a := mac(s.next), netip.AddrFrom4([4]byte{192, 168, byte(s.next >> 8), byte(s.next)})
		s.live(m, a, s.jitter(0, storyEnd), storyEnd)
		s.happens(Bogon, a, m)
	},
	"sleep proxy": func(s *story) {
		m, a := s.host(10 * time.Minute)
		s.next++
		p := arp.Packet{Op: arp.OpReply, SenderMAC: m, SenderIP: a, TargetMAC: gatewayMAC, TargetIP: gateway}
		s.send(s.jitter(20*time.Minute, 40*time.Minute), gatewayMAC, mac(s.next), p)
		s.happens(EtherMismatch, a, m)
	},
	"odd senders": func(s *story) {
		at := s.jitter(20*time.Minute, 40*time.Minute)
		s.next++
		m := mac(s.next)
		multicast := ethernet.Addr{3, 1, 0, 0, byte(s.next >> 8), byte(s.next)}
		s.send(at, ethernet.Broadcast, m, arp.Packet{Op: arp.OpReply, SenderMAC: ethernet.Broadcast, SenderIP: ip(s.next), TargetIP: gateway})
		s.send(at, ethernet.Broadcast, m, arp.Packet{Op: arp.OpReply, SenderMAC: multicast, SenderIP: ip(s.next), TargetIP: gateway})
		s.announce(at, m, netip.AddrFrom4([4]byte{10, 9, 255, 255}))
		s.send(at, ethernet.Broadcast, m, arp.Packet{Op: 77, SenderMAC: m, SenderIP: ip(s.next), TargetIP: gateway})
		s.happens(EtherBroadcast, netip.Addr{}, ethernet.Broadcast)
		s.happens(EtherMulticast, netip.Addr{}, multicast)
		s.happens(IPBroadcast, netip.AddrFrom4([4]byte{10, 9, 255, 255}), m)
		s.happens(Malformed, netip.Addr{}, m)
	},
	"failover": func(s *story) {
		virtual := ethernet.Addr{0, 0, 0x5e, 0, 1, byte(s.rng.IntN(256))}
		s.next++
		a, m, n := ip(s.next), mac(s.next+70_000), mac(s.next+80_000)
		for at := time.Duration(0); at < storyEnd; at += time.Minute {
			src := m
			if at > storyEnd/2 {
				src = n
			}
			p := arp.Packet{Op: arp.OpReply, SenderMAC: virtual, SenderIP: a, TargetMAC: ethernet.Broadcast, TargetIP: a}
			s.send(at+s.jitter(0, time.Second), ethernet.Broadcast, src, p)
		}
	},
	"long silence": func(s *story) {
		s.next++
		m, a := mac(s.next), ip(s.next)
		s.announce(-200*24*time.Hour, m, a)
		s.announce(s.jitter(0, storyEnd), m, a)
		s.happens(NewActivity, a, m)
	},
	"flood": func(s *story) {
		at := s.jitter(50*time.Minute, 55*time.Minute) // it would hide a card that is new at the same time
		for i := range 500 {
			s.announce(at+time.Duration(i)*10*time.Millisecond, mac(200_000+i), ip(50_000+i))
		}
		s.happens(Flood, netip.Addr{}, ethernet.Addr{})
	},
}

func newStory(seed uint64) *story {
	s := &story{truth: map[string]bool{}, rng: rand.New(rand.NewPCG(seed, 4))}
	s.live(gatewayMAC, gateway, 0, storyEnd)
	for range 20 {
		s.host(storyEnd)
	}
	names := make([]string, 0, len(acts))
	for name := range acts {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for range s.rng.IntN(3) {
			if name != "flood" && name != "failover" && name != "odd senders" || s.rng.IntN(2) == 0 {
				acts[name](s)
			}
		}
	}
	slices.SortStableFunc(s.frames, func(a, b storyFrame) int { return cmp.Compare(a.at.UnixNano(), b.at.UnixNano()) })
	return s
}

// Captures that seeds made: what happened is found (recall), and nothing that
// did not happen is printed (precision), for each type of event.
func TestRecallAndPrecision(t *testing.T) {
	told := map[Type]int{}
	seeds := uint64(40)
	if os.Getenv("SOAK") != "" {
		seeds = 5000
	}
	for seed := range seeds {
		s := newStory(seed)
		l := newLab(t, Config{}, "10.9.0.0/16")
		for _, f := range s.frames {
			l.now = f.at
			l.frame(f.data, 0)
		}
		l.finish()
		found := map[string]bool{}
		for _, line := range l.lines {
			r := &line.Record
			told[r.Type]++
			if r.Type == NewStation {
				continue
			}
			f := fact(r.Type, r.Key.Addr, r.MAC)
			if !s.truth[f] {
				t.Errorf("seed %d: false: %s (%s)", seed, text(r), r.Detail)
			}
			if found[f] && r.Type != Flood && r.Type != Changed && r.Type != EtherBroadcast && r.Type != IPBroadcast {
				t.Errorf("seed %d: told twice: %s", seed, text(r))
			}
			found[f] = true
		}
		for f := range s.truth {
			if !found[f] {
				t.Errorf("seed %d: missed: %s", seed, f)
			}
		}
		// Every address is known, and each has been new once.
		learned := map[arp.Key]int{}
		for i := range l.all {
			if l.all[i].Op == arp.OpLearned {
				learned[l.all[i].Key]++
			}
		}
		if n := l.e.Stats().Entries; len(learned) != n {
			t.Errorf("seed %d: %d addresses, %d learned", seed, n, len(learned))
		}
	}
	for i := range Types() {
		if told[i.Type] == 0 {
			t.Errorf("%s never happened", i.Name)
		}
	}
}

// The same frames give the same records, and the same lines however often they
// are taken.
func TestDeterminism(t *testing.T) {
	for seed := range uint64(5) {
		s := newStory(seed)
		var records, lines string
		for every := range 3 {
			e := New(Config{})
			if _, err := e.AddInterface(Interface{Name: "va"}); err != nil {
				t.Fatal(err)
			}
			var all []Record
			var out []Line
			h := Holder{}
			var si Sighting
			for i, f := range s.frames {
				si.Time = f.at
				Parse(&si, f.data, 0)
				for _, r := range e.Input(&si) {
					all = append(all, r)
					h.Add(&r, "")
				}
				if every > 0 && i%(every*every*every*100-99) == 0 { // each frame, or each 701st
					out = append(out, h.Take(f.at)...)
				}
			}
			for _, r := range e.Finish() {
				all = append(all, r)
				h.Add(&r, "")
			}
			out = append(out, h.Flush()...)
			gotRecords, gotLines := fmt.Sprintf("%+v", all), fmt.Sprintf("%+v", out)
			if every > 0 && (gotRecords != records || gotLines != lines) {
				t.Fatalf("seed %d: run %d differs", seed, every)
			}
			records, lines = gotRecords, gotLines
		}
	}
}
