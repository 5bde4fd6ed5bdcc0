package vnet_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack/ethernet"
	"arpeggio/stack/link"
	"arpeggio/stack/vnet"
)

var (
	macA = ethernet.MustParseAddr("02:00:00:00:00:0a")
	macB = ethernet.MustParseAddr("02:00:00:00:00:0b")
	macC = ethernet.MustParseAddr("02:00:00:00:00:0c")
)

// lan is a switch with ports a, b and c.
type lan struct {
	t       *testing.T
	sw      *vnet.Switch
	a, b, c *vnet.Port
}

func newLAN(t *testing.T, c vnet.Config) *lan {
	t.Helper()
	l := &lan{t: t, sw: vnet.New(c)}
	l.a = l.port(vnet.PortConfig{Name: "a", Addr: macA})
	l.b = l.port(vnet.PortConfig{Name: "b", Addr: macB})
	l.c = l.port(vnet.PortConfig{Name: "c", Addr: macC})
	return l
}

func (l *lan) port(c vnet.PortConfig) *vnet.Port {
	l.t.Helper()
	p, err := l.sw.Port(c)
	if err != nil {
		l.t.Fatal(err)
	}
	return p
}

// frame builds an Ethernet frame with an unassigned EtherType.
func frame(dst, src ethernet.Addr, payload string, v ...ethernet.VLAN) []byte {
	h := ethernet.Header{Dst: dst, Src: src, Type: 0x88b5}
	for _, v := range v {
		h.SetVLAN(v)
	}
	return append(h.AppendTo(nil), payload...)
}

func send(t *testing.T, p *vnet.Port, frames ...[]byte) {
	t.Helper()
	for _, b := range frames {
		if n, err := p.WriteFrames([]link.Frame{{Head: b}}); n != 1 || err != nil {
			t.Fatalf("%s: WriteFrames = %d, %v", p.Info().Name, n, err)
		}
	}
}

// recv returns what has arrived.
func recv(t *testing.T, p *vnet.Port) (got [][]byte) {
	t.Helper()
	f := make([]link.Frame, 4)
	for {
		n, err := p.ReadFrames(f)
		if err != nil {
			t.Fatalf("%s: ReadFrames: %v", p.Info().Name, err)
		}
		if n == 0 {
			return got
		}
		for i := range f[:n] {
			got = append(got, bytes.Clone(f[i].Head))
		}
	}
}

// expect compares the payloads that have arrived at p.
func expect(t *testing.T, p *vnet.Port, want ...string) {
	t.Helper()
	var got []string
	for _, b := range recv(t, p) {
		_, payload, _ := ethernet.Parse(b)
		got = append(got, string(payload))
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s received %q, want %q", p.Info().Name, got, want)
	}
}

func TestUnknownDestinationIsFlooded(t *testing.T) {
	l := newLAN(t, vnet.Config{})
	send(t, l.a, frame(macB, macA, "hello"))
	expect(t, l.a)
	expect(t, l.b, "hello")
	expect(t, l.c, "hello")
}

func TestKnownDestinationIsNotFlooded(t *testing.T) {
	l := newLAN(t, vnet.Config{})
	send(t, l.b, frame(ethernet.Broadcast, macB, "here I am"))
	send(t, l.a, frame(macB, macA, "hello"))
	expect(t, l.a, "here I am")
	expect(t, l.b, "hello")
	expect(t, l.c, "here I am")
}

func TestMovedStationIsFollowed(t *testing.T) {
	l := newLAN(t, vnet.Config{})
	send(t, l.b, frame(ethernet.Broadcast, macB, "1"))
	send(t, l.c, frame(ethernet.Broadcast, macB, "2"))
	recv(t, l.b)
	send(t, l.a, frame(macB, macA, "3"))
	expect(t, l.b)
	expect(t, l.c, "1", "3")
}

func TestLearningIsPerVLAN(t *testing.T) {
	l := newLAN(t, vnet.Config{})
	v5 := ethernet.VLAN{Inner: 5}
	send(t, l.b, frame(ethernet.Broadcast, macB, "", v5))
	recv(t, l.a)
	recv(t, l.c)
	send(t, l.a, frame(macB, macA, "tagged", v5), frame(macB, macA, "untagged"))
	expect(t, l.b, "tagged", "untagged")
	expect(t, l.c, "untagged")
}

func TestLearnedAddressAges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, vnet.Config{Ageing: time.Minute})
		send(t, l.b, frame(macA, macB, ""))
		recv(t, l.c)
		time.Sleep(time.Minute)
		send(t, l.a, frame(macB, macA, "young"))
		time.Sleep(time.Second)
		send(t, l.a, frame(macB, macA, "old"))
		expect(t, l.b, "young", "old")
		expect(t, l.c, "old")
	})
}

func TestFullTableForgetsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, vnet.Config{TableSize: 2, Ageing: time.Minute})
		send(t, l.a, frame(macC, macA, ""))
		send(t, l.b, frame(macA, macB, ""))
		for i := range byte(100) {
			send(t, l.c, frame(macA, ethernet.Addr{2, 1, 1, 1, 1, i}, ""))
		}
		recv(t, l.a)
		recv(t, l.b)
		recv(t, l.c)
		send(t, l.a, frame(macB, macA, "known"))
		expect(t, l.b, "known")
		expect(t, l.c)
		time.Sleep(2 * time.Minute) // everything aged: there is room again
		send(t, l.c, frame(macA, macC, ""))
		send(t, l.a, frame(macC, macA, "learnt"))
		expect(t, l.b, "")
		expect(t, l.c, "learnt")
	})
}

func TestFrameForOwnSideIsFiltered(t *testing.T) {
	l := newLAN(t, vnet.Config{})
	send(t, l.a, frame(ethernet.Broadcast, macA, "1"), frame(ethernet.Broadcast, macC, "2"), frame(macA, macC, "3"))
	expect(t, l.b, "1", "2")
	if st := l.a.Stats(); st.Tx.Dropped[vnet.DropFiltered] != 1 {
		t.Errorf("stats %+v, want one filtered frame", st.Tx)
	}
}

func TestGatheredFrameIsFlattened(t *testing.T) {
	l := newLAN(t, vnet.Config{})
	b := frame(macB, macA, "one two three")
	for _, cut := range []int{0, 3, 13, 14, 20} {
		f := link.Frame{Head: b[:cut], Payload: [][]byte{b[cut:], []byte("!")}}
		if n, err := l.a.WriteFrames([]link.Frame{f}); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		expect(t, l.b, "one two three!")
	}
}

func TestTooBigIsRefusedAtTheSender(t *testing.T) {
	l := newLAN(t, vnet.Config{})
	fits := frame(macB, macA, string(make([]byte, 1500)), ethernet.VLAN{Outer: 1, Inner: 2})
	big := append(bytes.Clone(fits), 0)
	n, err := l.a.WriteFrames([]link.Frame{{Head: fits}, {Head: big}, {Head: fits}})
	if n != 1 || !errors.Is(err, link.ErrTooBig) {
		t.Errorf("WriteFrames = %d, %v; want 1 and ErrTooBig", n, err)
	}
	if got := recv(t, l.b); len(got) != 1 {
		t.Errorf("%d frames arrived, want 1", len(got))
	}
}

func TestTooBigForTheReceiverIsDropped(t *testing.T) {
	l := newLAN(t, vnet.Config{})
	small := l.port(vnet.PortConfig{Name: "small", MTU: 576})
	send(t, l.a, frame(macB, macA, string(make([]byte, 577))), frame(macB, macA, string(make([]byte, 576))))
	if n := len(recv(t, small)); n != 1 {
		t.Errorf("%d frames arrived, want 1", n)
	}
	if st := small.Stats(); st.Rx.Dropped[vnet.DropTooBig] != 1 {
		t.Errorf("%+v, want one frame too big", st.Rx)
	}
}

func TestFullQueueDropsNewest(t *testing.T) {
	l := newLAN(t, vnet.Config{})
	q := l.port(vnet.PortConfig{Name: "q", QueueFrames: 3})
	for i := range 5 {
		send(t, l.a, frame(macB, macA, fmt.Sprint(i)))
	}
	expect(t, q, "0", "1", "2")
	send(t, l.a, frame(macB, macA, "5"))
	expect(t, q, "5")
	if st := q.Stats(); st.Rx.Dropped[vnet.DropQueue] != 2 || st.Rx.Frames != 4 {
		t.Errorf("%+v, want 4 frames and 2 dropped", st.Rx)
	}
}

func TestMalformedIsCounted(t *testing.T) {
	l := newLAN(t, vnet.Config{})
	send(t, l.a, make([]byte, 13), nil)
	if st := l.a.Stats(); st.Tx.Dropped[vnet.DropMalformed] != 2 || st.Tx.Frames != 0 {
		t.Errorf("%+v", st.Tx)
	}
	if n := len(recv(t, l.b)); n != 0 {
		t.Errorf("%d frames arrived", n)
	}
}

func TestPartition(t *testing.T) {
	l := newLAN(t, vnet.Config{})
	send(t, l.b, frame(ethernet.Broadcast, macB, ""))
	recv(t, l.a)
	recv(t, l.c)
	if err := l.sw.Partition([]string{"a", "c"}, []string{"b"}); err != nil {
		t.Fatal(err)
	}
	send(t, l.a, frame(ethernet.Broadcast, macA, "all"), frame(macB, macA, "b"))
	expect(t, l.b)
	expect(t, l.c, "all")
	if st := l.a.Stats(); st.Tx.Dropped[vnet.DropPartition] != 1 {
		t.Errorf("%+v", st.Tx)
	}
	l.sw.Partition()
	send(t, l.a, frame(macB, macA, "healed"))
	expect(t, l.b, "healed")
	if err := l.sw.Partition([]string{"nobody"}); err == nil {
		t.Error("Partition accepted an unknown port")
	}
}

func TestSetUp(t *testing.T) {
	l := newLAN(t, vnet.Config{})
	l.b.SetUp(false)
	send(t, l.a, frame(macB, macA, "1"))
	send(t, l.b, frame(macA, macB, "2"))
	l.b.SetUp(true)
	send(t, l.a, frame(macB, macA, "3"))
	expect(t, l.b, "3")
	expect(t, l.a)
	st := l.b.Stats()
	if st.Rx.Dropped[vnet.DropDown] != 1 || st.Tx.Dropped[vnet.DropDown] != 1 {
		t.Errorf("%+v", st)
	}
}

func TestMonitorSeesEveryFrameOnce(t *testing.T) {
	l := newLAN(t, vnet.Config{})
	var seen []string
	stop := l.sw.Monitor(func(port string, f []byte, at time.Time) {
		seen = append(seen, port+":"+string(f[14:]))
		if at.IsZero() {
			t.Error("no time")
		}
	})
	send(t, l.a, frame(macB, macA, "x"))
	f := frame(macA, macB, "y")
	l.b.WriteFrames([]link.Frame{{Head: f[:14], Payload: [][]byte{f[14:]}}})
	stop()
	send(t, l.a, frame(macB, macA, "z"))
	if fmt.Sprint(seen) != "[a:x b:y]" {
		t.Errorf("monitor saw %v", seen)
	}
}

func TestBadConfig(t *testing.T) {
	sw := vnet.New(vnet.Config{})
	for _, c := range []vnet.PortConfig{
		{},
		{Name: "x", Addr: ethernet.Broadcast},
		{Name: "x", MTU: 67},
		{Name: "x", QueueFrames: -1},
		{Name: "x", Ingress: vnet.Impairment{Loss: 1.1}},
		{Name: "x", Egress: vnet.Impairment{Delay: -1}},
		{Name: "x", Egress: vnet.Impairment{Trailing: 256}},
	} {
		if _, err := sw.Port(c); !errors.Is(err, vnet.ErrPortConfig) {
			t.Errorf("Port(%+v) = %v, want ErrPortConfig", c, err)
		}
	}
	p, err := sw.Port(vnet.PortConfig{Name: "x"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sw.Port(vnet.PortConfig{Name: "x"}); !errors.Is(err, vnet.ErrPortExists) {
		t.Errorf("second port x: %v", err)
	}
	if a := p.Info().Addr; !a.IsStation() || !a.IsLocal() {
		t.Errorf("derived address %v", a)
	}
	if p.SetImpairment(vnet.Egress, vnet.Impairment{Rate: -1}) == nil {
		t.Error("SetImpairment accepted a negative rate")
	}
	p.Close()
	if _, err := sw.Port(vnet.PortConfig{Name: "x"}); err != nil {
		t.Errorf("name of a closed port: %v", err)
	}
}

// numbered sends n frames whose payload is their number and size octets long.
func numbered(t *testing.T, from *vnet.Port, n, size int) {
	t.Helper()
	for i := range n {
		p := make([]byte, size)
		binary.BigEndian.PutUint32(p, uint32(i))
		send(t, from, frame(macB, macA, string(p)))
	}
}

// numbers returns the numbers of what has arrived.
func numbers(t *testing.T, p *vnet.Port) (got []int) {
	t.Helper()
	for _, b := range recv(t, p) {
		got = append(got, int(binary.BigEndian.Uint32(b[14:])))
	}
	return got
}
