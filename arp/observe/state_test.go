package observe

import (
	"encoding/json"
	"errors"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
)

// An engine that is seeded with what another knew goes on as that one would
// have.
func TestSeedContinues(t *testing.T) {
	l := newLab(t, Config{})
	for n := 1; n <= 5; n++ {
		l.says(mac(n), ip(n))
	}
	l.wait(time.Hour)
	l.says(mac(6), ip(5))
	l.says(mac(5), ip(5)) // flip-flop
	l.wait(time.Hour)

	m := newLab(t, Config{})
	for k := range l.e.All() {
		if err := m.e.Seed(k); err != nil {
			t.Fatal(err)
		}
	}
	if a, b := slices.Collect(l.e.All()), slices.Collect(m.e.All()); !reflect.DeepEqual(a, b) {
		t.Fatalf("seeded:\n%v\n%v", a, b)
	}
	m.now = l.now
	for _, x := range []*lab{l, m} {
		x.want(x.says(mac(1), ip(1)))
		x.want(x.says(mac(6), ip(5)), "flip-flop 10.9.0.5 6 (5) moved !")
		x.want(x.says(mac(7), ip(2)), "changed 10.9.0.2 7 (2) moved !")
	}
	if a, b := slices.Collect(l.e.All()), slices.Collect(m.e.All()); !reflect.DeepEqual(a, b) {
		t.Errorf("later:\n%v\n%v", a, b)
	}
}

func TestSeedRefuses(t *testing.T) {
	l := newLab(t, Config{MaxEntries: 1})
	good := Known{Key: arp.Key{Domain: "lan", Addr: ip(7)}, Held: true, Owners: []Owner{{MAC: mac(1)}, {MAC: mac(2)}}}
	for name, change := range map[string]func(k *Known){
		"domain":    func(k *Known) { k.Key.Domain = "other" },
		"no addr":   func(k *Known) { k.Key.Addr = netip.Addr{} },
		"multicast": func(k *Known) { k.Key.Addr = netip.MustParseAddr("224.0.0.1") },
		"no owner":  func(k *Known) { k.Owners = nil },
		"broadcast": func(k *Known) { k.Owners = []Owner{{MAC: ethernet.Broadcast}} },
		"twice":     func(k *Known) { k.Owners = []Owner{{MAC: mac(1)}, {MAC: mac(1)}} },
	} {
		k := good
		change(&k)
		if err := l.e.Seed(k); !errors.Is(err, ErrSeed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := l.e.Seed(good); err != nil {
		t.Error(err)
	}
	if err := l.e.Seed(good); !errors.Is(err, ErrSeed) {
		t.Errorf("twice: %v", err)
	}
}

func TestDirtyIsWhatWasSeen(t *testing.T) {
	l := newLab(t, Config{})
	addrs := func() (out []netip.Addr) {
		for k := range l.e.Dirty() {
			out = append(out, k.Key.Addr)
		}
		return out
	}
	for n := 1; n <= 3; n++ {
		l.says(mac(n), ip(n))
	}
	if got := addrs(); len(got) != 3 {
		t.Errorf("dirty: %v", got)
	}
	l.says(mac(2), ip(2))
	l.says(mac(2), ip(2))
	for range l.e.Dirty() {
		break // breaking off forgets nothing
	}
	if got := addrs(); !slices.Equal(got, []netip.Addr{ip(2)}) {
		t.Errorf("dirty: %v", got)
	}
	if got := addrs(); got != nil {
		t.Errorf("dirty: %v", got)
	}
}

func TestExpiry(t *testing.T) {
	l := newLab(t, Config{Expire: time.Minute})
	l.says(mac(1), ip(7))
	l.wait(50 * time.Second)
	l.says(mac(1), ip(7))
	l.wait(time.Minute)
	l.want(l.probes(mac(9), ip(9))) // a minute of silence is not more than a minute
	l.wait(time.Second)
	l.want(l.probes(mac(9), ip(9)), "none 10.9.0.7 1 (1) expired")
	if k, ok := l.e.Lookup(arp.Key{Domain: "lan", Addr: ip(7)}); !ok || k.Held {
		t.Errorf("known: %+v", k)
	}
	l.wait(time.Hour)
	l.want(l.says(mac(1), ip(7)), "none 10.9.0.7 1 learned")
	l.wait(time.Hour)
	l.want(l.says(mac(2), ip(7)), "none 10.9.0.7 1 (1) expired", "changed 10.9.0.7 2 (1) learned !")
}

// A clock that is set back ends all episodes and windows; a frame that is
// slightly late does not.
func TestStepBack(t *testing.T) {
	l := newLab(t, Config{})
	l.says(mac(1), ip(7))
	l.says(mac(2), ip(7))
	l.says(mac(1), ip(7))
	l.wait(-9 * time.Second)
	l.want(l.says(mac(2), ip(7)), "flip-flop 10.9.0.7 2 (1) moved")
	l.wait(-24 * time.Hour)
	l.want(l.says(mac(2), ip(7)), "dup-ip/ended 10.9.0.7 2 (1)")
	l.wait(time.Second)
	l.want(l.says(mac(1), ip(7)), "flip-flop 10.9.0.7 1 (2) moved !")
	if n := l.e.Stats().Steps; n != 1 {
		t.Errorf("%d steps", n)
	}
}

// A flood of addresses ages out nobody who was seen for a while, and the table
// stays at its cap.
func TestNoiseAgesOutNobody(t *testing.T) {
	const limit = 1000
	l := newLab(t, Config{MaxEntries: limit, MaxPerMAC: limit / 2, MaxVisitors: 100, MaxEpisodes: 100})
	for range 2 {
		for n := range 200 {
			l.says(mac(n+1), ip(n))
		}
		l.wait(2 * time.Minute)
	}
	for n := range 20_000 {
		l.says(mac(50_000+n), ip(10_000+n)) // a MAC for each
		l.says(mac(1), ip(40_000+n%10_000)) // one MAC for many
		l.wait(time.Millisecond)
		if s := l.e.Stats(); s.Entries > limit || s.Episodes > 100+int(NumTypes) || s.Stations > limit+100+1 {
			t.Fatalf("%+v", s)
		}
	}
	before := len(l.all)
	for n := range 200 {
		l.says(mac(n+1), ip(n))
	}
	for _, r := range l.all[before:] {
		t.Errorf("%s", text(&r))
	}
	if s := l.e.Stats(); s.Evicted == 0 {
		t.Errorf("%+v", s)
	}
}

// When everybody is confirmed a new address finds no room, and is counted.
func TestFullTable(t *testing.T) {
	l := newLab(t, Config{MaxEntries: 2})
	for range 2 {
		l.says(mac(1), ip(1))
		l.says(mac(2), ip(2))
		l.wait(2 * time.Minute)
	}
	l.want(l.says(mac(3), ip(3)))
	if s := l.e.Stats(); s.Overflow != 1 || s.Entries != 2 {
		t.Errorf("%+v", s)
	}
}

// One MAC takes its share and no more.
func TestShareOfOneMAC(t *testing.T) {
	l := newLab(t, Config{MaxPerMAC: 10})
	for n := range 20 {
		l.says(mac(1), ip(n))
	}
	l.says(mac(2), ip(100))
	if s := l.e.Stats(); s.Entries != 11 || s.Overflow != 10 {
		t.Errorf("%+v", s)
	}
}

// A scan is seen through the noise of many stations that ask a little.
func TestNoiseHidesNoScan(t *testing.T) {
	l := newLab(t, Config{MaxWindows: 256, MaxVisitors: 500})
	scans := 0
	for n := range 110 { // the first few may be lost, while its window is as light as those of the others
		for m := range 40 {
			for k := range 3 {
				l.probes(mac(1000+n*40+m), ip(20_000+k))
			}
		}
		for _, r := range l.asks(mac(1), ip(1), ip(n+2)) {
			if r.Type == Scan {
				scans++
			}
		}
		l.wait(50 * time.Millisecond)
	}
	if scans != 1 {
		t.Errorf("%d scans", scans)
	}
}

// Known hosts that ask and answer cost no allocation and no record.
func TestSteadyHostsAreFree(t *testing.T) {
	l := newLab(t, Config{}, "10.9.0.0/16")
	var frames [][]byte
	for n := range 50 {
		h := ethernet.Header{Dst: ethernet.Broadcast, Src: mac(n), Type: ethernet.TypeARP}
		p := arp.Packet{Op: arp.OpRequest, SenderMAC: mac(n), SenderIP: ip(n), TargetIP: ip(1)}
		frames = append(frames, p.AppendTo(h.AppendTo(nil)))
		p.Op, p.TargetMAC = arp.OpReply, mac(1)
		frames = append(frames, p.AppendTo(h.AppendTo(nil)))
	}
	var s Sighting
	records := 0
	round := func() {
		for _, f := range frames {
			l.now = l.now.Add(time.Millisecond)
			s.Time = l.now
			Parse(&s, f, 0)
			records += len(l.e.Input(&s))
		}
	}
	round()
	records = 0
	if n := testing.AllocsPerRun(100, round); n != 0 || records != 0 {
		t.Errorf("%v allocations, %d records in a round", n, records)
	}
}

func TestConfigDefaultsAndOff(t *testing.T) {
	off := Config{DupWindow: -1, NewActivity: -1, FloodCount: -1, ScanCount: -1, ProxyCount: -1, ACDWindow: -1}
	l := newLab(t, off)
	for n := range 300 {
		l.asks(mac(n+1), ip(n), ip(n+1))
		l.asks(mac(1), ip(5000), ip(n))
		l.replies(mac(1), ip(6000+n), mac(2), ip(1))
	}
	l.says(mac(1), ip(7000))
	l.says(mac(2), ip(7000))
	l.says(mac(1), ip(7000))
	l.probes(mac(3), ip(7000))
	l.replies(mac(1), ip(7000), mac(3), zero4)
	l.wait(365 * 24 * time.Hour)
	l.says(mac(1), ip(7000))
	s := l.e.Stats()
	for _, typ := range []Type{DupIP, Spoof, NewActivity, Flood, Scan, ProxyARP, ACDConflict} {
		if s.Events[typ] != 0 {
			t.Errorf("%v: %d", typ, s.Events[typ])
		}
	}
	for i := range policyNames {
		if p, err := ParsePolicy(policyNames[i]); err != nil || p != Policy(i) {
			t.Error(p, err)
		}
	}
	if _, err := ParsePolicy("always"); err == nil {
		t.Error("always is no policy")
	}
}

func TestSetNetworks(t *testing.T) {
	l := newLab(t, Config{})
	l.want(l.says(mac(1), ip(1)), "new-station 10.9.0.1 1 learned !")
	l.e.SetNetworks(0, []netip.Prefix{netip.MustParsePrefix("192.168.0.7/24"), netip.MustParsePrefix("::ffff:172.16.0.0/108"), {}})
	l.want(l.says(mac(1), ip(1)))
	l.want(l.says(mac(2), ip(2)), "bogon/began 10.9.0.2 2 learned !")
	l.want(l.says(mac(3), netip.MustParseAddr("172.16.1.1")), "new-station 172.16.1.1 3 learned !")
	l.want(l.says(mac(3), netip.MustParseAddr("192.168.0.255")), "ip-broadcast/began 192.168.0.255 3 !")
}

// What programs read: names, and ids of 16 digits.
func TestTextForms(t *testing.T) {
	b, err := json.Marshal(struct {
		T Type
		E EpisodeID
		N EpisodeID
	}{FlipFlop, 0xabc, 0})
	if got, want := string(b), `{"T":"flip-flop","E":"0000000000000abc","N":""}`; err != nil || got != want {
		t.Errorf("%s, %v", got, err)
	}
	if PhaseBegan.String() != "began" || Verify.String() != "verify" || ReasonHopLimit.String() != "hop-limit" {
		t.Error(PhaseBegan, Verify, ReasonHopLimit)
	}
}
