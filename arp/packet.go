package arp

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"strconv"

	"arpeggio/stack/ethernet"
)

// PacketLen is the length in octets of an ARP packet for IPv4 over Ethernet
// (RFC 826). Behind it a frame may carry padding.
const PacketLen = 28

// The fixed header of IPv4 over Ethernet, RFC 826 "Packet format".
const (
	hardwareEthernet = 1
	protocolIPv4     = uint16(ethernet.TypeIPv4)
	hardwareLen      = 6
	protocolLen      = 4
)

// Errors of Parse. They are sentinels, so that a receiver counts them by
// reason without formatting anything.
var (
	// ErrShort: fewer than PacketLen octets.
	ErrShort = errors.New("arp: packet shorter than 28 octets")
	// ErrUnusable: not about IPv4 over Ethernet (hardware type, protocol type
	// or one of the address lengths is foreign).
	ErrUnusable = errors.New("arp: packet is not about IPv4 over Ethernet")
)

// Op is the operation code of a packet.
type Op uint16

// Operation codes (IANA "ARP Parameters").
const (
	OpRequest        Op = 1 // RFC 826
	OpReply          Op = 2 // RFC 826
	OpReverseRequest Op = 3 // RFC 903
	OpReverseReply   Op = 4 // RFC 903
	OpInverseRequest Op = 8 // RFC 2390
	OpInverseReply   Op = 9 // RFC 2390
)

// String returns a lower-case name, or the number.
func (o Op) String() string {
	switch o {
	case OpRequest:
		return "request"
	case OpReply:
		return "reply"
	case OpReverseRequest:
		return "reverse-request"
	case OpReverseReply:
		return "reverse-reply"
	case OpInverseRequest:
		return "inverse-request"
	case OpInverseReply:
		return "inverse-reply"
	}
	return "op(" + strconv.Itoa(int(o)) + ")"
}

// Packet is an ARP packet for IPv4 over Ethernet with the field names of
// RFC 826 spelt out. It is comparable. The IP addresses are IPv4.
type Packet struct {
	Op        Op
	SenderMAC ethernet.Addr // ar$sha
	SenderIP  netip.Addr    // ar$spa
	TargetMAC ethernet.Addr // ar$tha
	TargetIP  netip.Addr    // ar$tpa
}

// Parse reads a packet from the payload of an Ethernet frame; what follows its
// 28 octets is padding and is ignored. The error is ErrShort or ErrUnusable.
// Every operation code is accepted: see Packet.Kind.
func Parse(b []byte) (Packet, error) {
	if len(b) < PacketLen {
		return Packet{}, ErrShort
	}
	if binary.BigEndian.Uint16(b) != hardwareEthernet || binary.BigEndian.Uint16(b[2:]) != protocolIPv4 ||
		b[4] != hardwareLen || b[5] != protocolLen {
		return Packet{}, ErrUnusable
	}
	return Packet{
		Op:        Op(binary.BigEndian.Uint16(b[6:])),
		SenderMAC: ethernet.Addr(b[8:14]),
		SenderIP:  netip.AddrFrom4([4]byte(b[14:18])),
		TargetMAC: ethernet.Addr(b[18:24]),
		TargetIP:  netip.AddrFrom4([4]byte(b[24:28])),
	}, nil
}

// AppendTo appends the packet's 28 octets to b and returns the extended slice.
// An IP address that is not IPv4 (the zero netip.Addr included) is written as
// 0.0.0.0.
func (p Packet) AppendTo(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, hardwareEthernet)
	b = binary.BigEndian.AppendUint16(b, protocolIPv4)
	b = append(b, hardwareLen, protocolLen)
	b = binary.BigEndian.AppendUint16(b, uint16(p.Op))
	b = append(b, p.SenderMAC[:]...)
	b = append4(b, p.SenderIP)
	b = append(b, p.TargetMAC[:]...)
	return append4(b, p.TargetIP)
}

func append4(b []byte, a netip.Addr) []byte {
	var o [4]byte
	if a.Is4() || a.Is4In6() {
		o = a.As4()
	}
	return append(b, o[:]...)
}

// Kind is what a packet is for, which its operation code alone does not say.
type Kind uint8

// Kinds of packets.
const (
	KindUnknown           Kind = iota // no operation that concerns an IPv4 host
	KindRequest                       // who has TargetIP?
	KindReply                         // SenderIP is at SenderMAC, said to the target
	KindProbe                         // RFC 5227 §1.1: a request from 0.0.0.0, is TargetIP free?
	KindAnnouncement                  // RFC 5227 §1.1: a request with sender = target, target MAC zero
	KindGratuitousRequest             // a request with sender = target and some target MAC
	KindGratuitousReply               // a reply with sender = target, or to nobody (0.0.0.0)
	KindReverse                       // RFC 903, binds nothing
	KindInverse                       // RFC 2390, not used on Ethernet
)

var kindNames = [...]string{"unknown", "request", "reply", "probe", "announcement",
	"gratuitous-request", "gratuitous-reply", "reverse", "inverse"}

// String returns the lower-case name that also stands in commit trailers.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "kind(" + strconv.Itoa(int(k)) + ")"
}

// Gratuitous reports whether the packet tells about its sender without being
// asked and without asking.
func (k Kind) Gratuitous() bool {
	return k == KindAnnouncement || k == KindGratuitousRequest || k == KindGratuitousReply
}

// Kind classifies the packet.
func (p Packet) Kind() Kind {
	switch p.Op {
	case OpRequest:
		switch {
		case p.SenderIP.IsUnspecified():
			return KindProbe
		case p.SenderIP != p.TargetIP:
			return KindRequest
		case p.TargetMAC.IsZero():
			return KindAnnouncement
		}
		return KindGratuitousRequest
	case OpReply:
		if p.SenderIP == p.TargetIP || p.TargetIP.IsUnspecified() {
			return KindGratuitousReply
		}
		return KindReply
	case OpReverseRequest, OpReverseReply:
		return KindReverse
	case OpInverseRequest, OpInverseReply:
		return KindInverse
	}
	return KindUnknown
}
