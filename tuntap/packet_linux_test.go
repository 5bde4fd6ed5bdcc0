package tuntap_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"arpeggio/stack/ethernet"
	"arpeggio/stack/link"
	"arpeggio/tuntap"
)

// cable is a veth pair whose ends are up: card in a namespace that has no
// address, for us, far in one whose kernel is 10.9.0.1.
func cable(t *testing.T) (ours, theirs *namespace) {
	t.Helper()
	ours, theirs = newNamespace(t), newNamespace(t)
	ours.ip("link", "add", "card", "address", ourMAC.String(), "type", "veth", "peer", "name", "far", "netns", theirs.name)
	theirs.ip("link", "set", "far", "up")
	theirs.ip("addr", "add", "10.9.0.1/24", "dev", "far")
	ours.ip("link", "set", "card", "up")
	theirs.waitUp("far")
	return ours, theirs
}

func openPacket(t *testing.T, ns *namespace, c tuntap.PacketConfig) *tuntap.Packet {
	t.Helper()
	var p *tuntap.Packet
	var err error
	ns.do(func() { p, err = tuntap.OpenPacket(c) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func TestPacketTalksToTheKernel(t *testing.T) {
	ours, theirs := cable(t)
	ours.ip("link", "set", "card", "down") // opening it brings it up
	card := openPacket(t, ours, tuntap.PacketConfig{Interface: "card"})
	if in := card.Info(); in.Addr != ourMAC || in.MTU != 1500 || in.Name != "card" {
		t.Errorf("Info %+v", in)
	}
	p := newPeer(t, card)
	p.resolve()
	p.ping(1, []byte("short"))
	p.ping(2, bytes.Repeat([]byte("long "), 290))
	if longest := p.exchanges(echoServer(t, theirs), 30000); longest <= 1514 {
		t.Errorf("longest frame %d octets, no super-frame came", longest)
	}
	if st := card.Stats(); st != (tuntap.Stats{}) {
		t.Errorf("%+v", st)
	}
}

// next returns the next frames that arrive, want of them unless patience ends.
func next(t *testing.T, dev link.Device, want int) (got []link.Frame) {
	t.Helper()
	deadline := time.Now().Add(patience)
	fs := make([]link.Frame, 40)
	for len(got) < want && time.Now().Before(deadline) {
		n, err := dev.ReadFrames(fs[:min(len(fs), want-len(got))])
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range fs[:n] {
			if h, _, _ := ethernet.Parse(f.Head); h.Type == testType {
				f.Head = bytes.Clone(f.Head)
				got = append(got, f)
			}
		}
		if n == 0 {
			dev.Wait(deadline)
		}
	}
	return got
}

// testType is a local experimental EtherType (IEEE 802, annex).
const testType ethernet.EtherType = 0x88b5

func testFrame(dst ethernet.Addr, payload string, tags ...ethernet.Tag) []byte {
	h := ethernet.Header{Dst: dst, Src: ethernet.Addr{2, 9, 9, 9, 9, 9}, Type: testType, NTags: uint8(len(tags))}
	copy(h.Tags[:], tags)
	return append(h.AppendTo(nil), payload...)
}

func TestPacketPutsVLANTagsBack(t *testing.T) {
	ours, theirs := cable(t)
	card := openPacket(t, ours, tuntap.PacketConfig{Interface: "card"})
	far := openPacket(t, theirs, tuntap.PacketConfig{Interface: "far"})
	long := string(bytes.Repeat([]byte("x"), 1484))
	sent := [][]byte{
		testFrame(ourMAC, "untagged"),
		testFrame(ourMAC, "802.1Q", ethernet.Tag{TPID: ethernet.TypeVLAN, TCI: 5<<13 | 1<<12 | 42}),
		testFrame(ourMAC, "priority", ethernet.Tag{TPID: ethernet.TypeVLAN, TCI: 7 << 13}),
		testFrame(ourMAC, "802.1ad", ethernet.Tag{TPID: ethernet.TypeQinQ, TCI: 100}),
		testFrame(ourMAC, "QinQ", ethernet.Tag{TPID: ethernet.TypeQinQ, TCI: 100}, ethernet.Tag{TPID: ethernet.TypeVLAN, TCI: 7}),
		testFrame(ourMAC, long, ethernet.Tag{TPID: ethernet.TypeQinQ, TCI: 100}, ethernet.Tag{TPID: ethernet.TypeVLAN, TCI: 7}),
	}
	for i, b := range sent {
		if n, err := far.WriteFrames([]link.Frame{{Head: b}}); n != 1 || err != nil {
			t.Fatalf("frame %d: %d, %v", i, n, err)
		}
	}
	got := next(t, card, len(sent))
	if len(got) != len(sent) {
		t.Fatalf("%d frames came, want %d", len(got), len(sent))
	}
	for i, f := range got {
		if !bytes.Equal(f.Head, sent[i]) {
			t.Errorf("frame %d came as % x, want % x", i, f.Head[:min(40, len(f.Head))], sent[i][:min(40, len(sent[i]))])
		}
		if d := time.Since(f.Time); d < 0 || d > time.Minute {
			t.Errorf("frame %d: time %v", i, f.Time)
		}
	}
}

// The descriptor counts from the start of the frame, with its tag.
func TestPacketShiftsChecksumBehindTag(t *testing.T) {
	ours, theirs := cable(t)
	card := openPacket(t, ours, tuntap.PacketConfig{Interface: "card"})
	far := openPacket(t, theirs, tuntap.PacketConfig{Interface: "far"})
	f := link.Frame{
		Head: testFrame(ourMAC, "partial checksum here", ethernet.Tag{TPID: ethernet.TypeVLAN, TCI: 3}),
		Csum: link.Csum{State: link.CsumPartial, Start: 20, Offset: 6},
	}
	if n, err := far.WriteFrames([]link.Frame{f}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	got := next(t, card, 1)
	if len(got) != 1 {
		t.Fatal("nothing came")
	}
	if got[0].Csum.State == link.CsumPartial {
		if got[0].Csum != f.Csum || !bytes.Equal(got[0].Head, f.Head) {
			t.Errorf("came with %+v, want %+v", got[0].Csum, f.Csum)
		}
		return
	}
	want := bytes.Clone(f.Head) // the kernel completed it on the way
	link.CompleteChecksum(want, f.Csum)
	if !bytes.Equal(got[0].Head, want) {
		t.Errorf("came completed as\n% x, want\n% x", got[0].Head, want)
	}
}

func TestPacketSeesWhatWasAskedFor(t *testing.T) {
	stranger := ethernet.MustParseAddr("02:77:77:77:77:77")
	for _, c := range []struct {
		name string
		conf tuntap.PacketConfig
		want string
	}{
		{"own and broadcast", tuntap.PacketConfig{}, "[own all]"},
		{"promiscuous", tuntap.PacketConfig{Promiscuous: true}, "[foreign own all]"},
		{"outgoing too", tuntap.PacketConfig{Outgoing: true}, "[own all out]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ours, theirs := cable(t)
			c.conf.Interface = "card"
			card := openPacket(t, ours, c.conf)
			other := openPacket(t, ours, tuntap.PacketConfig{Interface: "card"})
			far := openPacket(t, theirs, tuntap.PacketConfig{Interface: "far"})
			// A veth delivers foreign unicast as PACKET_OTHERHOST, which a
			// packet socket sees; a real card would have filtered it.
			send := func(from link.Device, dst ethernet.Addr, s string) {
				if n, err := from.WriteFrames([]link.Frame{{Head: testFrame(dst, s)}}); n != 1 || err != nil {
					t.Fatal(n, err)
				}
			}
			if c.conf.Promiscuous {
				send(far, stranger, "foreign")
			}
			send(far, ourMAC, "own")
			send(far, ethernet.Broadcast, "all")
			send(card, stranger, "mine")
			send(other, stranger, "out")
			send(far, ourMAC, "end")
			var got []string
			for {
				f := next(t, card, 1)
				if len(f) == 0 {
					t.Fatal("the last frame did not come")
				}
				s := string(f[0].Head[14:])
				if s == "end" {
					break
				}
				got = append(got, s)
			}
			if s := "[" + string(bytes.Join(toBytes(got), []byte(" "))) + "]"; s != c.want {
				t.Errorf("saw %s, want %s", s, c.want)
			}
		})
	}
}

// The card lets the frames of all groups in: who listens to which, the stack
// decides.
func TestPacketHearsGroups(t *testing.T) {
	ours, _ := cable(t)
	card := func() string { return ours.ip("-d", "link", "show", "card") }
	if !strings.Contains(card(), "allmulti 0") {
		t.Skip("ip does not tell")
	}
	openPacket(t, ours, tuntap.PacketConfig{Interface: "card"})
	if out := card(); !strings.Contains(out, "allmulti 1") {
		t.Errorf("the card would drop them:\n%s", out)
	}
}

func toBytes(s []string) (b [][]byte) {
	for _, v := range s {
		b = append(b, []byte(v))
	}
	return b
}

func TestPacketBatches(t *testing.T) {
	ours, theirs := cable(t)
	card := openPacket(t, ours, tuntap.PacketConfig{Interface: "card"})
	far := openPacket(t, theirs, tuntap.PacketConfig{Interface: "far"})
	var fs []link.Frame
	for i := range 100 {
		fs = append(fs, link.Frame{Head: testFrame(ourMAC, string([]byte{byte(i)}))})
	}
	fs[50].Head = make([]byte, 2000)
	if n, err := far.WriteFrames(fs); n != 50 || !errors.Is(err, link.ErrTooBig) {
		t.Fatalf("WriteFrames = %d, %v; want 50 and ErrTooBig", n, err)
	}
	if n, err := far.WriteFrames(fs[51:]); n != 49 || err != nil {
		t.Fatalf("WriteFrames = %d, %v", n, err)
	}
	got := next(t, card, 99)
	seen := make(map[byte]bool)
	for _, f := range got { // a veth may let frames overtake each other
		seen[f.Head[14]] = true
	}
	if len(got) != 99 || len(seen) != 99 || seen[50] {
		t.Errorf("%d frames came, %d different", len(got), len(seen))
	}
}

func TestPacketWaitWakeClose(t *testing.T) {
	ours, _ := cable(t)
	waitWakeClose(t, openPacket(t, ours, tuntap.PacketConfig{Interface: "card"}))
}

func TestPacketDownAndRemoved(t *testing.T) {
	ours, theirs := cable(t)
	card := openPacket(t, ours, tuntap.PacketConfig{Interface: "card"})
	far := openPacket(t, theirs, tuntap.PacketConfig{Interface: "far"})
	ours.ip("link", "set", "card", "down")
	if n, err := card.WriteFrames([]link.Frame{{Head: testFrame(ourMAC, "")}}); n != 0 || !errors.Is(err, tuntap.ErrDown) {
		t.Errorf("write to a card that is down: %d, %v", n, err)
	}
	if n, err := card.ReadFrames(make([]link.Frame, 1)); n != 0 || err != nil {
		t.Errorf("read from a card that is down: %d, %v", n, err)
	}
	ours.ip("link", "set", "card", "up")
	theirs.waitUp("far")
	if n, err := far.WriteFrames([]link.Frame{{Head: testFrame(ourMAC, "again")}}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if got := next(t, card, 1); len(got) != 1 || string(got[0].Head[14:]) != "again" {
		t.Errorf("after it came up again: %d frames", len(got))
	}
	ours.ip("link", "delete", "card")
	var err error
	for i := 0; i < 100 && err == nil; i++ {
		if err = card.Wait(time.Now().Add(time.Second)); err == nil {
			_, err = card.ReadFrames(make([]link.Frame, 1))
		}
	}
	if !errors.Is(err, tuntap.ErrNoInterface) {
		t.Errorf("reading a card that was removed: %v", err)
	}
}

func TestOpenPacketErrors(t *testing.T) {
	if _, err := tuntap.OpenPacket(tuntap.PacketConfig{}); !errors.Is(err, tuntap.ErrName) {
		t.Errorf("no name: %v", err)
	}
	newNamespace(t).do(func() {
		if _, err := tuntap.OpenPacket(tuntap.PacketConfig{Interface: "nothing0"}); !errors.Is(err, tuntap.ErrNoInterface) {
			t.Errorf("missing interface: %v", err)
		}
	})
}
