package socketagent

import (
	"syscall"
)

// Commands of fcntl(2).
const (
	fGetFL = 3
	fSetFL = 4
)

func (s *sock) fcntl(command, arg int32) reply {
	switch command {
	case fGetFL:
		r := int32(syscall.O_RDWR)
		if s.nonblock {
			r |= sockNonblock
		}
		return reply{result: r}
	case fSetFL:
		s.nonblock = arg&sockNonblock != 0
		return reply{}
	}
	return reply{err: syscall.EINVAL}
}

// Requests of ioctl(2).
const (
	siocInq     = 0x541b
	siocOutq    = 0x5411
	siocAtMark  = 0x8905
	siocOutqNSD = 0x894b
)

func (s *sock) ioctl(request uint32) reply {
	n := 0
	switch {
	case s.ln != nil && (request == siocInq || request == siocOutq || request == siocOutqNSD):
		return reply{err: syscall.EINVAL}
	case s.udp != nil && request == siocInq:
		n, _, _ = s.udp.Next()
	case !s.stream && (request == siocInq || request == siocOutq):
	case !s.stream:
		return reply{err: syscall.ENOTTY}
	case s.conn == nil && (request == siocInq || request == siocOutq || request == siocOutqNSD || request == siocAtMark):
	case request == siocInq:
		n = s.conn.Info().RecvQueue
		if u := s.conn.Urgent(); u > 0 && !s.opt.oobInline {
			n = min(n, u-1) // up to the mark
		}
	case request == siocOutq:
		n = s.conn.Info().SendQueue
	case request == siocOutqNSD:
		n = s.conn.Info().Unsent
	case request == siocAtMark:
		if s.conn.AtMark() {
			n = 1
		}
	default:
		return reply{err: syscall.ENOTTY}
	}
	return reply{data: int32s(int32(n))}
}
