package stack

import (
	"net/netip"
	"syscall"

	"arpeggio/stack/icmp"
	"arpeggio/stack/ipv4"
	"arpeggio/stack/tcp"
)

// receiveICMP handles a message to us (RFC 1122 §3.2.2).
func (s *Stack) receiveICMP(h *ipv4.Header, opts, payload []byte, a arrival) {
	s.stats.ICMP.InMsgs++
	m, err := icmp.Parse(payload)
	if err != nil {
		s.stats.ICMP.refused(err)
		return
	}
	s.stats.ICMP.arrived(m.Type)
	switch m.Type {
	case icmp.Echo:
		s.echo(h, opts, payload, m, a)
	case icmp.EchoReply:
		s.pong(h, &m, a)
	case icmp.Unreachable, icmp.TimeExceeded, icmp.ParamProblem:
		s.icmpArrived(h, &m, a)
	default:
		// Redirects are not followed and quenches not heeded (RFC 6633); a
		// timestamp would tell an attacker our clock. What RFC 6918 deprecates, the
		// address mask request among it, and what is unknown goes unanswered.
		s.stats.ICMP.Ignored++
	}
}

// echo answers a ping, except to a broadcast or multicast address
// (RFC 1122 §3.2.2.6 allows the silence; amplifiers are made of the answer).
// Record route and timestamp come back with our entry.
func (s *Stack) echo(h *ipv4.Header, opts, payload []byte, m icmp.Message, a arrival) {
	if !s.local(h.Dst) {
		s.stats.ICMP.Ignored++
		return
	}
	via, ok := s.wayBack(h.Src, h.Dst)
	if !ok {
		return
	}
	entered, pos, err := ipv4.Record(opts, h.Dst, s.time(a.now))
	if err != nil {
		s.stats.ICMP.BadOption++
		s.icmpError(h, opts, payload, a, icmp.NewParamProblem(uint8(ipv4.MinHeaderLen+pos), nil))
		return
	}
	reply := m.Reply()
	s.stats.ICMP.sent(reply.Type)
	s.sendIP(via, ipv4.Header{TOS: h.TOS, Proto: ipv4.ProtoICMP, Src: h.Dst, Dst: h.Src}, entered, reply.AppendTo(nil), nil)
}

// icmpError sends m, whose Body is still empty, about the received packet, if
// the rules and the rate limit let it.
func (s *Stack) icmpError(h *ipv4.Header, opts, payload []byte, a arrival, m icmp.Message) {
	o := icmp.Offender{
		Src: h.Src, Dst: h.Dst, Group: a.group, Internal: a.trusted, FragOffset: h.Offset,
		Directed: s.isAnyBroadcast(h.Dst) || s.isAnyBroadcast(h.Src),
		IsICMP:   h.Proto == ipv4.ProtoICMP,
	}
	if o.IsICMP && len(payload) > 0 {
		o.Type = icmp.Type(payload[0])
	} else if o.IsICMP {
		o.Type = icmp.Unreachable // too short to tell: counts as an error
	}
	if !o.MayReport() {
		return
	}
	via, ok := s.wayBack(h.Src, h.Dst)
	if !ok {
		return
	}
	if via.Interface != nil && !s.icmpLim.Allow(s.time(a.now), h.Src) {
		s.stats.ICMP.Limited++
		return
	}
	m.Body = icmp.Quote(append(h.AppendTo(nil, opts, len(payload)), payload[:min(len(payload), icmp.MaxErrorLen)]...))
	src := h.Dst
	if !s.local(src) {
		src = via.src
	}
	s.stats.ICMP.sent(m.Type)
	s.sendIP(via, ipv4.Header{TOS: 0xc0, Proto: ipv4.ProtoICMP, Src: src, Dst: h.Src}, nil, m.AppendTo(nil), nil)
}

// expireFragments reports datagrams that stayed incomplete (RFC 792).
func (s *Stack) expireFragments(now tcp.Instant) {
	s.reasm.Expire(s.time(now), func(e ipv4.Expired) {
		s.stats.IP.FragmentTimeouts++
		if e.Payload != nil {
			s.icmpError(&e.Header, e.Options, e.Payload, arrival{now: now},
				icmp.NewTimeExceeded(icmp.CodeReassembly, nil))
		}
	})
}

// icmpArrived gives an error to the connection whose packet it quotes. The
// quotation must be of something that we sent, and the error have come to the
// address that sent it (RFC 5927 §4).
func (s *Stack) icmpArrived(outer *ipv4.Header, m *icmp.Message, a arrival) {
	h, body, ok := quoted(m.Body)
	if !ok || !s.local(h.Src) || h.Src != outer.Dst || h.Offset != 0 {
		s.stats.ICMP.BadQuote++
		return
	}
	errno, hard := icmpErrno(m)
	if errno == 0 {
		s.stats.ICMP.Ignored++
		return
	}
	if hard {
		s.icmpRaw(&h, errno)
	}
	switch h.Proto {
	case ipv4.ProtoTCP:
		s.icmpTCP(m, &h, body, errno, hard, a)
	case ipv4.ProtoUDP:
		if len(body) >= 4 {
			local := netip.AddrPortFrom(h.Src, uint16(body[0])<<8|uint16(body[1]))
			remote := netip.AddrPortFrom(h.Dst, uint16(body[2])<<8|uint16(body[3]))
			s.icmpUDP(m, local, remote, h.DF, body, errno, a)
		}
	case ipv4.ProtoICMP:
		if len(body) >= icmp.HeaderLen && icmp.Type(body[0]) == icmp.Echo {
			k := pingKey{h.Dst, uint16(body[4])<<8 | uint16(body[5]), uint16(body[6])<<8 | uint16(body[7])}
			if p := s.pings[k]; p != nil {
				p.fail(errno)
			}
		}
	}
}

// quoted reads the header of a quoted packet, which routers have cut, so that
// its total length does not count.
func quoted(b []byte) (h ipv4.Header, body []byte, ok bool) {
	if len(b) < ipv4.MinHeaderLen || b[0]>>4 != 4 {
		return h, nil, false
	}
	hlen := int(b[0]&15) * 4
	if hlen < ipv4.MinHeaderLen || hlen > len(b) {
		return h, nil, false
	}
	return ipv4.Header{
		DF: b[6]&0x40 != 0, Offset: (uint16(b[6])<<8 | uint16(b[7])) & 0x1fff * 8, Proto: ipv4.Proto(b[9]),
		Src: netip.AddrFrom4([4]byte(b[12:16])), Dst: netip.AddrFrom4([4]byte(b[16:20])),
	}, b[hlen:], true
}

// icmpErrno maps an error to what a socket of Linux reports. hard is what
// RFC 1122 §4.2.3.9 calls so.
func icmpErrno(m *icmp.Message) (errno syscall.Errno, hard bool) {
	switch m.Type {
	case icmp.TimeExceeded:
		return errHostUnreach, false
	case icmp.ParamProblem:
		return errProtocol, false
	case icmp.Unreachable:
		switch m.Code {
		case icmp.CodeNet, icmp.CodeNetUnknown, icmp.CodeNetProhibited, icmp.CodeNetTOS:
			return errNetUnreach, false
		case icmp.CodeProtocol:
			return errNoProtoOpt, true
		case icmp.CodePort:
			return errRefused, true
		case icmp.CodeFragNeeded:
			return errMsgSize, false
		case icmp.CodeSourceRoute:
			return errNotSupported, false
		case icmp.CodeHostUnknown:
			return errHostDown, false
		}
		return errHostUnreach, false
	}
	return 0, false
}

// icmpTCP checks that the quoted sequence number is in flight and then lets
// the connection decide; a packet that was too big lowers the path MTU.
func (s *Stack) icmpTCP(m *icmp.Message, h *ipv4.Header, body []byte, errno syscall.Errno, hard bool, a arrival) {
	if len(body) < 8 {
		s.stats.ICMP.BadQuote++
		return
	}
	k := connKey{
		local: h.Src.As4(), remote: h.Dst.As4(),
		lport: uint16(body[0])<<8 | uint16(body[1]), rport: uint16(body[2])<<8 | uint16(body[3]),
	}
	seq := tcp.Seq(uint32(body[4])<<24 | uint32(body[5])<<16 | uint32(body[6])<<8 | uint32(body[7]))
	c := s.conns[k]
	if c == nil || !c.m.Outstanding(seq) {
		s.stats.ICMP.Ignored++
		return
	}
	switch {
	case m.Type == icmp.Unreachable && m.Code == icmp.CodeFragNeeded:
		s.tooBigTCP(c, seq, m, a.now)
	case hard:
		c.m.HardError(errno)
	default:
		c.m.SoftError(errno)
		c.soft.report(errno)
	}
	c.changed()
}
