// Package icmp is the Internet Control Message Protocol (RFC 792, RFC 1122
// §3.2.2) as pure functions: the message codec, the rules about which packets
// an error may be sent for, and a rate limiter that takes the time as an
// argument.
package icmp

import (
	"encoding/binary"
	"errors"

	"arpeggio/stack/checksum"
)

// Type is a message type (IANA "ICMP Type Numbers").
type Type uint8

// Message types.
const (
	EchoReply      Type = 0
	Unreachable    Type = 3
	SourceQuench   Type = 4 // deprecated, ignored (RFC 6633)
	Redirect       Type = 5
	Echo           Type = 8
	TimeExceeded   Type = 11
	ParamProblem   Type = 12
	Timestamp      Type = 13
	TimestampReply Type = 14
)

// IsError reports whether the type is one of those that quote a packet, about
// which no error may ever be sent (RFC 1122 §3.2.2).
func (t Type) IsError() bool {
	switch t {
	case Unreachable, SourceQuench, Redirect, TimeExceeded, ParamProblem:
		return true
	}
	return false
}

// Codes of Unreachable (RFC 792, RFC 1122 §3.2.2.1).
const (
	CodeNet             = 0
	CodeHost            = 1
	CodeProtocol        = 2
	CodePort            = 3
	CodeFragNeeded      = 4 // Message.MTU is the next hop's (RFC 1191)
	CodeSourceRoute     = 5
	CodeNetUnknown      = 6
	CodeHostUnknown     = 7
	CodeNetProhibited   = 9
	CodeHostProhibited  = 10
	CodeNetTOS          = 11
	CodeHostTOS         = 12
	CodeAdminProhibited = 13 // RFC 1812 §5.2.7.1
)

// Codes of TimeExceeded.
const (
	CodeTTL        = 0
	CodeReassembly = 1
)

// Sizes in octets.
const (
	HeaderLen = 8
	// MaxErrorLen bounds an error message with its IP header (RFC 1812 §4.3.2.3).
	MaxErrorLen = 576
)

// Errors of Parse.
var (
	ErrShort    = errors.New("icmp: message shorter than its header")
	ErrChecksum = errors.New("icmp: checksum does not match")
)

// Message is an ICMP message. Rest are the four octets behind the checksum,
// whose meaning depends on the type; Body is what follows: the data of an echo,
// the quoted packet of an error.
type Message struct {
	Type Type
	Code uint8
	Rest [4]byte
	Body []byte
}

// Parse reads and verifies a message. Body aliases b.
func Parse(b []byte) (Message, error) {
	if len(b) < HeaderLen {
		return Message{}, ErrShort
	}
	if checksum.Checksum(checksum.Sum(b, 0)) != 0 {
		return Message{}, ErrChecksum
	}
	return Message{Type(b[0]), b[1], [4]byte(b[4:8]), b[HeaderLen:]}, nil
}

// AppendTo appends the message in wire form, checksum included.
func (m *Message) AppendTo(b []byte) []byte {
	start := len(b)
	b = append(b, byte(m.Type), m.Code, 0, 0)
	b = append(b, m.Rest[:]...)
	b = append(b, m.Body...)
	binary.BigEndian.PutUint16(b[start+2:], checksum.Checksum(checksum.Sum(b[start:], 0)))
	return b
}

// NewEcho returns an echo request; its reply carries the same id, seq and data.
func NewEcho(id, seq uint16, data []byte) Message {
	m := Message{Type: Echo, Body: data}
	binary.BigEndian.PutUint16(m.Rest[0:], id)
	binary.BigEndian.PutUint16(m.Rest[2:], seq)
	return m
}

// Reply returns the answer to an echo request (RFC 1122 §3.2.2.6).
func (m Message) Reply() Message {
	m.Type, m.Code = EchoReply, 0
	return m
}

// ID returns the identifier of an echo or its reply.
func (m *Message) ID() uint16 { return binary.BigEndian.Uint16(m.Rest[0:]) }

// Seq returns the sequence number of an echo or its reply.
func (m *Message) Seq() uint16 { return binary.BigEndian.Uint16(m.Rest[2:]) }

// MTU returns the next hop's MTU in an Unreachable with CodeFragNeeded; routers
// older than RFC 1191 leave it zero.
func (m *Message) MTU() int { return int(binary.BigEndian.Uint16(m.Rest[2:])) }

// Pointer returns the offset of the octet at fault in a ParamProblem.
func (m *Message) Pointer() int { return int(m.Rest[0]) }

// NewUnreachable returns a destination unreachable message about packet.
func NewUnreachable(code uint8, packet []byte) Message {
	return Message{Type: Unreachable, Code: code, Body: Quote(packet)}
}

// NewFragNeeded returns a destination unreachable message that says which MTU
// packet, too large and not to be fragmented, exceeds (RFC 1191 §4).
func NewFragNeeded(mtu uint16, packet []byte) Message {
	m := NewUnreachable(CodeFragNeeded, packet)
	binary.BigEndian.PutUint16(m.Rest[2:], mtu)
	return m
}

// NewTimeExceeded returns a time exceeded message about packet.
func NewTimeExceeded(code uint8, packet []byte) Message {
	return Message{Type: TimeExceeded, Code: code, Body: Quote(packet)}
}

// NewParamProblem returns a parameter problem about the octet at pointer.
func NewParamProblem(pointer uint8, packet []byte) Message {
	return Message{Type: ParamProblem, Rest: [4]byte{pointer}, Body: Quote(packet)}
}

// Quote returns as much of packet, from its IP header on, as an error message
// may carry: the whole message with an IP header of 20 octets stays within
// MaxErrorLen. The result aliases packet.
func Quote(packet []byte) []byte {
	return packet[:min(len(packet), MaxErrorLen-20-HeaderLen)]
}
