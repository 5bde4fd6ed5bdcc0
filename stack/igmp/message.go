package igmp

import (
	"encoding/binary"
	"net/netip"
	"time"

	"arpeggio/stack/checksum"
)

// Type is a message type.
type Type uint8

// Message types.
const (
	Query    Type = 0x11
	ReportV1 Type = 0x12
	ReportV2 Type = 0x16
	Leave    Type = 0x17
	ReportV3 Type = 0x22
)

// RecordType says what a record of a version 3 report tells (RFC 3376 §4.2.12).
type RecordType uint8

// Record types.
const (
	IsInclude RecordType = 1
	IsExclude RecordType = 2
	ToInclude RecordType = 3
	ToExclude RecordType = 4
	Allow     RecordType = 5
	Block     RecordType = 6
)

// Record is what a version 3 report says of one group.
type Record struct {
	Type    RecordType
	Group   netip.Addr
	Sources []netip.Addr
}

// Message is a message of any version.
type Message struct {
	Type  Type
	Group netip.Addr // of all but ReportV3; 0.0.0.0 in a general query

	// Of queries. Version 1 and 2 have only MaxResp; durations are rounded to
	// what the field holds.
	Version    Version
	MaxResp    time.Duration // to answer within
	Suppress   bool          // for routers only
	Robustness uint8         // of the querier, 0 to 7; 0 when it says none
	Interval   time.Duration // between the querier's queries
	Sources    []netip.Addr

	Records []Record // of ReportV3
}

const (
	headerLen = 8
	query3Len = 12
	recordLen = 8
)

// Parse reads and verifies a message.
func Parse(b []byte) (m Message, err error) {
	if len(b) < headerLen {
		return m, ErrShort
	}
	if checksum.Checksum(checksum.Sum(b, 0)) != 0 {
		return m, ErrChecksum
	}
	m.Type, m.Group = Type(b[0]), addr(b[4:])
	switch m.Type {
	case Query:
		err = m.parseQuery(b)
	case ReportV1, ReportV2, Leave:
		if !m.Group.IsMulticast() {
			err = ErrGroup
		}
	case ReportV3:
		m.Group = netip.Addr{}
		err = m.parseRecords(b)
	default:
		err = ErrType
	}
	return m, err
}

// parseQuery tells the versions apart as RFC 3376 §7.1 does.
func (m *Message) parseQuery(b []byte) error {
	switch {
	case len(b) == headerLen && b[1] == 0:
		m.Version, m.MaxResp = 1, maxResponse1
	case len(b) == headerLen:
		m.Version, m.MaxResp = 2, time.Duration(b[1])*100*time.Millisecond
	case len(b) < query3Len:
		return ErrShort
	default:
		m.Version, m.MaxResp = 3, time.Duration(decode(b[1]))*100*time.Millisecond
		m.Suppress, m.Robustness = b[8]&8 != 0, b[8]&7
		m.Interval = time.Duration(decode(b[9])) * time.Second
		n := int(binary.BigEndian.Uint16(b[10:]))
		if len(b) < query3Len+4*n {
			return ErrShort
		}
		m.Sources = addrs(b[query3Len:], n)
	}
	if !m.Group.IsMulticast() && (!m.Group.IsUnspecified() || len(m.Sources) > 0) {
		return ErrGroup
	}
	return nil
}

func (m *Message) parseRecords(b []byte) error {
	n := int(binary.BigEndian.Uint16(b[6:]))
	b = b[headerLen:]
	for range n {
		if len(b) < recordLen {
			return ErrShort
		}
		r := Record{Type: RecordType(b[0]), Group: addr(b[4:])}
		k := int(binary.BigEndian.Uint16(b[2:]))
		end := recordLen + 4*k + 4*int(b[1]) // auxiliary data are skipped
		if len(b) < end {
			return ErrShort
		}
		if !r.Group.IsMulticast() {
			return ErrGroup
		}
		r.Sources = addrs(b[recordLen:], k)
		m.Records, b = append(m.Records, r), b[end:]
	}
	return nil
}

// AppendTo appends the message in wire form, checksum included. Groups and
// sources are IPv4 addresses; the zero Group is 0.0.0.0.
func (m *Message) AppendTo(b []byte) []byte {
	start := len(b)
	var code byte
	switch {
	case m.Type == Query && m.Version == 2:
		code = byte(min(m.MaxResp/(100*time.Millisecond), 255))
	case m.Type == Query && m.Version == 3:
		code = encode(uint32(m.MaxResp / (100 * time.Millisecond)))
	}
	b = append(b, byte(m.Type), code, 0, 0)
	if m.Type == ReportV3 {
		b = binary.BigEndian.AppendUint32(b, uint32(len(m.Records)))
		for _, r := range m.Records {
			b = append(b, byte(r.Type), 0)
			b = binary.BigEndian.AppendUint16(b, uint16(len(r.Sources)))
			b = appendAddrs(b, r.Group)
			b = appendAddrs(b, r.Sources...)
		}
	} else {
		g := m.Group
		if !g.IsValid() {
			g = netip.IPv4Unspecified()
		}
		b = appendAddrs(b, g)
	}
	if m.Type == Query && m.Version == 3 {
		flags := m.Robustness & 7
		if m.Suppress {
			flags |= 8
		}
		b = append(b, flags, encode(uint32(m.Interval/time.Second)))
		b = binary.BigEndian.AppendUint16(b, uint16(len(m.Sources)))
		b = appendAddrs(b, m.Sources...)
	}
	binary.BigEndian.PutUint16(b[start+2:], checksum.Checksum(checksum.Sum(b[start:], 0)))
	return b
}

func addr(b []byte) netip.Addr { return netip.AddrFrom4([4]byte(b[:4])) }

func addrs(b []byte, n int) (out []netip.Addr) {
	for k := range n {
		out = append(out, addr(b[4*k:]))
	}
	return out
}

func appendAddrs(b []byte, list ...netip.Addr) []byte {
	for _, a := range list {
		v := a.As4()
		b = append(b, v[:]...)
	}
	return b
}

// decode and encode are the floating-point form of RFC 3376 §4.1.1 and §4.1.7;
// encode rounds down.
func decode(c byte) uint32 {
	if c < 128 {
		return uint32(c)
	}
	return uint32(c&15|16) << (c>>4&7 + 3)
}

func encode(v uint32) byte {
	if v < 128 {
		return byte(v)
	}
	for exp := range byte(8) {
		if m := v >> (exp + 3); m < 32 {
			return 0x80 | exp<<4 | byte(m&15)
		}
	}
	return 255
}
