package stack

import (
	"net"
	"net/netip"
	"os"
	"time"
)

var errDeadline = os.ErrDeadlineExceeded

func (u *UDPConn) fail(op string, err error) error {
	return opError(op, "udp", u.LocalAddr(), u.RemoteAddr(), err)
}

// ReadFrom implements net.PacketConn; what does not fit p is lost.
func (u *UDPConn) ReadFrom(p []byte) (int, net.Addr, error) {
	n, from, err := u.ReadFromAddrPort(p)
	if err != nil {
		return n, nil, err
	}
	return n, net.UDPAddrFromAddrPort(from), nil
}

// ReadFromAddrPort is ReadFrom without an allocation.
func (u *UDPConn) ReadFromAddrPort(p []byte) (n int, from netip.AddrPort, err error) {
	n, d, err := u.read(p, "recvfrom")
	return n, d.From, err
}

// ReadDatagram is ReadFrom that also tells how the datagram came. d.Len above n
// means that what did not fit p is lost.
func (u *UDPConn) ReadDatagram(p []byte) (n int, d Datagram, err error) {
	return u.read(p, "recvfrom")
}

// read receives by the named system call.
func (u *UDPConn) read(p []byte, call string) (n int, d Datagram, err error) {
	n, d, err = u.receive(p)
	if err != nil {
		remote := u.RemoteAddr()
		if remote == nil {
			remote = udpAddr(d.From)
		}
		return 0, Datagram{}, opError("read", "udp", u.LocalAddr(), remote, called(call, err))
	}
	return n, d, nil
}

// Read implements net.Conn.
func (u *UDPConn) Read(p []byte) (int, error) {
	n, _, err := u.read(p, "read")
	return n, err
}

// WriteTo implements net.PacketConn. It fails with net.ErrWriteToConnected when u
// has a peer.
func (u *UDPConn) WriteTo(p []byte, addr net.Addr) (int, error) {
	a, ok := addr.(*net.UDPAddr)
	if !ok || a == nil {
		return 0, &net.OpError{Op: "write", Net: "udp", Source: u.LocalAddr(), Addr: addr, Err: errInvalid}
	}
	ap := a.AddrPort()
	return u.WriteToAddrPort(p, netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()))
}

// WriteToAddrPort is WriteTo without an allocation.
func (u *UDPConn) WriteToAddrPort(p []byte, to netip.AddrPort) (int, error) {
	return u.writeTo(p, netip.Addr{}, to)
}

// WriteAway is WriteToAddrPort that a socket with a peer may call, too: sendto(2)
// reaches others than the peer.
func (u *UDPConn) WriteAway(p []byte, to netip.AddrPort) (int, error) {
	return u.sent(p, to, u.send(p, netip.Addr{}, to))
}

// WriteAnonymous is WriteToAddrPort from 0.0.0.0, whatever addresses the interface
// has: as a host asks that has none yet which is good for this (RFC 2131 §4.1). to
// is a broadcast address.
func (u *UDPConn) WriteAnonymous(p []byte, to netip.AddrPort) (int, error) {
	return u.writeTo(p, netip.IPv4Unspecified(), to)
}

// Answer is WriteToAddrPort to who has sent d, from the address of ours that d was
// sent to (RFC 1123 §2.3): somebody who has asked one of our addresses knows of no
// other. Where d was for everybody or for a group, or the address is ours no more, the
// stack chooses. It fails with net.ErrWriteToConnected when u has a peer.
func (u *UDPConn) Answer(d Datagram, p []byte) (int, error) {
	src := netip.Addr{}
	if u.s.isOwn(d.Dst) {
		src = d.Dst
	}
	return u.writeTo(p, src, d.From)
}

// writeTo sends to somebody who is named, from src where that is valid.
func (u *UDPConn) writeTo(p []byte, src netip.Addr, to netip.AddrPort) (int, error) {
	err := net.ErrWriteToConnected
	if !u.names.Load().remote.IsValid() {
		err = u.send(p, src, to)
	}
	return u.sent(p, to, err)
}

// sent is what a call returns that has sent p to somebody who is named.
func (u *UDPConn) sent(p []byte, to netip.AddrPort, err error) (int, error) {
	if err != nil {
		return 0, opError("write", "udp", u.LocalAddr(), udpAddr(to), called("sendto", err))
	}
	return len(p), nil
}

// Write implements net.Conn. It fails with EDESTADDRREQ when u has no peer.
func (u *UDPConn) Write(p []byte) (int, error) {
	peer := u.names.Load().remote
	if !peer.IsValid() {
		return 0, u.fail("write", errDestRequired)
	}
	if err := u.send(p, netip.Addr{}, peer); err != nil {
		return 0, u.fail("write", err)
	}
	return len(p), nil
}

// LocalAddr implements net.Conn; the result is a *net.UDPAddr.
func (u *UDPConn) LocalAddr() net.Addr { return net.UDPAddrFromAddrPort(u.names.Load().local) }

// RemoteAddr implements net.Conn; the result is a *net.UDPAddr or nil.
func (u *UDPConn) RemoteAddr() net.Addr { return udpAddr(u.names.Load().remote) }

// SetDeadline implements net.Conn.
func (u *UDPConn) SetDeadline(t time.Time) error { return u.setDeadline(t, true, true) }

// SetReadDeadline implements net.Conn.
func (u *UDPConn) SetReadDeadline(t time.Time) error { return u.setDeadline(t, true, false) }

// SetWriteDeadline implements net.Conn. Sending does not wait; after t it
// fails.
func (u *UDPConn) SetWriteDeadline(t time.Time) error { return u.setDeadline(t, false, true) }

func (u *UDPConn) setDeadline(t time.Time, read, write bool) error {
	u.s.mu.Lock()
	defer u.s.mu.Unlock()
	if u.closed {
		return opError("set", "udp", nil, u.LocalAddr(), errClosed)
	}
	if read {
		u.rd.set(t)
	}
	if write {
		u.sendBy = t
	}
	return nil
}

// Dropped returns how many datagrams found the queue full.
func (u *UDPConn) Dropped() uint64 {
	u.s.mu.Lock()
	defer u.s.mu.Unlock()
	return u.dropped
}

// SetReadBuffer bounds the octets that wait for Read, overhead included. No more
// than 4096 datagrams wait in any case.
func (u *UDPConn) SetReadBuffer(n int) error {
	u.s.mu.Lock()
	defer u.s.mu.Unlock()
	if n <= 0 {
		return u.fail("set", errInvalid)
	}
	u.max = n
	return nil
}
