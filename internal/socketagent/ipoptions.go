package socketagent

import (
	"syscall"

	"arpeggio/stack"
)

// Options of level IPPROTO_IP.
const (
	ipTOS         = 1
	ipTTL         = 2
	ipMTUDiscover = 10
)

// maxTTL is the largest time to live, and ecnBits the part of the type of
// service that a stream socket's user may not set.
const (
	maxTTL  = 255
	ecnBits = 3
)

// anyIP tells the options that sockets of both kinds have.
func anyIP(name int32) bool { return name == ipTOS || name == ipTTL || name == ipMTUDiscover }

// setIP sets an option; v is an int, or one octet.
func (s *sock) setIP(name int32, v []byte) error {
	if !s.stream && !anyIP(name) {
		return s.setDatagramIP(name, v)
	}
	var n int32
	switch {
	case len(v) >= 4:
		n, _ = number(v)
	case len(v) >= 1:
		n = int32(v[0])
	case name == ipTTL: // elsewhere Linux takes nothing for zero
		return syscall.EINVAL
	}
	h := &s.opt.header
	switch name {
	case ipTOS:
		if h.TOS = uint8(n); s.stream {
			h.TOS &^= ecnBits
		}
	case ipTTL:
		if n != -1 && (n < 1 || n > maxTTL) {
			return syscall.EINVAL
		}
		h.TTL = uint8(max(n, 0)) // -1: the default again
	case ipMTUDiscover:
		if n < 0 || n > ipPMTUProbe {
			return syscall.EINVAL
		}
		if s.opt.discover, h.MayFragment = n, n < ipPMTUWant; !s.stream {
			return s.whenOpen(func(u *stack.UDPConn) error {
				if n == ipPMTUProbe {
					return u.SetPathProbing(true)
				}
				return u.SetDontFragment(n == ipPMTUDo)
			})
		}
	default:
		return syscall.ENOPROTOOPT
	}
	switch {
	case s.udp != nil:
		_ = s.udp.SetTOS(int(h.TOS))
		return s.udp.SetTTL(int(h.TTL))
	case s.conn != nil:
		return s.conn.SetIPHeader(*h)
	case s.ln != nil:
		s.ln.SetIPHeader(*h)
	}
	return nil
}

// getIP returns an option as Linux does: in one octet when that is all that the
// caller has room for.
func (s *sock) getIP(name, length int32) []byte {
	if !s.stream && !anyIP(name) {
		return s.getDatagramIP(name)
	}
	n := int32(0)
	switch h := s.opt.header; name {
	case ipTOS:
		n = int32(h.TOS)
	case ipTTL:
		n = int32(or(int(h.TTL), stack.DefaultTTL))
	case ipMTUDiscover:
		n = s.opt.discover
	default:
		return nil
	}
	if length < 4 {
		return []byte{byte(n)}
	}
	return int32s(n)
}
