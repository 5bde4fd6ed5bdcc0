package lan

import (
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
	"arpeggio/stack/link"
	"arpeggio/stack/vnet"
)

// seen is an ARP packet that entered the switch.
type seen struct {
	port string
	arp.Packet
}

// watched returns a LAN without life and what is said on it; read that after
// synctest.Wait.
func watched(t *testing.T, cfg Config) (*LAN, *[]seen) {
	t.Helper()
	var log []seen
	cfg.Monitor = func(port string, frame []byte, _ time.Time) {
		h, payload, err := ethernet.Parse(frame)
		if err != nil || h.Type != ethernet.TypeARP {
			return
		}
		if p, err := arp.Parse(payload); err == nil {
			log = append(log, seen{port, p})
		}
	}
	l, err := Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, &log
}

// testStation returns the i-th station, which does what it is told.
func (l *LAN) testStation(t *testing.T, i int) *station {
	s := &station{lan: l, self: i, addr: l.cfg.stationAddr(i), life: newLife(l.cfg.Seed, i, l.cfg.Stations, temper{})}
	t.Cleanup(s.leave)
	return s
}

func (s *station) must(t *testing.T, what step) {
	t.Helper()
	if err := s.do(t.Context(), what); err != nil {
		t.Fatalf("station %d %v: %v", s.self, what.what, err)
	}
	time.Sleep(15 * time.Second)
	synctest.Wait()
}

// known returns what the gateway believes about a.
func (l *LAN) known(a netip.Addr) ethernet.Addr {
	for _, n := range l.gateway.ARP.Neighbors() {
		if n.Addr == a {
			return n.MAC
		}
	}
	return ethernet.Addr{}
}

func TestZeroConfig(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := Start(Config{})
		if err != nil {
			t.Fatal(err)
		}
		if l.Guest() != netip.MustParseAddr("10.9.0.2") {
			t.Errorf("the guest is %v", l.Guest())
		}
		l.Close()
	})
}

func TestBadConfig(t *testing.T) {
	for name, c := range map[string]Config{
		"too many":                 {Stations: maxStations + 1},
		"IPv6":                     {Gateway: netip.MustParsePrefix("fd00::1/64")},
		"small network":            {Gateway: netip.MustParsePrefix("10.9.0.1/25")},
		"foreign guest":            {Guest: netip.MustParseAddr("10.8.0.2")},
		"guest is a station":       {Guest: netip.MustParseAddr("10.9.0.15")},
		"gateway is a station":     {Gateway: netip.MustParsePrefix("10.9.0.22/24"), Guest: netip.MustParseAddr("10.9.0.2")},
		"guest is the gateway":     {Guest: netip.MustParseAddr("10.9.0.1"), GuestMAC: ethernet.Addr{2, 0, 0, 0, 0, 2}},
		"guest is everybody":       {Guest: netip.MustParseAddr("10.9.0.255"), GuestMAC: ethernet.Addr{2, 0, 0, 0, 0, 2}},
		"gateway has no host part": {Gateway: netip.MustParsePrefix("10.9.0.0/24")},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // which would find a goroutine that is left over
				if l, err := Start(c); err == nil {
					l.Close()
					t.Error("accepted")
				}
			})
		})
	}
}

// RFC 5227 §2.4: the owner of a claimed address says that it has it, and whoever
// asks afterwards finds it where it was.
func TestCollisionIsDefended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, log := watched(t, Config{Seed: 7})
		owner, rival := l.testStation(t, 3), l.testStation(t, 4)
		owner.must(t, step{what: join})
		rival.must(t, step{what: join})
		a := owner.addr.Addr()
		if _, err := l.gateway.Stack.Ping(t.Context(), a, 0); err != nil {
			t.Fatal(err)
		}
		*log = nil
		rival.must(t, step{what: collide, whom: owner.self})
		claimed, defended := false, false
		for _, p := range *log {
			if p.SenderIP != a {
				continue
			}
			claimed = claimed || p.SenderMAC == rival.mac()
			defended = defended || claimed && p.SenderMAC == owner.mac() && p.TargetIP == a
		}
		if !claimed || !defended {
			t.Errorf("claimed %v, defended %v in %v", claimed, defended, *log)
		}
		if n := owner.node.ARP.Stats().Defended; n == 0 {
			t.Error("the owner counts no defence")
		}
		if got := l.known(a); got != owner.mac() {
			t.Errorf("the gateway has %v for %v, want the owner's %v", got, a, owner.mac())
		}
		rival.must(t, step{what: yield, whom: owner.self})
		if _, err := l.gateway.Stack.Ping(t.Context(), a, 0); err != nil || l.known(a) != owner.mac() {
			t.Errorf("afterwards: %v, and the gateway has %v", err, l.known(a))
		}
	})
}

// A changed card announces itself, and the gateway follows (RFC 826 through the
// verification of a move).
func TestChangedCardAnnounces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, log := watched(t, Config{Seed: 7})
		s := l.testStation(t, 5)
		s.must(t, step{what: join})
		if _, err := l.gateway.Stack.Ping(t.Context(), s.addr.Addr(), 0); err != nil {
			t.Fatal(err)
		}
		before := s.mac()
		*log = nil
		s.must(t, step{what: changeCard})
		after, announced := s.mac(), 0
		for _, p := range *log {
			if p.SenderMAC == before {
				t.Errorf("the old card speaks: %v", p)
			}
			if p.SenderMAC == after && p.SenderIP == s.addr.Addr() && p.TargetIP == s.addr.Addr() {
				announced++
			}
		}
		if after == before || announced == 0 {
			t.Errorf("card %v, before %v, announced %d times", after, before, announced)
		}
		if got := l.known(s.addr.Addr()); got != after {
			t.Errorf("the gateway has %v, want %v", got, after)
		}
	})
}

// Who falls silent says nothing, not even a reset, also in the middle of a visit.
func TestSilenceIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		frames := 0
		l, err := Start(Config{Seed: 7, Monitor: func(port string, _ []byte, _ time.Time) {
			if port == "station1" {
				frames++
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ln, err := l.gateway.Stack.Listen("tcp", ":80") // which accepts and never answers
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		l.cfg.Guest = l.cfg.Gateway.Addr()
		s := l.testStation(t, 0)
		if err := s.do(t.Context(), step{what: join}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		before := frames
		if before < 3 {
			t.Fatalf("%d frames are no visit", before)
		}
		start := time.Now()
		s.must(t, step{what: fallSilent})
		if frames != before {
			t.Errorf("%d frames as it fell silent", frames-before)
		}
		if d := time.Since(start); d > 16*time.Second { // 15 s of which are must's
			t.Errorf("leaving took %v: the visit was waited for", d)
		}
		for _, what := range []action{visit, ping, announce, collide, yield} {
			s.must(t, step{what: what}) // and does nothing
		}
		s.must(t, step{what: join})
		if frames == before {
			t.Error("it does not come back")
		}
	})
}

func TestAddressGoesWithTheCard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := watched(t, Config{})
		s := l.testStation(t, 0)
		for _, what := range []action{join, collide, changeCard, yield} {
			s.must(t, step{what: what, whom: 1})
		}
		if got := s.node.Interface.Addresses(); len(got) != 1 || got[0] != s.addr {
			t.Errorf("addresses %v", got)
		}
	})
}

// Close joins everything at once, whatever the stations are doing; nobody
// answers them here.
func TestCloseJoins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, after := range []time.Duration{0, time.Second, 13 * time.Second, 49 * time.Second, 3 * time.Minute} {
			l, err := Start(Config{Seed: uint64(after)})
			if err != nil {
				t.Fatal(err)
			}
			l.Populate()
			time.Sleep(after)
			start := time.Now()
			if err := l.Close(); err != nil {
				t.Errorf("Close after %v: %v", after, err)
			}
			if d := time.Since(start); d > time.Second {
				t.Errorf("Close after %v took %v", after, d)
			}
			g := running("lan.(*station)", "host.(*DHCPServer)")
			for i := 0; g != "" && i < 1000; i++ { // one that has said that it is done may still be returning
				runtime.Gosched()
				g = running("lan.(*station)", "host.(*DHCPServer)")
			}
			if g != "" {
				t.Fatalf("Close after %v did not wait for: %s", after, g)
			}
			synctest.Wait()
			if g := running("arpeggio/", "net/http"); g != "" {
				t.Fatalf("Close after %v left behind: %s", after, g)
			}
		}
	})
}

// running returns the stack of another goroutine than the test's in which one of
// the words stands. (A count would include those that are just returning.)
func running(words ...string) string {
	all := make([]byte, 1<<20)
	for g := range strings.SplitSeq(string(all[:runtime.Stack(all, true)]), "\n\n") {
		for _, w := range words {
			if strings.Contains(g, w) && !strings.Contains(g, "lan.Test") {
				return g
			}
		}
	}
	return ""
}

// A single station has nobody to ask or to collide with, and lives all the same.
func TestFewStations(t *testing.T) {
	for n := 1; n <= 2; n++ {
		for _, s := range steps(1, 0, n, 24*time.Hour) {
			if n == 1 && (s.what == ask || s.what == collide) {
				t.Fatalf("a station alone %v", s.what)
			}
		}
	}
}

// far is a device for Plug: one end of a cable, whose other end is cable.
func far(t *testing.T) (dev, cable *vnet.Port) {
	t.Helper()
	sw := vnet.New(vnet.Config{})
	t.Cleanup(func() { sw.Close() })
	var err error
	for name, p := range map[string]**vnet.Port{"inner": &dev, "outer": &cable} {
		if *p, err = sw.Port(vnet.PortConfig{Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	return dev, cable
}

// speak sends a broadcast over the cable and reports whether the switch saw it.
func speak(t *testing.T, cable *vnet.Port, log *[]seen, ip string) bool {
	t.Helper()
	h := ethernet.Header{Dst: ethernet.Broadcast, Src: cable.Info().Addr, Type: ethernet.TypeARP}
	p := arp.Packet{Op: arp.OpRequest, SenderMAC: h.Src, SenderIP: netip.MustParseAddr(ip), TargetIP: netip.MustParseAddr("10.9.0.1")}
	if _, err := cable.WriteFrames([]link.Frame{{Head: p.AppendTo(h.AppendTo(nil))}}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	synctest.Wait()
	for _, s := range *log {
		if s.SenderIP == p.SenderIP {
			return true
		}
	}
	return false
}

func closed(d link.Device) bool {
	_, err := d.ReadFrames(make([]link.Frame, 1))
	return err == link.ErrClosed
}

// A machine that starts again (without KVM, say) takes the place of the first
// one, whose end nobody has noticed; Close closes what is plugged in.
func TestPlugReplaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, log := watched(t, Config{})
		first, firstCable := far(t)
		second, secondCable := far(t)
		if err := l.Plug("guest", first); err != nil {
			t.Fatal(err)
		}
		if !speak(t, firstCable, log, "10.9.0.100") {
			t.Error("the first device is not heard")
		}
		if err := l.Plug("guest", second); err != nil {
			t.Fatalf("the second machine finds no place: %v", err)
		}
		if !closed(first) {
			t.Error("the first device is still open")
		}
		if !speak(t, secondCable, log, "10.9.0.101") {
			t.Error("the second device is not heard")
		}
		l.Close()
		if !closed(second) {
			t.Error("Close leaves the device open")
		}
		third, _ := far(t)
		if err := l.Plug("guest", third); err == nil || !closed(third) {
			t.Errorf("Plug after Close: %v, closed %v", err, closed(third))
		}
	})
}
