package host

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// ErrHostAddr is the error, wrapped with the address, of CheckHost.
var ErrHostAddr = errors.New("host: not the IPv4 address of one host on a network")

// CheckHost returns nil when a can be the address of one host, such as a name
// server's, that is asked over the stack; else an error that is ErrHostAddr and says
// why. No host has an address of 0/8, 127/8, which never leaves a machine, or from
// 224.0.0.0 on (RFC 1122 §3.2.1.3).
func CheckHost(a netip.Addr) error {
	if isHost(a) {
		return nil
	}
	why := "reserved"
	switch {
	case !a.IsValid():
		return fmt.Errorf("%w: no address", ErrHostAddr)
	case !a.Is4():
		why = "the stack speaks IPv4 only"
	case a.IsLoopback():
		why = "the machine itself, which cannot be reached over the stack"
	case a.IsMulticast():
		why = "a group"
	case a == broadcast:
		why = "everybody"
	}
	return fmt.Errorf("%w: %v (%s)", ErrHostAddr, a, why)
}

// isHost reports whether a can be the address of one host.
func isHost(a netip.Addr) bool {
	if !a.Is4() {
		return false
	}
	first := a.As4()[0]
	return first != 0 && first != 127 && first < 224
}

// CheckServer returns nil when s is the address of one host, as CheckHost has it, or
// can be a host's name: labels of at most 63 letters, digits, hyphens and underscores
// with dots between them, 253 octets in all, the last label not all digits, which
// would be a mistyped address (RFC 1123 §2.1).
func CheckServer(s string) error {
	if a, err := netip.ParseAddr(s); err == nil {
		return CheckHost(a)
	}
	name := strings.TrimSuffix(s, ".")
	bad := func(why string) error {
		return fmt.Errorf("host: %.60q is neither an IPv4 address nor a name: %s", s, why)
	}
	if len(name) == 0 || len(name) > 253 {
		return bad("want 1 to 253 octets")
	}
	label := ""
	for label = range strings.SplitSeq(name, ".") {
		switch {
		case label == "" || len(label) > maxLabel:
			return bad("want 1 to 63 octets between two dots")
		case label[0] == '-' || label[len(label)-1] == '-':
			return bad("no label begins or ends with a hyphen")
		case strings.Trim(strings.ToLower(label), "abcdefghijklmnopqrstuvwxyz0123456789-_") != "":
			return bad("a name has letters, digits, hyphens and dots alone")
		}
	}
	if strings.Trim(label, "0123456789") == "" {
		return bad("an address has four numbers from 0 to 255")
	}
	return nil
}
