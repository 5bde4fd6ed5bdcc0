package versioned

import (
	"net/netip"
	"strconv"
	"strings"

	"arpeggio/arp"
	"arpeggio/stack/ethernet"
)

// Layout is the vcs.Layout of the repository: a tree of prefixes, in which a
// change of one entry touches small folders only, with the full address as the
// leaf's name:
//
//	lan/v4/10.0.0.0_16/10.0.0.0_20/10.0.3.0_24/10.0.3.64_28/10.0.3.67
//	lan/vlan-5/v4/…
//
// The path is a pure function of the key, so that equal tables have equal trees
// however they came about.
type Layout struct{}

var (
	prefixes4 = [...]int{16, 20, 24, 28}
	prefixes6 = [...]int{32, 48, 64, 112, 120}
)

// Path implements vcs.Layout.
func (Layout) Path(k arp.Key) string {
	b := make([]byte, 0, 96)
	b = appendDomain(b, k.Domain)
	if !k.VLAN.IsZero() {
		b = append(b, "/vlan-"...)
		b = append(b, k.VLAN.String()...)
	}
	family, steps := "/v4", prefixes4[:]
	addr := k.Addr.WithZone("")
	if !addr.Is4() {
		family, steps = "/v6", prefixes6[:]
	}
	b = append(b, family...)
	for _, bits := range steps {
		p, _ := addr.Prefix(bits) // fails for no valid address
		b = append(b, '/')
		b = p.Addr().AppendTo(b)
		b = append(b, '_')
		b = strconv.AppendInt(b, int64(bits), 10)
	}
	b = append(b, '/')
	return string(addr.AppendTo(b))
}

// Key implements vcs.Layout: it accepts exactly the paths that Path makes.
func (l Layout) Key(path string) (arp.Key, bool) {
	domain, rest, _ := strings.Cut(path, "/")
	var k arp.Key
	var ok bool
	if k.Domain, ok = parseDomain(domain); !ok {
		return arp.Key{}, false
	}
	if name, _, _ := strings.Cut(rest, "/"); strings.HasPrefix(name, "vlan-") {
		var err error
		if k.VLAN, err = ethernet.ParseVLAN(name[len("vlan-"):]); err != nil {
			return arp.Key{}, false
		}
	}
	addr, err := netip.ParseAddr(path[strings.LastIndexByte(path, '/')+1:])
	if err != nil {
		return arp.Key{}, false
	}
	k.Addr = addr
	return k, l.Path(k) == path
}

// appendDomain writes a domain as one name in a tree: what is not a letter, a
// digit, a dash, an underscore or an inner dot is written as % and two
// hexadecimal digits, and the empty name as a single %.
func appendDomain(b []byte, s string) []byte {
	if s == "" {
		return append(b, '%')
	}
	for i := range len(s) {
		c := s[i]
		plain := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' ||
			c == '.' && i > 0 && i < len(s)-1
		if plain {
			b = append(b, c)
			continue
		}
		const digits = "0123456789abcdef"
		b = append(b, '%', digits[c>>4], digits[c&15])
	}
	return b
}

func parseDomain(s string) (string, bool) {
	if s == "%" {
		return "", true
	}
	var b []byte
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b = append(b, s[i])
			continue
		}
		if len(s) < i+3 {
			return "", false
		}
		n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
		if err != nil {
			return "", false
		}
		b = append(b, byte(n))
		i += 2
	}
	return string(b), len(b) > 0
}
