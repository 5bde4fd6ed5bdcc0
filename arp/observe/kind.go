package observe

import (
	"strconv"

	"arpeggio/arp"
)

// Kind is what a message is for. Kinds of ARP have the numbers and names of
// arp.Kind.
type Kind uint8

// Kinds of messages.
const (
	KindUnknown           = Kind(arp.KindUnknown)
	KindRequest           = Kind(arp.KindRequest)
	KindReply             = Kind(arp.KindReply)
	KindProbe             = Kind(arp.KindProbe)             // binds nothing
	KindAnnouncement      = Kind(arp.KindAnnouncement)      //
	KindGratuitousRequest = Kind(arp.KindGratuitousRequest) //
	KindGratuitousReply   = Kind(arp.KindGratuitousReply)   //
	KindReverse           = Kind(arp.KindReverse)           // binds nothing
	KindInverse           = Kind(arp.KindInverse)           // binds nothing
)

// Kinds of IPv6 neighbour discovery (RFC 4861 §4.3, §4.4).
const (
	KindSolicitation  Kind = KindInverse + 1 + iota // who has the target?
	KindDuplicate                                   // a solicitation from ::, is the target free (RFC 4862 §5.4.2)? Binds nothing
	KindAdvertisement                               // the answer to a solicitation
	KindUnsolicited                                 // an advertisement that nobody asked for, or the defence of an address
	NumKinds
)

var kindNames = [NumKinds - KindSolicitation]string{"neighbor-solicitation", "duplicate-detection",
	"neighbor-advertisement", "unsolicited-advertisement"}

// String returns the lower-case name that also stands in commit trailers.
func (k Kind) String() string {
	switch {
	case k < KindSolicitation:
		return arp.Kind(k).String()
	case k < NumKinds:
		return kindNames[k-KindSolicitation]
	}
	return "kind(" + strconv.Itoa(int(k)) + ")"
}

// Gratuitous reports whether the message tells about its sender without being
// asked and without asking.
func (k Kind) Gratuitous() bool {
	return k < KindSolicitation && arp.Kind(k).Gratuitous() || k == KindUnsolicited
}

// Asks reports whether the message asks for the Sighting's Target.
func (k Kind) Asks() bool {
	return k == KindRequest || k == KindProbe || k == KindSolicitation || k == KindDuplicate
}

// Probes reports whether the message asks on behalf of nobody, to find out
// whether the Target is free.
func (k Kind) Probes() bool { return k == KindProbe || k == KindDuplicate }

// Reason says why a frame is not a message that can be used.
type Reason uint8

// Reasons. A frame with ReasonNone is a message; one with ReasonOther is about
// something else and is not at fault; every other reason makes a malformed
// event.
const (
	ReasonNone          Reason = iota
	ReasonOther                // no ARP, RARP or neighbour discovery
	ReasonTruncated            // the capture kept too little of it
	ReasonRunt                 // shorter than an Ethernet header with its tags
	ReasonTags                 // more than two VLAN tags
	ReasonShort                // the message is shorter than its format
	ReasonHardware             // ARP: a hardware type that is not Ethernet
	ReasonProtocol             // ARP: a protocol type that is not IPv4
	ReasonHardwareLen          // ARP: hardware addresses that are not 6 octets long
	ReasonProtocolLen          // ARP: protocol addresses that are not 4 octets long
	ReasonOperation            // ARP: an operation that Ethernet does not know
	ReasonSenderNull           // the sender's MAC is null
	ReasonSenderAddress        // the sender's address is nobody's: multicast, loopback, reserved, or 0.0.0.0 in a reply
	ReasonTarget               // ND: the target is a multicast address or ::
	ReasonDestination          // ND: sent to where such a message does not go (RFC 4861 §7.1)
	ReasonHopLimit             // ND: a hop limit that is not 255 (RFC 4861 §7.1), so it came through a router
	ReasonChecksum             // ND: the ICMPv6 checksum is wrong
	ReasonCode                 // ND: a code that is not 0
	ReasonOption               // ND: an option of length 0, or one that does not fit (RFC 4861 §7.1)
	NumReasons
)

var reasonNames = [NumReasons]string{"", "other", "truncated", "runt", "tags", "short", "hardware", "protocol", "hardware-length",
	"protocol-length", "operation", "sender-null", "sender-address", "target", "destination", "hop-limit", "checksum", "code", "option"}

// String returns a lower-case label; that of ReasonNone is empty.
func (r Reason) String() string {
	if r < NumReasons {
		return reasonNames[r]
	}
	return "reason(" + strconv.Itoa(int(r)) + ")"
}
