package arp

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"arpeggio/stack/ethernet"
)

//rfc:826 form protocol lengths
func TestParseErrors(t *testing.T) {
	good := request(aMAC, aIP, meIP).AppendTo(nil)
	with := func(i int, v byte) []byte {
		b := bytes.Clone(good)
		b[i] = v
		return b
	}
	for _, c := range []struct {
		name string
		b    []byte
		err  error
	}{
		{"empty", nil, ErrShort},
		{"27 octets", good[:27], ErrShort},
		{"28 zeros", make([]byte, 28), ErrUnusable},
		{"hardware type 6", with(1, 6), ErrUnusable},
		{"protocol type 0x86dd", with(2, 0x86), ErrUnusable},
		{"hlen 8", with(4, 8), ErrUnusable},
		{"hlen 8, long enough", append(with(4, 8), make([]byte, 8)...), ErrUnusable},
		{"plen 16", with(5, 16), ErrUnusable},
		{"good", good, nil},
		{"padded to 46", append(bytes.Clone(good), make([]byte, 18)...), nil},
		{"unknown operation", with(7, 99), nil},
	} {
		p, err := Parse(c.b)
		if err != c.err {
			t.Errorf("%s: %v, want %v", c.name, err, c.err)
		}
		if err == nil && (p.SenderMAC != aMAC || p.TargetIP != meIP) {
			t.Errorf("%s: %+v", c.name, p)
		}
	}
}

func TestParseIsTheInverseOfAppend(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 1000 {
		var p Packet
		p.Op = Op(r.Uint32())
		var ips [2][4]byte
		for i := range 6 {
			p.SenderMAC[i], p.TargetMAC[i] = byte(r.Uint32()), byte(r.Uint32())
			ips[0][i%4], ips[1][i%4] = byte(r.Uint32()), byte(r.Uint32())
		}
		p.SenderIP, p.TargetIP = netip.AddrFrom4(ips[0]), netip.AddrFrom4(ips[1])
		b := p.AppendTo(nil)
		if got, err := Parse(b); err != nil || got != p || len(b) != PacketLen {
			t.Fatalf("%+v became %+v, %v", p, got, err)
		}
	}
	var zero Packet
	if got, err := Parse(zero.AppendTo(nil)); err != nil || got.SenderIP != netip.IPv4Unspecified() {
		t.Errorf("the zero packet: %+v, %v", got, err)
	}
}

func TestKinds(t *testing.T) {
	ff := ethernet.Broadcast
	zero := netip.IPv4Unspecified()
	for _, c := range []struct {
		p    Packet
		want Kind
	}{
		{Packet{OpRequest, aMAC, aIP, ethernet.Addr{}, bIP}, KindRequest},
		{Packet{OpRequest, aMAC, aIP, bMAC, bIP}, KindRequest},
		{Packet{OpRequest, aMAC, zero, ethernet.Addr{}, bIP}, KindProbe},
		{Packet{OpRequest, aMAC, aIP, ethernet.Addr{}, aIP}, KindAnnouncement},
		{Packet{OpRequest, aMAC, aIP, ff, aIP}, KindGratuitousRequest},
		{Packet{OpReply, aMAC, aIP, bMAC, bIP}, KindReply},
		{Packet{OpReply, aMAC, aIP, ff, aIP}, KindGratuitousReply},
		{Packet{OpReply, aMAC, aIP, ff, zero}, KindGratuitousReply},
		{Packet{OpReverseRequest, aMAC, zero, aMAC, zero}, KindReverse},
		{Packet{OpInverseReply, aMAC, aIP, bMAC, bIP}, KindInverse},
		{Packet{24, aMAC, aIP, bMAC, bIP}, KindUnknown},
	} {
		if k := c.p.Kind(); k != c.want {
			t.Errorf("%+v is %v, want %v", c.p, k, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(request(aMAC, aIP, meIP).AppendTo(nil))
	f.Add(make([]byte, 28))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Parse(b)
		if err == nil && !bytes.Equal(p.AppendTo(nil), b[:PacketLen]) {
			t.Fatalf("%x is read as %+v", b, p)
		}
	})
}

// FuzzInput feeds any frame to an engine in use; it must not panic, must not
// exceed its capacity, and must not lose its own address.
func FuzzInput(f *testing.F) {
	f.Add(announcement(xMAC, aIP).AppendTo(nil), uint8(0), uint16(0))
	f.Add(reply(xMAC, meIP).AppendTo(nil), uint8(1), uint16(9))
	f.Fuzz(func(t *testing.T, b []byte, policy uint8, ms uint16) {
		l := newLab(t, Config{Learn: LearnPolicy(policy & 3), Move: MovePolicy(policy >> 2 & 3), Capacity: 4})
		l.known()
		for i := range 4 {
			h := ethernet.Header{Dst: ethernet.Broadcast, Src: xMAC, Type: ethernet.TypeARP}
			if i&1 == 1 {
				h.Dst = meMAC
			}
			l.e.Input(l.now, h, b)
			l.wait(time.Duration(ms) * time.Millisecond)
			l.e.Resolve(l.now, aIP)
		}
		if mac, v, _ := l.e.Resolve(l.now, meIP); v != Hit || mac != meMAC {
			t.Fatal("the own address is gone")
		}
		if s := l.e.Stats(); s.Entries > 4 {
			t.Fatalf("%d entries", s.Entries)
		}
	})
}
