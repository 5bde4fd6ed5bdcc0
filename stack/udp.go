package stack

import (
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"arpeggio/stack/checksum"
	"arpeggio/stack/icmp"
	"arpeggio/stack/ipv4"
	"arpeggio/stack/link"
	"arpeggio/stack/udp"
)

// UDPConn is a packet connection: a net.PacketConn and, when it has a peer, a
// net.Conn. Its methods are safe for concurrent use. Broadcasts may be sent and
// are received without further ado.
type UDPConn struct {
	s      *Stack
	local  netip.AddrPort
	remote netip.AddrPort // valid when connected
	via    *Interface     // bound to
	rd     waiter
	sendBy time.Time // write deadline: sends never wait, but may come too late
	queue  []datagram
	bytes  int
	max    int
	err    error // an ICMP error to report, once
	closed bool
	notify chan<- struct{} // see Notify
}

type datagram struct {
	from netip.AddrPort
	data []byte
}

var (
	_ net.PacketConn = (*UDPConn)(nil)
	_ net.Conn       = (*UDPConn)(nil)
)

// datagramOverhead is charged for each queued datagram besides its octets.
const datagramOverhead = 64

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
	u := &UDPConn{s: s, local: local, remote: remote, via: lc.Interface, max: lc.ReadBuffer}
	if connected {
		via, ok := s.lookup(remote.Addr(), u.via)
		if !ok {
			return nil, errNetUnreach
		}
		if local.Addr().IsUnspecified() {
			u.local = netip.AddrPortFrom(via.src, local.Port())
		}
	}
	a := u.local.Addr()
	if !a.IsUnspecified() && !s.local(a) && !s.isAnyBroadcast(a) {
		return nil, errAddrNotAvail
	}
	port := u.local.Port()
	if port == 0 {
		port = s.choosePort(keyOf(u.local, u.local), func(p uint16) bool { return len(s.udp[p]) == 0 })
	}
	if port == 0 || slices.ContainsFunc(s.udp[port], u.conflicts) {
		return nil, errAddrInUse
	}
	u.local = netip.AddrPortFrom(a, port)
	if u.max <= 0 {
		u.max = s.cfg.UDPRcvBuf
	}
	u.rd.init(&s.mu)
	s.udp[port] = append(s.udp[port], u)
	return u, nil
}

// conflicts reports whether o, on the same port, is bound so that the two could
// not be told apart.
func (u *UDPConn) conflicts(o *UDPConn) bool {
	if u.via != nil && o.via != nil && u.via != o.via || u.remote != o.remote {
		return false
	}
	a, b := u.local.Addr(), o.local.Addr()
	return a == b || a.IsUnspecified() || b.IsUnspecified()
}

// match says how well u fits a datagram; 0 is not at all.
func (u *UDPConn) match(in *Interface, dst netip.Addr, from netip.AddrPort) (score int) {
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
	return score
}

// receiveUDP gives a datagram to its connection: one for an address of ours,
// all that fit for a broadcast (RFC 1122 §4.1).
func (s *Stack) receiveUDP(in *Interface, h *ipv4.Header, opts, payload []byte, a arrival) {
	uh, data, err := udp.Parse(payload)
	if err != nil {
		s.stats.UDP.refused(err)
		return
	}
	datagram := payload[:udp.HeaderLen+len(data)]
	if a.csum == link.CsumUnknown && !udp.Verify(datagram, checksum.Pseudo(h.Src, h.Dst, uint8(h.Proto), len(datagram))) {
		s.stats.UDP.BadChecksum++
		return
	}
	from := netip.AddrPortFrom(h.Src, uh.SrcPort)
	unicast := s.local(h.Dst)
	var best *UDPConn
	score := 0
	for _, u := range s.udp[uh.DstPort] {
		n := u.match(in, h.Dst, from)
		switch {
		case n > 0 && !unicast:
			u.push(from, data)
			score = n
		case n > score:
			best, score = u, n
		}
	}
	switch {
	case best != nil:
		best.push(from, data)
	case score == 0 && unicast:
		s.stats.UDP.NoPorts++
		s.icmpError(h, opts, payload, a, icmp.NewUnreachable(icmp.CodePort, nil))
	case score == 0:
		s.stats.UDP.NoPorts++
	}
}

// push queues a copy of data for the reader.
func (u *UDPConn) push(from netip.AddrPort, data []byte) {
	if u.bytes > 0 && u.bytes+len(data)+datagramOverhead > u.max {
		u.s.stats.UDP.QueueFull++
		return
	}
	u.s.stats.UDP.InDatagrams++
	u.queue = append(u.queue, datagram{from, append([]byte(nil), data...)})
	u.bytes += len(data) + datagramOverhead
	u.news()
}

// icmpUDP reports an ICMP error to the connected socket that it concerns; one
// without a peer learns nothing, as with the kernel.
func (s *Stack) icmpUDP(local, remote netip.AddrPort, errno syscall.Errno) {
	for _, u := range s.udp[local.Port()] {
		if u.remote == remote && u.local.Addr() == local.Addr() && errno != errMsgSize {
			u.err = errno
			u.news()
		}
	}
}

// unreachable implements sender.
func (u *UDPConn) unreachable(err error, dst netip.Addr) {
	if u.remote.IsValid() && u.remote.Addr() == dst {
		u.err = err
		u.news()
	}
}

// news wakes who waits for a datagram or an error.
func (u *UDPConn) news() {
	u.rd.wake()
	tell(u.notify)
}

// receive waits for the next datagram.
func (u *UDPConn) receive(p []byte) (n int, from netip.AddrPort, err error) {
	s := u.s
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if u.closed {
			return 0, from, errClosed
		}
		if err := u.rd.check(); err != nil {
			return 0, from, err
		}
		if len(u.queue) > 0 {
			d := u.pop()
			return copy(p, d.data), d.from, nil
		}
		if err := u.err; err != nil {
			u.err = nil
			return 0, from, err
		}
		u.rd.wait()
	}
}

// pop takes the datagram that has waited for longest.
func (u *UDPConn) pop() datagram {
	d := u.queue[0]
	u.queue[0] = datagram{}
	if u.queue = u.queue[1:]; len(u.queue) == 0 {
		u.queue = nil
	}
	u.bytes -= len(d.data) + datagramOverhead
	return d
}

// send sends one datagram.
func (u *UDPConn) send(p []byte, to netip.AddrPort) error {
	s := u.s
	if len(p) > udp.MaxPayload4 {
		return errMsgSize
	}
	if !to.Addr().Is4() || to.Port() == 0 || to.Addr().IsUnspecified() {
		return errInvalid
	}
	s.mu.Lock()
	err := u.sendLocked(p, to)
	s.unlock(s.now())
	return err
}

func (u *UDPConn) sendLocked(p []byte, to netip.AddrPort) error {
	s := u.s
	if u.closed {
		return errClosed
	}
	if !u.sendBy.IsZero() && !time.Now().Before(u.sendBy) {
		return errDeadline
	}
	if err := u.err; err != nil {
		u.err = nil
		return err
	}
	via, ok := s.lookup(to.Addr(), u.via)
	if !ok {
		return errNetUnreach
	}
	src := u.local.Addr()
	if src.IsUnspecified() || !s.local(src) {
		src = via.src
	}
	if src.IsLoopback() && via.Interface != nil {
		return errInvalid // 127.0.0.0/8 stays in the host
	}
	if src.IsUnspecified() && !via.broadcast {
		return errAddrNotAvail
	}
	h := udp.Header{SrcPort: u.local.Port(), DstPort: to.Port()}
	n := udp.HeaderLen + len(p)
	pseudo := checksum.Pseudo(src, to.Addr(), uint8(ipv4.ProtoUDP), n)
	s.stats.UDP.OutDatagrams++
	return s.sendIP(via, ipv4.Header{Proto: ipv4.ProtoUDP, Src: src, Dst: to.Addr()}, nil,
		h.AppendTo(make([]byte, 0, n), p, pseudo), u)
}

// Close implements net.PacketConn.
func (u *UDPConn) Close() error {
	u.s.mu.Lock()
	defer u.s.mu.Unlock()
	if u.closed {
		return u.fail("close", errClosed)
	}
	u.closeLocked()
	return nil
}

func (u *UDPConn) closeLocked() {
	s, port := u.s, u.local.Port()
	u.closed = true
	if s.udp[port] = slices.DeleteFunc(s.udp[port], func(o *UDPConn) bool { return o == u }); len(s.udp[port]) == 0 {
		delete(s.udp, port)
	}
	u.queue = nil
	u.rd.stop()
}
