package observe

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
)

// wire is a good ARP request with the given tags.
func wire(tags ...ethernet.Tag) []byte {
	h := ethernet.Header{Dst: ethernet.Broadcast, Src: mac(1), Type: ethernet.TypeARP, NTags: uint8(len(tags))}
	copy(h.Tags[:], tags)
	return arp.Packet{Op: arp.OpRequest, SenderMAC: mac(1), SenderIP: ip(7), TargetIP: ip(1)}.AppendTo(h.AppendTo(nil))
}

func TestParseTags(t *testing.T) {
	for _, c := range []struct {
		tags []ethernet.Tag
		want string
	}{
		{nil, "0"},
		{[]ethernet.Tag{{TPID: 0x8100, TCI: 0xe000}}, "0"}, // priority only
		{[]ethernet.Tag{{TPID: 0x8100, TCI: 0xe005}}, "5"},
		{[]ethernet.Tag{{TPID: 0x88a8, TCI: 5}}, "5"},
		{[]ethernet.Tag{{TPID: 0x9100, TCI: 5}}, "5"},
		{[]ethernet.Tag{{TPID: 0x88a8, TCI: 100}, {TPID: 0x8100, TCI: 5}}, "100.5"},
		{[]ethernet.Tag{{TPID: 0x9100, TCI: 100}, {TPID: 0x8100, TCI: 5}}, "100.5"},
		{[]ethernet.Tag{{TPID: 0x8100, TCI: 100}, {TPID: 0x8100, TCI: 5}}, "100.5"},
	} {
		var s Sighting
		b := wire(c.tags...)
		padded := append(bytes.Clone(b), make([]byte, 18)...)
		if r := Parse(&s, padded, 0); r != ReasonNone || s.VLAN.String() != c.want || s.Addr != ip(7) || s.MAC != mac(1) {
			t.Errorf("%v: %v, VLAN %v, %v", c.tags, r, s.VLAN, s.Addr)
		}
		if !bytes.Equal(s.Frame, b) {
			t.Errorf("%v: the frame has its padding still", c.tags)
		}
	}
	var s Sighting
	three := append(wire()[:12], 0x81, 0, 0, 1, 0x81, 0, 0, 2, 0x81, 0, 0, 3, 8, 6)
	if r := Parse(&s, three, 0); r != ReasonTags {
		t.Errorf("three tags: %v", r)
	}
}

// Each reason, with the sender where it can be read.
func TestParseReasons(t *testing.T) {
	with := func(at int, octets ...byte) []byte {
		b := wire()
		copy(b[at:], octets)
		return b
	}
	for name, c := range map[string]struct {
		frame  []byte
		wire   int
		want   Reason
		sender ethernet.Addr
		addr   bool
	}{
		"empty":                {nil, 0, ReasonRunt, ethernet.Addr{}, false},
		"13 octets":            {wire()[:13], 0, ReasonRunt, mac(1), false},
		"13 octets kept":       {wire()[:13], 42, ReasonTruncated, mac(1), false},
		"within a tag":         {wire(ethernet.Tag{TPID: 0x8100, TCI: 5})[:16], 0, ReasonRunt, mac(1), false},
		"no ARP header":        {wire()[:21], 0, ReasonShort, mac(1), false},
		"no target":            {wire()[:34], 0, ReasonShort, mac(1), true},
		"no target kept":       {wire()[:34], 60, ReasonTruncated, mac(1), true},
		"Token Ring":           {with(14, 0, 6), 0, ReasonHardware, mac(1), true},
		"CHAOS":                {with(16, 0x08, 0x04), 0, ReasonProtocol, mac(1), false},
		"hlen 8":               {with(18, 8), 0, ReasonHardwareLen, mac(1), false},
		"hlen 0":               {with(18, 0), 0, ReasonHardwareLen, mac(1), false},
		"hlen 255":             {with(18, 255), 0, ReasonHardwareLen, mac(1), false},
		"plen 16":              {with(19, 16), 0, ReasonProtocolLen, mac(1), false},
		"operation 0":          {with(20, 0, 0), 0, ReasonOperation, mac(1), true},
		"operation 24":         {with(20, 0, 24), 0, ReasonOperation, mac(1), true}, // RFC 5494
		"RARP that asks":       {with(12, 0x80, 0x35), 0, ReasonOperation, mac(1), true},
		"null sender":          {with(22, 0, 0, 0, 0, 0, 0), 0, ReasonSenderNull, mac(1), true},
		"multicast address":    {with(28, 224, 0, 0, 1), 0, ReasonSenderAddress, mac(1), true},
		"loopback address":     {with(28, 127, 0, 0, 1), 0, ReasonSenderAddress, mac(1), true},
		"reply from 0.0.0.0":   {with(20, 0, 2, 2, 0, 0, 0, 0, 1, 0, 0, 0, 0), 0, ReasonSenderAddress, mac(1), true},
		"IPv4":                 {with(12, 8, 0), 0, ReasonOther, mac(1), false},
		"spanning tree":        {with(12, 0, 38), 0, ReasonOther, mac(1), false},
		"IPv6 cut in its head": {with(12, 0x86, 0xdd), 60, ReasonOther, mac(1), false},
	} {
		var s Sighting
		r := Parse(&s, c.frame, c.wire)
		if r != c.want || s.Sender() != c.sender || s.Addr.IsValid() != c.addr || s.Claims() {
			t.Errorf("%s: %v from %v, address %v", name, r, s.Sender(), s.Addr)
		}
	}
}

func TestParseNeighbourDiscovery(t *testing.T) {
	a, b := netip.MustParseAddr("2001:db8::7"), netip.MustParseAddr("2001:db8::1")
	all, node := netip.MustParseAddr("ff02::1"), netip.MustParseAddr("ff02::1:ff00:1")
	h := ethernet.Header{Dst: ethernet.Broadcast, Src: mac(1), Type: ethernet.TypeIPv6}
	h.SetVLAN(ethernet.VLAN{Inner: 9})
	good := ndFrame(h, a, node, ndSolicit, 0, b, mac(1))
	// resum changes octets of the ICMPv6 message and mends the checksum.
	resum := func(at int, octets ...byte) []byte {
		f := bytes.Clone(good)
		msg := f[h.Len()+ipv6Header:]
		before := binary.BigEndian.Uint16(msg[2:])
		var s Sighting
		copy(msg[at:], octets)
		for c := range 1 << 16 {
			binary.BigEndian.PutUint16(msg[2:], before+uint16(c))
			if Parse(&s, f, 0) != ReasonChecksum {
				return f
			}
		}
		t.Fatal("no checksum fits")
		return nil
	}
	poke := func(at int, octet byte) []byte {
		f := bytes.Clone(good)
		f[h.Len()+at] = octet
		return f
	}
	for name, c := range map[string]struct {
		frame  []byte
		reason Reason
		kind   Kind
		claims bool
		addr   netip.Addr
	}{
		"solicitation":             {good, ReasonNone, KindSolicitation, true, a},
		"without address":          {ndFrame(h, a, node, ndSolicit, 0, b, ethernet.Addr{}), ReasonNone, KindSolicitation, false, a},
		"duplicate detection":      {ndFrame(h, netip.IPv6Unspecified(), node, ndSolicit, 0, b, ethernet.Addr{}), ReasonNone, KindDuplicate, false, netip.IPv6Unspecified()},
		"advertisement":            {ndFrame(h, a, b, ndAdvertise, 0x60, a, mac(1)), ReasonNone, KindAdvertisement, true, a},
		"unsolicited":              {ndFrame(h, a, all, ndAdvertise, 0x20, a, mac(1)), ReasonNone, KindUnsolicited, true, a},
		"proxy advertisement":      {ndFrame(h, b, all, ndAdvertise, 0, a, mac(1)), ReasonNone, KindUnsolicited, true, a},
		"hop limit 254":            {poke(7, 254), ReasonHopLimit, 0, false, a},
		"bad checksum":             {poke(ipv6Header+2, 1), ReasonChecksum, 0, false, a},
		"code 1":                   {resum(1, 1), ReasonCode, 0, false, a},
		"option of length 0":       {resum(25, 0), ReasonOption, KindSolicitation, false, a},
		"option too long":          {resum(25, 2), ReasonOption, KindSolicitation, false, a},
		"null address":             {resum(26, 0, 0, 0, 0, 0, 0), ReasonOption, KindSolicitation, false, a},
		"target multicast":         {ndFrame(h, a, node, ndSolicit, 0, all, mac(1)), ReasonTarget, 0, false, a},
		"detection with address":   {ndFrame(h, netip.IPv6Unspecified(), node, ndSolicit, 0, b, mac(1)), ReasonOption, KindDuplicate, false, netip.IPv6Unspecified()},
		"detection to all":         {ndFrame(h, netip.IPv6Unspecified(), all, ndSolicit, 0, b, ethernet.Addr{}), ReasonDestination, 0, false, netip.IPv6Unspecified()},
		"solicited and to all":     {ndFrame(h, a, all, ndAdvertise, 0x40, a, mac(1)), ReasonDestination, KindUnsolicited, false, a},
		"cut short":                {good[:len(good)-1], ReasonShort, 0, false, a},
		"router advertisement":     {poke(ipv6Header, 134), ReasonOther, 0, false, netip.Addr{}},
		"UDP":                      {poke(6, 17), ReasonOther, 0, false, netip.Addr{}},
		"no ICMPv6 message at all": {good[:h.Len()+ipv6Header], ReasonOther, 0, false, netip.Addr{}},
	} {
		var s Sighting
		r := Parse(&s, c.frame, 0)
		if r != c.reason || s.Kind != c.kind || s.Claims() != c.claims || s.Addr != c.addr {
			t.Errorf("%s: %v, %v, claims %v, %v", name, r, s.Kind, s.Claims(), s.Addr)
		}
		if s.VLAN.Inner != 9 {
			t.Errorf("%s: VLAN %v", name, s.VLAN)
		}
	}
	var s Sighting
	if r := Parse(&s, good[:len(good)-1], len(good)); r != ReasonTruncated {
		t.Errorf("cut by the capture: %v", r)
	}
	if r := Parse(&s, good[:h.Len()+ipv6Header], len(good)); r != ReasonTruncated {
		t.Errorf("cut by the capture before the type: %v", r)
	}
}

// Parse takes any octets, reports what it read from them only, and allocates
// nothing.
func FuzzParse(f *testing.F) {
	f.Add(wire(), 0)
	f.Add(wire(ethernet.Tag{TPID: 0x9100, TCI: 1}, ethernet.Tag{TPID: 0x8100, TCI: 2}), 0)
	f.Add(wire()[:20], 42)
	h := ethernet.Header{Src: mac(1), Type: ethernet.TypeIPv6}
	a := netip.MustParseAddr("fe80::1")
	f.Add(ndFrame(h, a, netip.MustParseAddr("ff02::1"), ndAdvertise, 0, a, mac(1)), 0)
	f.Fuzz(func(t *testing.T, b []byte, wireLen int) {
		var s Sighting
		r := Parse(&s, b, wireLen)
		if r != s.Reason || r >= NumReasons || s.Kind >= NumKinds {
			t.Fatalf("%v, %v", r, s.Kind)
		}
		if !bytes.HasPrefix(b, s.Frame) {
			t.Fatal("the frame is not a part of the input")
		}
		if r == ReasonTruncated && wireLen <= len(b) {
			t.Fatal("truncated, and it was all there")
		}
		if s.Claims() && (s.MAC.IsZero() || !s.Addr.IsValid() || s.Addr.IsUnspecified() || s.Addr.IsMulticast()) {
			t.Fatalf("%v claims %v", s.MAC, s.Addr)
		}
		// Padding changes nothing.
		if r == ReasonNone {
			var p Sighting
			if Parse(&p, append(bytes.Clone(b), 0, 0, 0), 0); p.Addr != s.Addr || p.MAC != s.MAC || !bytes.Equal(p.Frame, s.Frame) {
				t.Fatal("padding changes it")
			}
		}
	})
}

func TestParseAllocatesNothing(t *testing.T) {
	b := wire()
	var s Sighting
	if n := testing.AllocsPerRun(100, func() { Parse(&s, b, 0) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
