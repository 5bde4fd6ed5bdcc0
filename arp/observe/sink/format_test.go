package sink

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"arpeggio/arp"
	"arpeggio/arp/observe"
	"arpeggio/arp/vendors"
	"arpeggio/stack/ethernet"
)

var (
	macA = ethernet.MustParseAddr("02:00:00:00:00:0a")
	macB = ethernet.MustParseAddr("52:54:00:00:00:0b")
	at   = time.Date(2026, 3, 1, 12, 0, 2, 123456000, time.FixedZone("", 3600))
)

const commit = "0123456789abcdef0123456789abcdef01234567"

// line returns an event: 10.9.0.7 went from A to B.
func line(typ observe.Type, change ...func(*observe.Record)) *observe.Line {
	l := &observe.Line{Commit: commit, Record: observe.Record{Event: observe.Event{
		Type: typ, Time: at, Iface: "eth0", MAC: macB, Old: macA, Count: 1,
		Key:  arp.Key{Domain: arp.DefaultDomain, Addr: netip.MustParseAddr("10.9.0.7")},
		Kind: observe.KindReply,
	}}}
	for _, c := range change {
		c(&l.Record)
	}
	return l
}

func TestJSON(t *testing.T) {
	var v vendors.Table
	plain := func(r *observe.Record) { r.Old = ethernet.Addr{} }
	for _, c := range []struct {
		name string
		l    *observe.Line
		want string
	}{
		{"a change", line(observe.Changed, func(r *observe.Record) { r.Previous = at.Add(-time.Second) }),
			`{"ts":"2026-03-01T11:00:02.123456Z","type":"changed","ip":"10.9.0.7","vlan":0,"mac":"52:54:00:00:00:0b","old_mac":"02:00:00:00:00:0a",` +
				`"vendor":"QEMU/KVM","iface":"eth0","commit":"` + commit + `","domain":"lan","severity":5,"phase":"once","count":1,"kind":"reply",` +
				`"old_vendor":"local","previous":"2026-03-01T11:00:01.123456Z"}`},
		{"a whole second", line(observe.NewStation, plain, func(r *observe.Record) { r.Time, r.Kind = time.Unix(1, 0), 0 }),
			`{"ts":"1970-01-01T00:00:01.000000Z","type":"new-station","ip":"10.9.0.7","vlan":0,"mac":"52:54:00:00:00:0b","old_mac":"",` +
				`"vendor":"QEMU/KVM","iface":"eth0","commit":"` + commit + `","domain":"lan","severity":6,"phase":"once","count":1}`},
		{"a nanosecond, two tags, two types", line(observe.Bogon, plain, func(r *observe.Record) {
			r.Time = time.Unix(1, 1)
			r.Key.VLAN = ethernet.VLAN{Outer: 100, Inner: 5}
			r.Under = observe.TypeSet(0).With(observe.NewStation)
			r.Phase, r.Episode, r.Detail = observe.PhaseBegan, 0xabc, "a\nb"
		}), `{"ts":"1970-01-01T00:00:01.000000001Z","type":"bogon","ip":"10.9.0.7","vlan":"100.5","mac":"52:54:00:00:00:0b","old_mac":"",` +
			`"vendor":"QEMU/KVM","iface":"eth0","commit":"` + commit + `","domain":"lan","severity":5,"phase":"began","count":1,` +
			`"episode":"0000000000000abc","kind":"reply","detail":"a?b","under":["new-station"]}`},
		{"the end of a flood", line(observe.Flood, plain, func(r *observe.Record) {
			r.Key = arp.Key{Domain: "office", VLAN: ethernet.VLAN{Inner: 7}}
			r.MAC, r.Kind = ethernet.Addr{}, 0
			r.Phase, r.Count, r.First, r.Last = observe.PhaseEnded, 812, at, at.Add(time.Second)
		}), `{"ts":"2026-03-01T11:00:02.123456Z","type":"flood","ip":"","vlan":7,"mac":"","old_mac":"","vendor":"","iface":"eth0","commit":"` +
			commit + `","domain":"office","severity":4,"phase":"ended","count":812,"first":"2026-03-01T11:00:02.123456Z","last":"2026-03-01T11:00:03.123456Z"}`},
	} {
		if got := string(JSON(c.l, &v)); got != c.want+"\n" {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

// The required keys are in every event, and none is null.
func TestJSONKeys(t *testing.T) {
	var v vendors.Table
	for i := range observe.Types() {
		l := line(i.Type)
		l.Record.Key.Addr, l.Record.MAC, l.Record.Old, l.Commit = netip.Addr{}, ethernet.Addr{}, ethernet.Addr{}, ""
		var m map[string]any
		if err := json.Unmarshal(JSON(l, &v), &m); err != nil {
			t.Fatal(err)
		}
		for _, k := range []string{"ts", "type", "ip", "vlan", "mac", "old_mac", "vendor", "iface", "commit"} {
			if _, ok := m[k]; !ok {
				t.Errorf("%v has no %s", i.Type, k)
			}
		}
		for k, x := range m {
			if x == nil {
				t.Errorf("%v: %s is null", i.Type, k)
			}
		}
	}
}

func TestText(t *testing.T) {
	text := Text{Vendors: &vendors.Table{}, Zone: time.UTC}
	for _, c := range []struct {
		l    *observe.Line
		want string
	}{
		{line(observe.Changed), "2026-03-01 11:00:02.123  changed          10.9.0.7            52:54:00:00:00:0b (QEMU/KVM) was 02:00:00:00:00:0a (local)  eth0  0123456"},
		{line(observe.Spoof, func(r *observe.Record) { r.Detail = "it \x1b[2Jtalks" }),
			"2026-03-01 11:00:02.123  spoof            10.9.0.7            52:54:00:00:00:0b (QEMU/KVM) claims it from 02:00:00:00:00:0a (local)  it ?[2Jtalks  eth0  0123456"},
		{line(observe.Flood, func(r *observe.Record) {
			r.Key = arp.Key{Domain: "lan", VLAN: ethernet.VLAN{Inner: 7}}
			r.MAC, r.Old, r.Iface = ethernet.Addr{}, ethernet.Addr{}, ""
			r.Phase, r.Count, r.First, r.Last, r.Detail = observe.PhaseEnded, 812, at, at.Add(1500*time.Millisecond), "100 new stations in 1 s"
		}), "2026-03-01 11:00:02.123  flood            vlan 7 -            -  ended: 812 in 1.5s, 100 new stations in 1 s  0123456"},
	} {
		if got := text.Line(c.l); got != c.want {
			t.Errorf("\n got %q\nwant %q", got, c.want)
		}
	}
	// Colours are the caller's and change nothing else.
	text.Paint = func(p Part, s observe.Severity, x string) string { return "<" + x + ">" }
	plain := Text{Vendors: text.Vendors, Zone: time.UTC}
	got := text.Line(line(observe.Changed))
	if !strings.Contains(got, "<changed>  ") || strings.NewReplacer("<", "", ">", "").Replace(got) != plain.Line(line(observe.Changed)) {
		t.Errorf("painted: %q", got)
	}
}

func TestWords(t *testing.T) {
	plain := func(r *observe.Record) { r.Old = ethernet.Addr{} }
	for _, c := range []struct {
		l    *observe.Line
		want string
	}{
		{line(observe.NewStation, plain), "new station 10.9.0.7 52:54:00:00:00:0b eth0"},
		{line(observe.Changed), "changed ethernet address 10.9.0.7 52:54:00:00:00:0b (02:00:00:00:00:0a) eth0"},
		{line(observe.FlipFlop), "flip flop 10.9.0.7 52:54:00:00:00:0b (02:00:00:00:00:0a) eth0"},
		{line(observe.Reused), "reused old ethernet address 10.9.0.7 52:54:00:00:00:0b (02:00:00:00:00:0a) eth0"},
		{line(observe.NewActivity, plain), "new activity 10.9.0.7 52:54:00:00:00:0b eth0"},
		{line(observe.Bogon, plain, func(r *observe.Record) { r.Detail = "outside" }), "bogon 10.9.0.7 52:54:00:00:00:0b eth0"},
		// The Ethernet source first, the sender that the message names behind it.
		{line(observe.EtherMismatch), "ethernet mismatch 10.9.0.7 02:00:00:00:00:0a (52:54:00:00:00:0b) eth0"},
		{line(observe.EtherBroadcast, plain), "ethernet broadcast 10.9.0.7 52:54:00:00:00:0b eth0"},
		{line(observe.IPBroadcast, plain), "ip broadcast 10.9.0.7 52:54:00:00:00:0b eth0"},
		{line(observe.Scan, plain, func(r *observe.Record) { r.Key.Addr, r.Detail = netip.Addr{}, "100 targets in 3.2 s" }),
			"scan 52:54:00:00:00:0b eth0: 100 targets in 3.2 s"},
	} {
		if got := Words(c.l); got != c.want {
			t.Errorf("\n got %q\nwant %q", got, c.want)
		}
	}
	for i := range observe.Types() {
		if words[i.Type] == "" {
			t.Errorf("%v has no words", i.Type)
		}
	}
}

func TestMessage(t *testing.T) {
	h := Header{Hostname: "watch er", PID: 7}
	l := line(observe.Spoof, func(r *observe.Record) {
		r.Iface, r.Episode, r.Phase = `e"]\`, 1, observe.PhaseBegan
		r.Key.VLAN, r.Detail = ethernet.VLAN{Inner: 5}, "it talks"
	})
	want := `<25>1 2026-03-01T11:00:02.123456Z watcher arpeggio 7 spoof [arpeggio@32473 type="spoof" ip="10.9.0.7" vlan="5" ` +
		`mac="52:54:00:00:00:0b" old_mac="02:00:00:00:00:0a" domain="lan" iface="e\"\]\\" episode="0000000000000001" phase="began" ` +
		`commit="` + commit + `"] spoofed address 10.9.0.7 52:54:00:00:00:0b (02:00:00:00:00:0a) e"]\: it talks`
	if got := string(h.Message(l)); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	if got := string(Header{Hostname: "\x01", PID: 7}.Message(line(observe.NewStation))); !strings.HasPrefix(got, "<30>1 2026-03-01T11:00:02.123456Z - arpeggio 7 new-station [") {
		t.Errorf("without a name: %s", got)
	}
}
