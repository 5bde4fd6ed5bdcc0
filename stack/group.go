package stack

import (
	"net/netip"
	"slices"

	"arpeggio/stack/igmp"
	"arpeggio/stack/ipv4"
	"arpeggio/stack/tcp"
)

// Bounds of what programs may join (Linux has smaller ones).
const (
	maxGroups  = 256 // of one socket
	maxSources = 256 // in one socket's filter
)

// member is a socket's membership in a group on one interface.
type member struct {
	u      *UDPConn
	iface  *Interface
	group  netip.Addr
	filter igmp.Filter
}

// groups is what an interface receives of multicasts. Interfaces that nobody
// joined on have none.
type groups struct {
	host    *igmp.Host
	members map[netip.Addr][]*member
	merged  map[netip.Addr]igmp.Filter
	due     tcp.Instant // host's deadline, 0 for none
}

// Group is a group that an interface receives, and from which sources.
type Group struct {
	Addr   netip.Addr
	Filter igmp.Filter
}

// Groups returns what sockets have joined on the interface, by address.
func (i *Interface) Groups() (out []Group) {
	i.s.mu.Lock()
	defer i.s.mu.Unlock()
	if i.groups != nil {
		for a, f := range i.groups.merged {
			out = append(out, Group{a, f})
		}
	}
	slices.SortFunc(out, func(x, y Group) int { return x.Addr.Compare(y.Addr) })
	return out
}

// receives reports whether a multicast from src is for a socket of ours. What
// IGMP says to a group concerns all its members.
func (i *Interface) receives(h *ipv4.Header) bool {
	if h.Dst == igmp.AllSystems {
		return true
	}
	if i.groups == nil {
		return false
	}
	f, ok := i.groups.merged[h.Dst]
	return ok && (h.Proto == ipv4.ProtoIGMP || f.Allows(h.Src))
}

// regroup tells the routers what has become of a group's members.
func (i *Interface) regroup(group netip.Addr, now tcp.Instant) {
	g := i.groups
	var filters []igmp.Filter
	for _, m := range g.members[group] {
		filters = append(filters, m.filter)
	}
	f := igmp.Merge(filters...)
	g.merged[group] = f
	if len(filters) == 0 {
		delete(g.merged, group)
		delete(g.members, group)
	}
	g.host.Set(i.s.time(now), group, f)
	i.emitIGMP(now)
}

// emitIGMP sends the reports that are due.
func (i *Interface) emitIGMP(now tcp.Instant) {
	s := i.s
	if i.gone {
		return
	}
	i.groups.host.Emit(s.time(now), func(p igmp.Packet) {
		s.stats.IGMP.OutMsgs++
		h := ipv4.Header{TOS: 0xc0, TTL: 1, Proto: ipv4.ProtoIGMP, Src: i.source(p.Dst), Dst: p.Dst}
		_ = s.sendIP(hop{Interface: i, next: p.Dst, src: h.Src}, h, routerAlert, p.Payload, nil)
	})
	i.groups.due = 0
	if d := i.groups.host.Deadline(); !d.IsZero() {
		i.groups.due = s.instant(d)
	}
}

// routerAlert has routers look at a packet that is not for them (RFC 2113).
var routerAlert = []byte{byte(ipv4.OptRouterAlert), 4, 0, 0}

// runIGMP emits what is due on all interfaces.
func (s *Stack) runIGMP(now tcp.Instant) {
	for _, i := range s.ifaces {
		if i.groups != nil && i.groups.due > 0 && i.groups.due <= now {
			i.emitIGMP(now)
		}
	}
}

// igmpDue returns when runIGMP is next due, zero when nothing waits.
func (s *Stack) igmpDue() (t tcp.Instant) {
	for _, i := range s.ifaces {
		if i.groups != nil && i.groups.due > 0 && (t == 0 || i.groups.due < t) {
			t = i.groups.due
		}
	}
	return t
}

// receiveIGMP takes a router's question or another member's report. A question about
// all groups that was sent to one of them is a forgery that would have that group's
// members answer and nobody notice (RFC 3376 §9.1); one that was sent to a host is a
// person's who looks for a fault (§4.1.12).
func (s *Stack) receiveIGMP(in *Interface, dst netip.Addr, payload []byte, a arrival) {
	s.stats.IGMP.InMsgs++
	if in == nil || a.trusted && len(payload) > 0 && igmp.Type(payload[0]) != igmp.Query {
		return // nobody's, or our own report
	}
	if dst.IsMulticast() && dst != igmp.AllSystems {
		if m, err := igmp.Parse(payload); err == nil && m.Type == igmp.Query && m.Group.IsUnspecified() {
			s.stats.IGMP.BadGroup++
			return
		}
	}
	if in.groups == nil { // nothing to say: only whether it was well formed counts
		if _, err := igmp.Parse(payload); err != nil {
			s.stats.IGMP.refused(err)
		}
		return
	}
	if err := in.groups.host.Input(s.time(a.now), payload); err != nil {
		s.stats.IGMP.refused(err)
		return
	}
	in.emitIGMP(a.now)
}

// join makes m a membership.
func (s *Stack) join(m *member, now tcp.Instant) {
	i := m.iface
	if i.groups == nil {
		cfg := s.cfg.IGMP
		cfg.MTU = i.mtu
		if cfg.Int64N == nil {
			cfg.Int64N = func(n int64) int64 { return int64(s.rand() % uint64(n)) }
		}
		i.groups = &groups{host: igmp.NewHost(cfg), members: map[netip.Addr][]*member{}, merged: map[netip.Addr]igmp.Filter{}}
	}
	m.u.members = append(m.u.members, m)
	i.groups.members[m.group] = append(i.groups.members[m.group], m)
	i.regroup(m.group, now)
}

// leave ends a membership.
func (s *Stack) leave(m *member, now tcp.Instant) {
	is := func(o *member) bool { return o == m }
	m.u.members = slices.DeleteFunc(m.u.members, is)
	if g := m.iface.groups; g != nil {
		g.members[m.group] = slices.DeleteFunc(g.members[m.group], is)
		m.iface.regroup(m.group, now)
	}
}

// dropGroups ends all memberships on an interface that goes away, and says so
// while it is still there.
func (i *Interface) dropGroups(now tcp.Instant) {
	if i.groups == nil {
		return
	}
	var all []*member
	for _, ms := range i.groups.members {
		all = append(all, ms...)
	}
	for _, m := range all {
		i.s.leave(m, now)
	}
	i.groups = nil
}

// wants reports whether u receives a multicast: it has joined the group on the
// interface and its filter lets the source pass. 224.0.0.1 needs no joining.
func (u *UDPConn) wants(in *Interface, group, source netip.Addr) bool {
	if group == igmp.AllSystems {
		return true
	}
	m := u.member(in, group)
	return m != nil && m.filter.Allows(source)
}

// member returns u's membership, nil when there is none.
func (u *UDPConn) member(i *Interface, group netip.Addr) *member {
	for _, m := range u.members {
		if m.group == group && m.iface == i {
			return m
		}
	}
	return nil
}

// loopBack gives what leaves by via for everybody, or for a group that is received
// there, to the sockets of this host too, as Linux does (RFC 1112 §6.1); deaf are
// senders that do not want that of groups.
func (s *Stack) loopBack(via hop, h ipv4.Header, opts, payload []byte, deaf bool) {
	if via.Interface == nil || !via.broadcast && (deaf || !h.Dst.IsMulticast() || !via.receives(&h)) {
		return
	}
	if h.TTL == 0 && via.broadcast {
		h.TTL = s.cfg.TTL
	}
	s.loop = append(s.loop, looped{via.Interface, append(h.AppendTo(nil, opts, len(payload)), payload...)})
}

// groupInterface returns the interface that is meant when none is named: the one
// by which the group's packets leave.
func (s *Stack) groupInterface(group netip.Addr) *Interface {
	h, _ := s.lookup(group, nil)
	return h.Interface
}
