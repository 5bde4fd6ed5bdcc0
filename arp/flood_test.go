package arp

import (
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack/ethernet"
)

// flooded is a Service on a /8 with a gateway in use, a pinned station and
// stations that are talked to, all of which a flood must leave alone.
type flooded struct {
	*testing.T
	s       *Service
	gateway netip.Addr
	pinned  netip.Addr
	used    []netip.Addr
}

func newFlooded(t *testing.T, cfg Config) *flooded {
	f := &flooded{T: t, s: NewService(cfg), gateway: netip.MustParseAddr("10.9.0.254"), pinned: netip.MustParseAddr("10.9.0.253")}
	f.s.AttachLink("eth0", meMAC, ethernet.VLAN{}, 1500, func(_ ethernet.Addr, _ ethernet.EtherType, b []byte) error {
		if p, _ := Parse(b); p.Op == OpRequest && f.true(p.TargetIP) { // these answer
			go f.say(reply(aMAC, p.TargetIP))
		}
		return nil
	})
	f.s.AddressAdded(netip.PrefixFrom(meIP, 8), nil)
	if err := f.s.Pin(f.pinned, aMAC); err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		f.used = append(f.used, netip.AddrFrom4([4]byte{10, 9, 1, byte(i)}))
	}
	f.use()
	time.Sleep(time.Second)
	f.use()
	return f
}

func (f *flooded) true(a netip.Addr) bool {
	return a == f.gateway || a.As4()[1] == 9 && a.As4()[2] == 1
}

// use looks up everything that must survive.
func (f *flooded) use() {
	for _, a := range append(f.used, f.gateway, f.pinned) {
		f.s.Resolve(a, func(netip.Addr, ethernet.Addr, error) {})
	}
}

func (f *flooded) say(p Packet) {
	dst := ethernet.Broadcast
	if p.Op == OpReply {
		dst = meMAC
	}
	var b [PacketLen]byte
	f.s.HandleFrame(ethernet.Header{Dst: dst, Src: p.SenderMAC, Type: ethernet.TypeARP}, p.AppendTo(b[:0]), time.Time{})
}

func (f *flooded) check() {
	f.Helper()
	for _, a := range append(f.used, f.gateway, f.pinned) {
		if mac, ok := f.s.Resolve(a, func(netip.Addr, ethernet.Addr, error) {}); !ok || mac != aMAC {
			f.Errorf("the flood took %v: %v, %v", a, mac, ok)
		}
	}
}

// A million frames with random MAC addresses that claim random addresses, some
// of them the gateway's and other stations', in every form: the cache and the
// Table stay at their caps, and nothing in use or pinned is lost or moved.
func TestFloodOfAMillion(t *testing.T) {
	for name, cfg := range map[string]Config{
		"default": {},
		"always":  {Learn: LearnAlways},
		"strict":  {Learn: LearnAlways, Move: MoveStrict},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tab := NewMemTable()
				cfg.Table, cfg.Rand = tab, rand.New(rand.NewPCG(1, 1))
				f := newFlooded(t, cfg)
				r := rand.New(rand.NewPCG(7, 7))
				before := heapInUse()
				for i := range million / 3 {
					v := r.Uint64()
					mac := ethernet.Addr{2, byte(v), byte(v >> 8), byte(v >> 16), byte(v >> 24), byte(i)}
					ip := netip.AddrFrom4([4]byte{10, byte(v >> 32), byte(v >> 40), byte(v >> 48)})
					if i%100 == 0 {
						ip = f.gateway
					} else if i%100 == 50 {
						ip = f.used[i/100%len(f.used)]
					}
					switch i % 4 {
					case 0:
						f.say(request(mac, ip, meIP))
					case 1:
						f.say(announcement(mac, ip))
					case 2:
						f.say(reply(mac, ip))
					case 3:
						f.say(Packet{OpReply, mac, ip, ethernet.Broadcast, ip})
					}
					if i%1000 == 999 { // 50,000 frames a second
						time.Sleep(20 * time.Millisecond)
						f.use()
					}
				}
				time.Sleep(5 * time.Second) // what is under verification is decided
				f.check()
				st := f.s.Stats()
				if st.Entries > 4096+1 {
					t.Errorf("%d entries", st.Entries)
				}
				if n := tab.Len(); n > DefaultTableLimit+1 {
					t.Errorf("%d bindings in the Table", n)
				}
				if grown := heapInUse() - before; grown > 24<<20 {
					t.Errorf("the heap has grown by %d kB", grown>>10)
				}
				if cfg.Learn == LearnAlways && st.Evicted < million/10 {
					t.Errorf("only %d evictions: that was no flood", st.Evicted)
				}
				f.s.Close()
			})
		})
	}
}

func heapInUse() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// One request a second for one address, also when the entry is evicted and
// asked for again in between, in whatever way it went.
func TestRateLimitSurvivesEviction(t *testing.T) {
	for name, forget := range map[string]func(l *lab, i int){
		"evicted": func(l *lab, i int) {
			for j := range 8 { // answered at once: they push it out
				ip := ipOf(1 + (8*i+j)%2000)
				l.e.Resolve(l.now, ip)
				l.frame(meMAC, reply(bMAC, ip))
			}
		},
		"flushed": func(l *lab, _ int) { l.e.Flush() },
	} {
		t.Run(name, func(t *testing.T) {
			l := wide(t, Config{Capacity: 4})
			var asked []time.Time
			for i := range 300 {
				_, v, _ := l.e.Resolve(l.now, aIP)
				if i%2 == 0 && v == Pending {
					l.frame(meMAC, reply(aMAC, aIP))
				}
				forget(l, i)
				l.wait(70 * time.Millisecond)
				for _, a := range l.sent() {
					if a.Packet.Op == OpRequest && a.Packet.TargetIP == aIP {
						asked = append(asked, l.now)
					}
				}
			}
			for i := 1; i < len(asked); i++ {
				if d := asked[i].Sub(asked[i-1]); d < time.Second-70*time.Millisecond {
					t.Errorf("asked again after %v", d)
				}
			}
			if len(asked) < 10 {
				t.Errorf("asked only %d times", len(asked))
			}
		})
	}
}
