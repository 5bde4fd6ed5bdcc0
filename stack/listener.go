package stack

import (
	"container/list"
	"net"
	"net/netip"
	"slices"
	"time"

	"arpeggio/stack/tcp"
)

// TCPListener is a net.Listener on the stack.
type TCPListener struct {
	s       *Stack
	addr    netip.AddrPort
	backlog int
	rcvBuf  int
	sndBuf  int
	edit    func(*tcp.Config)
	header  IPHeader
	opening list.List  // of *TCPConn whose handshake is not complete, oldest first
	ready   []*TCPConn // opened and not accepted yet
	closed  bool
	wait    waiter
	notify  chan<- struct{} // see Notify

	fast     fastOpening
	cookieAt tcp.Instant // when the last SYN cookie was sent; 0 is never
}

var _ net.Listener = (*TCPListener)(nil)

// listener returns the listener for a local address: one bound to the address
// before one bound to all.
func (s *Stack) listener(local netip.AddrPort) *TCPListener {
	var all *TCPListener
	for _, l := range s.listeners[local.Port()] {
		if l.addr.Addr() == local.Addr() {
			return l
		}
		if l.addr.Addr().IsUnspecified() {
			all = l
		}
	}
	return all
}

// ListenTCP announces on a local address, one of ours or 0.0.0.0 for all; port
// 0 means that the stack chooses one. Errors are EADDRINUSE and EADDRNOTAVAIL
// inside a *net.OpError.
func (s *Stack) ListenTCP(addr netip.AddrPort) (*TCPListener, error) {
	return (&ListenConfig{}).listenTCP(s, addr)
}

func (lc *ListenConfig) listenTCP(s *Stack, addr netip.AddrPort) (*TCPListener, error) {
	fail := func(err error) (*TCPListener, error) {
		return nil, opError("listen", "tcp", net.TCPAddrFromAddrPort(addr), nil, err)
	}
	if lc.Binding != nil {
		addr = lc.Binding.addr
	}
	if !addr.Addr().IsValid() {
		addr = netip.AddrPortFrom(netip.IPv4Unspecified(), addr.Port())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	local, err := s.freeTCP(lc.Binding, addr)
	if err != nil {
		return fail(err)
	}
	l := &TCPListener{
		s: s, addr: local,
		backlog: lc.Backlog, rcvBuf: lc.ReadBuffer, sndBuf: lc.WriteBuffer, edit: lc.Adjust, header: lc.Header,
		fast: fastOpening{most: max(lc.FastOpen, 0), keys: slices.Clone(lc.FastOpenKeys), open: lc.FastOpenNoCookie},
	}
	if l.backlog <= 0 {
		l.backlog = s.cfg.Backlog
	}
	l.wait.init(&s.mu)
	s.listeners[local.Port()] = append(s.listeners[local.Port()], l)
	return l, nil
}

// adjust puts the listener's options into a new connection's Config.
func (l *TCPListener) adjust(cfg *tcp.Config) {
	if l.rcvBuf > 0 {
		cfg.RcvBuf = l.rcvBuf
	}
	if l.sndBuf > 0 {
		cfg.SndBuf = l.sndBuf
	}
	if l.edit != nil {
		l.edit(cfg)
	}
}

// Accept waits for the next connection.
func (l *TCPListener) Accept() (net.Conn, error) {
	c, err := l.AcceptTCP()
	if err != nil {
		return nil, err
	}
	return c, nil
}

// AcceptTCP is Accept with the connection's own type.
func (l *TCPListener) AcceptTCP() (*TCPConn, error) {
	s := l.s
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if l.closed {
			return nil, opError("accept", "tcp", l.Addr(), nil, errClosed)
		}
		if err := l.wait.check(); err != nil {
			return nil, opError("accept", "tcp", l.Addr(), nil, err)
		}
		if len(l.ready) > 0 {
			return l.take(), nil
		}
		l.wait.wait()
	}
}

// take removes the connection that has been ready for longest.
func (l *TCPListener) take() *TCPConn {
	c := l.ready[0]
	l.ready[0] = nil
	l.ready = l.ready[1:]
	return c
}

// opened moves a connection whose handshake is complete to the ready ones.
func (l *TCPListener) opened(c *TCPConn) {
	l.leave(c)
	l.ready = append(l.ready, c)
	l.wait.wake()
	tell(l.notify)
}

// begin notes that c is being opened.
func (l *TCPListener) begin(c *TCPConn) {
	c.listener, c.place = l, l.opening.PushBack(c)
}

// leave notes that c is not being opened any more.
func (l *TCPListener) leave(c *TCPConn) {
	l.opening.Remove(c.place)
	c.listener, c.place = nil, nil
}

// evict forgets the connection that has been opening for longest, without a
// reset: its address is probably forged.
func (l *TCPListener) evict(now tcp.Instant) {
	c := l.opening.Front().Value.(*TCPConn)
	l.leave(c)
	c.m.Abort(now)
	l.s.remove(c)
}

// Close ends the listener; connections that were not accepted are reset.
func (l *TCPListener) Close() error {
	s := l.s
	s.mu.Lock()
	if l.closed {
		s.mu.Unlock()
		return opError("close", "tcp", nil, l.Addr(), errClosed)
	}
	now := s.now()
	l.closeLocked(now)
	s.unlock(now)
	return nil
}

func (l *TCPListener) closeLocked(now tcp.Instant) {
	s := l.s
	if l.closed {
		return
	}
	l.closed = true
	port := l.addr.Port()
	if s.listeners[port] = slices.DeleteFunc(s.listeners[port], func(o *TCPListener) bool { return o == l }); len(s.listeners[port]) == 0 {
		delete(s.listeners, port)
	}
	for l.opening.Len() > 0 {
		c := l.opening.Front().Value.(*TCPConn)
		l.leave(c)
		c.abandon(now)
	}
	for _, c := range l.ready {
		c.abandon(now)
	}
	l.ready = nil
	l.wait.stop()
}

// Addr returns the address that the listener is bound to.
func (l *TCPListener) Addr() net.Addr { return net.TCPAddrFromAddrPort(l.addr) }

// SetDeadline bounds Accept; zero means no bound.
func (l *TCPListener) SetDeadline(t time.Time) error {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	if l.closed {
		return opError("set", "tcp", nil, l.Addr(), errClosed)
	}
	l.wait.set(t)
	return nil
}

// Waiting returns how many connections Accept would give now.
func (l *TCPListener) Waiting() int {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	return len(l.ready)
}

// SetBacklog changes ListenConfig.Backlog; n is at least 1.
func (l *TCPListener) SetBacklog(n int) {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	l.backlog = max(n, 1)
}
