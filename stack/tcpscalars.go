package stack

import (
	"cmp"

	"arpeggio/stack/tcp"
)

// TCPScalars are the objects of RFC 4022 that tell how TCP works here, beside the
// counters in TCPStats. tcpConnectionTable and tcpListenerTable are Conns and
// Listeners.
type TCPScalars struct {
	RtoAlgorithm int   `mib:"tcpRtoAlgorithm"` // 5: rfc2988
	RtoMin       int64 `mib:"tcpRtoMin"`       // milliseconds
	RtoMax       int64 `mib:"tcpRtoMax"`       // milliseconds
	MaxConn      int   `mib:"tcpMaxConn"`      // -1: not fixed, memory bounds it
}

// TCPScalars returns the objects. They do not change while the stack runs.
func (s *Stack) TCPScalars() TCPScalars {
	return TCPScalars{
		RtoAlgorithm: 5,
		RtoMin:       cmp.Or(s.cfg.MinRTO, tcp.DefaultMinRTO).Milliseconds(),
		RtoMax:       tcp.DefaultMaxRTO.Milliseconds(),
		MaxConn:      -1,
	}
}
