package tcp

import (
	"encoding/binary"
	"fmt"
)

// HeaderLen is the length of a header without options, in octets.
const HeaderLen = 20

// ChecksumOffset is where the checksum field lies in a header.
const ChecksumOffset = 16

// MaxHeaderLen is the length of the longest header.
const MaxHeaderLen = HeaderLen + maxOptionsLen

// Segment is one TCP segment, received or to be sent.
type Segment struct {
	SrcPort, DstPort uint16
	Seq, Ack         Seq
	Flags            Flags
	Window           uint16 // as on the wire, unscaled
	Urgent           uint16
	Options          Options

	// Mark is the ECN field of the packet's IP header (RFC 3168 §5). The owner
	// sets it in what was received and sends what Output has set.
	Mark uint8

	// Payload holds a received segment's text. It aliases the packet.
	Payload []byte

	// Data holds the text of a segment to be sent, in pieces that alias the
	// send queue. They are valid until the next call of the Conn that emitted
	// the segment, or longer with Pool.Hold, and must not be modified.
	Data [][]byte

	// GSOSize is above zero when Data is longer than one segment may be and
	// is to be cut, by the device or by the owner, into segments of GSOSize
	// octets, the last one shorter. PSH and FIN belong to the last. In a
	// received segment that a device has put together the owner sets it to the
	// size of the parts, so that they are counted.
	GSOSize uint16
}

// Pieces returns how many segments s stands for: 1, or more where GSOSize is set.
func (s *Segment) Pieces() int {
	if s.GSOSize == 0 {
		return 1
	}
	return max(1, (s.DataLen()+int(s.GSOSize)-1)/int(s.GSOSize))
}

// ParseSegment reads a whole segment: header, options, text. The checksum is
// the caller's to verify, before. Options are parsed leniently (RFC 9293
// §3.1); the reserved bits are ignored. Errors are ErrShort, ErrDataOffset and
// ErrPort. Payload aliases b.
func ParseSegment(b []byte) (Segment, error) {
	if len(b) < HeaderLen {
		return Segment{}, ErrShort
	}
	off := int(b[12]>>4) * 4
	if off < HeaderLen || off > len(b) {
		return Segment{}, ErrDataOffset
	}
	s := Segment{
		SrcPort: binary.BigEndian.Uint16(b[0:]),
		DstPort: binary.BigEndian.Uint16(b[2:]),
		Seq:     Seq(binary.BigEndian.Uint32(b[4:])),
		Ack:     Seq(binary.BigEndian.Uint32(b[8:])),
		Flags:   Flags(b[13]),
		Window:  binary.BigEndian.Uint16(b[14:]),
		Urgent:  binary.BigEndian.Uint16(b[18:]),
		Payload: b[off:],
	}
	if s.SrcPort == 0 || s.DstPort == 0 {
		return Segment{}, ErrPort
	}
	if off > HeaderLen {
		s.Options = parseOptions(b[HeaderLen:off])
	}
	return s, nil
}

// HeaderLen returns the octets that AppendHeader writes, 20 to 60.
func (s *Segment) HeaderLen() int { return HeaderLen + s.Options.len() }

// AppendHeader appends the header with its options, the checksum field zero,
// and returns the extended slice.
func (s *Segment) AppendHeader(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, s.SrcPort)
	b = binary.BigEndian.AppendUint16(b, s.DstPort)
	b = binary.BigEndian.AppendUint32(b, uint32(s.Seq))
	b = binary.BigEndian.AppendUint32(b, uint32(s.Ack))
	b = append(b, byte(s.HeaderLen()/4)<<4, byte(s.Flags))
	b = binary.BigEndian.AppendUint16(b, s.Window)
	b = append(b, 0, 0)
	b = binary.BigEndian.AppendUint16(b, s.Urgent)
	return s.Options.appendTo(b)
}

// DataLen returns the octets of text: of Payload when received, of Data when to
// be sent.
func (s *Segment) DataLen() int {
	n := len(s.Payload)
	for _, p := range s.Data {
		n += len(p)
	}
	return n
}

// Len returns SEG.LEN, the sequence numbers that the segment takes: its text,
// one for SYN and one for FIN (RFC 9293 §3.4).
func (s *Segment) Len() int {
	n := s.DataLen()
	if s.Flags&SYN != 0 {
		n++
	}
	if s.Flags&FIN != 0 {
		n++
	}
	return n
}

// String shows the segment for tests and traces.
func (s *Segment) String() string {
	t := fmt.Sprintf("%d>%d [%v] seq %d ack %d win %d len %d",
		s.SrcPort, s.DstPort, s.Flags, s.Seq, s.Ack, s.Window, s.DataLen())
	o := &s.Options
	if o.MSS != 0 {
		t += fmt.Sprintf(" mss %d", o.MSS)
	}
	if o.HasWindowScale {
		t += fmt.Sprintf(" wscale %d", o.WindowScale)
	}
	if o.SACKPermitted {
		t += " sackOK"
	}
	if o.FastOpen {
		t += fmt.Sprintf(" tfo %x", o.Cookie.Bytes())
	}
	if o.HasTimestamps {
		t += fmt.Sprintf(" TS %d %d", o.TSVal, o.TSEcr)
	}
	if o.NSACK > 0 {
		t += fmt.Sprintf(" sack %d", o.SACK[:o.NSACK])
	}
	return t
}

// ResetFor returns the segment with which a host answers one that belongs to
// no connection (RFC 9293 §3.10.7.1). It reports false for a reset, which is
// never answered.
func ResetFor(seg *Segment) (Segment, bool) {
	if seg.Flags&RST != 0 {
		return Segment{}, false
	}
	r := Segment{SrcPort: seg.DstPort, DstPort: seg.SrcPort, Flags: RST}
	if seg.Flags&ACK != 0 {
		// "If the ACK bit is on, <SEQ=SEG.ACK><CTL=RST>".
		r.Seq = seg.Ack
	} else {
		// "If the ACK bit is off, <SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>".
		r.Ack, r.Flags = seg.Seq.Add(seg.Len()), RST|ACK
	}
	return r, true
}
