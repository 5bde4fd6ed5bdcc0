package observe

import (
	"encoding/binary"
	"net/netip"
	"time"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
)

// typeOldQinQ is the EtherType that switches used for outer tags before
// 802.1ad.
const typeOldQinQ ethernet.EtherType = 0x9100

// Sighting is what one frame says. Parse fills in all of it but Time and
// Interface, which the receiver of the frame knows. It is a plain value, but
// Frame aliases the frame.
type Sighting struct {
	Time      time.Time // the frame's timestamp
	Interface int       // what Engine.AddInterface returned

	// Reason is ReasonNone for a message. Otherwise the fields below hold what
	// could be read, and are zero where nothing could.
	Reason Reason
	Kind   Kind

	Source, Dest ethernet.Addr // of the Ethernet header
	VLAN         ethernet.VLAN
	MAC          ethernet.Addr // the sender that the message names; zero when it names none
	Addr         netip.Addr    // the address that MAC is said to hold; 0.0.0.0 or :: in a probe
	TargetMAC    ethernet.Addr // ARP only
	Target       netip.Addr    // the address that is asked for, or that is answered
	Frame        []byte        // the frame without padding
}

// Claims reports whether the sighting says that MAC holds Addr.
func (s *Sighting) Claims() bool {
	switch s.Kind {
	case KindRequest, KindReply, KindAnnouncement, KindGratuitousRequest, KindGratuitousReply,
		KindSolicitation, KindAdvertisement, KindUnsolicited:
		return s.Reason == ReasonNone && !s.MAC.IsZero()
	}
	return false
}

// Sender returns the station that sent the frame as well as it is known: the
// MAC that the message names, else the Ethernet source.
func (s *Sighting) Sender() ethernet.Addr {
	if !s.MAC.IsZero() {
		return s.MAC
	}
	return s.Source
}

// Parse reads a frame that had wireLen octets on the wire (0: as many as frame
// has) into s, and returns s.Reason. It understands Ethernet II with up to two
// tags of 802.1Q, 802.1ad or the older 0x9100, ARP, RARP, and neighbour
// solicitations and advertisements, whose checksum it verifies. It accepts any
// octets, keeps s.Time and s.Interface, and allocates nothing.
func Parse(s *Sighting, frame []byte, wireLen int) Reason {
	*s = Sighting{Time: s.Time, Interface: s.Interface, Frame: frame}
	p := parser{s: s, cut: wireLen > len(frame)}
	s.Reason = p.frame(frame)
	return s.Reason
}

// parser reads one frame.
type parser struct {
	s   *Sighting
	cut bool // the capture did not keep the whole frame
}

// short is the reason for a message that ends too early.
func (p *parser) short(r Reason) Reason {
	if p.cut {
		return ReasonTruncated
	}
	return r
}

// frame reads the Ethernet header and hands the payload on.
func (p *parser) frame(b []byte) Reason {
	s := p.s
	if len(b) < ethernet.HeaderLen {
		if len(b) >= 12 {
			s.Source = ethernet.Addr(b[6:12])
		}
		return p.short(ReasonRunt)
	}
	s.Dest, s.Source = ethernet.Addr(b[0:6]), ethernet.Addr(b[6:12])
	at, tags := ethernet.HeaderLen, 0
	t := ethernet.EtherType(binary.BigEndian.Uint16(b[12:]))
	for t == ethernet.TypeVLAN || t == ethernet.TypeQinQ || t == typeOldQinQ {
		if tags == ethernet.MaxTags {
			return ReasonTags
		}
		if len(b) < at+ethernet.TagLen {
			return p.short(ReasonRunt)
		}
		s.VLAN = ethernet.VLAN{Outer: s.VLAN.Inner, Inner: binary.BigEndian.Uint16(b[at:]) & 0x0fff}
		t = ethernet.EtherType(binary.BigEndian.Uint16(b[at+2:]))
		at, tags = at+ethernet.TagLen, tags+1
	}
	switch t {
	case ethernet.TypeARP, ethernet.TypeRARP:
		return p.arp(b, at, t)
	case ethernet.TypeIPv6:
		return p.ipv6(b, at)
	}
	return ReasonOther
}

// Octets of an ARP packet before its addresses, RFC 826 "Packet format".
const arpFixed = 8

// arp reads an ARP or RARP packet that begins at b[at]. Of one that is not
// about IPv4 over Ethernet it reads the sender where the lengths allow it.
func (p *parser) arp(b []byte, at int, t ethernet.EtherType) Reason {
	s, body := p.s, b[at:]
	if len(body) < arpFixed {
		return p.short(ReasonShort)
	}
	hlen, plen := int(body[4]), int(body[5])
	if hlen == 6 && len(body) >= 14 {
		s.MAC = ethernet.Addr(body[8:14])
		if plen == 4 && len(body) >= 18 && binary.BigEndian.Uint16(body[2:]) == uint16(ethernet.TypeIPv4) {
			s.Addr = netip.AddrFrom4([4]byte(body[14:18]))
		}
	}
	switch {
	case binary.BigEndian.Uint16(body) != 1:
		return ReasonHardware
	case binary.BigEndian.Uint16(body[2:]) != uint16(ethernet.TypeIPv4):
		return ReasonProtocol
	case hlen != 6:
		return ReasonHardwareLen
	case plen != 4:
		return ReasonProtocolLen
	case len(body) < arp.PacketLen:
		return p.short(ReasonShort)
	}
	s.Frame = b[:at+arp.PacketLen]
	pkt, _ := arp.Parse(body) // its errors were excluded above
	s.TargetMAC, s.Target = pkt.TargetMAC, pkt.TargetIP
	s.Kind = Kind(pkt.Kind())
	switch {
	case s.Kind == KindUnknown, t == ethernet.TypeRARP && s.Kind != KindReverse:
		s.Kind = KindUnknown
		return ReasonOperation
	case s.Kind == KindReverse, s.Kind == KindInverse:
		return ReasonNone
	case s.MAC.IsZero():
		return ReasonSenderNull
	case s.Kind != KindProbe && nobody4(s.Addr):
		return ReasonSenderAddress
	}
	return ReasonNone
}

// nobody4 reports whether a can be no station's address: of the network 0 and
// all alone, multicast, loopback, reserved. The limited broadcast address has
// an event of its own.
func nobody4(a netip.Addr) bool {
	o := a.As4()
	return a.IsUnspecified() || o[0] == 127 || o[0] >= 224 && o != [4]byte{255, 255, 255, 255}
}
