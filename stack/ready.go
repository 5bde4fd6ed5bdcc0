package stack

import (
	"net"
	"net/netip"

	"arpeggio/stack/tcp"
)

// Readiness says which calls of a socket would not wait, as poll(2) does.
type Readiness struct {
	Read   bool // also at the end of the stream, and for an error
	Write  bool
	Urgent bool // urgent data are ahead whose last octet ReadUrgent has not returned
	EOF    bool // the peer will send no more
	Hangup bool // nor shall we: both directions are over
	Err    error
}

// tell sends to ch when somebody waits there.
func tell(ch chan<- struct{}) {
	if ch != nil {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

// Notify has ch sent to whenever the connection's readiness may have changed.
// Nobody waits for a receiver: give it room for one. Many may share a channel;
// nil ends it.
func (c *TCPConn) Notify(ch chan<- struct{}) error {
	return c.control("set", func(tcp.Instant) { c.notify = ch })
}

// Ready returns what the connection is ready for. Err is the errno that ended it.
func (c *TCPConn) Ready() Readiness {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	st := c.m.State()
	over := c.closed || st == tcp.Closed
	r := Readiness{
		Read:   over || c.m.Readable(),
		Write:  over || c.m.Writable() && c.m.Sendable(),
		Urgent: c.m.UrgentUnread(),
		EOF:    over || c.m.PeerClosed(),
		Hangup: over || st == tcp.TimeWait || st == tcp.LastAck || st == tcp.Closing,
	}
	if err := c.m.Err(); err != nil {
		r.Err = c.errno(err)
	}
	return r
}

// ReadNow is Read that fails with EAGAIN where Read would wait.
func (c *TCPConn) ReadNow(p []byte) (int, error) {
	return c.now(func() (int, error) {
		n, err := c.m.Read(p)
		if err == tcp.ErrWouldBlock {
			c.startHandshake()
		}
		return n, err
	}, "read")
}

// PeekNow is ReadNow that leaves the octets where they are, from the n-th on.
func (c *TCPConn) PeekNow(p []byte, n int) (int, error) {
	return c.now(func() (int, error) { return c.m.Peek(p, n) }, "read")
}

// WriteNow queues what there is room for and fails with EAGAIN when there is
// none, or before the handshake is over.
func (c *TCPConn) WriteNow(p []byte) (int, error) {
	return c.now(func() (int, error) { return c.writeNow(p, c.m.Write) }, "write")
}

// WriteUrgentNow is WriteNow for WriteUrgent.
func (c *TCPConn) WriteUrgentNow(p []byte) (int, error) {
	return c.now(func() (int, error) { return c.writeNow(p, c.m.WriteUrgent) }, "write")
}

func (c *TCPConn) writeNow(p []byte, put func([]byte) (int, error)) (n int, err error) {
	if st := c.m.State(); st != tcp.Closed && !c.m.Sendable() {
		return 0, tcp.ErrWouldBlock
	}
	for n < len(p) && err == nil {
		var k int
		k, err = put(p[n:])
		n += k
	}
	if n > 0 {
		err = nil
	}
	return n, err
}

// now runs f, which does not wait.
func (c *TCPConn) now(f func() (int, error), op string) (int, error) {
	s := c.s
	s.mu.Lock()
	if c.closed {
		s.mu.Unlock()
		return 0, c.wrap(op, errClosed)
	}
	n, err := f()
	if n > 0 {
		c.changed()
	}
	s.unlock(s.now())
	if err == tcp.ErrWouldBlock {
		err = errAgain
	}
	return n, c.fail(op, err)
}

// Notify has ch sent to when a connection can be accepted; see TCPConn.Notify.
func (l *TCPListener) Notify(ch chan<- struct{}) {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	l.notify = ch
}

// AcceptNow is AcceptTCP that fails with EAGAIN where that would wait.
func (l *TCPListener) AcceptNow() (*TCPConn, error) {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	switch {
	case l.closed:
		return nil, opError("accept", "tcp", l.Addr(), nil, errClosed)
	case len(l.ready) == 0:
		return nil, opError("accept", "tcp", l.Addr(), nil, errAgain)
	}
	return l.take(), nil
}

// Ready reports whether AcceptNow has a connection.
func (l *TCPListener) Ready() bool {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	return len(l.ready) > 0
}

// Notify has ch sent to when a datagram or an error has arrived; see
// TCPConn.Notify.
func (u *UDPConn) Notify(ch chan<- struct{}) {
	u.s.mu.Lock()
	defer u.s.mu.Unlock()
	u.notify = ch
}

// Ready returns what the socket is ready for; a pending ICMP error counts for
// Read and is not taken.
func (u *UDPConn) Ready() Readiness {
	u.s.mu.Lock()
	defer u.s.mu.Unlock()
	r := Readiness{Read: len(u.queue) > 0 || len(u.errs) > 0 || u.closed, Write: true}
	if len(u.errs) > 0 {
		r.Err = u.errs[0].err
	}
	return r
}

// TakeErr returns a pending ICMP error and forgets it.
func (u *UDPConn) TakeErr() error {
	u.s.mu.Lock()
	defer u.s.mu.Unlock()
	e, _ := u.takeErr()
	return e.err
}

// Next returns the octets and the sender of the datagram that ReadFrom gives
// next.
func (u *UDPConn) Next() (n int, from netip.AddrPort, ok bool) {
	u.s.mu.Lock()
	defer u.s.mu.Unlock()
	if len(u.queue) == 0 {
		return 0, from, false
	}
	return len(u.queue[0].data), u.queue[0].From, true
}

// ReceiveNow returns the next datagram, whole and in memory of the caller's, or
// EAGAIN, or a pending ICMP error. With peek the datagram stays.
func (u *UDPConn) ReceiveNow(peek bool) (data []byte, from netip.AddrPort, err error) {
	u.s.mu.Lock()
	defer u.s.mu.Unlock()
	switch {
	case u.closed:
		err = errClosed
	case len(u.queue) > 0 && peek:
		d := u.queue[0]
		return append([]byte(nil), d.data...), d.From, nil
	case len(u.queue) > 0:
		d := u.pop()
		return d.data, d.From, nil
	case len(u.errs) > 0:
		e, _ := u.takeErr()
		err = e.err
	default:
		err = errAgain
	}
	return nil, from, u.fail("read", err)
}

// Connect gives the socket a peer, another one, or none (the zero AddrPort), as
// connect(2) does on a datagram socket. Without a peer it has no more than what it was
// opened with: an address and a port that the stack chose are given back, and the port
// is drawn anew when something is sent, or with the next peer; that fails with EAGAIN
// when none is free. Until then nothing arrives; what has arrived stays.
func (u *UDPConn) Connect(remote netip.AddrPort) error {
	s := u.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if u.closed {
		return u.fail("connect", errClosed)
	}
	if !remote.IsValid() {
		u.disconnect()
		return nil
	}
	fail := func(err error) error {
		return opError("connect", "udp", u.LocalAddr(), net.UDPAddrFromAddrPort(remote), err)
	}
	if !remote.Addr().Is4() || remote.Port() == 0 || remote.Addr().IsUnspecified() {
		return fail(errInvalid)
	}
	via, ok := s.lookupFrom(remote.Addr(), u.via, u.local.Addr())
	switch {
	case !ok:
		return fail(errNetUnreach)
	case via.broadcast && u.mute:
		return fail(errAccess)
	}
	if err := u.autobind(); err != nil {
		return fail(err)
	}
	local := u.local
	if local.Addr().IsUnspecified() {
		local = netip.AddrPortFrom(via.src, local.Port())
	}
	u.name(local, remote)
	return nil
}

// disconnect takes the peer away, and what nobody has asked for.
func (u *UDPConn) disconnect() {
	to := u.local
	if u.anyAddr {
		to = netip.AddrPortFrom(netip.IPv4Unspecified(), to.Port())
	}
	if u.anyPort {
		to = netip.AddrPortFrom(to.Addr(), 0)
	}
	u.remote = netip.AddrPort{}
	u.move(to)
}
