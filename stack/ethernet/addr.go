// Package ethernet holds the vocabulary of IEEE 802.3 that every other layer
// shares: the 48-bit address, the EtherType, the header and its 802.1Q and
// 802.1ad tags. It is the leaf of the import graph: it knows no IP, opens no
// device, and allocates nothing.
package ethernet

import (
	"errors"
	"fmt"
)

// Addr is a 48-bit IEEE 802 MAC address in transmission order. It is
// comparable; the zero value is the null address, which no station owns.
type Addr [6]byte

// Broadcast is the all-ones address that every station receives.
var Broadcast = Addr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// ErrBadAddr is returned by ParseAddr for text that is not six octets in
// hexadecimal.
var ErrBadAddr = errors.New("ethernet: not a MAC address")

// ParseAddr reads six hexadecimal octets separated by colons or by hyphens,
// such as 02:50:2a:16:6d:01. Every octet has exactly two digits.
func ParseAddr(s string) (Addr, error) {
	var a Addr
	if len(s) != 17 {
		return Addr{}, fmt.Errorf("%w: %q (want six octets such as 02:50:2a:16:6d:01)", ErrBadAddr, s)
	}
	sep := s[2]
	for i := range a {
		hi, ok1 := unhex(s[3*i])
		lo, ok2 := unhex(s[3*i+1])
		if !ok1 || !ok2 || (i < 5 && s[3*i+2] != sep) || (sep != ':' && sep != '-') {
			return Addr{}, fmt.Errorf("%w: %q (want six octets such as 02:50:2a:16:6d:01)", ErrBadAddr, s)
		}
		a[i] = hi<<4 | lo
	}
	return a, nil
}

// MustParseAddr is ParseAddr for constants in tests and tables; it panics when
// s does not parse.
func MustParseAddr(s string) Addr {
	a, err := ParseAddr(s)
	if err != nil {
		panic(err)
	}
	return a
}

func unhex(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

const hexDigits = "0123456789abcdef"

// AppendTo appends the address in its canonical form, lower case with colons,
// and returns the extended slice.
func (a Addr) AppendTo(b []byte) []byte {
	for i, o := range a {
		if i > 0 {
			b = append(b, ':')
		}
		b = append(b, hexDigits[o>>4], hexDigits[o&15])
	}
	return b
}

// String returns the canonical form: lower case with colons.
func (a Addr) String() string { return string(a.AppendTo(make([]byte, 0, 17))) }

// MarshalText implements encoding.TextMarshaler with the canonical form.
func (a Addr) MarshalText() ([]byte, error) { return a.AppendTo(nil), nil }

// UnmarshalText implements encoding.TextUnmarshaler with ParseAddr's grammar.
func (a *Addr) UnmarshalText(b []byte) (err error) {
	*a, err = ParseAddr(string(b))
	return err
}

// IsZero reports whether a is the null address.
func (a Addr) IsZero() bool { return a == Addr{} }

// IsBroadcast reports whether a is the all-ones address.
func (a Addr) IsBroadcast() bool { return a == Broadcast }

// IsMulticast reports whether a is a group address (I/G bit set); the
// broadcast address is one.
func (a Addr) IsMulticast() bool { return a[0]&1 != 0 }

// IsLocal reports whether a is locally administered (U/L bit set) rather than
// assigned from a manufacturer's block.
func (a Addr) IsLocal() bool { return a[0]&2 != 0 }

// IsStation reports whether a can be the address of one station: neither null
// nor a group address.
func (a Addr) IsStation() bool { return !a.IsZero() && !a.IsMulticast() }
