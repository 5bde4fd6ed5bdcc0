package capture_test

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"arpeggio/stack/capture"
	"arpeggio/stack/ethernet"
)

var when = time.Unix(1_800_000_000, 123_456_789).UTC()

// arp is an ARP request in a frame of 60 octets.
var arp = append([]byte{255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 1, 8, 6,
	0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 9, 0, 1, 0, 0, 0, 0, 0, 0, 10, 9, 0, 2}, make([]byte, 18)...)

// sample writes a file with two interfaces and four packets.
func sample(t testing.TB, c capture.WriterConfig) []byte {
	t.Helper()
	var buf bytes.Buffer
	w, err := capture.NewWriter(&buf, c)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tap0", "eth1"} {
		if _, err := w.AddInterface(capture.Interface{Name: name, Description: "of " + name}); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range []capture.Packet{
		{Time: when, Direction: capture.In, Data: arp, Comment: "who has 10.9.0.2"},
		{Time: when.Add(1), Interface: 1, Direction: capture.Out, Data: arp[:43]},
		{Time: when.Add(2), Interface: 1, Data: arp[:42], Length: 1514},
		{Time: when.Add(3), Data: arp, Comment: "später"},
	} {
		if err := w.WritePacket(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// readAll returns all packets with data of their own.
func readAll(t testing.TB, b []byte) ([]capture.Packet, *capture.Reader) {
	t.Helper()
	r, err := capture.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	var all []capture.Packet
	for {
		p, err := r.Next()
		if err != nil {
			if err.Error() != "EOF" {
				t.Errorf("Next: %v", err)
			}
			return all, r
		}
		p.Data = bytes.Clone(p.Data)
		all = append(all, p)
	}
}

func TestRoundTrip(t *testing.T) {
	all, r := readAll(t, sample(t, capture.WriterConfig{Comment: "a test"}))
	if len(all) != 4 {
		t.Fatalf("%d packets", len(all))
	}
	want := []capture.Packet{
		{Direction: capture.In, Data: arp, Length: 60, Comment: "who has 10.9.0.2"},
		{Interface: 1, Direction: capture.Out, Data: arp[:43], Length: 43},
		{Interface: 1, Data: arp[:42], Length: 1514},
		{Data: arp, Length: 60, Comment: "später"},
	}
	for i, p := range all {
		w := want[i]
		if !p.Time.Equal(when.Add(time.Duration(i))) || p.Interface != w.Interface || p.Direction != w.Direction ||
			!bytes.Equal(p.Data, w.Data) || p.Length != w.Length || p.Comment != w.Comment || p.LinkType != capture.LinkTypeEthernet {
			t.Errorf("packet %d: %+v", i, p)
		}
	}
	if is := r.Interfaces(); len(is) != 2 || is[0].Name != "tap0" || is[1].Description != "of eth1" {
		t.Errorf("interfaces %+v", is)
	}
	if st := r.Stats(); st != (capture.ReaderStats{Packets: 4}) {
		t.Errorf("%+v", st)
	}
}

func TestGopacketReadsWhatWeWrite(t *testing.T) {
	r, err := pcapgo.NewNgReader(bytes.NewReader(sample(t, capture.WriterConfig{})), pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	for i, n := range []int{60, 43, 42, 60} {
		data, ci, err := r.ReadPacketData()
		if err != nil || !bytes.Equal(data, arp[:n]) || !ci.Timestamp.Equal(when.Add(time.Duration(i))) {
			t.Errorf("packet %d: %d octets at %v, %v", i, len(data), ci.Timestamp, err)
		}
	}
	if i, err := r.Interface(1); err != nil || i.Name != "eth1" || i.LinkType != layers.LinkTypeEthernet {
		t.Errorf("%+v, %v", i, err)
	}
	if a := r.SectionInfo().Application; a != "arpeggio" {
		t.Errorf("application %q", a)
	}
}

func TestTcpdumpReadsWhatWeWrite(t *testing.T) {
	tcpdump, err := exec.LookPath("tcpdump")
	if err != nil {
		t.Skip("needs tcpdump")
	}
	file := filepath.Join(t.TempDir(), "x.pcapng")
	if err := os.WriteFile(file, sample(t, capture.WriterConfig{}), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tcpdump, "--nano", "-tt", "-n", "-r", file).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if n := strings.Count(string(out), "who-has 10.9.0.2"); n != 4 || !strings.Contains(string(out), "1800000000.123456790") {
		t.Errorf("tcpdump says\n%s", out)
	}
}

func TestSnapLen(t *testing.T) {
	all, _ := readAll(t, sample(t, capture.WriterConfig{SnapLen: 20}))
	for i, p := range all {
		if !bytes.Equal(p.Data, arp[:20]) || p.Length != []int{60, 43, 1514, 60}[i] {
			t.Errorf("packet %d: %d octets of %d", i, len(p.Data), p.Length)
		}
	}
}

func TestWriterRefuses(t *testing.T) {
	if _, err := capture.NewWriter(&bytes.Buffer{}, capture.WriterConfig{SnapLen: -1}); err == nil {
		t.Error("negative SnapLen")
	}
	w, err := capture.NewWriter(&bytes.Buffer{}, capture.WriterConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if w.WritePacket(capture.Packet{Data: arp}) == nil {
		t.Error("a packet without an interface")
	}
}

// full is a disk that takes n octets.
type full struct{ n int }

var errFull = errors.New("disk full")

func (f *full) Write(b []byte) (int, error) {
	if f.n -= len(b); f.n < 0 {
		return 0, errFull
	}
	return len(b), nil
}

func TestErrorEndsTheRecording(t *testing.T) {
	w, err := capture.NewWriter(&full{400}, capture.WriterConfig{Buffer: 1})
	if err != nil {
		t.Fatal(err)
	}
	w.AddInterface(capture.Interface{Name: "x"})
	for range 20 {
		err = w.WritePacket(capture.Packet{Data: arp})
	}
	if !errors.Is(err, errFull) || !errors.Is(w.Err(), errFull) || !errors.Is(w.Flush(), errFull) {
		t.Errorf("%v, %v", err, w.Err())
	}
}

// Each port is an interface, and a frame that passes between others was neither
// received nor sent by the station from which the recording is seen.
func TestMonitor(t *testing.T) {
	var buf bytes.Buffer
	w, err := capture.NewWriter(&buf, capture.WriterConfig{})
	if err != nil {
		t.Fatal(err)
	}
	rec := capture.NewRecorder(w, capture.RecorderConfig{})
	own, other := ethernet.Addr{2, 1}, ethernet.Addr{2, 2}
	m := rec.Monitor("own", own)
	frames := []struct {
		port  string
		to    ethernet.Addr
		iface int
		want  capture.Direction
	}{
		{"a", ethernet.Broadcast, 0, capture.In},
		{"a", ethernet.Addr{1, 0, 0x5e}, 0, capture.In},
		{"b", own, 1, capture.In},
		{"b", other, 1, capture.Unknown},
		{"own", other, 2, capture.Out},
		{"a", own, 0, capture.In},
	}
	for _, f := range frames {
		m(f.port, append(f.to[:], arp[6:]...), when)
	}
	rec.Monitor("", ethernet.Addr{})("c", append(other[:], arp[6:]...), when)
	if err := rec.Close(); err != nil {
		t.Fatal(err)
	}
	all, r := readAll(t, buf.Bytes())
	if len(all) != 7 || r.Interfaces()[1].Name != "b" {
		t.Fatalf("%+v %+v", all, r.Interfaces())
	}
	for i, f := range frames {
		if p := all[i]; p.Interface != f.iface || p.Direction != f.want {
			t.Errorf("from %s to %v: interface %d, direction %d", f.port, f.to, p.Interface, p.Direction)
		}
	}
	if all[6].Direction != capture.In {
		t.Errorf("whoever has no address: direction %d", all[6].Direction)
	}
}

// What an observer needs to read its own recording as it saw the wire: the
// interface's networks, and how much was lost before a packet.
func TestNetworksAndDrops(t *testing.T) {
	networks := []netip.Prefix{netip.MustParsePrefix("10.9.0.2/24"), netip.MustParsePrefix("fe80::1/64"), netip.MustParsePrefix("0.0.0.0/0")}
	var buf bytes.Buffer
	w, err := capture.NewWriter(&buf, capture.WriterConfig{})
	if err != nil {
		t.Fatal(err)
	}
	w.AddInterface(capture.Interface{Name: "eth0", Networks: networks})
	w.WritePacket(capture.Packet{Time: when, Data: arp})
	w.WritePacket(capture.Packet{Time: when, Data: arp, Dropped: 1 << 33})
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	all, r := readAll(t, buf.Bytes())
	if len(all) != 2 || all[0].Dropped != 0 || all[1].Dropped != 1<<33 {
		t.Errorf("%+v", all)
	}
	if got := r.Interfaces()[0].Networks; !slices.Equal(got, networks) {
		t.Errorf("networks %v", got)
	}
}
