package ethernet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// EtherType names the protocol of a frame's payload.
type EtherType uint16

// EtherTypes that arpeggio speaks or recognises (IANA "IEEE 802 Numbers").
const (
	TypeIPv4 EtherType = 0x0800
	TypeARP  EtherType = 0x0806
	TypeRARP EtherType = 0x8035
	TypeVLAN EtherType = 0x8100 // IEEE 802.1Q customer tag
	TypeIPv6 EtherType = 0x86dd
	TypeQinQ EtherType = 0x88a8 // IEEE 802.1ad service tag
)

// String returns the common name, or the number in hexadecimal.
func (t EtherType) String() string {
	switch t {
	case TypeIPv4:
		return "IPv4"
	case TypeARP:
		return "ARP"
	case TypeRARP:
		return "RARP"
	case TypeVLAN:
		return "802.1Q"
	case TypeIPv6:
		return "IPv6"
	case TypeQinQ:
		return "802.1ad"
	}
	return fmt.Sprintf("%#04x", uint16(t))
}

// Sizes in octets.
const (
	HeaderLen    = 14 // two addresses and an EtherType
	TagLen       = 4
	MaxTags      = 2 // one service tag (802.1ad) and one customer tag (802.1Q)
	MaxHeaderLen = HeaderLen + MaxTags*TagLen
)

// Tag is one VLAN tag: the tag protocol identifier and the tag control
// information (3 bits of priority, 1 of drop eligibility, 12 of VLAN id).
type Tag struct {
	TPID EtherType
	TCI  uint16
}

// VID returns the VLAN identifier, 0 to 4095; 0 means "priority only".
func (t Tag) VID() uint16 { return t.TCI & 0x0fff }

// PCP returns the priority code point, 0 to 7.
func (t Tag) PCP() uint8 { return uint8(t.TCI >> 13) }

// Header is an Ethernet II header with at most two VLAN tags, outermost first.
// It is comparable.
type Header struct {
	Dst, Src Addr
	Tags     [MaxTags]Tag // the first NTags are valid
	NTags    uint8        // 0 to MaxTags
	Type     EtherType    // of the payload, behind the tags
}

// VLAN identifies the broadcast domain of a frame within a wire: the outer and
// the inner VLAN id. The zero value is an untagged (or priority-tagged) frame;
// Outer is 0 when there is only one tag. It is comparable.
type VLAN struct{ Outer, Inner uint16 }

// String returns "0" when untagged, "5" for one tag and "100.5" for two.
func (v VLAN) String() string {
	if v.Outer != 0 {
		return fmt.Sprintf("%d.%d", v.Outer, v.Inner)
	}
	return fmt.Sprint(v.Inner)
}

// ParseVLAN reads what String writes. Ids are 1 to 4094, and 4095, which is
// reserved (802.1Q §9.6) and stands in frames all the same; the inner one of two
// is from 0 on.
func ParseVLAN(s string) (VLAN, error) {
	outer, inner, two := strings.Cut(s, ".")
	if !two {
		outer, inner = "0", s
	}
	o, err1 := strconv.ParseUint(outer, 10, 16)
	i, err2 := strconv.ParseUint(inner, 10, 16)
	v := VLAN{Outer: uint16(o), Inner: uint16(i)}
	if err1 != nil || err2 != nil || o > 4095 || i > 4095 || two && o == 0 {
		return VLAN{}, fmt.Errorf("ethernet: VLAN %q: want 0 for untagged, 1 to 4095, or OUTER.INNER", s)
	}
	return v, nil
}

// IsZero reports whether the frame belongs to the untagged broadcast domain.
func (v VLAN) IsZero() bool { return v == VLAN{} }

// VLAN returns the broadcast domain that the tags name.
func (h *Header) VLAN() VLAN {
	switch h.NTags {
	case 1:
		return VLAN{Inner: h.Tags[0].VID()}
	case 2:
		return VLAN{Outer: h.Tags[0].VID(), Inner: h.Tags[1].VID()}
	}
	return VLAN{}
}

// SetVLAN replaces the tags by those that v needs: none, one 802.1Q tag, or an
// 802.1ad tag around an 802.1Q tag.
func (h *Header) SetVLAN(v VLAN) {
	h.Tags, h.NTags = [MaxTags]Tag{}, 0
	if v.Outer != 0 {
		h.Tags[0], h.NTags = Tag{TypeQinQ, v.Outer & 0x0fff}, 1
	}
	if v.Inner != 0 || v.Outer != 0 {
		h.Tags[h.NTags] = Tag{TypeVLAN, v.Inner & 0x0fff}
		h.NTags++
	}
}

// Errors of Parse. They are sentinels, so that a receiver can count them by
// reason without formatting anything.
var (
	ErrShort       = errors.New("ethernet: frame shorter than its header")
	ErrTooManyTags = errors.New("ethernet: more than two VLAN tags")
	ErrLength      = errors.New("ethernet: IEEE 802.3 length field instead of an EtherType")
)

// Parse reads the header of frame and returns it with the payload, which
// aliases frame and may carry padding behind its protocol's own length.
// Frames with an 802.3 length field (LLC: spanning tree and the like) yield
// ErrLength, a valid header and everything behind it: see SNAP.
func Parse(frame []byte) (h Header, payload []byte, err error) {
	if len(frame) < HeaderLen {
		return Header{}, nil, ErrShort
	}
	h.Dst, h.Src = Addr(frame[0:6]), Addr(frame[6:12])
	t, rest := EtherType(binary.BigEndian.Uint16(frame[12:14])), frame[HeaderLen:]
	for t == TypeVLAN || t == TypeQinQ {
		if h.NTags == MaxTags {
			return h, nil, ErrTooManyTags
		}
		if len(rest) < TagLen {
			return h, nil, ErrShort
		}
		h.Tags[h.NTags] = Tag{t, binary.BigEndian.Uint16(rest)}
		h.NTags++
		t, rest = EtherType(binary.BigEndian.Uint16(rest[2:])), rest[TagLen:]
	}
	h.Type = t
	if t < 0x0600 {
		return h, rest, ErrLength
	}
	return h, rest, nil
}

// Len returns the octets that the header takes on the wire, 14 to 22.
func (h *Header) Len() int { return HeaderLen + int(h.NTags)*TagLen }

// AppendTo appends the header in wire form and returns the extended slice.
func (h *Header) AppendTo(b []byte) []byte {
	b = append(b, h.Dst[:]...)
	b = append(b, h.Src[:]...)
	for _, t := range h.Tags[:h.NTags] {
		b = binary.BigEndian.AppendUint16(b, uint16(t.TPID))
		b = binary.BigEndian.AppendUint16(b, t.TCI)
	}
	return binary.BigEndian.AppendUint16(b, uint16(h.Type))
}
