package socketagent

import (
	"errors"
	"net"
	"net/netip"
	"syscall"

	"arpeggio/stack"
	"arpeggio/stack/tcp"
)

func (a *Agent) listen(s *sock, backlog int32) reply {
	n := int(max(backlog, 0)) + 1 // as Linux counts
	switch {
	case !s.stream:
		return reply{err: syscall.EOPNOTSUPP}
	case s.conn != nil:
		return reply{err: syscall.EINVAL}
	case s.ln != nil:
		s.backlog = uint32(max(backlog, 0))
		s.ln.SetBacklog(n)
		return reply{}
	}
	var err error
	if s.bound == nil {
		s.chosen = true
		if s.bound, err = a.stack.BindTCP(anywhere, s.opt.reuse); err != nil {
			return reply{err: err}
		}
	}
	s.publish()
	lc := stack.ListenConfig{Backlog: n, Binding: s.bound, Header: s.opt.header, FastOpen: int(s.opt.fastOpen), FastOpenKeys: s.opt.fastKeys, FastOpenNoCookie: s.opt.fastNoCookie,
		Adjust: func(cfg *tcp.Config) { s.passive.Load().adjust(cfg) }}
	ln, err := lc.Listen(a.stack, "tcp4", s.bound.Addr().String())
	if err != nil {
		return reply{err: err}
	}
	s.ln, s.backlog = ln.(*stack.TCPListener), uint32(max(backlog, 0))
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
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.table.full() { // the connection stays where it is
			return syscall.EMFILE
		}
		c, err := ln.AcceptNow()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				err = syscall.EINVAL
			}
			return err
		}
		_ = c.Notify(a.events)
		n := &sock{stream: true, conn: c, opt: s.opt, left: peerOf(c)}
		n.opt.priority = 0 // which Linux does not pass on
		n.opt.apply(c)
		r.data = appendAddr(nil, peerOf(c))
		r.result, err = a.table.add(n)
		return err
	})
	r.err = err
	return r
}

func peerOf(c *stack.TCPConn) netip.AddrPort { return c.RemoteAddr().(*net.TCPAddr).AddrPort() }
