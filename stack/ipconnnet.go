package stack

import (
	"context"
	"net"
	"net/netip"
	"time"
)

func ipAddr(a netip.Addr) net.Addr {
	if !a.IsValid() {
		return nil
	}
	return &net.IPAddr{IP: a.AsSlice()}
}

func (c *IPConn) fail(op string, err error) error {
	return opError(op, c.network, c.LocalAddr(), c.RemoteAddr(), err)
}

// dialIPName opens a connection to the first address of a host. err is what was
// wrong with the network.
func (s *Stack) dialIPName(ctx context.Context, local netip.Addr, n ipNetwork, network, host string, err error) (net.Conn, error) {
	var addrs []netip.Addr
	if err == nil && host == "" {
		err = errNoAddress
	}
	if err == nil {
		addrs, err = s.lookupHost(ctx, host)
	}
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	to := addrs[0].Unmap()
	if to.IsUnspecified() { // package net: the local system is assumed
		to = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	c, err := s.dialIP(n, local, to)
	if err != nil {
		return nil, asAsked(err, network)
	}
	return c, nil
}

// listenIPName opens a packet connection at the first address of a host. err is
// what was wrong with the network.
func (lc *ListenConfig) listenIPName(s *Stack, n ipNetwork, network, host string, err error) (net.PacketConn, error) {
	var addrs []netip.Addr
	if err == nil {
		addrs, err = s.lookupHost(context.Background(), host)
	}
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: err}
	}
	c, err := lc.listenIP(s, n, addrs[0].Unmap())
	if err != nil {
		return nil, asAsked(err, network)
	}
	return c, nil
}

// ReadFrom implements net.PacketConn: it reads a payload, without the IP header;
// what does not fit p is lost. The address is a *net.IPAddr.
func (c *IPConn) ReadFrom(p []byte) (int, net.Addr, error) {
	n, d, err := c.read(p, "recvfrom")
	if err != nil {
		return 0, nil, err
	}
	return n, ipAddr(d.From.Addr()), nil
}

// ReadDatagram is ReadFrom that also tells how the datagram came; the port of
// d.From is 0. d.Len above n means that what did not fit p is lost.
func (c *IPConn) ReadDatagram(p []byte) (n int, d Datagram, err error) { return c.read(p, "recvfrom") }

// Read implements net.Conn.
func (c *IPConn) Read(p []byte) (int, error) {
	n, _, err := c.read(p, "read")
	return n, err
}

func (c *IPConn) read(p []byte, call string) (int, Datagram, error) {
	n, d, err := c.receive(p)
	if err != nil {
		return 0, Datagram{}, c.fail("read", called(call, err))
	}
	return n, d, nil
}

// WriteTo implements net.PacketConn: it sends a payload to a *net.IPAddr. It
// fails with net.ErrWriteToConnected when c has a peer.
func (c *IPConn) WriteTo(p []byte, addr net.Addr) (int, error) {
	a, ok := addr.(*net.IPAddr)
	if !ok || a == nil {
		return 0, &net.OpError{Op: "write", Net: c.network, Source: c.LocalAddr(), Addr: addr, Err: errInvalid}
	}
	to, _ := netip.AddrFromSlice(a.IP)
	err := net.ErrWriteToConnected
	if !c.remote.IsValid() {
		err = c.send(p, to.Unmap())
	}
	if err != nil {
		return 0, opError("write", c.network, c.LocalAddr(), addr, called("sendto", err))
	}
	return len(p), nil
}

// Write implements net.Conn. It fails with EDESTADDRREQ when c has no peer.
func (c *IPConn) Write(p []byte) (int, error) {
	err := error(errDestRequired)
	if c.remote.IsValid() {
		err = c.send(p, c.remote)
	}
	if err != nil {
		return 0, c.fail("write", err)
	}
	return len(p), nil
}

// LocalAddr implements net.Conn; the result is a *net.IPAddr.
func (c *IPConn) LocalAddr() net.Addr { return ipAddr(c.local) }

// RemoteAddr implements net.Conn; the result is a *net.IPAddr or nil.
func (c *IPConn) RemoteAddr() net.Addr { return ipAddr(c.remote) }

// SetDeadline implements net.Conn.
func (c *IPConn) SetDeadline(t time.Time) error {
	return c.control(func() { c.rd.set(t); c.sendBy = t })
}

// SetReadDeadline implements net.Conn.
func (c *IPConn) SetReadDeadline(t time.Time) error { return c.control(func() { c.rd.set(t) }) }

// SetWriteDeadline implements net.Conn. Sending does not wait; after t it fails.
func (c *IPConn) SetWriteDeadline(t time.Time) error { return c.control(func() { c.sendBy = t }) }

// SetTTL sets the time to live, 1 to 255; 0 is Config.TTL, and 1 for groups.
func (c *IPConn) SetTTL(ttl int) error {
	if ttl < 0 || ttl > 255 {
		return c.fail("set", errInvalid)
	}
	return c.control(func() { c.ttl = uint8(ttl) })
}

// SetTOS sets the DSCP and ECN octet of what is sent, 0 to 255.
func (c *IPConn) SetTOS(tos int) error {
	if tos < 0 || tos > 255 {
		return c.fail("set", errInvalid)
	}
	return c.control(func() { c.tos = uint8(tos) })
}

// SetMulticastLoopback says whether sockets of this host receive c's multicasts
// too, c among them, where somebody has joined the group (default true).
func (c *IPConn) SetMulticastLoopback(on bool) error { return c.control(func() { c.deaf = !on }) }

// Dropped returns how many datagrams found the queue full.
func (c *IPConn) Dropped() uint64 {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return c.dropped
}
