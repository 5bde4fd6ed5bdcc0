package host

// Bounds of a search list.
const (
	maxSearch = 16  // names; those that follow are left out
	maxName   = 255 // octets of one name as they would stand without compression (RFC 1035 §2.3.4)
	maxLabel  = 63  // octets
)

// domains reads a search list (RFC 3397); one that is malformed is none. A name
// with characters that are not printable is left out.
func domains(b []byte) (names []string) {
	for at := 0; at < len(b) && len(names) < maxSearch; {
		name, next := domain(b, at)
		if next == 0 {
			return nil
		}
		if s := text([]byte(name)); s != "" {
			names = append(names, s)
		}
		at = next
	}
	return names
}

// domain reads the name that begins at b[at], without a final dot, and returns
// where the next one begins, which is 0 when there is no name. A pointer leads
// backwards, before all that has been read of the name (RFC 1035 §4.1.4 says a
// prior occurrence), and a name is short: the time is bounded, whatever b says.
func domain(b []byte, at int) (name string, next int) {
	total, start := 1, at // the root's octet; where the part that is being read begins
	for at < len(b) {
		n := int(b[at])
		switch {
		case n == 0:
			return name, max(next, at+1)
		case n > maxLabel:
			if n < 0xc0 || at+1 >= len(b) {
				return "", 0
			}
			to := n&0x3f<<8 | int(b[at+1])
			if to >= start {
				return "", 0
			}
			next = max(next, at+2)
			at, start = to, to
		default:
			if total += 1 + n; total > maxName || at+1+n > len(b) {
				return "", 0
			}
			if name != "" {
				name += "."
			}
			name += string(b[at+1 : at+1+n])
			at += 1 + n
		}
	}
	return "", 0
}
