package socketagent

import (
	"errors"
	"net/netip"
	"syscall"

	"arpeggio/stack"
)

func (a *Agent) connect(fd int32, data []byte, gone <-chan struct{}) reply {
	if len(data) == 0 {
		return a.with(fd, func(s *sock) reply { return reply{err: s.disconnect()} })
	}
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

// reachable reads 0.0.0.0 as Linux does: as the socket's own address or, where it has
// none yet, as 127.0.0.1.
func (s *sock) reachable(to netip.AddrPort) netip.AddrPort {
	if !to.Addr().IsUnspecified() {
		return to
	}
	a := s.name().Addr()
	if a.IsUnspecified() {
		a = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return netip.AddrPortFrom(a, to.Port())
}

// startConnect begins to connect unless that was done.
func (a *Agent) startConnect(s *sock, to netip.AddrPort) error {
	to = s.reachable(to)
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
	d := stack.Dialer{Binding: s.bound, Adjust: s.opt.adjust, Header: s.opt.header, FastOpen: s.opt.fastConnect, FastOpenNoCookie: s.opt.fastNoCookie}
	c, err := d.Start(a.stack, to)
	if err != nil {
		return err
	}
	_ = c.Notify(a.events)
	s.opt.apply(c)
	s.conn, s.opening, s.failed, s.lost, s.noRead, s.noWrite, s.left = c, true, false, nil, false, false, to
	return nil
}

// disconnect is connect with AF_UNSPEC: the socket has no peer any more, and a
// stream is reset. It may be connected again.
func (s *sock) disconnect() error {
	switch {
	case s.udp != nil:
		return s.udp.Connect(netip.AddrPort{})
	case s.ln != nil:
		s.unlisten()
	case s.conn != nil:
		if s.lost = s.takeErr(); !s.over() {
			s.lost = syscall.ECONNRESET
		}
		_ = s.conn.SetLinger(0)
		_ = s.conn.Close()
		s.conn, s.opening, s.failed, s.noRead, s.noWrite = nil, false, false, false, false
	}
	return nil
}
