// Package udp is the codec of the User Datagram Protocol (RFC 768, RFC 1122
// §4.1). It is family-neutral: the caller supplies the pseudo-header's sum.
package udp

import (
	"encoding/binary"
	"errors"

	"arpeggio/stack/checksum"
)

// Sizes in octets.
const (
	HeaderLen   = 8
	MaxPayload4 = 65535 - 20 - HeaderLen // in one IPv4 datagram without options
)

// ChecksumOffset is where the checksum field lies in the header.
const ChecksumOffset = 6

// Errors of Parse.
var (
	ErrShort    = errors.New("udp: datagram shorter than its header")
	ErrLength   = errors.New("udp: length field below 8 or beyond the datagram")
	ErrChecksum = errors.New("udp: checksum does not match")
)

// Header is a UDP header without the fields that follow from the payload. It
// is comparable.
type Header struct {
	SrcPort uint16 // zero when no answer is expected
	DstPort uint16
}

// Parse reads a datagram whose checksum somebody else has verified. payload
// aliases b and ends where the length field says.
func Parse(b []byte) (h Header, payload []byte, err error) {
	if len(b) < HeaderLen {
		return h, nil, ErrShort
	}
	n := int(binary.BigEndian.Uint16(b[4:]))
	if n < HeaderLen || n > len(b) {
		return h, nil, ErrLength
	}
	return Header{binary.BigEndian.Uint16(b[0:]), binary.BigEndian.Uint16(b[2:])}, b[HeaderLen:n], nil
}

// Verify reports whether the checksum of datagram, header and payload as the
// length field delimits them, matches, where pseudo is the partial sum of the
// pseudo-header. A zero checksum field means that the sender computed none,
// which IPv4 allows (RFC 1122 §4.1.3.4).
func Verify(datagram []byte, pseudo uint32) bool {
	if len(datagram) < HeaderLen {
		return false
	}
	return binary.BigEndian.Uint16(datagram[ChecksumOffset:]) == 0 ||
		checksum.Checksum(checksum.Sum(datagram, pseudo)) == 0
}

// AppendHeader appends the header of a datagram that carries payloadLen octets,
// with the checksum field zero, and returns the extended slice.
func (h *Header) AppendHeader(b []byte, payloadLen int) []byte {
	b = binary.BigEndian.AppendUint16(b, h.SrcPort)
	b = binary.BigEndian.AppendUint16(b, h.DstPort)
	b = binary.BigEndian.AppendUint16(b, uint16(HeaderLen+payloadLen))
	return append(b, 0, 0)
}

// AppendTo appends the whole datagram, checksum included, and returns the
// extended slice. pseudo is the partial sum of the pseudo-header. A sum that
// computes to zero is sent as 0xffff (RFC 768).
func (h *Header) AppendTo(b, payload []byte, pseudo uint32) []byte {
	start := len(b)
	b = append(h.AppendHeader(b, len(payload)), payload...)
	binary.BigEndian.PutUint16(b[start+ChecksumOffset:], Finish(checksum.Sum(b[start:], pseudo)))
	return b
}

// Finish turns the partial sum of a pseudo-header and a datagram whose checksum
// field is zero into that field, which is never zero.
func Finish(sum uint32) uint16 {
	if c := checksum.Checksum(sum); c != 0 {
		return c
	}
	return 0xffff
}
