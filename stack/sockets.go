package stack

import (
	"net/netip"
	"slices"

	"arpeggio/stack/tcp"
)

// Conns returns a snapshot of all TCP connections for people, sorted by address.
func (s *Stack) Conns() []ConnInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]ConnInfo, 0, len(s.conns))
	for _, c := range s.conns {
		i := ConnInfo{Local: c.m.Local(), Remote: c.m.Remote(), Info: c.m.Info()}
		if c.route.Interface != nil {
			i.Interface = c.route.name
		}
		out = append(out, i)
	}
	slices.SortFunc(out, func(a, b ConnInfo) int { return byAddr(a.Local, a.Remote, b.Local, b.Remote) })
	return out
}

// ConnInfo describes a TCP connection.
type ConnInfo struct {
	Local, Remote netip.AddrPort
	Interface     string // that it leaves by; "" to an address of our own
	tcp.Info
}

// Listeners returns a snapshot of all TCP listeners, sorted by address.
func (s *Stack) Listeners() []ListenerInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []ListenerInfo
	for _, ls := range s.listeners {
		for _, l := range ls {
			out = append(out, ListenerInfo{l.addr, l.opening.Len(), len(l.ready), l.backlog})
		}
	}
	slices.SortFunc(out, func(a, b ListenerInfo) int { return a.Local.Compare(b.Local) })
	return out
}

// ListenerInfo describes a TCP listener.
type ListenerInfo struct {
	Local   netip.AddrPort
	Opening int // connections whose handshake is not complete
	Ready   int // connections that can be accepted
	Backlog int // bound of both together
}

// PacketConns returns a snapshot of all UDP sockets that have a port, sorted by
// address.
func (s *Stack) PacketConns() []PacketInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []PacketInfo
	for _, us := range s.udp {
		for _, u := range us {
			if u.local.Port() == 0 {
				continue
			}
			i := PacketInfo{Local: u.local, Remote: u.remote, Queued: len(u.queue), RecvQueue: u.bytes, RecvMax: u.max, Dropped: u.dropped}
			if u.via != nil {
				i.Interface = u.via.name
			}
			out = append(out, i)
		}
	}
	slices.SortFunc(out, func(a, b PacketInfo) int { return byAddr(a.Local, a.Remote, b.Local, b.Remote) })
	return out
}

// PacketInfo describes a UDP socket.
type PacketInfo struct {
	Local     netip.AddrPort
	Remote    netip.AddrPort // invalid where there is no peer
	Interface string         // that it is bound to; "" for all
	Queued    int            // datagrams that wait for the reader
	RecvQueue int            // octets that are charged for them
	RecvMax   int            // bound of RecvQueue
	Dropped   uint64         // datagrams that found it full
}

// byAddr compares two sockets by their ends.
func byAddr(local1, remote1, local2, remote2 netip.AddrPort) int {
	if n := local1.Compare(local2); n != 0 {
		return n
	}
	return remote1.Compare(remote2)
}
