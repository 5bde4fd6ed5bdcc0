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
type table struct {
	socks map[int32]*sock
	low   int32 // no descriptor below is free
}

const (
	// firstFD is the lowest descriptor; a process has its standard streams below.
	firstFD = 3
	// maxSocks bounds the descriptors that are open at a time.
	maxSocks = 1 << 16
)

func newTable() table { return table{map[int32]*sock{}, firstFD} }

// full reports whether add would fail.
func (t *table) full() bool { return len(t.socks) >= maxSocks }

// add enters a socket under the lowest free descriptor. It fails with EMFILE when
// the table is full.
func (t *table) add(s *sock) (fd int32, err error) {
	if t.full() {
		return 0, syscall.EMFILE
	}
	for t.socks[t.low] != nil {
		t.low++
	}
	t.socks[t.low] = s
	return t.low, nil
}

// remove takes a descriptor out.
func (t *table) remove(fd int32) {
	if t.socks[fd] != nil {
		delete(t.socks, fd)
		t.low = min(t.low, fd)
	}
}

// sock is one socket. Of ln, conn and udp at most one is set.
type sock struct {
	stream   bool
	nonblock bool
	opt      options
	passive  atomic.Pointer[options] // opt for connections that ln accepts, which the stack asks for

	bound   *stack.Binding
	chosen  bool   // the port of bound was not asked for
	backlog uint32 // of ln
	ln      *stack.TCPListener
	conn    *stack.TCPConn
	udp     *stack.UDPConn

	stack   *stack.Stack   // of datagram options
	standIn *stack.UDPConn // has them until there is a port

	opening bool // connect was called and its outcome not reported
	failed  bool // conn has ended and its error was reported
	noRead  bool // shutdown
	noWrite bool
	lost    error          // ended the connection that disconnect has dropped, and was not reported
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
	if err := s.lost; s.conn == nil && err != nil {
		s.lost = nil
		return err
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

// closing returns what gives everything back, and resets the connection if abort. The
// caller has the agent's lock, and gives it up before it calls that, which may wait.
func (s *sock) closing(abort bool) func() {
	conn, ln, udp, standIn, bound := s.conn, s.ln, s.udp, s.standIn, s.bound
	return func() {
		if conn != nil {
			if abort {
				_ = conn.SetLinger(0)
			}
			_ = conn.Close()
		}
		if ln != nil {
			_ = ln.Close()
		}
		if udp != nil {
			_ = udp.Close()
		}
		if standIn != nil {
			_ = standIn.Close()
		}
		if bound != nil {
			bound.Close()
		}
	}
}

// get returns the socket of a descriptor.
func (a *Agent) get(fd int32) (*sock, error) {
	s := a.table.socks[fd]
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

// reset aborts and closes everything, and forgets what other hosts have taught.
func (a *Agent) reset() {
	a.mu.Lock()
	var old []func()
	for _, s := range a.table.socks {
		old = append(old, s.closing(true))
	}
	a.table = newTable()
	a.mu.Unlock()
	for _, end := range old {
		end()
	}
	a.stack.AbortConns()
	a.stack.ForgetPeers()
	a.wake()
}

// wake makes all who wait look again.
func (a *Agent) wake() {
	select {
	case a.events <- struct{}{}:
	default:
	}
}
