package observer

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"arpeggio/arp"
	"arpeggio/arp/observe"
	"arpeggio/arp/versioned"
	"arpeggio/stack/capture"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

var begin = time.Date(2026, 3, 1, 12, 0, 0, 5, time.UTC)

// request is a frame of a host that asks for 10.9.0.1.
func request(n byte, ip string) []byte {
	mac := ethernet.Addr{2, 0x50, 0, 0, 0, n}
	h := ethernet.Header{Dst: ethernet.Broadcast, Src: mac, Type: ethernet.TypeARP}
	p := arp.Packet{Op: arp.OpRequest, SenderMAC: mac, SenderIP: netip.MustParseAddr(ip), TargetIP: netip.MustParseAddr("10.9.0.1")}
	return p.AppendTo(h.AppendTo(nil))
}

// file writes a capture of some interfaces and packets.
func file(t *testing.T, ifaces []capture.Interface, packets ...capture.Packet) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := capture.NewWriter(&b, capture.WriterConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range ifaces {
		if _, err := w.AddInterface(i); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range packets {
		if err := w.WritePacket(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// read reads captures, one after the other, and ends the run.
func read(t *testing.T, o *Observer, files ...[]byte) (warnings []Warning, err error) {
	t.Helper()
	var names []string
	for i, b := range files {
		name := filepath.Join(t.TempDir(), fmt.Sprint(i))
		if err := os.WriteFile(name, b, 0o666); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	err = o.ReadFiles(context.Background(), func(w Warning) { warnings = append(warnings, w) }, nil, names...)
	if e := o.Close(context.Background()); e != nil {
		t.Fatal(e)
	}
	return warnings, err
}

func subjects(t *testing.T, o *Observer, s *vcs.Store) (out []string) {
	t.Helper()
	for c, err := range s.Log(o.cfg.Journal.Head()) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, c.Subject())
	}
	return out
}

// What the capture says was lost is in the history, and in what a recording of
// the reading says.
func TestLossIsRecorded(t *testing.T) {
	one := []capture.Interface{{Name: "va"}}
	in := file(t, one,
		capture.Packet{Time: begin, Data: request(1, "10.9.0.7")},
		capture.Packet{Time: begin.Add(time.Second), Data: request(1, "10.9.0.7"), Dropped: 40},
		capture.Packet{Time: begin.Add(time.Second + 1), Data: request(1, "10.9.0.7"), Dropped: 2},
		capture.Packet{Time: begin.Add(time.Second + 2), Data: request(1, "10.9.0.7"), Dropped: 5})
	var copied bytes.Buffer
	w, err := capture.NewWriter(&copied, capture.WriterConfig{})
	if err != nil {
		t.Fatal(err)
	}
	o, s := newTestObserver(t, Config{Record: w})
	if _, err := read(t, o, in); err != nil {
		t.Fatal(err)
	}
	want := "arp: 7 frames were lost on va|arp: 40 frames were lost on va|arp: 10.9.0.7 -> 02:50:00:00:00:01"
	if got := strings.Join(subjects(t, o, s), "|"); got != want {
		t.Errorf("history %q, want %q", got, want)
	}
	if st := o.Stats(); st.Lost != 47 {
		t.Errorf("%+v", st)
	}
	again, _ := newTestObserver(t, Config{})
	if _, err := read(t, again, copied.Bytes()); err != nil || again.cfg.Journal.Head() != o.cfg.Journal.Head() {
		t.Errorf("the recording gives %v, not %v: %v", again.cfg.Journal.Head(), o.cfg.Journal.Head(), err)
	}
}

// Which domain a frame belongs to depends on how many interfaces its capture has,
// and on what the command line says; files are read in order, compressed or not.
func TestDomainsOfSeveralFiles(t *testing.T) {
	single := file(t, []capture.Interface{{Name: "va"}}, capture.Packet{Time: begin, Data: request(1, "10.9.0.1")})
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write(file(t, []capture.Interface{{Name: "va"}, {Name: "vb"}, {Name: "vc"}},
		capture.Packet{Time: begin.Add(time.Second), Interface: 1, Data: request(2, "10.9.0.2")},
		capture.Packet{Time: begin.Add(2 * time.Second), Interface: 2, Data: request(3, "10.9.0.3")}))
	z.Close()
	o, _ := newTestObserver(t, Config{Domains: map[string]string{"vc": "office"}})
	if _, err := read(t, o, single, packed.Bytes(), single); err != nil {
		t.Fatal(err)
	}
	for _, want := range []arp.Key{{Domain: "lan", Addr: netip.MustParseAddr("10.9.0.1")},
		{Domain: "vb", Addr: netip.MustParseAddr("10.9.0.2")}, {Domain: "office", Addr: netip.MustParseAddr("10.9.0.3")}} {
		if _, ok := o.cfg.Journal.Get(want); !ok {
			t.Errorf("%v is not known", want)
		}
	}
	if n := o.Stats().Journal.Entries; n != 3 {
		t.Errorf("%d entries", n)
	}
}

// The networks of an interface stand in the capture; those of the command line
// come first.
func TestNetworksMakeBogons(t *testing.T) {
	in := file(t, []capture.Interface{{Name: "va", Networks: []netip.Prefix{netip.MustParsePrefix("10.9.0.1/24")}}},
		capture.Packet{Time: begin, Data: request(1, "192.0.2.7")})
	for _, c := range []struct {
		networks []netip.Prefix
		bogons   uint64
	}{{nil, 1}, {[]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, 0}} {
		o, _ := newTestObserver(t, Config{Networks: c.networks})
		if _, err := read(t, o, in); err != nil {
			t.Fatal(err)
		}
		if n := o.Stats().Engine.Events[observe.Bogon]; n != c.bogons {
			t.Errorf("with %v: %d bogons", c.networks, n)
		}
	}
}

// Damage ends a file and not the run; frames without a time, or of another kind
// of link, are counted.
func TestBadCaptures(t *testing.T) {
	good := file(t, []capture.Interface{{Name: "va"}, {Name: "wlan", LinkType: 105}},
		capture.Packet{Time: begin, Data: request(1, "10.9.0.1")},
		capture.Packet{Time: begin, Interface: 1, Data: request(1, "10.9.0.1")},
		capture.Packet{Time: time.Unix(1<<34, 0), Data: request(2, "10.9.0.2")})
	cut := good[:len(good)-7]
	broken := bytes.Clone(good)
	broken[len(broken)-1] ^= 0x40
	o, _ := newTestObserver(t, Config{})
	warnings, err := read(t, o, cut, []byte("no capture"), broken, good)
	if err == nil || !strings.Contains(err.Error(), "cannot be read") || len(warnings) != 2 {
		t.Errorf("error %v, warnings %q", err, warnings)
	}
	st := o.Stats()
	if st.Frames != 4 || st.Foreign != 3 || st.Times != 1 || st.Blocks[capture.ReasonTrailer] != 1 || st.Journal.Entries != 2 {
		t.Errorf("%+v", st)
	}
}

// A run that is continued knows how often and when hosts were seen before.
func TestSeenIndexIsContinued(t *testing.T) {
	b := mem.New()
	index := filepath.Join(t.TempDir(), "arp-seen")
	run := func(packets ...capture.Packet) (subject, frames, last string) {
		s, err := vcs.OpenStore(t.Context(), b, vcs.StoreConfig{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		j, err := versioned.OpenJournal(t.Context(), s, versioned.JournalConfig{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := read(t, New(Config{Journal: j, Index: index}), file(t, []capture.Interface{{Name: "va"}}, packets...)); err != nil {
			t.Fatal(err)
		}
		c, err := s.ReadCommit(j.Head())
		if err != nil {
			t.Fatal(err)
		}
		return c.Subject(), c.Trailer(versioned.TrailerFrames), c.Trailer(versioned.TrailerLastSeen)
	}
	run(capture.Packet{Time: begin, Data: request(1, "10.9.0.7")}, capture.Packet{Time: begin.Add(time.Minute), Data: request(1, "10.9.0.7")},
		capture.Packet{Time: begin.Add(2 * time.Minute), Data: request(1, "10.9.0.7")})
	subject, frames, last := run(capture.Packet{Time: begin.Add(time.Hour), Data: request(2, "10.9.0.7")})
	if subject != "arp: 10.9.0.7 -> 02:50:00:00:00:02 (was 02:50:00:00:00:01)" || frames != "3" || last != begin.Add(2*time.Minute).Format(time.RFC3339Nano) {
		t.Errorf("%s, %s frames, last seen %s", subject, frames, last)
	}
	// Without the index nothing but that is missing.
	if err := os.Truncate(index, 20); err != nil {
		t.Fatal(err)
	}
	subject, frames, _ = run(capture.Packet{Time: begin.Add(2 * time.Hour), Data: request(3, "10.9.0.7")})
	if subject != "arp: 10.9.0.7 -> 02:50:00:00:00:03 (was 02:50:00:00:00:02)" || frames != "1" {
		t.Errorf("%s, %s frames", subject, frames)
	}
}
