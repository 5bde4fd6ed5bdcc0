package versioned

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
)

var (
	aMAC = ethernet.MustParseAddr("02:50:00:00:00:0a")
	bMAC = ethernet.MustParseAddr("02:50:00:00:00:0b")
	t0   = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
)

func key(s string) arp.Key { return arp.Key{Domain: arp.DefaultDomain, Addr: netip.MustParseAddr(s)} }

func sample() Entry {
	return Entry{State: Dynamic, MAC: aMAC, Earlier: [MaxEarlier]ethernet.Addr{bMAC}, FirstSeen: t0.Unix(),
		Learned: "solicited reply", Interface: "eth0", Node: "a", Deadline: t0.Unix() + 1200, Clock: t0.UnixMilli()}
}

const sampleText = `state dynamic
mac 02:50:00:00:00:0a
earlier 02:50:00:00:00:0b
first-seen 2026-01-02T03:04:05Z
learned solicited reply
interface eth0
node a
deadline 2026-01-02T03:24:05Z
clock 1767323045000
`

func TestEntryText(t *testing.T) {
	b, err := sample().Encode()
	if err != nil || string(b) != sampleText {
		t.Fatalf("%v\n%s", err, b)
	}
	if e, err := Decode(b); err != nil || e != sample() {
		t.Fatalf("%+v, %v", e, err)
	}
}

func TestEntryTextIsExact(t *testing.T) {
	for name, text := range map[string]string{
		"empty":         "",
		"nonsense":      "{\"10.0.0.1\": 4}",
		"no newline":    strings.TrimSuffix(sampleText, "\n"),
		"order":         "mac 02:50:00:00:00:0a\nstate dynamic\n" + strings.SplitN(sampleText, "\n", 3)[2],
		"twice":         sampleText + "clock 1767323045000\n",
		"missing mac":   strings.Replace(sampleText, "mac 02:50:00:00:00:0a\n", "", 1),
		"upper case":    strings.Replace(sampleText, "0a", "0A", 1),
		"group mac":     strings.Replace(sampleText, "mac 02", "mac 03", 1),
		"earlier = mac": strings.Replace(sampleText, "earlier 02:50:00:00:00:0b", "earlier 02:50:00:00:00:0a", 1),
		"state":         strings.Replace(sampleText, "dynamic", "wild", 1),
		"time zone":     strings.Replace(sampleText, "05Z\nlearned", "05+00:00\nlearned", 1),
		"clock":         strings.Replace(sampleText, "clock 1", "clock +1", 1),
		"negative":      strings.Replace(sampleText, "clock 1", "clock -1", 1),
		"nine earlier":  strings.Replace(sampleText, "earlier 02:50:00:00:00:0b\n", strings.Repeat("earlier 02:50:00:00:00:0b\n", 9), 1),
		"CRLF":          strings.ReplaceAll(sampleText, "\n", "\r\n"),
	} {
		if _, err := Decode([]byte(text)); !errors.Is(err, ErrEntry) {
			t.Errorf("%s: %v, want ErrEntry", name, err)
		}
	}
}

func TestEntriesThatCannotBeWritten(t *testing.T) {
	for name, spoil := range map[string]func(*Entry){
		"line break": func(e *Entry) { e.Node = "a\nstate static" },
		"no node":    func(e *Entry) { e.Node = "" },
		"no mac":     func(e *Entry) { e.MAC = ethernet.Addr{} },
		"space":      func(e *Entry) { e.Interface = " eth0" },
		"state":      func(e *Entry) { e.State = 7 },
		"year":       func(e *Entry) { e.FirstSeen = 1 << 60 },
		"gap":        func(e *Entry) { e.Earlier = [MaxEarlier]ethernet.Addr{{}, bMAC} },
	} {
		e := sample()
		spoil(&e)
		if b, err := e.Encode(); !errors.Is(err, ErrEntry) {
			t.Errorf("%s: %v\n%s", name, err, b)
		}
	}
	for _, s := range []string{"a\nb", " x ", strings.Repeat("ä", 200), "", "\x00"} {
		if c := Clean(s); c != Clean(c) {
			t.Errorf("Clean(%q) = %q is not clean", s, c)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(sampleText))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := Decode(b)
		if err != nil {
			return
		}
		if again, err := e.Encode(); err != nil || string(again) != string(b) {
			t.Fatalf("accepted %q, writes %q (%v)", b, again, err)
		}
	})
}

func TestLayout(t *testing.T) {
	vlan := key("10.0.3.67")
	vlan.VLAN = ethernet.VLAN{Inner: 5}
	qinq := key("10.0.3.67")
	qinq.VLAN = ethernet.VLAN{Outer: 100, Inner: 5}
	office := arp.Key{Domain: "../Büro", Addr: netip.MustParseAddr("192.168.1.255")}
	for _, c := range []struct {
		k    arp.Key
		path string
	}{
		{key("10.0.3.67"), "lan/v4/10.0.0.0_16/10.0.0.0_20/10.0.3.0_24/10.0.3.64_28/10.0.3.67"},
		{vlan, "lan/vlan-5/v4/10.0.0.0_16/10.0.0.0_20/10.0.3.0_24/10.0.3.64_28/10.0.3.67"},
		{qinq, "lan/vlan-100.5/v4/10.0.0.0_16/10.0.0.0_20/10.0.3.0_24/10.0.3.64_28/10.0.3.67"},
		{office, "%2e.%2fB%c3%bcro/v4/192.168.0.0_16/192.168.0.0_20/192.168.1.0_24/192.168.1.240_28/192.168.1.255"},
		{arp.Key{Addr: netip.MustParseAddr("0.0.0.0")}, "%/v4/0.0.0.0_16/0.0.0.0_20/0.0.0.0_24/0.0.0.0_28/0.0.0.0"},
		{key("2001:db8::1"), "lan/v6/2001:db8::_32/2001:db8::_48/2001:db8::_64/2001:db8::_112/2001:db8::_120/2001:db8::1"},
	} {
		if p := (Layout{}).Path(c.k); p != c.path {
			t.Errorf("path of %v: %s", c.k, p)
		}
		if k, ok := (Layout{}).Key(c.path); !ok || k != c.k {
			t.Errorf("key of %s: %v %v", c.path, k, ok)
		}
	}
	for _, p := range []string{"", "README", "lan", "lan/v4/10.0.3.67", "lan/v4/10.0.0.0_16/10.0.0.0_20/10.0.3.0_24/10.0.3.0_28/10.0.3.67",
		"lan/vlan-05/v4/10.0.0.0_16/10.0.0.0_20/10.0.3.0_24/10.0.3.64_28/10.0.3.67", "%2Elan/v4/10.0.0.0_16/10.0.0.0_20/10.0.3.0_24/10.0.3.64_28/10.0.3.67"} {
		if k, ok := (Layout{}).Key(p); ok {
			t.Errorf("%q is taken for %v", p, k)
		}
	}
}

func FuzzLayout(f *testing.F) {
	f.Add("lan/v4/10.0.0.0_16/10.0.0.0_20/10.0.3.0_24/10.0.3.64_28/10.0.3.67", "lan", uint32(1), uint16(0), uint16(5))
	f.Fuzz(func(t *testing.T, path, domain string, ip uint32, outer, inner uint16) {
		var l Layout
		if k, ok := l.Key(path); ok && l.Path(k) != path {
			t.Fatalf("%q is read as %v, whose path is %q", path, k, l.Path(k))
		}
		k := arp.Key{Domain: domain, VLAN: ethernet.VLAN{Outer: outer, Inner: inner},
			Addr: netip.AddrFrom4([4]byte{byte(ip >> 24), byte(ip >> 16), byte(ip >> 8), byte(ip)})}
		if back, ok := l.Key(l.Path(k)); !ok || back != k {
			t.Fatalf("%+v has path %q, read as %+v, %v", k, l.Path(k), back, ok)
		}
	})
}

// randomEntry draws from so few values that ties in every field are common.
func randomEntry(r *rand.Rand) Entry {
	e := sample()
	e.State = State(r.IntN(3))
	e.MAC = ethernet.Addr{2, 0, 0, 0, 0, byte(r.IntN(3))}
	e.Earlier = [MaxEarlier]ethernet.Addr{}
	if r.IntN(2) == 0 {
		e.Earlier[0] = ethernet.Addr{2, 0, 0, 0, 1, byte(r.IntN(2))}
	}
	e.FirstSeen += int64(r.IntN(2))
	e.Learned = []string{"solicited reply", "request", "announcement"}[r.IntN(3)]
	e.Interface = []string{"", "eth0"}[r.IntN(2)]
	e.Node = []string{"a", "b"}[r.IntN(2)]
	e.Deadline += int64(r.IntN(2))
	e.Clock = int64(r.IntN(3))
	return e
}

func TestJoinIsASemilattice(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 50_000 {
		a, b, c := randomEntry(r), randomEntry(r), randomEntry(r)
		if Join(a, a) != a {
			t.Fatalf("not idempotent: %+v", a)
		}
		if Join(a, b) != Join(b, a) {
			t.Fatalf("not commutative:\n%+v\n%+v", a, b)
		}
		if Join(Join(a, b), c) != Join(a, Join(b, c)) {
			t.Fatalf("not associative:\n%+v\n%+v\n%+v", a, b, c)
		}
		if Compare(a, b) == 0 && a != b {
			t.Fatalf("different and equal:\n%+v\n%+v", a, b)
		}
		if Compare(a, b) != -Compare(b, a) {
			t.Fatalf("no order:\n%+v\n%+v", a, b)
		}
	}
}

// Every local write is above what it replaces, whatever the writer's clock says.
func TestWritesAreInflationary(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	writes := 0
	for range 50_000 {
		e := randomEntry(r)
		e.Clock = t0.UnixMilli()
		c := arp.Change{Op: arp.ChangeOp(1 + r.IntN(5)), Key: key("10.9.0.1"), Old: e.MAC,
			MAC:  ethernet.Addr{2, 0, 0, 0, 0, byte(r.IntN(3))},
			Time: t0.Add(time.Duration(r.IntN(7)-3) * time.Millisecond)}
		rule := put
		if c.Op == arp.OpExpired {
			rule = expire
		}
		n, changed := rule(e, &c, "a")
		if !changed {
			if n != e {
				t.Fatalf("no change, and yet %+v became %+v", e, n)
			}
			continue
		}
		writes++
		if Join(e, n) != n || n == e {
			t.Fatalf("%v wrote below what it saw:\n%+v\n%+v", c.Op, e, n)
		}
		if _, err := n.Encode(); err != nil {
			t.Fatalf("%+v: %v", n, err)
		}
	}
	if writes < 10_000 {
		t.Fatalf("only %d writes", writes)
	}
}

func TestEarlierAddressesNewestFirstAtMostEight(t *testing.T) {
	var e Entry
	for i := range 12 {
		e, _ = put(e, &arp.Change{Op: arp.OpMoved, MAC: ethernet.Addr{2, 0, 0, 0, 0, byte(i)}, Time: t0}, "a")
	}
	for i, m := range e.Earlier {
		if m != (ethernet.Addr{2, 0, 0, 0, 0, byte(10 - i)}) {
			t.Fatalf("earlier: %v", e.Earlier)
		}
	}
	back, _ := put(e, &arp.Change{Op: arp.OpMoved, MAC: e.Earlier[1], Time: t0}, "a")
	if back.Earlier[0] != e.MAC || back.Earlier[1] != e.Earlier[0] || back.Earlier[2] != e.Earlier[2] {
		t.Fatalf("after the return of %v: %v", back.MAC, back.Earlier)
	}
}
