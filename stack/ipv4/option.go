package ipv4

// OptionType is the type octet of an option: copied flag, class, number
// (RFC 791 §3.1).
type OptionType uint8

// Option types that a host must know.
const (
	OptEnd         OptionType = 0
	OptNop         OptionType = 1
	OptRecordRoute OptionType = 7
	OptTimestamp   OptionType = 68
	OptLSRR        OptionType = 131 // loose source and record route
	OptSSRR        OptionType = 137 // strict source and record route
	OptRouterAlert OptionType = 148 // RFC 2113
)

// Copied reports whether the option goes into every fragment, not only into
// the first.
func (t OptionType) Copied() bool { return t&0x80 != 0 }

// NextOption returns the first option of opts: its type, all its octets (type
// and length included) and what follows. typ is OptEnd when nothing is left.
// ok is false when the option's length is impossible.
func NextOption(opts []byte) (typ OptionType, option, rest []byte, ok bool) {
	if len(opts) == 0 {
		return OptEnd, nil, nil, true
	}
	switch typ = OptionType(opts[0]); typ {
	case OptEnd:
		return typ, opts[:1], nil, true
	case OptNop:
		return typ, opts[:1], opts[1:], true
	}
	if len(opts) < 2 || opts[1] < 2 || int(opts[1]) > len(opts) {
		return typ, nil, nil, false
	}
	return typ, opts[:opts[1]], opts[opts[1]:], true
}

// CheckOptions verifies the form of every option. With ErrOption, pos is the
// offset in opts of the octet at fault.
func CheckOptions(opts []byte) (pos int, err error) {
	for rest := opts; len(rest) > 0; {
		pos := len(opts) - len(rest)
		typ, option, next, ok := NextOption(rest)
		if !ok {
			return pos + min(1, len(rest)-1), ErrOption
		}
		switch typ {
		case OptEnd:
			return 0, nil
		case OptRecordRoute, OptLSRR, OptSSRR:
			// RFC 791: pointer at least 4, route data in whole addresses.
			if len(option) < 3 || (len(option)-3)%4 != 0 {
				return pos + 1, ErrOption
			}
			if option[2] < 4 {
				return pos + 2, ErrOption
			}
		case OptTimestamp:
			// RFC 791: pointer at least 5, flag 0, 1 or 3.
			if len(option) < 4 {
				return pos + 1, ErrOption
			}
			if option[2] < 5 {
				return pos + 2, ErrOption
			}
			if f := option[3] & 15; f != 0 && f != 1 && f != 3 {
				return pos + 3, ErrOption
			}
		}
		rest = next
	}
	return 0, nil
}

// SourceRoute reports whether well-formed options ask for a route of the
// sender's choice, which this host refuses to follow or to reverse
// (RFC 1122 §3.2.1.8, RFC 7126 §4.3), and whether that route has been gone to its
// end.
func SourceRoute(opts []byte) (found, complete bool) {
	for len(opts) > 0 {
		typ, option, rest, ok := NextOption(opts)
		if !ok {
			return false, false
		}
		if (typ == OptLSRR || typ == OptSSRR) && len(option) > 2 {
			return true, int(option[2]) > len(option)
		}
		opts = rest
	}
	return false, false
}

// copiedOptions returns the options that fragments after the first carry.
func copiedOptions(opts []byte) []byte {
	var out []byte
	for len(opts) > 0 {
		typ, option, rest, ok := NextOption(opts)
		if !ok {
			break
		}
		if typ.Copied() {
			out = append(out, option...)
		}
		opts = rest
	}
	return out
}
