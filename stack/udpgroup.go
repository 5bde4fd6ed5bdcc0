package stack

import (
	"net/netip"
	"slices"

	"arpeggio/stack/igmp"
	"arpeggio/stack/tcp"
)

// JoinGroup has u receive what is sent to a multicast group's address on i; nil
// stands for the interface by which u's packets to the group leave. The membership
// ends with LeaveGroup, with u and with i. Errors: EADDRINUSE when u has joined
// already, EINVAL when group is no group, ENODEV without an interface, ENOBUFS
// beyond 256 groups. A socket receives only of groups that it has joined itself,
// whatever others on its port have.
func (u *UDPConn) JoinGroup(i *Interface, group netip.Addr) error {
	return u.regroup(i, group, joinAll)
}

func joinAll(m *member) (igmp.Filter, error) {
	if m != nil {
		return m.filter, errAddrInUse
	}
	return igmp.Everyone, nil
}

// LeaveGroup ends a membership, whatever its sources. It fails with
// EADDRNOTAVAIL when there is none.
func (u *UDPConn) LeaveGroup(i *Interface, group netip.Addr) error {
	return u.regroup(i, group, func(m *member) (igmp.Filter, error) {
		if m == nil {
			return igmp.Filter{}, errAddrNotAvail
		}
		return igmp.Filter{}, nil
	})
}

// JoinSource has u receive what source sends to group (RFC 3678 §4.1.3). Several
// sources may be joined. After JoinGroup it narrows the membership to the source,
// as Linux does, but not while sources are blocked: that is EINVAL. A source that
// is joined already is EADDRNOTAVAIL.
func (u *UDPConn) JoinSource(i *Interface, group, source netip.Addr) error {
	return u.resource(i, group, source, func(m *member) (igmp.Filter, error) {
		if m == nil {
			return igmp.NewFilter(false, source), nil
		}
		return add(m, source, false)
	})
}

// LeaveSource undoes JoinSource.
func (u *UDPConn) LeaveSource(i *Interface, group, source netip.Addr) error {
	return u.resource(i, group, source, func(m *member) (igmp.Filter, error) { return remove(m, source, false) })
}

// BlockSource has u, which has joined the group, receive nothing from source
// (RFC 3678 §4.1.3).
func (u *UDPConn) BlockSource(i *Interface, group, source netip.Addr) error {
	return u.resource(i, group, source, func(m *member) (igmp.Filter, error) { return add(m, source, true) })
}

// UnblockSource undoes BlockSource.
func (u *UDPConn) UnblockSource(i *Interface, group, source netip.Addr) error {
	return u.resource(i, group, source, func(m *member) (igmp.Filter, error) { return remove(m, source, true) })
}

// add returns m's filter with one more source.
func add(m *member, source netip.Addr, exclude bool) (igmp.Filter, error) {
	switch {
	case m == nil || m.filter.Exclude != exclude && len(m.filter.Sources) > 0:
		return igmp.Filter{}, errInvalid
	case m.filter.Names(source):
		return m.filter, errAddrNotAvail
	case len(m.filter.Sources) >= maxSources:
		return m.filter, errNoBufs
	}
	return igmp.NewFilter(exclude, append(slices.Clone(m.filter.Sources), source)...), nil
}

// remove returns m's filter without a source.
func remove(m *member, source netip.Addr, exclude bool) (igmp.Filter, error) {
	switch {
	case m == nil || m.filter.Exclude != exclude:
		return igmp.Filter{}, errInvalid
	case !m.filter.Names(source):
		return m.filter, errAddrNotAvail
	}
	rest := slices.DeleteFunc(slices.Clone(m.filter.Sources), func(a netip.Addr) bool { return a == source })
	return igmp.NewFilter(exclude, rest...), nil
}

func (u *UDPConn) resource(i *Interface, group, source netip.Addr, change func(*member) (igmp.Filter, error)) error {
	if !source.Is4() || !isUnicast(source) {
		return u.fail("set", errInvalid)
	}
	return u.regroup(i, group, change)
}

// regroup gives the membership, nil when there is none, the filter that change
// returns. A filter that wants nothing ends it.
func (u *UDPConn) regroup(i *Interface, group netip.Addr, change func(*member) (igmp.Filter, error)) error {
	s := u.s
	s.mu.Lock()
	now := s.now()
	err := u.regroupLocked(i, group, change, now)
	s.unlock(now)
	if err != nil {
		return u.fail("set", err)
	}
	return nil
}

func (u *UDPConn) regroupLocked(i *Interface, group netip.Addr, change func(*member) (igmp.Filter, error), now tcp.Instant) error {
	s := u.s
	if !group.Is4() || !group.IsMulticast() {
		return errInvalid
	}
	if i == nil {
		i = u.exit(group)
	}
	if i == nil {
		i = s.groupInterface(group)
	}
	switch {
	case u.closed:
		return errClosed
	case i == nil || i.gone || i.s != s:
		return errNoDevice
	}
	m := u.member(i, group)
	f, err := change(m)
	switch {
	case err != nil:
		return err
	case m == nil && len(u.members) >= maxGroups:
		return errNoBufs
	case m == nil:
		s.join(&member{u, i, group, f}, now)
	case f.None():
		s.leave(m, now)
	default:
		m.filter = f
		i.regroup(group, now)
	}
	return nil
}

// SetMulticastInterface has multicasts leave by i whatever the routes say; nil
// ends that. A socket bound to an interface stays with that one.
func (u *UDPConn) SetMulticastInterface(i *Interface) error {
	if i != nil && i.s != u.s {
		return u.fail("set", errNoDevice)
	}
	return u.control(func() { u.mcast.iface = i })
}

// SetMulticastTTL sets the time to live of multicasts, 0 to 255; 0 keeps them on
// this host. The default is 1 (RFC 1112 §6.1).
func (u *UDPConn) SetMulticastTTL(ttl int) error {
	if ttl < 0 || ttl > 255 {
		return u.fail("set", errInvalid)
	}
	return u.control(func() { u.mcast.ttl, u.mcast.ttlSet = uint8(ttl), true })
}

// SetMulticastLoopback says whether sockets of this host that have joined the
// group receive u's multicasts too (default true).
func (u *UDPConn) SetMulticastLoopback(on bool) error {
	return u.control(func() { u.mcast.deaf = !on })
}

// multicast are the options of what a socket sends to groups.
type multicast struct {
	iface  *Interface
	ttl    uint8
	ttlSet bool
	deaf   bool // no loop
}

// ListenMulticastUDP opens a packet connection that receives what is sent to
// group's address and port on i, nil for the interface that routes to the group
// use. Others may listen on the same group and port. As with package net, what it
// sends to groups leaves by i and is not looped back.
func (s *Stack) ListenMulticastUDP(i *Interface, group netip.AddrPort) (*UDPConn, error) {
	u, err := s.newUDP(group, netip.AddrPort{}, &ListenConfig{ReuseAddr: true})
	if err == nil {
		s.mu.Lock()
		now := s.now()
		u.mcast = multicast{iface: i, deaf: true}
		if err = u.regroupLocked(i, group.Addr(), joinAll, now); err != nil {
			u.closeLocked(now)
		}
		s.unlock(now)
	}
	if err != nil {
		return nil, opError("listen", "udp", udpAddr(group), nil, err)
	}
	return u, nil
}
