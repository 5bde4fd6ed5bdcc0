package recording

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/capture"
	"arpeggio/stack/ethernet"
	"arpeggio/stack/ipv4"
	"arpeggio/stack/tcp"
	"arpeggio/stack/udp"
)

const someID = "3fbc181000000000000000000000000000000001"

func TestParseComment(t *testing.T) {
	a, b := netip.MustParseAddrPort("10.0.0.2:80"), netip.MustParseAddrPort("10.0.0.1:4000")
	for text, want := range map[string]Comment{
		"":                              {},
		"tcp 10.0.0.2:80 10.0.0.1:4000": {Connection: &Connection{"tcp", a, b}},
		"tcp 10.0.0.2:80 10.0.0.1:4000; FIN-WAIT-1 → FIN-WAIT-2; FIN-WAIT-2 → TIME-WAIT; checksum partial": {Connection: &Connection{"tcp", a, b},
			States: []Change{{"FIN-WAIT-1", "FIN-WAIT-2"}, {"FIN-WAIT-2", "TIME-WAIT"}}, Notes: []string{"checksum partial"}},
		"commit " + someID: {Commits: []string{someID}},
		"commit 123":       {Notes: []string{"commit 123"}},
		"tcp is great":     {Notes: []string{"tcp is great"}},
		"what; ever":       {Notes: []string{"what", "ever"}},
		"X → Y; ESTAB → ":  {Notes: []string{"X → Y", "ESTAB → "}},
	} {
		if got := ParseComment(text); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
}

// written makes a recording of frames.
func written(t *testing.T, name string, packets ...capture.Packet) {
	t.Helper()
	var b bytes.Buffer
	w, err := capture.NewWriter(&b, capture.WriterConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.AddInterface(capture.Interface{Name: "tap0"}); err != nil {
		t.Fatal(err)
	}
	for i, p := range packets {
		p.Time = time.Unix(1_800_000_000+int64(i), 0)
		if err := w.WritePacket(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Flush(), os.WriteFile(name, b.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
}

func arpFrame(op arp.Op, sender, target string) []byte {
	a := arp.Packet{Op: op, SenderMAC: ethernet.Addr{2, 0, 0, 0, 0, 1}, SenderIP: netip.MustParseAddr(sender), TargetIP: netip.MustParseAddr(target)}
	return frame(5, ethernet.TypeARP, a.AppendTo(nil))
}

// life is a connection that the peer opens and both sides close at once.
func life() []capture.Packet {
	const conn = "tcp 10.0.0.2:80 10.0.0.1:4000"
	in := func(f tcp.Flags, data, note string) capture.Packet {
		return capture.Packet{Direction: capture.In, Comment: conn + note, Data: segment(tcp.Segment{SrcPort: 4000, DstPort: 80, Seq: 7, Ack: 9, Window: 5, Flags: f}, data)}
	}
	out := func(f tcp.Flags, note string) capture.Packet {
		p := packetBetween(netip.MustParseAddrPort("10.0.0.2:80"), netip.MustParseAddrPort("10.0.0.1:4000"), tcp.Segment{SrcPort: 80, DstPort: 4000, Seq: 9, Ack: 7, Flags: f})
		return capture.Packet{Direction: capture.Out, Comment: conn + note, Data: p}
	}
	return []capture.Packet{
		in(tcp.SYN, "", "; LISTEN → SYN-RECEIVED"), out(tcp.SYN|tcp.ACK, ""), in(tcp.ACK, "", "; SYN-RECEIVED → ESTABLISHED"),
		in(tcp.ACK|tcp.PSH, "data", ""),
		// They cross each other.
		in(tcp.ACK|tcp.FIN, "", "; FIN-WAIT-1 → CLOSING"), out(tcp.ACK|tcp.FIN, "; ESTABLISHED → FIN-WAIT-1"),
		in(tcp.ACK, "", "; CLOSING → TIME-WAIT"),
	}
}

func TestShow(t *testing.T) {
	name := filepath.Join(t.TempDir(), "t.pcapng")
	datagram := udp.Header{SrcPort: 53, DstPort: 5353}
	packets := append(life(),
		capture.Packet{Data: arpFrame(arp.OpRequest, "10.0.0.7", "10.0.0.2"), Comment: "commit " + someID, Dropped: 3},
		capture.Packet{Data: arpFrame(arp.OpReply, "10.0.0.7", "10.0.0.2")},
		capture.Packet{Data: arpFrame(arp.OpRequest, "10.0.0.7", "10.0.0.7")},
		capture.Packet{Data: arpFrame(arp.OpRequest, "0.0.0.0", "10.0.0.7")},
		capture.Packet{Data: frame(0, ethernet.TypeIPv4, packet(ipv4.ProtoUDP, 0, append(datagram.AppendTo(nil, nil, 5), "hello"...)))},
		capture.Packet{Data: frame(0, ethernet.TypeIPv4, packet(ipv4.ProtoUDP, 8, make([]byte, 24)))},
		capture.Packet{Data: frame(0, ethernet.TypeIPv4, packet(ipv4.ProtoICMP, 0, []byte{8, 0, 0, 0}))},
		capture.Packet{Data: frame(0, ethernet.TypeIPv6, make([]byte, 60))},
		capture.Packet{Data: make([]byte, 3)},
	)
	written(t, name, packets...)
	var got []string
	var flows Flows
	st, err := Show(name, nil, func(p *Packet) error {
		local, remote := p.Ends()
		got = append(got, fmt.Sprintf("%d %s %s %v %v %d %s", p.Number, p.Direction, p.Proto, local, remote, p.Lost, p.Info))
		flows.Add(p)
		return nil
	})
	if err != nil || st.Packets != uint64(len(packets)) {
		t.Fatal(st, err)
	}
	const ends = " 10.0.0.2:80 10.0.0.1:4000 0 "
	want := []string{
		"1 in tcp" + ends + "[S] seq 7 win 5", "2 out tcp" + ends + "[S.] seq 9 ack 7 win 0", "3 in tcp" + ends + "[.] seq 7 ack 9 win 5",
		"4 in tcp" + ends + "[P.] seq 7:11 ack 9 win 5 len 4", "5 in tcp" + ends + "[F.] seq 7 ack 9 win 5", "6 out tcp" + ends + "[F.] seq 9 ack 7 win 0",
		"7 in tcp" + ends + "[.] seq 7 ack 9 win 5",
		"8  arp 10.0.0.7 10.0.0.2 3 vlan 5 who has 10.0.0.2, tell 10.0.0.7 at 02:00:00:00:00:01",
		"9  arp 10.0.0.7 10.0.0.2 0 vlan 5 10.0.0.7 is at 02:00:00:00:00:01, to 10.0.0.2",
		"10  arp 10.0.0.7 10.0.0.7 0 vlan 5 announce 10.0.0.7 is at 02:00:00:00:00:01",
		"11  arp 0.0.0.0 10.0.0.7 0 vlan 5 probe 10.0.0.7 by 02:00:00:00:00:01",
		"12  udp 10.0.0.1:53 10.0.0.2:5353 0 5 octets",
		"13  udp 10.0.0.1 10.0.0.2 0 fragment of 24 octets",
		"14  icmp 10.0.0.1 10.0.0.2 0 type 8 code 0",
		"15  ipv6 invalid IP invalid IP 0 02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff",
		"16  ? invalid IP invalid IP 0 cut off or malformed",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	all := flows.All()
	if len(all) != 1 || all[0].In != 5 || all[0].Out != 2 || all[0].Last.Sub(all[0].First) != 6*time.Second {
		t.Fatalf("%d flows, the first %+v", len(all), all[0])
	}
	if path := strings.Join(all[0].Path(), " "); path != "LISTEN SYN-RECEIVED ESTABLISHED FIN-WAIT-1 CLOSING TIME-WAIT" {
		t.Error(path)
	}
}

func TestFilter(t *testing.T) {
	name := filepath.Join(t.TempDir(), "t.pcapng")
	written(t, name, append(life(), capture.Packet{Data: arpFrame(arp.OpRequest, "10.0.0.7", "10.0.0.2"), Comment: "commit " + someID})...)
	for _, tc := range []struct {
		connection, state, commit, proto string
		led                              bool
		want                             string
	}{
		{want: "12345678"},
		{connection: "10.0.0.2:80", want: "1234567"},
		{connection: "10.0.0.0/29", want: "12345678"},
		{connection: ":4000,10.0.0.2:80", want: "1234567"},
		{connection: "10.0.0.2:80,:4001", want: ""},
		{connection: "10.0.0.7", want: "8"},
		{state: "established", want: "36"},
		{state: "syn-recv", want: "13"},
		{state: "any", want: "13567"},
		{commit: "3FBC181", want: "8"},
		{commit: "any", want: "8"},
		{commit: "any", state: "any", want: ""},
		{commit: "ffff", want: ""},
		{led: true, want: "135678"},
		{led: true, proto: "tcp", want: "13567"},
	} {
		f := Filter{Led: tc.led}
		if tc.proto != "" {
			f.Protos = []string{tc.proto}
		}
		for _, kind := range []struct {
			word string
			add  func(string) error
		}{{tc.connection, f.Connection}, {tc.state, f.State}, {tc.commit, f.Commit}} {
			if kind.word != "" {
				if err := kind.add(kind.word); err != nil {
					t.Fatal(err)
				}
			}
		}
		got := ""
		if _, err := Show(name, nil, func(p *Packet) error {
			if f.Match(p) {
				got += fmt.Sprint(p.Number)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if got != tc.want {
			t.Errorf("%+v: %s", tc, got)
		}
	}
	var f Filter
	for _, err := range []error{f.Connection("x"), f.Connection("10.0.0.1:0"), f.Connection("10.0.0.1:99999"), f.Connection(":1,:2,:3"), f.Connection(""), f.State("open"), f.Commit("12"), f.Commit("xyzzy")} {
		if !errors.Is(err, ErrFilter) {
			t.Errorf("taken: %v", err)
		}
	}
}

// A ring is read by the name that it was recorded under.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "t.pcapng")
	if _, err := Files(name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("none: %v", err)
	}
	if _, err := Files(filepath.Join(dir, "no", "t.pcapng")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
	f, err := Create(name, capture.MinRing)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Writer.AddInterface(capture.Interface{Name: "tap0"}); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		if err := f.Writer.WritePacket(capture.Packet{Data: make([]byte, 1500)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	files, err := Files(name)
	if err != nil || len(files) != 3 || filepath.Base(files[0]) != "t.000001.pcapng" || filepath.Base(files[2]) != "t.000003.pcapng" {
		t.Errorf("%v, %v", files, err)
	}
	if files, err := Files("-"); err != nil || !slices.Equal(files, []string{"-"}) {
		t.Errorf("%v, %v", files, err)
	}
}

func FuzzDescribe(f *testing.F) {
	for _, p := range life() {
		f.Add(p.Data, p.Comment)
	}
	f.Add(arpFrame(arp.OpRequest, "10.0.0.7", "10.0.0.2"), "commit "+someID)
	f.Fuzz(func(t *testing.T, b []byte, comment string) {
		p := Packet{Comment: ParseComment(comment)}
		p.describe(b)
		p.Ends()
	})
}
