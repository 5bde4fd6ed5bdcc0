package socketagent

import (
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/tcp"
)

// table maps descriptors to sockets. Agent.mu guards it and them.
type table map[int32]*sock

// firstFD is the lowest descriptor; a process has its standard streams below.
const firstFD = 3

// add enters a socket under the lowest free descriptor.
func (t table) add(s *sock) int32 {
	fd := int32(firstFD)
	for t[fd] != nil {
		fd++
	}
	t[fd] = s
	return fd
}

// sock is one socket. Of ln, conn and udp at most one is set.
type sock struct {
	stream   bool
	nonblock bool
	opt      options
	passive  atomic.Pointer[options] // opt for connections that ln accepts, which the stack asks for

	bound *stack.Binding
	ln    *stack.TCPListener
	conn  *stack.TCPConn
	udp   *stack.UDPConn

	stack   *stack.Stack                 // of datagram options
	pending []func(*stack.UDPConn) error // datagram options that wait for the port
	standIn *stack.UDPConn               // has them until then

	opening bool // connect was called and its outcome not reported
	failed  bool // conn has ended and its error was reported
	pulled  bool // disconnect has reset a connection, which was not reported
	noRead  bool // shutdown
	noWrite bool
	left    netip.AddrPort // peer of a conn that is gone
}

// limit returns how long a call with flags may wait, for Agent.wait.
func (s *sock) limit(flags int32, timeout time.Duration) time.Duration {
	switch {
	case s.nonblock || flags&syscall.MSG_DONTWAIT != 0:
		return 0
	case timeout > 0:
		return timeout
	}
	return -1
}

// over reports whether the connection has ended; TIME-WAIT is not the socket's
// any more.
func (s *sock) over() bool {
	st := s.conn.Info().State
	return st == tcp.Closed || st == tcp.TimeWait
}

// takeErr returns the error that ended the connection, once (SO_ERROR).
func (s *sock) takeErr() error {
	if s.udp != nil {
		return s.udp.TakeErr()
	}
	if s.conn == nil && s.pulled {
		s.pulled = false
		return syscall.ECONNRESET
	}
	if s.conn == nil || s.failed {
		return nil
	}
	if err := s.conn.Ready().Err; err != nil {
		s.failed = true
		return err
	}
	return nil
}

// close gives everything back. abort resets the connection.
func (s *sock) close(abort bool) {
	if s.conn != nil {
		if abort {
			_ = s.conn.SetLinger(0)
		}
		_ = s.conn.Close()
	}
	if s.ln != nil {
		_ = s.ln.Close()
	}
	if s.udp != nil {
		_ = s.udp.Close()
	}
	s.dismiss()
	if s.bound != nil {
		s.bound.Close()
	}
}

// get returns the socket of a descriptor.
func (a *Agent) get(fd int32) (*sock, error) {
	s := a.table[fd]
	if s == nil {
		return nil, syscall.EBADF
	}
	return s, nil
}

// with runs f on the socket of a descriptor, with the agent's lock.
func (a *Agent) with(fd int32, f func(*sock) reply) reply {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, err := a.get(fd)
	if err != nil {
		return reply{err: err}
	}
	return f(s)
}

// reset aborts and closes everything.
func (a *Agent) reset() {
	a.mu.Lock()
	old := a.table
	a.table = table{}
	a.mu.Unlock()
	for _, s := range old {
		s.close(true)
	}
	a.stack.AbortConns()
	a.wake()
}

// wake makes all who wait look again.
func (a *Agent) wake() {
	select {
	case a.events <- struct{}{}:
	default:
	}
}
