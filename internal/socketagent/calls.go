package socketagent

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/tcp"
)

// Bits of the type argument of socket(2).
const (
	sockNonblock = 0x800
	sockCloexec  = 0x80000
)

// execute carries out one call, on a stack that has seen what arrived before the
// call, as a kernel has.
func (a *Agent) execute(q request, gone <-chan struct{}) reply {
	a.stack.CatchUp()
	fd := q.a[0]
	switch q.op {
	case opSocket:
		return a.socket(q.a[0], q.a[1], q.a[2])
	case opBind:
		return a.with(fd, func(s *sock) reply { return a.bind(s, q.data) })
	case opListen:
		return a.with(fd, func(s *sock) reply { return a.listen(s, q.a[1]) })
	case opAccept:
		return a.accept(fd, gone)
	case opConnect:
		return a.connect(fd, q.data, gone)
	case opRecv:
		return a.recv(fd, q.a[1], q.a[2], false, gone)
	case opRecvfrom:
		return a.recv(fd, q.a[1], q.a[2], true, gone)
	case opSend:
		return a.send(fd, q.a[1], q.data, nil, gone)
	case opSendto:
		to, err := parseAddr(q.data)
		if err != nil {
			return reply{err: err}
		}
		return a.send(fd, q.a[1], q.data[6:], &to, gone)
	case opClose:
		return a.close(fd)
	case opShutdown:
		return a.with(fd, func(s *sock) reply { return reply{err: s.shutdown(q.a[1])} })
	case opGetsockopt:
		return a.with(fd, func(s *sock) reply { return a.getsockopt(s, q.a[1], q.a[2], q.a[3]) })
	case opSetsockopt:
		return a.with(fd, func(s *sock) reply { return reply{err: s.setsockopt(q.a[1], q.a[2], q.data)} })
	case opFcntl:
		return a.with(fd, func(s *sock) reply { return s.fcntl(q.a[1], q.a[2]) })
	case opPoll:
		return a.poll(fd, q.a[1], q.a[2], gone)
	case opIoctl:
		return a.with(fd, func(s *sock) reply { return s.ioctl(uint32(q.a[1])) })
	case opGetsockname:
		return a.with(fd, func(s *sock) reply { return reply{data: appendAddr(nil, s.name())} })
	case opGetpeername:
		return a.with(fd, func(s *sock) reply {
			peer, err := s.peer()
			return reply{data: appendAddr(nil, peer), err: err}
		})
	case opReset:
		a.reset()
		return reply{}
	}
	return reply{err: syscall.EOPNOTSUPP}
}

func (a *Agent) socket(domain, typ, protocol int32) reply {
	s := &sock{stack: a.stack, nonblock: typ&sockNonblock != 0}
	if domain != syscall.AF_INET {
		return reply{err: syscall.EAFNOSUPPORT}
	}
	want := int32(syscall.IPPROTO_UDP)
	switch typ &^ (sockNonblock | sockCloexec) {
	case syscall.SOCK_STREAM:
		s.stream, want = true, syscall.IPPROTO_TCP
	case syscall.SOCK_DGRAM:
	default:
		return reply{err: syscall.ESOCKTNOSUPPORT}
	}
	if protocol != 0 && protocol != want {
		return reply{err: syscall.EPROTONOSUPPORT}
	}
	s.opt = defaultOptions()
	a.mu.Lock()
	defer a.mu.Unlock()
	return reply{result: a.table.add(s)}
}

func (a *Agent) bind(s *sock, data []byte) reply {
	addr, err := parseAddr(data)
	switch {
	case err != nil:
	case s.bound != nil || s.udp != nil || s.conn != nil && s.conn.Info().State != tcp.Closed:
		err = syscall.EINVAL
	case s.stream:
		s.bound, err = a.stack.BindTCP(addr, s.opt.reuse)
	default:
		err = a.openUDP(s, addr)
	}
	return reply{err: err}
}

// openUDP binds a datagram socket.
func (a *Agent) openUDP(s *sock, addr netip.AddrPort) error {
	if s.udp != nil {
		return nil
	}
	c, err := (&stack.ListenConfig{ReadBuffer: s.opt.rcvBuf, ReuseAddr: s.opt.reuse}).ListenPacket(a.stack, "udp4", addr.String())
	if err != nil {
		return err
	}
	s.udp = c.(*stack.UDPConn)
	s.udp.Notify(a.events)
	s.configure()
	return nil
}

var anywhere = netip.AddrPortFrom(netip.IPv4Unspecified(), 0)

func (a *Agent) listen(s *sock, backlog int32) reply {
	n := int(max(backlog, 0)) + 1 // as Linux counts
	switch {
	case !s.stream:
		return reply{err: syscall.EOPNOTSUPP}
	case s.conn != nil:
		return reply{err: syscall.EINVAL}
	case s.ln != nil:
		s.ln.SetBacklog(n)
		return reply{}
	}
	var err error
	if s.bound == nil {
		if s.bound, err = a.stack.BindTCP(anywhere, s.opt.reuse); err != nil {
			return reply{err: err}
		}
	}
	s.publish()
	lc := stack.ListenConfig{Backlog: n, Binding: s.bound, Header: s.opt.header, FastOpen: int(s.opt.fastOpen),
		Adjust: func(cfg *tcp.Config) { s.passive.Load().adjust(cfg) }}
	ln, err := lc.Listen(a.stack, "tcp4", s.bound.Addr().String())
	if err != nil {
		return reply{err: err}
	}
	s.ln = ln.(*stack.TCPListener)
	s.ln.Notify(a.events)
	return reply{}
}

func (a *Agent) accept(fd int32, gone <-chan struct{}) (r reply) {
	a.mu.Lock()
	s, err := a.get(fd)
	if err == nil && !s.stream {
		err = syscall.EOPNOTSUPP
	} else if err == nil && s.ln == nil {
		err = syscall.EINVAL
	}
	if err != nil {
		a.mu.Unlock()
		return reply{err: err}
	}
	ln, limit := s.ln, s.limit(0, s.opt.rcvTimeout)
	a.mu.Unlock()
	err = a.wait(gone, limit, func() error {
		c, err := ln.AcceptNow()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				err = syscall.EINVAL
			}
			return err
		}
		_ = c.Notify(a.events)
		n := &sock{stream: true, conn: c, opt: s.opt, left: peerOf(c)}
		n.opt.apply(c)
		a.mu.Lock()
		defer a.mu.Unlock()
		r.result, r.data = a.table.add(n), appendAddr(nil, peerOf(c))
		return nil
	})
	r.err = err
	return r
}

func peerOf(c *stack.TCPConn) netip.AddrPort { return c.RemoteAddr().(*net.TCPAddr).AddrPort() }

func (a *Agent) connect(fd int32, data []byte, gone <-chan struct{}) reply {
	to, err := parseAddr(data)
	if err != nil {
		return reply{err: err}
	}
	a.mu.Lock()
	s, err := a.get(fd)
	if err == nil {
		err = a.startConnect(s, to)
	}
	if err != nil || !s.stream {
		a.mu.Unlock()
		return reply{err: err}
	}
	limit := s.limit(0, s.opt.sndTimeout)
	a.mu.Unlock()
	err = a.wait(gone, limit, func() error {
		a.mu.Lock()
		defer a.mu.Unlock()
		if s.conn == nil {
			return syscall.EBADF
		}
		r := s.conn.Ready()
		switch {
		case r.Err != nil: // the socket may be used once more
			s.opening = false
			_ = s.conn.Close()
			s.conn, s.failed = nil, false
			return r.Err
		case r.Write || s.conn.Info().State.Synchronized():
			s.opening = false
			return nil
		}
		return syscall.EAGAIN
	})
	if errors.Is(err, syscall.EAGAIN) {
		err = syscall.EINPROGRESS
	}
	return reply{err: err}
}

// startConnect begins to connect unless that was done.
func (a *Agent) startConnect(s *sock, to netip.AddrPort) error {
	if to.Addr().IsUnspecified() {
		to = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), to.Port()) // as Linux reads it
	}
	switch {
	case !s.stream:
		if err := a.openUDP(s, anywhere); err != nil {
			return err
		}
		return s.udp.Connect(to)
	case s.ln != nil:
		return syscall.EISCONN
	case s.conn != nil && s.opening && s.nonblock && s.conn.Ready() == (stack.Readiness{}):
		return syscall.EALREADY
	case s.conn != nil && !s.opening:
		return syscall.EISCONN
	case s.conn != nil:
		return nil
	}
	d := stack.Dialer{Binding: s.bound, Adjust: s.opt.adjust, Header: s.opt.header, FastOpen: s.opt.fastConnect}
	c, err := d.Start(a.stack, to)
	if err != nil {
		return err
	}
	_ = c.Notify(a.events)
	s.opt.apply(c)
	s.conn, s.opening, s.failed, s.noRead, s.noWrite, s.left = c, true, false, false, false, to
	return nil
}

func (a *Agent) close(fd int32) reply {
	a.mu.Lock()
	s, err := a.get(fd)
	delete(a.table, fd)
	a.mu.Unlock()
	if err != nil {
		return reply{err: err}
	}
	s.close(false) // waits when SO_LINGER says so
	a.wake()
	return reply{}
}

func (s *sock) shutdown(how int32) error {
	switch {
	case how < 0 || how > 2:
		return syscall.EINVAL
	case s.udp != nil:
		if s.udp.RemoteAddr() == nil {
			return syscall.ENOTCONN
		}
	case s.ln != nil:
		if how != 1 { // Linux: listening ends
			_ = s.ln.Close()
			s.ln = nil
		}
		return nil
	case s.conn == nil || s.over():
		return syscall.ENOTCONN
	}
	if how != 1 {
		s.noRead = true
	}
	if how != 0 {
		s.noWrite = true
		if s.conn != nil {
			return s.conn.CloseWrite()
		}
	}
	return nil
}

// name returns the local address.
func (s *sock) name() netip.AddrPort {
	switch {
	case s.conn != nil:
		return s.conn.LocalAddr().(*net.TCPAddr).AddrPort()
	case s.ln != nil:
		return s.ln.Addr().(*net.TCPAddr).AddrPort()
	case s.udp != nil:
		return s.udp.LocalAddr().(*net.UDPAddr).AddrPort()
	case s.bound != nil:
		return s.bound.Addr()
	}
	return anywhere
}

// peer returns the address of the other end.
func (s *sock) peer() (netip.AddrPort, error) {
	if s.udp != nil && s.udp.RemoteAddr() != nil {
		return s.udp.RemoteAddr().(*net.UDPAddr).AddrPort(), nil
	}
	if s.conn == nil || s.opening && !s.conn.Info().State.Synchronized() || s.over() {
		return netip.AddrPort{}, syscall.ENOTCONN
	}
	return s.left, nil
}

// Commands of fcntl(2).
const (
	fGetFL = 3
	fSetFL = 4
)

func (s *sock) fcntl(command, arg int32) reply {
	switch command {
	case fGetFL:
		r := int32(syscall.O_RDWR)
		if s.nonblock {
			r |= sockNonblock
		}
		return reply{result: r}
	case fSetFL:
		s.nonblock = arg&sockNonblock != 0
		return reply{}
	}
	return reply{err: syscall.EINVAL}
}

// Requests of ioctl(2).
const (
	siocInq     = 0x541b
	siocOutq    = 0x5411
	siocAtMark  = 0x8905
	siocOutqNSD = 0x894b
)

func (s *sock) ioctl(request uint32) reply {
	n := 0
	switch {
	case s.ln != nil && request != siocAtMark:
		return reply{err: syscall.EINVAL}
	case s.udp != nil && request == siocInq:
		n, _, _ = s.udp.Next()
	case s.udp != nil && request == siocOutq:
	case s.conn == nil && (request == siocInq || request == siocOutq || request == siocOutqNSD || request == siocAtMark):
	case request == siocInq:
		n = s.conn.Info().RecvQueue
	case request == siocOutq:
		n = s.conn.Info().SendQueue
	case request == siocOutqNSD:
		n = s.conn.Info().Unsent
	case request == siocAtMark:
		if s.conn.AtMark() {
			n = 1
		}
	default:
		return reply{err: syscall.ENOTTY}
	}
	return reply{data: int32s(int32(n))}
}

// Events of poll(2).
const (
	pollIn     = 0x1
	pollPri    = 0x2
	pollOut    = 0x4
	pollErr    = 0x8
	pollHup    = 0x10
	pollNval   = 0x20
	pollRdNorm = 0x40
	pollWrNorm = 0x100
	pollWrBand = 0x200
	pollRdHup  = 0x2000
)

func (a *Agent) poll(fd, events, timeout int32, gone <-chan struct{}) (r reply) {
	limit := time.Duration(timeout) * time.Millisecond
	if timeout < 0 {
		limit = -1
	}
	var got int32
	err := a.wait(gone, limit, func() error {
		a.mu.Lock()
		defer a.mu.Unlock()
		s := a.table[fd]
		if s == nil {
			got = pollNval
			return nil
		}
		if got = s.events() & (events | pollErr | pollHup); got == 0 {
			return syscall.EAGAIN
		}
		return nil
	})
	if err != nil && !errors.Is(err, syscall.EAGAIN) {
		return reply{err: err}
	}
	r.data = int32s(got)
	if got != 0 {
		r.result = 1
	}
	return r
}

// events returns what poll(2) would.
func (s *sock) events() (e int32) {
	if s.ln != nil {
		if s.ln.Ready() {
			e = pollIn | pollRdNorm
		}
		return e
	}
	r := stack.Readiness{Write: true, Hangup: s.stream}
	switch {
	case s.udp != nil:
		r = s.udp.Ready()
		_, _, r.Read = s.udp.Next() // an error is no datagram
		e = pollWrBand
	case s.conn != nil:
		r = s.conn.Ready()
		r.Read = r.Read && (r.EOF || r.Err != nil || s.opt.rcvLow <= 1 || s.conn.Info().RecvQueue >= int(s.opt.rcvLow))
		r.Hangup = s.over() || r.EOF && s.noWrite || s.noRead && s.noWrite
	}
	if r.Read || s.noRead {
		e |= pollIn | pollRdNorm
	}
	if r.Write && !s.full() || s.noWrite {
		e |= pollOut | pollWrNorm
	}
	if r.Urgent {
		e |= pollPri
	}
	if r.EOF || s.noRead {
		e |= pollRdHup
	}
	if r.Hangup {
		e |= pollHup
	}
	if r.Err != nil && !s.failed {
		e |= pollErr
	}
	return e
}
