package socketagent

import (
	"net"
	"net/netip"
	"syscall"

	"arpeggio/stack"
)

// Bits of the type argument of socket(2).
const (
	sockNonblock = 0x800
	sockCloexec  = 0x80000
)

// execute carries out one call, on a stack that has seen what arrived before the
// call, as a kernel has.
func (a *Agent) execute(q request, gone <-chan struct{}) reply {
	if q.tooLong {
		return reply{err: syscall.EMSGSIZE}
	}
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
	fd, err := a.table.add(s)
	return reply{result: fd, err: err}
}

func (a *Agent) bind(s *sock, data []byte) reply {
	addr, err := parseAddr(data)
	switch {
	case err != nil:
	case s.bound != nil || s.udp != nil && s.name().Port() != 0 || s.conn != nil && !s.over():
		err = syscall.EINVAL
	case s.stream:
		s.chosen = addr.Port() == 0
		s.bound, err = a.stack.BindTCP(addr, s.opt.reuse)
	default:
		if s.udp != nil { // connect has given its port back
			s.standIn, s.udp = s.udp, nil
		}
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

func (a *Agent) close(fd int32) reply {
	a.mu.Lock()
	s, err := a.get(fd)
	if err != nil {
		a.mu.Unlock()
		return reply{err: err}
	}
	a.table.remove(fd)
	end := s.closing(false)
	a.mu.Unlock()
	end() // waits when SO_LINGER says so
	a.wake()
	return reply{}
}

func (s *sock) shutdown(how int32) error {
	switch {
	case how < 0 || how > 2:
		return syscall.EINVAL
	case s.ln != nil:
		if how != 1 { // Linux: listening ends
			s.unlisten()
		}
		return nil
	case s.conn != nil && s.over():
		return syscall.ENOTCONN
	}
	s.noRead = s.noRead || how != 1
	s.noWrite = s.noWrite || how != 0
	switch {
	case s.conn == nil && (s.udp == nil || s.udp.RemoteAddr() == nil):
		return syscall.ENOTCONN // and yet it is shut, as in Linux
	case s.conn != nil && how != 0:
		return s.conn.CloseWrite()
	}
	return nil
}

// unlisten ends listening. A port that bind was not told is given back.
func (s *sock) unlisten() {
	_ = s.ln.Close()
	s.ln = nil
	if s.chosen {
		s.bound.Close()
		s.bound = nil
	}
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
