package observe

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
)

// play makes a capture of few stations and addresses from octets, so that they
// meet often: four octets a frame.
func play(data []byte, input func(s *Sighting)) {
	now := labStart
	for ; len(data) >= 4; data = data[4:] {
		op, m, a, d := data[0], data[1], data[2], data[3]
		now = now.Add(time.Duration(d) * time.Duration(d) * 50 * time.Millisecond)
		if op == 0xff {
			now = now.Add(-time.Hour * time.Duration(a))
		}
		var s Sighting
		s.Time, s.Interface = now, int(op>>6&1)
		h := ethernet.Header{Dst: ethernet.Broadcast, Src: mac(int(m & 7)), Type: ethernet.TypeARP}
		if op&0x20 != 0 {
			h.Src = mac(int(d & 7))
		}
		if op&0x10 != 0 {
			h.Dst = mac(int(a & 7))
		}
		if m&0x40 != 0 {
			h.SetVLAN(ethernet.VLAN{Inner: uint16(a >> 6)})
		}
		p := arp.Packet{Op: arp.Op(op & 3), SenderMAC: mac(int(m & 7)), SenderIP: ip(int(a & 7)), TargetIP: ip(int(a >> 3 & 7))}
		switch {
		case m&0x80 != 0:
			p.SenderMAC = ethernet.Addr{m, d, a, m, d, a}
		case op&0x0c == 0x0c:
			p.SenderIP = zero4
		case op&0x08 != 0:
			p.SenderIP = netip.AddrFrom4([4]byte{a, m, d, op})
		}
		frame := p.AppendTo(h.AppendTo(nil))
		if op&0x84 == 0x84 {
			v6 := netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 15: a & 7})
			h.Type = ethernet.TypeIPv6
			frame = ndFrame(h, v6, netip.MustParseAddr("ff02::1"), ndSolicit+op&1, 0, v6, p.SenderMAC)
		}
		if op == 0xfe {
			frame = frame[:min(int(a), len(frame))]
		}
		Parse(&s, frame, int(d)*int(op&1))
		input(&s)
	}
}

// follow checks the records of one run against a model of the table.
type follow struct {
	t       *testing.T
	holder  map[arp.Key]ethernet.Addr
	running map[EpisodeID]Type
}

func (f *follow) records(rs []Record) {
	for i := range rs {
		r := &rs[i]
		old, held := f.holder[r.Key]
		switch r.Op {
		case arp.OpLearned:
			if held {
				f.t.Fatalf("%s: %v holds it", text(r), old)
			}
			f.holder[r.Key] = r.MAC
		case arp.OpMoved:
			if !held || old != r.Old || r.MAC == r.Old || r.OldFrames == 0 {
				f.t.Fatalf("%s: %v holds it, %d frames", text(r), old, r.OldFrames)
			}
			f.holder[r.Key] = r.MAC
		case arp.OpRefused:
			if !held || old != r.Old {
				f.t.Fatalf("%s: %v holds it", text(r), old)
			}
		case arp.OpExpired:
			if !held || old != r.Old {
				f.t.Fatalf("%s: %v holds it", text(r), old)
			}
			delete(f.holder, r.Key)
		}
		if r.Alert && r.Folded || r.Alert && r.Type == TypeNone || r.Alert && r.Phase == PhaseEnded {
			f.t.Fatalf("%s: alert", text(r))
		}
		switch r.Phase {
		case PhaseBegan:
			if _, ok := f.running[r.Episode]; ok || r.Episode == 0 {
				f.t.Fatalf("%s: episode %v runs", text(r), r.Episode)
			}
			f.running[r.Episode] = r.Type
		case PhaseEnded:
			if typ, ok := f.running[r.Episode]; !ok || typ != r.Type || r.Count == 0 {
				f.t.Fatalf("%s: episode %v of %v does not run", text(r), r.Episode, typ)
			}
			delete(f.running, r.Episode)
		}
		if r.Binds() && r.Op != arp.OpExpired && r.Frame() == nil {
			f.t.Fatalf("%s: no evidence", text(r))
		}
	}
}

// Whatever the frames: the engine does not panic, keeps its caps, says the same
// twice, tells every move from the holder that it told before, and ends each
// episode that it began.
func FuzzEngine(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(octets(seed, 4*40), byte(seed))
	}
	f.Fuzz(checkEngine)
}

// The same over longer captures of random frames.
func TestRandomFrames(t *testing.T) {
	for seed := range uint64(150) {
		checkEngine(t, octets(seed, 4*500), byte(seed))
	}
}

func octets(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func checkEngine(t *testing.T, data []byte, choice byte) {
	cfg := Config{Policy: Policy(choice & 3), MaxEpisodes: 20, MaxMACs: 3, MaxWindows: 2, MaxPending: 4, MaxVisitors: 4,
		ScanCount: 4, ProxyCount: 3, FloodCount: 6, FoldCount: 5, FlipRate: 3}
	if choice&4 != 0 {
		cfg.Expire = 30 * time.Second
	}
	if choice&8 != 0 {
		cfg.MaxEntries, cfg.MaxPerMAC = 8, 4
	}
	run := func(check *follow) string {
		e := New(cfg)
		for _, i := range []Interface{{Name: "a", Networks: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}}, {Name: "b", Domain: "other"}} {
			if _, err := e.AddInterface(i); err != nil {
				t.Fatal(err)
			}
		}
		var said strings.Builder
		hear := func(rs []Record) {
			for i := range rs {
				said.WriteString(text(&rs[i]) + rs[i].Episode.String() + rs[i].Detail + "\n")
			}
			if check != nil && cfg.MaxEntries == 0 { // an eviction is no record
				check.records(rs)
			}
		}
		play(data, func(s *Sighting) {
			hear(e.Input(s))
			st := e.Stats()
			if st.Entries > e.cfg.MaxEntries || st.Episodes > e.cfg.MaxEpisodes+2*int(NumTypes) ||
				st.Stations > st.Entries*2+e.cfg.MaxVisitors+1+e.cfg.MaxEpisodes || len(e.pools[0].all) > 2 || e.questions.order.len() > 4 {
				t.Fatalf("over the caps: %+v", st)
			}
		})
		hear(e.Finish())
		if n := e.Stats().Episodes; n != 0 {
			t.Fatalf("%d episodes are left", n)
		}
		if check != nil && cfg.MaxEntries == 0 {
			check.table(e)
		}
		return said.String()
	}
	check := &follow{t, map[arp.Key]ethernet.Addr{}, map[EpisodeID]Type{}}
	first := run(check)
	if len(check.running) > 0 {
		t.Fatalf("episodes without an end: %v", check.running)
	}
	if run(nil) != first {
		t.Fatal("a second run differs")
	}
}

// table compares the engine's table with what its records said.
func (f *follow) table(e *Engine) {
	n, owns := 0, map[*station]uint32{}
	for k := range e.All() {
		if m, ok := f.holder[k.Key]; ok != k.Held || ok && k.Owners[0].MAC != m {
			f.t.Fatalf("%v: %v, said %v (%v)", k.Key, k.Owners, m, ok)
		}
		if k.Held {
			n++
		}
		seen := map[ethernet.Addr]bool{}
		for _, o := range k.Owners {
			if seen[o.MAC] || o.Frames == 0 || o.Last.Before(o.First) && e.stats.Steps == 0 {
				f.t.Fatalf("%v: owners %v", k.Key, k.Owners)
			}
			seen[o.MAC] = true
		}
	}
	if n != len(f.holder) {
		f.t.Fatalf("%d held, said %d", n, len(f.holder))
	}
	for _, en := range e.entries.slots {
		if en == nil {
			continue
		}
		if en.holder != nil {
			owns[en.holder]++
		}
	}
	for _, st := range e.stations.slots {
		if st == nil {
			continue
		}
		sum := uint32(0)
		for _, c := range st.owns {
			sum += c
		}
		if sum != owns[st] {
			f.t.Fatalf("%v owns %d, counts %d", st.mac(), owns[st], sum)
		}
	}
}

// Any frame at any time on any interface.
func FuzzFrames(f *testing.F) {
	f.Add(wire(), int64(0), 0)
	f.Add(wire()[:30], int64(1)<<62, -1)
	f.Fuzz(func(t *testing.T, b []byte, at int64, iface int) {
		e := New(Config{})
		if _, err := e.AddInterface(Interface{}); err != nil {
			t.Fatal(err)
		}
		for _, s := range []Sighting{{Time: time.Unix(at, 0)}, {Time: time.Unix(0, at), Interface: iface}, {}} {
			Parse(&s, b, 0)
			for _, r := range e.Input(&s) {
				_, _ = fmt.Sprint(r), r.Types()
			}
		}
		e.Finish()
		// Parse is not the only source of sightings.
		s := Sighting{Interface: 0, Kind: Kind(at), Reason: Reason(iface)}
		e.Input(&s)
	})
}
