package socketagent

import (
	"net/netip"
	"slices"
	"syscall"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/tcp"
)

// Fast Open (RFC 7413) as Linux has it: TCP_FASTOPEN on a listener,
// TCP_FASTOPEN_CONNECT before connect, or sendto with MSG_FASTOPEN in the place
// of connect and send; both ends may do without cookies, and a listener may have
// one key or two of its own.
const (
	msgFastOpen         = 0x20000000
	tcpFastOpen         = 23
	tcpFastOpenConnect  = 30
	tcpFastOpenKey      = 33
	tcpFastOpenNoCookie = 34
)

// setFastOpenKeys takes one key, or two, the second of which still counts.
func (s *sock) setFastOpenKeys(v []byte) error {
	const one = len(tcp.FastOpenKey{})
	if len(v) != one && len(v) != 2*one {
		return syscall.EINVAL
	}
	s.opt.fastKeys = nil
	for k := range slices.Chunk(v, one) {
		s.opt.fastKeys = append(s.opt.fastKeys, tcp.FastOpenKey(k))
	}
	if s.ln != nil {
		s.ln.SetFastOpenKeys(s.opt.fastKeys...)
	}
	return nil
}

// getFastOpenKeys returns what setFastOpenKeys has set.
func (s *sock) getFastOpenKeys() []byte {
	v := []byte{}
	for _, k := range s.opt.fastKeys {
		v = append(v, k[:]...)
	}
	return v
}

// setFastOpen sets one of the options.
func (s *sock) setFastOpen(name, n int32) error {
	switch {
	case name != tcpFastOpen && (n < 0 || n > 1), n < 0, s.conn != nil:
		return syscall.EINVAL
	case name == tcpFastOpenNoCookie:
		if s.opt.fastNoCookie = n == 1; s.ln != nil {
			s.ln.SetFastOpenNoCookie(s.opt.fastNoCookie)
		}
	case name == tcpFastOpen:
		if s.opt.fastOpen = n; s.ln != nil {
			s.ln.SetFastOpen(int(n))
		}
	case s.ln != nil:
		return syscall.EINVAL
	default:
		s.opt.fastConnect = n == 1
	}
	return nil
}

// openWith is sendto with MSG_FASTOPEN: it begins to connect, and reports
// whether the data are to be queued at once, to go with the SYN. An error is the
// call's.
func (a *Agent) openWith(s *sock, to *netip.AddrPort, n int) (early bool, err error) {
	switch {
	case s.ln != nil || s.noWrite && s.conn == nil:
		return false, syscall.EPIPE
	case s.conn != nil && s.conn.Deferred():
		return true, nil
	case s.conn != nil && s.opening && s.conn.Ready() == (stack.Readiness{}):
		return false, syscall.EALREADY
	case s.conn != nil && !s.opening && !s.over():
		return false, syscall.EISCONN
	case s.conn != nil: // the outcome of connect is known now, and not a connection's second
		s.opening = false
		return false, nil
	case to == nil:
		return false, syscall.EINVAL
	}
	before := s.opt.fastConnect
	s.opt.fastConnect = true
	err = a.startConnect(s, *to)
	s.opt.fastConnect = before
	if err != nil {
		return false, err
	}
	if n == 0 { // the SYN has nothing to wait for
		return false, s.conn.StartHandshake()
	}
	s.opening = !s.conn.Info().State.Synchronized()
	return s.conn.Deferred(), nil
}

// openedEarly waits, after text was queued for a SYN, until that is answered:
// a call that may wait tells whether the peer was there.
func (a *Agent) openedEarly(s *sock, gone <-chan struct{}, limit time.Duration) error {
	return a.wait(gone, limit, func() error {
		a.mu.Lock()
		defer a.mu.Unlock()
		switch {
		case s.conn == nil || s.conn.Info().State.Synchronized():
			return nil
		case s.conn.Ready().Err != nil:
			return s.takeErr()
		}
		return syscall.EAGAIN
	})
}
