package socketagent

import (
	"errors"
	"syscall"
	"time"

	"arpeggio/stack"
)

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
		s := a.table.socks[fd]
		if fd < 0 { // a place that poll(2) passes over
			return syscall.EAGAIN
		}
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
	r := stack.Readiness{Write: true, Hangup: s.stream || s.noRead && s.noWrite}
	if !s.stream {
		e = pollWrBand
	}
	switch {
	case s.udp != nil:
		r.Err = s.udp.Ready().Err
		_, _, r.Read = s.udp.Next() // an error is no datagram
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
	if r.Err != nil && !s.failed || s.lost != nil {
		e |= pollErr
	}
	return e
}
