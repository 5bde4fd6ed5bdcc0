package stack

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"arpeggio/stack/ipv4"
)

// IPConn sends and receives the payloads of one IP protocol, as the raw sockets
// behind net.IPConn do: a net.PacketConn and, when it has a peer, a net.Conn.
// It receives a copy of every datagram of the protocol that this host takes, of
// ICMP, IGMP, TCP and UDP too, which the stack goes on to handle by itself.
// Nothing in a payload is checked or filled in: checksums are the caller's, and
// those of TCP and UDP may be incomplete where a device does them. While one is
// open for a protocol that the stack does not know, nobody is told that it is
// unreachable. Its methods are safe for concurrent use.
type IPConn struct {
	s       *Stack
	network string // of errors: "ip4" or "ip"
	proto   ipv4.Proto
	local   netip.Addr
	remote  netip.Addr // valid when connected
	via     *Interface // bound to
	rd      waiter
	inbox
	sendBy time.Time
	err    error // of ICMP, about what went to the peer; reported once
	closed bool
	deaf   bool // no loop of multicasts
	ttl    uint8
	tos    uint8
}

var (
	_ net.PacketConn = (*IPConn)(nil)
	_ net.Conn       = (*IPConn)(nil)
)

// maxIPPayload is what a datagram without options holds.
const maxIPPayload = ipv4.MaxLen - ipv4.MinHeaderLen

// ipNetwork is a network of IPConns, such as "ip4:icmp" or "ip:89".
type ipNetwork struct {
	family string // "ip" or "ip4"
	proto  ipv4.Proto
}

// parseIPNetwork reads a network; is tells one of IPConns from others.
func parseIPNetwork(network string) (n ipNetwork, is bool, err error) {
	family, name, ok := strings.Cut(network, ":")
	if !ok || family != "ip" && family != "ip4" {
		return n, false, nil
	}
	n.family = family
	switch strings.ToLower(name) {
	case "icmp":
		n.proto = ipv4.ProtoICMP
	case "igmp":
		n.proto = ipv4.ProtoIGMP
	case "tcp":
		n.proto = ipv4.ProtoTCP
	case "udp":
		n.proto = ipv4.ProtoUDP
	default:
		num, err := strconv.ParseUint(name, 10, 8)
		if err != nil || num == 0 || num == 255 {
			return n, true, &net.AddrError{Err: "unknown IP protocol specified", Addr: name}
		}
		n.proto = ipv4.Proto(num)
	}
	return n, true, nil
}

// DialIP opens a connection that sends payloads of an IP protocol, 1 to 254, to
// remote and receives them from there only. The zero local address is chosen by
// the stack.
func (s *Stack) DialIP(proto ipv4.Proto, local, remote netip.Addr) (*IPConn, error) {
	return s.dialIP(ipNetwork{"ip4", proto}, local, remote)
}

// ListenIP opens a packet connection for an IP protocol, 1 to 254, that receives
// what is sent to the local address, or to any where that is 0.0.0.0 or zero.
func (s *Stack) ListenIP(proto ipv4.Proto, local netip.Addr) (*IPConn, error) {
	return (&ListenConfig{}).listenIP(s, ipNetwork{"ip4", proto}, local)
}

func (s *Stack) dialIP(n ipNetwork, local, remote netip.Addr) (*IPConn, error) {
	c, err := (*IPConn)(nil), error(errInvalid)
	if remote.Is4() && !remote.IsUnspecified() {
		c, err = s.newIP(n, local, remote, &ListenConfig{})
	}
	return c, opError("dial", n.family, ipAddr(local), ipAddr(remote), err)
}

func (lc *ListenConfig) listenIP(s *Stack, n ipNetwork, local netip.Addr) (*IPConn, error) {
	c, err := s.newIP(n, local, netip.Addr{}, lc)
	return c, opError("listen", n.family, ipAddr(local), nil, err)
}

func (s *Stack) newIP(n ipNetwork, local, remote netip.Addr, lc *ListenConfig) (*IPConn, error) {
	if !local.IsValid() {
		local = netip.IPv4Unspecified()
	}
	if !local.Is4() || n.proto == 0 || n.proto == 255 {
		return nil, errInvalid
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || lc.Interface != nil && lc.Interface.gone {
		return nil, errClosed
	}
	c := &IPConn{s: s, network: n.family, proto: n.proto, local: local, remote: remote, via: lc.Interface, inbox: inbox{max: lc.ReadBuffer}}
	if remote.IsValid() {
		via, ok := s.lookupFrom(remote, c.via, local)
		if !ok {
			return nil, errNetUnreach
		}
		if local.IsUnspecified() {
			c.local = via.src
		}
	}
	if !s.bindable(c.local) {
		return nil, errAddrNotAvail
	}
	if c.max <= 0 {
		c.max = s.cfg.UDPRcvBuf
	}
	c.rd.init(&s.mu)
	s.raw[n.proto] = append(s.raw[n.proto], c)
	return c, nil
}

// Close implements net.PacketConn.
func (c *IPConn) Close() error {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.closed {
		return c.fail("close", errClosed)
	}
	c.closeLocked()
	return nil
}

func (c *IPConn) closeLocked() {
	s := c.s
	c.closed = true
	if s.raw[c.proto] = slices.DeleteFunc(s.raw[c.proto], func(o *IPConn) bool { return o == c }); len(s.raw[c.proto]) == 0 {
		delete(s.raw, c.proto)
	}
	c.queue = nil
	c.rd.stop()
}

// wants reports whether a datagram is for c.
func (c *IPConn) wants(in *Interface, h *ipv4.Header) bool {
	return (c.via == nil || c.via == in) && (c.local.IsUnspecified() || c.local == h.Dst) && (!c.remote.IsValid() || c.remote == h.Src)
}

// receiveRaw gives copies of a datagram to those who want it, and reports whether
// anybody did.
func (s *Stack) receiveRaw(in *Interface, h *ipv4.Header, opts, payload []byte) (taken bool) {
	for _, c := range s.raw[h.Proto] {
		if !c.wants(in, h) {
			continue
		}
		taken = true
		d := Datagram{From: netip.AddrPortFrom(h.Src, 0), Dst: h.Dst, Interface: in, Len: len(payload), TTL: h.TTL, TOS: h.TOS, Options: opts}
		if !c.put(d, payload) {
			s.stats.IP.RawQueueFull++
			continue
		}
		c.rd.wake()
	}
	return taken
}

// icmpRaw reports an error about a datagram to the connections with that peer.
func (s *Stack) icmpRaw(h *ipv4.Header, err error) {
	for _, c := range s.raw[h.Proto] {
		if c.remote == h.Dst && c.local == h.Src {
			c.failed(err)
		}
	}
}

// unreachable implements sender: the next hop did not answer.
func (c *IPConn) unreachable(err error, dst netip.Addr) {
	if c.remote == dst {
		c.failed(err)
	}
}

func (c *IPConn) failed(err error) {
	c.err = err
	c.rd.wake()
}

// takeErr returns the error that waits and forgets it.
func (c *IPConn) takeErr() error {
	err := c.err
	c.err = nil
	return err
}

// receive waits for the next datagram.
func (c *IPConn) receive(p []byte) (n int, d Datagram, err error) {
	s := c.s
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if c.closed {
			return 0, d, errClosed
		}
		if err := c.rd.check(); err != nil {
			return 0, d, err
		}
		if len(c.queue) > 0 {
			d := c.pop()
			return copy(p, d.data), d.Datagram, nil
		}
		if err := c.takeErr(); err != nil {
			return 0, d, err
		}
		c.rd.wait()
	}
}

// send sends one payload.
func (c *IPConn) send(p []byte, to netip.Addr) error {
	s := c.s
	if len(p) > maxIPPayload {
		return errMsgSize
	}
	if !to.Is4() || to.IsUnspecified() {
		return errInvalid
	}
	s.mu.Lock()
	err := c.sendLocked(p, to)
	s.unlock(s.now())
	return err
}

func (c *IPConn) sendLocked(p []byte, to netip.Addr) error {
	s := c.s
	switch {
	case c.closed:
		return errClosed
	case !c.sendBy.IsZero() && !time.Now().Before(c.sendBy):
		return errDeadline
	}
	if err := c.takeErr(); err != nil {
		return err
	}
	via, ok := s.lookupFrom(to, c.via, c.local)
	if !ok {
		return errNetUnreach
	}
	src := s.sourceOf(c.local, via)
	if err := via.carries(src, to); err != nil {
		return err
	}
	h := ipv4.Header{TOS: c.tos, TTL: c.ttl, Proto: c.proto, Src: src, Dst: to}
	if to.IsMulticast() && h.TTL == 0 {
		h.TTL = 1
	}
	s.loopBack(via, h, nil, p, c.deaf)
	return s.sendIP(via, h, nil, p, c)
}

func (c *IPConn) control(f func()) error {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.closed {
		return opError("set", c.network, nil, c.LocalAddr(), errClosed)
	}
	f()
	return nil
}

// closeRaw ends all of them, with the stack.
func (s *Stack) closeRaw() {
	for _, cs := range s.raw {
		for _, c := range slices.Clone(cs) {
			c.closeLocked()
		}
	}
}
