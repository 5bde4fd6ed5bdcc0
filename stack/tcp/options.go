package tcp

import "encoding/binary"

// Option kinds (IANA "TCP Option Kind Numbers").
const (
	optEnd           = 0
	optNop           = 1
	optMSS           = 2   // RFC 9293 §3.7.1
	optWindowScale   = 3   // RFC 7323 §2.2
	optSACKPermitted = 4   // RFC 2018 §2
	optSACK          = 5   // RFC 2018 §3
	optTimestamps    = 8   // RFC 7323 §3.2
	optFastOpen      = 34  // RFC 7413 §4.1.1
	optExperiment    = 254 // RFC 6994 §3
)

// expFastOpen is what an experimental option begins with that stands for Fast
// Open: its use from before RFC 7413, which some clients still know (IANA "TCP
// Experimental Option Experiment Identifiers").
const expFastOpen = 0xf989

const (
	maxOptionsLen  = 40
	maxWindowScale = 14 // RFC 7323 §2.3
	maxBuffer      = 65535 << maxWindowScale
	timestampsLen  = 12 // with two NOPs in front, so that the values are aligned
)

// SACKBlock is the range [Start, End) of octets that a receiver holds
// (RFC 2018 §3).
type SACKBlock struct{ Start, End Seq }

// Options are the options of a segment that this package understands; the zero
// value is none. It is comparable.
type Options struct {
	MSS            uint16 // largest payload the sender of the segment takes; 0 when absent (RFC 9293 §3.7.1)
	WindowScale    uint8  // shift of later windows, clamped to 14 (RFC 7323 §2.3)
	HasWindowScale bool
	SACKPermitted  bool
	HasTimestamps  bool
	TSVal, TSEcr   uint32
	FastOpen       bool           // Fast Open is asked for, or a cookie given (RFC 7413 §4.1.1)
	Cookie         FastOpenCookie // none: a request
	FastOpenOld    bool           // in the form of the experiments before RFC 7413
	NSACK          uint8          // how many of SACK are valid, 0 to 4
	SACK           [4]SACKBlock
}

// parseOptions reads options as leniently as RFC 9293 §3.1 asks: an unknown
// kind is skipped by its length (MUST-6), and an illegal length ends the list
// without further harm (MUST-7). What was read before it counts.
func parseOptions(b []byte) (o Options) {
	for len(b) > 0 {
		kind := b[0]
		if kind == optEnd {
			return o
		}
		if kind == optNop {
			b = b[1:]
			continue
		}
		if len(b) < 2 || b[1] < 2 || int(b[1]) > len(b) {
			return o
		}
		v := b[2:b[1]]
		switch {
		case kind == optMSS && len(v) == 2:
			o.MSS = binary.BigEndian.Uint16(v)
		case kind == optWindowScale && len(v) == 1:
			o.HasWindowScale, o.WindowScale = true, min(v[0], maxWindowScale)
		case kind == optSACKPermitted && len(v) == 0:
			o.SACKPermitted = true
		case kind == optTimestamps && len(v) == 8:
			o.HasTimestamps = true
			o.TSVal, o.TSEcr = binary.BigEndian.Uint32(v), binary.BigEndian.Uint32(v[4:])
		case kind == optFastOpen:
			o.takeFastOpen(v, false)
		case kind == optExperiment && len(v) >= 2 && binary.BigEndian.Uint16(v) == expFastOpen:
			o.takeFastOpen(v[2:], true)
		case kind == optSACK && len(v)%8 == 0:
			o.NSACK = 0
			for ; len(v) >= 8 && int(o.NSACK) < len(o.SACK); v = v[8:] {
				o.SACK[o.NSACK] = SACKBlock{Seq(binary.BigEndian.Uint32(v)), Seq(binary.BigEndian.Uint32(v[4:]))}
				o.NSACK++
			}
		}
		b = b[b[1]:]
	}
	return o
}

func (o *Options) takeFastOpen(v []byte, old bool) {
	if cookie, ok := NewFastOpenCookie(v); ok || len(v) == 0 {
		o.FastOpen, o.Cookie, o.FastOpenOld = true, cookie, old
	}
}

// fastOpenLen returns the octets of a Fast Open option without padding.
func (o *Options) fastOpenLen() int {
	if o.FastOpenOld {
		return 4 + int(o.Cookie.n)
	}
	return 2 + int(o.Cookie.n)
}

// len returns the octets that appendTo writes: a multiple of four.
func (o *Options) len() int {
	n := 0
	if o.MSS != 0 {
		n += 4
	}
	if o.SACKPermitted && !o.HasTimestamps {
		n += 4
	}
	if o.HasTimestamps {
		n += timestampsLen
	}
	if o.HasWindowScale {
		n += 4
	}
	if o.FastOpen {
		n += (o.fastOpenLen() + 3) &^ 3
	}
	return n + sackLen(int(o.NSACK))
}

// sackLen returns the octets that n SACK blocks take.
func sackLen(n int) int {
	if n == 0 {
		return 0
	}
	return 4 + 8*n
}

// appendTo writes each option in whole 32-bit words, in Linux's order and with
// its padding, which every middlebox has seen: a host is told apart by less.
// SACK-permitted takes the place of the two NOPs before the timestamps.
func (o *Options) appendTo(b []byte) []byte {
	if o.MSS != 0 {
		b = append(b, optMSS, 4, byte(o.MSS>>8), byte(o.MSS))
	}
	if o.SACKPermitted != o.HasTimestamps {
		b = append(b, optNop, optNop)
	}
	if o.SACKPermitted {
		b = append(b, optSACKPermitted, 2)
	}
	if o.HasTimestamps {
		b = append(b, optTimestamps, 10)
		b = binary.BigEndian.AppendUint32(b, o.TSVal)
		b = binary.BigEndian.AppendUint32(b, o.TSEcr)
	}
	if o.HasWindowScale {
		b = append(b, optNop, optWindowScale, 3, o.WindowScale)
	}
	if o.FastOpen {
		n := o.fastOpenLen()
		if o.FastOpenOld {
			b = binary.BigEndian.AppendUint16(append(b, optExperiment, byte(n)), expFastOpen)
		} else {
			b = append(b, optFastOpen, byte(n))
		}
		b = append(b, o.Cookie.Bytes()...)
		for pad := n; pad%4 != 0; pad++ {
			b = append(b, optNop)
		}
	}
	if o.NSACK > 0 {
		b = append(b, optNop, optNop, optSACK, 2+8*o.NSACK)
		for _, s := range o.SACK[:o.NSACK] {
			b = binary.BigEndian.AppendUint32(b, uint32(s.Start))
			b = binary.BigEndian.AppendUint32(b, uint32(s.End))
		}
	}
	return b
}
