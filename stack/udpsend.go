package stack

import (
	"encoding/binary"
	"net/netip"
	"time"

	"arpeggio/stack/ipv4"
	"arpeggio/stack/udp"
)

// send sends one datagram, from src or, where that is not valid, from the address
// that u and its way have.
func (u *UDPConn) send(p []byte, src netip.Addr, to netip.AddrPort) error {
	s := u.s
	if len(p) > udp.MaxPayload4 {
		return errMsgSize
	}
	if !to.Addr().Is4() || to.Port() == 0 || to.Addr().IsUnspecified() {
		return errInvalid
	}
	s.mu.Lock()
	err := u.sendLocked(p, src, to)
	s.unlock(s.now())
	return err
}

func (u *UDPConn) sendLocked(p []byte, src netip.Addr, to netip.AddrPort) error {
	s := u.s
	if u.closed {
		return errClosed
	}
	if !u.sendBy.IsZero() && !time.Now().Before(u.sendBy) {
		return errDeadline
	}
	if e, ok := u.takeErr(); ok {
		return e.err
	}
	if err := u.autobind(); err != nil {
		return err
	}
	from := u.local.Addr()
	if s.own[src] != nil {
		from = src
	}
	via, ok := s.lookupFrom(to.Addr(), u.exit(to.Addr()), from)
	if !ok {
		return errNetUnreach
	}
	if via.broadcast && u.mute {
		return errAccess
	}
	if !src.IsValid() {
		src = s.sourceOf(u.local.Addr(), via)
	}
	if err := via.carries(src, to.Addr()); err != nil {
		return err
	}
	group := to.Addr().IsMulticast()
	n := udp.HeaderLen + len(p)
	h := ipv4.Header{TOS: u.tos, DF: u.whole != nil, TTL: u.ttl, Proto: ipv4.ProtoUDP, Src: src, Dst: to.Addr()}
	total, most := ipv4.MinHeaderLen+(len(u.opts)+3)&^3+n, ipv4.MaxLen
	switch {
	case u.probing:
		most = linkMTU(via)
	case h.DF:
		most = s.datagramMTU(via, to.Addr(), time.Now())
	}
	if total > most { // before a member on this host gets it
		return errMsgSize
	}
	uh := udp.Header{SrcPort: u.local.Port(), DstPort: to.Port()}
	body := u.datagram(uh, &h, p, n)
	if h.DF && total > minPathMTU {
		u.whole.note(s.seed, to, body)
	}
	s.stats.UDP.OutDatagrams++
	if group {
		h.TTL = 1
		if u.mcast.ttlSet {
			h.TTL = u.mcast.ttl
		}
	}
	s.loopBack(via, h, u.opts, body, u.mcast.deaf)
	if group && h.TTL == 0 {
		return nil // not beyond this host
	}
	return s.sendIP(via, h, u.opts, body, u)
}

// force notes a datagram that must not be fragmented although u allows it: a message
// that it was too big is to be believed.
func (u *UDPConn) force(dst netip.Addr, datagram []byte) {
	if u.forced == nil {
		u.forced = new(bigSent)
	}
	u.forced.note(u.s.seed, netip.AddrPortFrom(dst, binary.BigEndian.Uint16(datagram[2:])), datagram)
}

// sourceOf returns the source of what a packet connection sends by via: the address
// that it is bound to, unless that is none of ours, such as a group's or one that
// is gone.
func (s *Stack) sourceOf(local netip.Addr, via hop) netip.Addr {
	if local.IsUnspecified() || !s.local(local) {
		return via.src
	}
	return local
}

// carries says what is wrong with a datagram from src to dst that leaves by h.
func (h hop) carries(src, dst netip.Addr) error {
	switch {
	case src.IsLoopback() && h.Interface != nil:
		return errInvalid // 127.0.0.0/8 stays in the host
	case src.IsUnspecified() && !h.broadcast && !dst.IsMulticast():
		return errAddrNotAvail
	}
	return nil
}

// exit returns the interface that a datagram to dst must leave by, nil when the
// routes decide.
func (u *UDPConn) exit(dst netip.Addr) *Interface {
	if u.via == nil && dst.IsMulticast() && u.mcast.iface != nil && !u.mcast.iface.gone {
		return u.mcast.iface
	}
	return u.via
}

// SetBroadcast says whether sending to a broadcast address is allowed (default
// true); without it that fails with EACCES.
func (u *UDPConn) SetBroadcast(on bool) error { return u.control(func() { u.mute = !on }) }

// SetDontFragment says whether datagrams may be fragmented on their way. With it,
// sending more than the interface or the path carries fails with EMSGSIZE.
func (u *UDPConn) SetDontFragment(on bool) error { return u.control(func() { u.keepWhole(on, false) }) }

// SetPathProbing is SetDontFragment for programs that find out by themselves what
// the path carries (RFC 4821 §9; IP_PMTUDISC_PROBE): what is known of the path
// bounds nothing, only the interface does. Reads fail with EMSGSIZE for what comes
// back as too big (SetReceiveErrors).
func (u *UDPConn) SetPathProbing(on bool) error { return u.control(func() { u.keepWhole(on, on) }) }

func (u *UDPConn) keepWhole(on, probing bool) {
	u.probing = probing
	if !on {
		u.whole = nil
	} else if u.whole == nil {
		u.whole = new(bigSent)
	}
}

// SetReceiveErrors has a socket without a peer learn of ICMP errors about what it
// sent: a read fails with the errno, and the *net.OpError's Addr tells whom it was
// sent to. A socket with a peer learns of them in any case.
func (u *UDPConn) SetReceiveErrors(on bool) error { return u.control(func() { u.tellAll = on }) }

// SetTTL sets the time to live of unicasts and broadcasts, 1 to 255; 0 is
// Config.TTL.
func (u *UDPConn) SetTTL(ttl int) error {
	if ttl < 0 || ttl > 255 {
		return u.fail("set", errInvalid)
	}
	return u.control(func() { u.ttl = uint8(ttl) })
}

// SetTOS sets the DSCP and ECN octet of what is sent, 0 to 255.
func (u *UDPConn) SetTOS(tos int) error {
	if tos < 0 || tos > 255 {
		return u.fail("set", errInvalid)
	}
	return u.control(func() { u.tos = uint8(tos) })
}

// SetOptions sets the IP options of what is sent (RFC 1122 §4.1.3.2), at most 40
// octets and well formed, else EINVAL. Source routes are not among them.
func (u *UDPConn) SetOptions(opts []byte) error {
	_, err := ipv4.CheckOptions(opts)
	if found, _ := ipv4.SourceRoute(opts); err != nil || found || len(opts) > ipv4.MaxHeaderLen-ipv4.MinHeaderLen {
		return u.fail("set", errInvalid)
	}
	opts = append([]byte(nil), opts...)
	return u.control(func() { u.opts = opts })
}

// control runs f under the lock unless u is closed.
func (u *UDPConn) control(f func()) error {
	u.s.mu.Lock()
	defer u.s.mu.Unlock()
	if u.closed {
		return u.fail("set", errClosed)
	}
	f()
	return nil
}
