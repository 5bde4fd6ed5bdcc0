package stack

// Inherit gives u the options and the group memberships of another socket of the
// same stack, and has it keep its own memberships: a socket that is bound late has
// from the start what was set before. It fails with ENODEV for a socket of another
// stack.
func (u *UDPConn) Inherit(from *UDPConn) error {
	s := u.s
	if from.s != s {
		return u.fail("set", errNoDevice)
	}
	s.mu.Lock()
	if u.closed {
		s.mu.Unlock()
		return u.fail("set", errClosed)
	}
	now := s.now()
	u.mute, u.tellAll, u.ttl, u.tos, u.opts, u.mcast = from.mute, from.tellAll, from.ttl, from.tos, from.opts, from.mcast
	u.unsummed, u.needSum = from.unsummed, from.needSum
	u.whole, u.probing = nil, from.probing
	if from.whole != nil {
		u.whole = new(bigSent)
	}
	for _, m := range from.members {
		if u.member(m.iface, m.group) == nil {
			s.join(&member{u, m.iface, m.group, m.filter}, now)
		}
	}
	s.unlock(now)
	return nil
}
