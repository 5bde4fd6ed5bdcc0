package ipv4

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// Record returns the record route and timestamp options of a datagram that has
// reached its destination self, for the answer: with what each host on the way
// adds added (RFC 791 §3.1, RFC 1122 §3.2.2.6). Other options are left out. opts
// are well formed and stay as they are.
//
// ErrOption means that there is some room left but too little, or that the count
// of hosts without room overflows; pos is then the offset in opts of the octet at
// fault. A parameter problem is to be sent.
func Record(opts []byte, self netip.Addr, now time.Time) (out []byte, pos int, err error) {
	for rest := opts; len(rest) > 0; {
		typ, option, next, ok := NextOption(rest)
		if !ok {
			break
		}
		at := len(opts) - len(rest)
		rest = next
		if typ != OptRecordRoute && typ != OptTimestamp {
			continue
		}
		start := len(out)
		out = append(out, option...)
		add := addRoute
		if typ == OptTimestamp {
			add = addTimestamp
		}
		if fault := add(out[start:], self, now); fault > 0 {
			return nil, at + fault, ErrOption
		}
	}
	return out, 0, nil
}

// addRoute enters self into a record route option and returns the offset of the
// octet at fault, 0 for none.
func addRoute(o []byte, self netip.Addr, _ time.Time) (fault int) {
	p := int(o[2]) - 1
	switch {
	case p >= len(o): // full
		return 0
	case p+4 > len(o):
		return 2
	}
	a := self.As4()
	copy(o[p:], a[:])
	o[2] += 4
	return 0
}

// Flags of the timestamp option.
const (
	stampOnly      = 0
	stampAddress   = 1
	stampSpecified = 3 // only hosts that the sender has named
)

// addTimestamp enters the milliseconds since midnight UT, and self where it is
// asked for, into a timestamp option.
func addTimestamp(o []byte, self netip.Addr, now time.Time) (fault int) {
	p, flag := int(o[2])-1, o[3]&15
	need := 4
	if flag != stampOnly {
		need = 8
	}
	switch {
	case p >= len(o):
		if flag == stampSpecified { // all who were named have answered
			return 0
		}
		if o[3]>>4 == 15 {
			return 3
		}
		o[3] += 1 << 4
		return 0
	case p+need > len(o):
		return 2
	}
	if flag == stampSpecified && netip.AddrFrom4([4]byte(o[p:p+4])) != self {
		return 0
	}
	if flag == stampAddress {
		a := self.As4()
		copy(o[p:], a[:])
	}
	u := now.UTC()
	midnight := time.Date(u.Year(), u.Month(), u.Day(), 0, 0, 0, 0, time.UTC)
	binary.BigEndian.PutUint32(o[p+need-4:], uint32(u.Sub(midnight)/time.Millisecond))
	o[2] += uint8(need)
	return 0
}
