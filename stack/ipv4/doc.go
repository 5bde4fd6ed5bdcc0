// Package ipv4 is the Internet Protocol, version 4 (RFC 791, RFC 1122 §3.2.1),
// as pure functions and one pure engine: the header codec with its options,
// fragmentation on send, and a Reassembler that takes the time as an argument.
// It opens nothing, locks nothing and logs nothing; what is wrong with a packet
// is said by sentinel errors, so that a receiver can count by reason.
package ipv4

import "errors"

// Sizes in octets.
const (
	MinHeaderLen  = 20
	MaxHeaderLen  = 60
	MaxLen        = 65535 // largest datagram, header included
	MinMTU        = 68    // every link carries this much unfragmented (RFC 791 §3.2)
	MinReassemble = 576   // every host reassembles this much (RFC 1122 §3.3.2)
)

// Proto is a protocol number (IANA "Assigned Internet Protocol Numbers").
type Proto uint8

// Protocol numbers that the stack knows.
const (
	ProtoICMP Proto = 1
	ProtoIGMP Proto = 2
	ProtoTCP  Proto = 6
	ProtoUDP  Proto = 17
)

// Errors of Parse, CheckOptions, Record, Fragment and Reassembler.Input.
var (
	ErrShort       = errors.New("ipv4: packet shorter than its header")
	ErrVersion     = errors.New("ipv4: version is not 4")
	ErrHeaderLen   = errors.New("ipv4: header length below 5 words or beyond the packet")
	ErrTotalLen    = errors.New("ipv4: total length below the header length or beyond the packet")
	ErrChecksum    = errors.New("ipv4: header checksum does not match")
	ErrOption      = errors.New("ipv4: malformed option")
	ErrFragment    = errors.New("ipv4: fragment of impossible length or position")
	ErrOverlap     = errors.New("ipv4: overlapping fragments")
	ErrFragECN     = errors.New("ipv4: fragments with and without ECN in one datagram")
	ErrFragLimit   = errors.New("ipv4: no room to keep the fragment")
	ErrNeedFrag    = errors.New("ipv4: packet exceeds the MTU and must not be fragmented")
	ErrTooLong     = errors.New("ipv4: datagram exceeds 65535 octets")
	ErrMTUTooSmall = errors.New("ipv4: MTU leaves no room for 8 octets of payload")
)
