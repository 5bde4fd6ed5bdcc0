package stack

import (
	"context"
	"net"
	"net/netip"
	"strconv"

	"arpeggio/stack/tcp"
)

// parseAddr reads host:port with a numeric host and port; an empty host is
// 0.0.0.0.
func parseAddr(address string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return netip.AddrPort{}, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, &net.AddrError{Err: "port is not a number from 0 to 65535", Addr: address}
	}
	a := netip.IPv4Unspecified()
	if host != "" {
		if a, err = netip.ParseAddr(host); err != nil || !a.Unmap().Is4() {
			return netip.AddrPort{}, &net.AddrError{Err: "host is not an IPv4 address; resolve names before", Addr: address}
		}
	}
	return netip.AddrPortFrom(a.Unmap(), uint16(n)), nil
}

// baseNetwork reduces tcp4 to tcp and udp4 to udp.
func baseNetwork(network string) (string, error) {
	switch network {
	case "tcp", "tcp4":
		return "tcp", nil
	case "udp", "udp4":
		return "udp", nil
	}
	return "", net.UnknownNetworkError(network)
}

// Dial is DialContext without a context.
func (s *Stack) Dial(network, address string) (net.Conn, error) {
	return s.DialContext(context.Background(), network, address)
}

// DialContext connects to address, a host and a port, on "tcp", "tcp4", "udp" or
// "udp4", or to a host on "ip4:PROTOCOL", as with "ip4:icmp" or "ip:89" (see
// IPConn). The host is an IPv4 address or a name for the resolver of SetNames;
// none, or 0.0.0.0, is this stack. The port may be a name as well, such as "http".
// It fits http.Transport.DialContext.
// Errors are *net.OpError around the errno that connect(2) would give, or around
// a *net.DNSError.
func (s *Stack) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return new(Dialer).DialContext(ctx, s, network, address)
}

// DialTCP connects from local to remote. The zero local address and port are
// chosen by the stack.
func (s *Stack) DialTCP(ctx context.Context, local, remote netip.AddrPort) (*TCPConn, error) {
	return (&Dialer{Local: local}).DialTCP(ctx, s, remote)
}

// opened waits for the end of the handshake. from is the local address that was
// asked for, nil for none: package net's errors name no other.
func (c *TCPConn) opened(ctx context.Context, from net.Addr) (*TCPConn, error) {
	s := c.s
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		c.wr.wake()
	})
	defer stop()
	s.mu.Lock()
	for {
		switch st := c.m.State(); {
		case st == tcp.Closed:
			err := c.m.Err()
			if c.killed != nil {
				err = c.killed
			}
			if err == nil {
				err = errClosed
			}
			s.mu.Unlock()
			return nil, opError("dial", "tcp", from, c.RemoteAddr(), tcpErrno(err))
		case st.Synchronized(), c.m.Deferred():
			s.mu.Unlock()
			return c, nil
		}
		if err := endOf(ctx); err != nil {
			c.closed = true
			now := s.now()
			c.m.Abort(now)
			c.changed()
			s.unlock(now)
			return nil, opError("dial", "tcp", from, c.RemoteAddr(), err)
		}
		c.wr.wait()
	}
}

func tcpAddr(a netip.AddrPort) net.Addr {
	if !a.IsValid() {
		return nil
	}
	return net.TCPAddrFromAddrPort(a)
}

// endAddr is an address of a connection of network, "tcp" or "udp", nil when there
// is none.
func endAddr(network string, a netip.AddrPort) net.Addr {
	if network == "udp" {
		return udpAddr(a)
	}
	return tcpAddr(a)
}

// connect checks the ends, chooses what is open and sends the SYN.
func (s *Stack) connect(d *Dialer, local, remote netip.AddrPort) (*TCPConn, error) {
	if !remote.IsValid() || !remote.Addr().Is4() || local.IsValid() && !local.Addr().Is4() {
		return nil, errInvalid
	}
	if remote.Port() == 0 {
		return nil, errRefused // what every host would say
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil, errClosed
	}
	now := s.now()
	c, err := s.connectLocked(d, local, remote, now)
	s.unlock(now)
	return c, err
}

// connectLocked is connect with the lock held.
func (s *Stack) connectLocked(d *Dialer, local, remote netip.AddrPort, now tcp.Instant) (*TCPConn, error) {
	dst := remote.Addr()
	if dst.IsUnspecified() || dst.IsMulticast() || s.isAnyBroadcast(dst) {
		return nil, errNetUnreach
	}
	route, ok := s.lookupFrom(dst, nil, local.Addr())
	if !ok {
		return nil, errNetUnreach
	}
	src := local.Addr()
	if !local.IsValid() || src.IsUnspecified() {
		src = route.src
	}
	if src.IsLoopback() && route.Interface != nil {
		return nil, errInvalid // 127.0.0.0/8 stays in the host
	}
	if !s.local(src) {
		return nil, errAddrNotAvail
	}
	free := func(port uint16) bool {
		self := src == dst && port == remote.Port()
		return s.conns[keyOf(netip.AddrPortFrom(src, port), remote)] == nil && !self
	}
	port := local.Port()
	if port == 0 {
		port = s.choosePort(keyOf(netip.AddrPortFrom(src, 0), remote), func(p uint16) bool {
			return free(p) && len(s.listeners[p]) == 0 && len(s.bound[p]) == 0
		})
		if port == 0 {
			return nil, errAddrNotAvail
		}
	} else if !free(port) || s.boundByOther(d.Binding, src, port) || d.Binding == nil && s.listens(src, port) {
		return nil, errAddrInUse
	}
	if !s.makeRoom(now) {
		return nil, errNoBufs
	}
	local = netip.AddrPortFrom(src, port)
	cfg := s.connConfig(local, remote, route, now)
	if d.FastOpen {
		cfg.FastOpen = s.fastOpenTo(d, src, dst, now)
	}
	if d.Adjust != nil {
		d.Adjust(&cfg)
	}
	c := s.newConn(tcp.NewActive(cfg, now), route)
	c.header = d.Header
	c.changed()
	return c, nil
}

// ListenConfig holds options for listening. The zero value is what Listen and
// ListenPacket use.
type ListenConfig struct {
	// Interface binds a packet connection: it receives only what arrives
	// there, and what it sends leaves there, with or without a route, and even
	// before the interface has an address (from 0.0.0.0 to a broadcast
	// address, as DHCP does).
	Interface *Interface
	// ReuseAddr lets a packet connection share its address and port with others
	// that set it: each receives broadcasts and the groups that it joined, the one
	// opened last what is for the address.
	ReuseAddr bool
	// Backlog of a listener (default Config.Backlog).
	Backlog int
	// ReadBuffer and WriteBuffer bound a connection's queues in octets.
	ReadBuffer, WriteBuffer int
	// Binding is where a listener listens, in the place of an address.
	Binding *Binding
	// FastOpen lets a listener take the text of SYNs from peers that have shown
	// a cookie of ours (RFC 7413; TCP_FASTOPEN): Accept returns their connections
	// before the handshake is over. It is the most of those that may be pending;
	// what comes beyond opens the ordinary way. Zero is off. A request may come
	// twice, so this is for those that can be repeated.
	FastOpen int
	// FastOpenKeys make and check the cookies of all the servers that share them:
	// the first makes them, the cookies of the others count as well
	// (TCP_FASTOPEN_KEY). Without, the stack has a key of its own, which changes
	// every hour.
	FastOpenKeys []tcp.FastOpenKey
	// FastOpenNoCookie takes text also from peers without a cookie
	// (TCP_FASTOPEN_NO_COOKIE). It is for networks where nobody forges addresses:
	// elsewhere the listener answers, and works for, whoever is named in a SYN.
	FastOpenNoCookie bool
	// Adjust edits the configuration of each connection that a listener
	// accepts, such as its congestion control.
	Adjust func(*tcp.Config)
	// Header is that of what a listener's connections send.
	Header IPHeader
}

// Listen announces on a local address such as ":80" or "192.0.2.1:80".
func (s *Stack) Listen(network, address string) (net.Listener, error) {
	return (&ListenConfig{}).Listen(s, network, address)
}

// ListenPacket opens a packet connection on a local address such as ":53", or,
// for an IP protocol ("ip4:icmp", say; see IPConn), such as "0.0.0.0".
func (s *Stack) ListenPacket(network, address string) (net.PacketConn, error) {
	return (&ListenConfig{}).ListenPacket(s, network, address)
}

// Listen is Stack.Listen with options; network is "tcp" or "tcp4".
func (lc *ListenConfig) Listen(s *Stack, network, address string) (net.Listener, error) {
	addr, err := listenAddr(s, "tcp", network, address)
	if err != nil {
		return nil, err
	}
	l, err := lc.listenTCP(s, addr)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// ListenPacket is Stack.ListenPacket with options; network is "udp", "udp4",
// "ip:PROTOCOL" or "ip4:PROTOCOL".
func (lc *ListenConfig) ListenPacket(s *Stack, network, address string) (net.PacketConn, error) {
	if n, is, err := parseIPNetwork(network); is {
		return lc.listenIPName(s, n, network, address, err)
	}
	addr, err := listenAddr(s, "udp", network, address)
	if err != nil {
		return nil, err
	}
	u, err := lc.listenUDP(s, addr)
	if err != nil {
		return nil, err
	}
	return u, nil
}

// listenAddr reads the address of a listener; want is "tcp" or "udp".
func listenAddr(s *Stack, want, network, address string) (netip.AddrPort, error) {
	if _, is, err := parseIPNetwork(network); is { // on which nobody listens for connections
		if err == nil {
			err = &net.AddrError{Err: "unexpected address type", Addr: address}
		}
		a, _ := netip.ParseAddr(address)
		return netip.AddrPort{}, &net.OpError{Op: "listen", Net: network, Addr: ipAddr(a), Err: err}
	}
	base, err := baseNetwork(network)
	var addrs []netip.AddrPort
	if address == "" {
		address = ":0" // as for package net
	}
	if err == nil {
		addrs, err = s.resolve(context.Background(), base, address)
	}
	if err != nil {
		return netip.AddrPort{}, &net.OpError{Op: "listen", Net: network, Err: err}
	}
	if base != want {
		err := &net.AddrError{Err: "unexpected address type", Addr: address}
		return netip.AddrPort{}, &net.OpError{Op: "listen", Net: network, Addr: endAddr(base, addrs[0]), Err: err}
	}
	return addrs[0], nil
}
