package stack

import (
	"context"
	"net"
	"net/netip"
	"slices"

	"arpeggio/stack/tcp"
)

// Binding keeps a local TCP address and port for a listener or a connection to
// come, as bind(2) does. It goes into ListenConfig or Dialer and ends with Close.
type Binding struct {
	s     *Stack
	addr  netip.AddrPort
	reuse bool
}

// BindTCP reserves a local address, one of ours or 0.0.0.0, and a port; port 0
// means that the stack chooses one. EADDRINUSE means that a listener, another
// binding or a connection has it; with reuse (SO_REUSEADDR) only a listener, or
// a binding without, is in the way.
func (s *Stack) BindTCP(addr netip.AddrPort, reuse bool) (*Binding, error) {
	fail := func(err error) (*Binding, error) {
		return nil, opError("listen", "tcp", net.TCPAddrFromAddrPort(addr), nil, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b := &Binding{s: s, addr: addr, reuse: reuse}
	var err error
	if b.addr, err = s.freeTCP(b, addr); err != nil {
		return fail(err)
	}
	port := b.addr.Port()
	if !reuse && s.tcpPorts[port] > 0 {
		return fail(errAddrInUse)
	}
	s.bound[port] = append(s.bound[port], b)
	return b, nil
}

// freeTCP returns a local address that no listener has and no binding but b, which
// may be nil, keeps: addr itself, with a port of the stack's choice where it has
// none.
func (s *Stack) freeTCP(b *Binding, addr netip.AddrPort) (netip.AddrPort, error) {
	a, port := addr.Addr(), addr.Port()
	switch {
	case !a.Is4():
		return addr, errInvalid
	case s.closed:
		return addr, errClosed
	case !a.IsUnspecified() && !s.local(a):
		return addr, errAddrNotAvail
	}
	taken := func(port uint16) bool {
		return s.boundByOther(b, a, port) || s.listens(a, port)
	}
	if port == 0 {
		port = s.choosePort(keyOf(addr, addr), func(p uint16) bool { return !taken(p) && s.tcpPorts[p] == 0 })
	}
	if port == 0 || taken(port) {
		return addr, errAddrInUse
	}
	return netip.AddrPortFrom(a, port), nil
}

// overlap reports whether a packet could be for both.
func overlap(a, b netip.Addr) bool { return a == b || a.IsUnspecified() || b.IsUnspecified() }

// listens reports whether somebody waits for connections to the port at a, which
// may be 0.0.0.0.
func (s *Stack) listens(a netip.Addr, port uint16) bool {
	return slices.ContainsFunc(s.listeners[port], func(l *TCPListener) bool { return overlap(l.addr.Addr(), a) })
}

// boundByOther reports whether a binding other than b keeps addr to itself.
func (s *Stack) boundByOther(b *Binding, addr netip.Addr, port uint16) bool {
	return slices.ContainsFunc(s.bound[port], func(o *Binding) bool {
		return o != b && overlap(o.addr.Addr(), addr) && (b == nil || !o.reuse || !b.reuse)
	})
}

// Addr returns the address and port.
func (b *Binding) Addr() netip.AddrPort { return b.addr }

// SetReuse changes reuse.
func (b *Binding) SetReuse(on bool) {
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	b.reuse = on
}

// Close gives the address back. Listeners and connections that were made of it
// stay. It is idempotent.
func (b *Binding) Close() {
	s, port := b.s, b.addr.Port()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bound[port] = slices.DeleteFunc(s.bound[port], func(o *Binding) bool { return o == b }); len(s.bound[port]) == 0 {
		delete(s.bound, port)
	}
}

// Dialer holds options for connecting over TCP. The zero value is what DialTCP
// and DialContext of Stack use.
type Dialer struct {
	// Local is the address to connect from; what is open is chosen by the
	// stack. Binding, when there is one, stands for it.
	Local   netip.AddrPort
	Binding *Binding
	// FastOpen sends text with the SYN to servers that have given us a cookie, and
	// asks others for one (RFC 7413; TCP_FASTOPEN_CONNECT). With a cookie, DialTCP
	// and Start return at once and the SYN leaves with the first Write, or Read;
	// errors of the handshake are theirs then. What Write sends first may come to
	// the server twice, so it must be a request that can be repeated.
	FastOpen bool
	// FastOpenNoCookie, with FastOpen, sends text also to servers that have given
	// us no cookie, and asks for none (TCP_FASTOPEN_NO_COOKIE).
	FastOpenNoCookie bool
	// Adjust edits the configuration of the connection, such as its congestion
	// control.
	Adjust func(*tcp.Config)
	// Header is that of what the connection sends, from the SYN on.
	Header IPHeader
}

// DialTCP connects to remote.
func (d *Dialer) DialTCP(ctx context.Context, s *Stack, remote netip.AddrPort) (*TCPConn, error) {
	c, err := d.Start(s, remote)
	if err != nil {
		return nil, err
	}
	return c.opened(ctx, tcpAddr(d.local()))
}

// local is the address to connect from, as far as it was asked for.
func (d *Dialer) local() netip.AddrPort {
	if d.Binding != nil {
		return d.Binding.addr
	}
	return d.Local
}

// Start sends the SYN and returns: Ready tells when the connection is open, and
// Err there why it is not. The caller closes it in either case.
func (d *Dialer) Start(s *Stack, remote netip.AddrPort) (*TCPConn, error) {
	local := d.local()
	c, err := s.connect(d, local, remote)
	if err != nil {
		return nil, opError("dial", "tcp", tcpAddr(local), tcpAddr(remote), err)
	}
	return c, nil
}
