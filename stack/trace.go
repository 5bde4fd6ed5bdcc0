package stack

import (
	"net/netip"

	"arpeggio/stack/tcp"
)

// TCPEvent is a change of a TCP connection's state; see Config.TraceTCP.
type TCPEvent struct {
	Local, Remote netip.AddrPort
	// From is CLOSED for a connection that begins; a passive one comes from
	// LISTEN.
	From, To tcp.State
	// Frame is the Tag of the frame that has caused the change, zero when a user
	// or a timer did, and where nobody tags frames.
	Frame uint64
}

// traceTCP has the connections tell Config.TraceTCP of their states.
func (s *Stack) traceTCP() {
	if s.cfg.TraceTCP == nil {
		return
	}
	s.pool.OnState = func(c *tcp.Conn, from, to tcp.State) {
		s.cfg.TraceTCP(TCPEvent{c.Local(), c.Remote(), from, to, s.cause})
	}
}
