package socketagent

import (
	"net/netip"
	"syscall"

	"arpeggio/stack"
)

// Options of level IP that only datagram sockets have here.
const (
	ipRecvErr        = 11
	ipMulticastIf    = 32
	ipMulticastTTL   = 33
	ipMulticastLoop  = 34
	ipAddMembership  = 35
	ipDropMembership = 36
	ipUnblockSource  = 37
	ipBlockSource    = 38
	ipAddSource      = 39
	ipDropSource     = 40
)

// IP_MTU_DISCOVER: segments may not be fragmented from ipPMTUWant on, datagrams
// from ipPMTUDo on; with ipPMTUProbe what is known of the path does not bound them.
const (
	ipPMTUWant  = 1
	ipPMTUDo    = 2
	ipPMTUProbe = 3
)

// datagramOptions are what setsockopt(2) has set.
type datagramOptions struct {
	recvErr, ttl, loop int32
	iface              netip.Addr
}

func defaultDatagramOptions() datagramOptions {
	return datagramOptions{ttl: 1, loop: 1, iface: netip.IPv4Unspecified()}
}

// whenOpen has f set an option of the stack's socket. Before there is one a
// stand-in on a port that nobody knows takes its place: it tells at once whether
// the option can be set, and is in the groups from then on, as in Linux. The socket
// inherits from it.
func (s *sock) whenOpen(f func(u *stack.UDPConn) error) error {
	if s.udp != nil {
		return f(s.udp)
	}
	if s.standIn == nil {
		c, err := s.stack.ListenPacket("udp4", anywhere.String())
		if err != nil {
			return err
		}
		s.standIn = c.(*stack.UDPConn)
	}
	return f(s.standIn)
}

// configure gives a socket that has got its port what was set before. It was taken
// then; bind has nothing to do with an option that has become impossible since.
func (s *sock) configure() {
	if s.standIn != nil {
		_ = s.udp.Inherit(s.standIn)
		_ = s.standIn.Close()
		s.standIn = nil
	}
	o := &s.opt
	_ = s.udp.SetBroadcast(o.broadcast)
	_ = s.udp.SetNoChecksum(o.noCheck)
	_ = s.udp.SetTOS(int(o.header.TOS))
	_ = s.udp.SetTTL(int(o.header.TTL))
}

// setDatagramIP sets what setIP does not know.
func (s *sock) setDatagramIP(name int32, v []byte) error {
	switch name {
	case ipAddMembership, ipDropMembership:
		return s.setMembership(name, v)
	case ipAddSource, ipDropSource, ipBlockSource, ipUnblockSource:
		return s.setSource(name, v)
	case ipMulticastIf:
		return s.setMulticastIf(v)
	}
	n, err := number(v)
	if err != nil {
		switch {
		case len(v) > 0:
			n = int32(v[0]) // one octet will do
		case name != ipRecvErr:
			return err
		}
	}
	d := &s.opt.datagram
	switch name {
	case ipRecvErr:
		d.recvErr = min(max(n, 0), 1)
		return s.whenOpen(func(u *stack.UDPConn) error { return u.SetReceiveErrors(n != 0) })
	case ipMulticastTTL:
		if n == -1 {
			n = 1
		}
		if n < 0 || n > maxTTL {
			return syscall.EINVAL
		}
		d.ttl = n
		return s.whenOpen(func(u *stack.UDPConn) error { return u.SetMulticastTTL(int(n)) })
	case ipMulticastLoop:
		d.loop = min(max(n, 0), 1)
		return s.whenOpen(func(u *stack.UDPConn) error { return u.SetMulticastLoopback(n != 0) })
	}
	return syscall.ENOPROTOOPT
}

// getDatagramIP returns a value that setDatagramIP has set, nil for an unknown
// option.
func (s *sock) getDatagramIP(name int32) []byte {
	d := &s.opt.datagram
	switch name {
	case ipRecvErr:
		return int32s(d.recvErr)
	case ipMulticastTTL:
		return int32s(d.ttl)
	case ipMulticastLoop:
		return int32s(d.loop)
	case ipMulticastIf:
		a := d.iface.As4()
		return a[:]
	}
	return nil
}

func ipv4(b []byte) netip.Addr { return netip.AddrFrom4([4]byte(b[:4])) }

// interfaceOf returns the interface that an address or an index names, nil when
// both are zero.
func (s *sock) interfaceOf(a netip.Addr, index int32) (*stack.Interface, error) {
	if a.IsUnspecified() && index == 0 {
		return nil, nil
	}
	for _, i := range s.stack.Interfaces() {
		if index != 0 && int(index) == i.Index() {
			return i, nil
		}
		for _, p := range i.Addresses() {
			if index == 0 && p.Addr() == a {
				return i, nil
			}
		}
	}
	if index == 0 {
		return nil, syscall.EADDRNOTAVAIL
	}
	return nil, syscall.ENODEV
}

// setMulticastIf takes a struct in_addr, ip_mreq or ip_mreqn.
func (s *sock) setMulticastIf(v []byte) error {
	var at []byte
	var index int32
	switch {
	case len(v) >= 12:
		at = v[4:]
		index, _ = number(v[8:])
	case len(v) >= 8:
		at = v[4:]
	case len(v) >= 4:
		at = v
	default:
		return syscall.EINVAL
	}
	i, err := s.interfaceOf(ipv4(at), index)
	if err != nil {
		return err
	}
	s.opt.datagram.iface = ipv4(at)
	return s.whenOpen(func(u *stack.UDPConn) error { return u.SetMulticastInterface(i) })
}

// setMembership takes a struct ip_mreq or ip_mreqn.
func (s *sock) setMembership(name int32, v []byte) error {
	if len(v) < 8 {
		return syscall.EINVAL
	}
	group, index := ipv4(v), int32(0)
	if len(v) >= 12 {
		index, _ = number(v[8:])
	}
	i, err := s.interfaceOf(ipv4(v[4:]), index)
	switch {
	case !group.IsMulticast():
		return syscall.EINVAL
	case err != nil:
		return syscall.ENODEV
	}
	return s.whenOpen(func(u *stack.UDPConn) error {
		if name == ipAddMembership {
			return u.JoinGroup(i, group)
		}
		return u.LeaveGroup(i, group)
	})
}

// setSource takes a struct ip_mreq_source: group, interface, source.
func (s *sock) setSource(name int32, v []byte) error {
	if len(v) < 12 {
		return syscall.EINVAL
	}
	group, source := ipv4(v), ipv4(v[8:])
	i, err := s.interfaceOf(ipv4(v[4:]), 0)
	switch {
	case !group.IsMulticast():
		return syscall.EINVAL
	case err != nil:
		return syscall.ENODEV
	}
	return s.whenOpen(func(u *stack.UDPConn) error {
		switch name {
		case ipAddSource:
			return u.JoinSource(i, group, source)
		case ipDropSource:
			return u.LeaveSource(i, group, source)
		case ipBlockSource:
			return u.BlockSource(i, group, source)
		}
		return u.UnblockSource(i, group, source)
	})
}
