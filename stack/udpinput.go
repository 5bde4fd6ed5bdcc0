package stack

import (
	"net/netip"
	"syscall"

	"arpeggio/stack/checksum"
	"arpeggio/stack/icmp"
	"arpeggio/stack/ipv4"
	"arpeggio/stack/link"
	"arpeggio/stack/udp"
)

// maxErrors bounds the ICMP errors of one socket.
const maxErrors = 16

// Datagram says of a received datagram what is not in its octets.
type Datagram struct {
	From      netip.AddrPort
	Dst       netip.Addr // the address it was sent to: ours, a broadcast's or a group's (RFC 1122 §4.1.3.5)
	Interface *Interface // where it arrived; nil when this host sent it to itself. A broadcast or a group's that it hears itself has that by which it left.
	Len       int        // octets, of which Read gives no more than fit
	TTL, TOS  uint8      // of the IP header
	Options   []byte     // of the IP header (RFC 1122 §4.1.3.2)
	// NoChecksum says that the sender of a UDP datagram has computed none.
	NoChecksum bool
}

// socketError is an ICMP error about what a socket sent to a peer.
type socketError struct {
	remote netip.AddrPort
	err    error
}

// match says how well u fits a datagram; 0 is not at all.
func (u *UDPConn) match(in *Interface, dst netip.Addr, from netip.AddrPort) (score int) {
	if u.local.Port() == 0 {
		return 0 // it has none at present
	}
	score = 1
	if u.via != nil {
		if u.via != in {
			return 0
		}
		score++
	}
	if a := u.local.Addr(); !a.IsUnspecified() {
		if a != dst {
			return 0
		}
		score += 2
	}
	if u.remote.IsValid() {
		if u.remote != from {
			return 0
		}
		score += 4
	}
	if dst.IsMulticast() && !u.wants(in, dst, from.Addr()) {
		return 0
	}
	return score
}

// receiveUDP gives a datagram to its connection: one for an address of ours, of
// those that fit equally the one that was opened last; all that fit for a
// broadcast and for a group (RFC 1122 §4.1).
func (s *Stack) receiveUDP(in *Interface, h *ipv4.Header, opts, payload []byte, a arrival) {
	uh, data, err := udp.Parse(payload)
	if err != nil {
		s.stats.UDP.refused(err)
		return
	}
	whole := payload[:udp.HeaderLen+len(data)]
	if a.csum == link.CsumUnknown && !udp.Verify(whole, checksum.Pseudo(h.Src, h.Dst, uint8(h.Proto), len(whole))) {
		s.stats.UDP.BadChecksum++
		return
	}
	d := Datagram{From: netip.AddrPortFrom(h.Src, uh.SrcPort), Dst: h.Dst, Interface: in, Len: len(data), TTL: h.TTL, TOS: h.TOS, Options: opts, NoChecksum: !summed(whole)}
	unicast := s.local(h.Dst)
	var best *UDPConn
	score := 0
	for _, u := range s.udp[uh.DstPort] {
		n := u.match(in, h.Dst, d.From)
		switch {
		case n > 0 && !unicast:
			u.push(d, data)
			score = n
		case n > 0 && n >= score:
			best, score = u, n
		}
	}
	switch {
	case best != nil:
		best.push(d, data)
	case score == 0 && unicast:
		s.stats.UDP.NoPorts++
		s.icmpError(h, opts, payload, a, icmp.NewUnreachable(icmp.CodePort, nil))
	case score == 0 && !a.trusted: // our own broadcasts are for others in the first place
		s.stats.UDP.NoPorts++
	}
}

// push queues a copy of a datagram for the reader, unless the socket refuses it.
func (u *UDPConn) push(d Datagram, data []byte) {
	if d.NoChecksum && u.needSum {
		u.s.stats.UDP.Unsummed++
		return
	}
	if !u.put(d, data) {
		u.s.stats.UDP.QueueFull++
		return
	}
	u.s.stats.UDP.InDatagrams++
	u.news()
}

// icmpUDP reports an ICMP error to the sockets that it concerns: to the one with
// the peer that the datagram was for, and to those that ask for all
// (RFC 1122 §4.1.3.3). That a packet was too big is news only for a socket that
// forbids fragments, about a datagram that it has sent of late, and only for
// datagrams (see pathCache): connections to that host learn by themselves.
func (s *Stack) icmpUDP(m *icmp.Message, local, remote netip.AddrPort, df bool, quoted []byte, errno syscall.Errno, a arrival) {
	big := false
	for _, u := range s.udp[local.Port()] {
		if a := u.local.Addr(); a != local.Addr() && !a.IsUnspecified() {
			continue
		}
		if errno == errMsgSize {
			if df && u.forced.has(s.seed, remote, quoted) {
				big = true
				continue // the next ones are fragmented: nothing that a program must know
			}
			if !df || !u.whole.has(s.seed, remote, quoted) {
				continue
			}
			big = true
		}
		if u.remote == remote || u.tellAll && !u.remote.IsValid() {
			u.failed(remote, errno)
		}
	}
	switch {
	case big:
		s.tooBigUDP(remote.Addr(), m, a.now)
	case errno == errMsgSize:
		s.stats.ICMP.Ignored++
	}
}

// unreachable implements sender: the next hop did not answer.
func (u *UDPConn) unreachable(err error, dst netip.Addr) {
	switch {
	case u.remote.IsValid() && u.remote.Addr() == dst:
		u.failed(u.remote, err)
	case u.tellAll && !u.remote.IsValid():
		u.failed(netip.AddrPortFrom(dst, 0), err)
	}
}

// failed queues an error for the user. Those of a peer that were not read yet are
// replaced by the newest.
func (u *UDPConn) failed(remote netip.AddrPort, err error) {
	e := socketError{remote, err}
	switch {
	case u.remote.IsValid() && len(u.errs) > 0:
		u.errs[0] = e
	case len(u.errs) < maxErrors:
		u.errs = append(u.errs, e)
	}
	u.news()
}

// takeErr returns the oldest error and forgets it.
func (u *UDPConn) takeErr() (e socketError, ok bool) {
	if len(u.errs) == 0 {
		return e, false
	}
	e = u.errs[0]
	if u.errs = u.errs[1:]; len(u.errs) == 0 {
		u.errs = nil
	}
	return e, true
}

// news wakes who waits for a datagram or an error.
func (u *UDPConn) news() {
	u.rd.wake()
	tell(u.notify)
}

// receive waits for the next datagram. from is also set for an error about a
// datagram to that peer.
func (u *UDPConn) receive(p []byte) (n int, d Datagram, err error) {
	s := u.s
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if u.closed {
			return 0, d, errClosed
		}
		if err := u.rd.check(); err != nil {
			return 0, d, err
		}
		if len(u.queue) > 0 {
			d := u.pop()
			return copy(p, d.data), d.Datagram, nil
		}
		if e, ok := u.takeErr(); ok {
			return 0, Datagram{From: e.remote}, e.err
		}
		u.rd.wait()
	}
}
