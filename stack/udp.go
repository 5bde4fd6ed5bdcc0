package stack

import (
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"arpeggio/stack/tcp"
)

// UDPConn is a packet connection: a net.PacketConn and, when it has a peer, a
// net.Conn. Its methods are safe for concurrent use. Broadcasts are received
// without further ado, and sent unless SetBroadcast forbids it, as with the
// sockets of package net.
type UDPConn struct {
	s       *Stack
	local   netip.AddrPort // of port 0 after Connect has given it back
	remote  netip.AddrPort // valid when connected
	names   atomic.Pointer[udpNames]
	via     *Interface // bound to
	reuse   bool       // shares its address with others that do
	anyAddr bool       // the address was chosen by the stack
	anyPort bool       // likewise the port
	rd      waiter
	inbox
	sendBy time.Time     // write deadline: sends never wait, but may come too late
	errs   []socketError // ICMP errors to report, each once
	closed bool
	notify chan<- struct{} // see Notify

	// Options of what is sent, and of errors.
	mute     bool     // no broadcasts
	whole    *bigSent // never fragmented; nil: where it must be
	probing  bool     // and sent whatever is known of the path
	forced   *bigSent // what was not to be fragmented for want of identifications
	tellAll  bool     // report errors without a peer too
	unsummed bool     // send no checksums
	needSum  bool     // and take nothing without one
	ttl, tos uint8
	opts     []byte
	mcast    multicast
	members  []*member
}

var (
	_ net.PacketConn = (*UDPConn)(nil)
	_ net.Conn       = (*UDPConn)(nil)
)

// udpNames are the ends of a packet connection for who does not hold the lock.
type udpNames struct{ local, remote netip.AddrPort }

// name gives the connection its ends.
func (u *UDPConn) name(local, remote netip.AddrPort) {
	u.local, u.remote = local, remote
	u.names.Store(&udpNames{local, remote})
}

// DialUDP opens a connection that sends to and receives from remote only. The
// zero local address and port are chosen by the stack.
func (s *Stack) DialUDP(local, remote netip.AddrPort) (*UDPConn, error) {
	u, err := s.newUDP(local, remote, &ListenConfig{})
	if err != nil {
		return nil, opError("dial", "udp", udpAddr(local), udpAddr(remote), err)
	}
	return u, nil
}

func (lc *ListenConfig) listenUDP(s *Stack, local netip.AddrPort) (*UDPConn, error) {
	u, err := s.newUDP(local, netip.AddrPort{}, lc)
	if err != nil {
		return nil, opError("listen", "udp", udpAddr(local), nil, err)
	}
	return u, nil
}

func udpAddr(a netip.AddrPort) net.Addr {
	if !a.IsValid() {
		return nil
	}
	return net.UDPAddrFromAddrPort(a)
}

func (s *Stack) newUDP(local, remote netip.AddrPort, lc *ListenConfig) (*UDPConn, error) {
	if !local.IsValid() {
		local = netip.AddrPortFrom(netip.IPv4Unspecified(), local.Port())
	}
	connected := remote != netip.AddrPort{}
	if !local.Addr().Is4() || connected && (!remote.Addr().Is4() || remote.Port() == 0 || remote.Addr().IsUnspecified()) {
		return nil, errInvalid
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || lc.Interface != nil && lc.Interface.gone {
		return nil, errClosed
	}
	u := &UDPConn{s: s, local: local, remote: remote, via: lc.Interface, inbox: inbox{max: lc.ReadBuffer}, reuse: lc.ReuseAddr}
	u.anyAddr, u.anyPort = local.Addr().IsUnspecified(), local.Port() == 0
	if connected {
		via, ok := s.lookupFrom(remote.Addr(), u.via, local.Addr())
		if !ok {
			return nil, errNetUnreach
		}
		if local.Addr().IsUnspecified() {
			u.local = netip.AddrPortFrom(via.src, local.Port())
		}
	}
	a := u.local.Addr()
	if !s.bindable(a) {
		return nil, errAddrNotAvail
	}
	port := u.local.Port()
	if port == 0 {
		port = s.udpPort()
	}
	if port == 0 || slices.ContainsFunc(s.udp[port], u.conflicts) {
		return nil, errAddrInUse
	}
	if u.max <= 0 {
		u.max = s.cfg.UDPRcvBuf
	}
	u.rd.init(&s.mu)
	u.name(netip.AddrPortFrom(a, port), remote)
	s.udp[port] = append(s.udp[port], u)
	return u, nil
}

// udpPort draws a port that no packet connection has, 0 when there is none.
func (s *Stack) udpPort() uint16 {
	return s.randomPort(func(p uint16) bool { return len(s.udp[p]) == 0 })
}

// move gives u another address and port; nobody else has them both.
func (u *UDPConn) move(to netip.AddrPort) {
	s := u.s
	if u.local.Port() != to.Port() {
		s.leavePort(u)
		s.udp[to.Port()] = append(s.udp[to.Port()], u)
	}
	u.name(to, u.remote)
}

// autobind gives u a port when Connect has given its own back.
func (u *UDPConn) autobind() error {
	if u.local.Port() != 0 {
		return nil
	}
	port := u.s.udpPort()
	if port == 0 {
		return errAgain // as Linux
	}
	u.move(netip.AddrPortFrom(u.local.Addr(), port))
	return nil
}

// leavePort takes u out of the table.
func (s *Stack) leavePort(u *UDPConn) {
	port := u.local.Port()
	if s.udp[port] = slices.DeleteFunc(s.udp[port], func(o *UDPConn) bool { return o == u }); len(s.udp[port]) == 0 {
		delete(s.udp, port)
	}
}

// bindable reports whether a packet connection can receive what is sent to a: an
// address of ours, a broadcast's or a group's, or any.
func (s *Stack) bindable(a netip.Addr) bool {
	return a.IsUnspecified() || s.local(a) || s.isAnyBroadcast(a) || a.IsMulticast()
}

// conflicts reports whether o, on the same port, is bound so that the two could
// not be told apart and do not both mean to share.
func (u *UDPConn) conflicts(o *UDPConn) bool {
	if u.reuse && o.reuse || u.via != nil && o.via != nil && u.via != o.via || u.remote != o.remote {
		return false
	}
	a, b := u.local.Addr(), o.local.Addr()
	return a == b || a.IsUnspecified() || b.IsUnspecified()
}

// Close implements net.PacketConn. It ends the socket's memberships.
func (u *UDPConn) Close() error {
	s := u.s
	s.mu.Lock()
	if u.closed {
		s.mu.Unlock()
		return u.fail("close", errClosed)
	}
	now := s.now()
	u.closeLocked(now)
	s.unlock(now)
	return nil
}

func (u *UDPConn) closeLocked(now tcp.Instant) {
	s := u.s
	u.closed = true
	s.leavePort(u)
	for len(u.members) > 0 {
		s.leave(u.members[0], now)
	}
	u.queue = nil
	u.rd.stop()
}
