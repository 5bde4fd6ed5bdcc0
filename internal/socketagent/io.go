package socketagent

import (
	"errors"
	"io"
	"net/netip"
	"syscall"

	"arpeggio/stack"
)

// Flags of recv(2) and send(2) beside those of package syscall.
const (
	msgEOR  = 0x80
	msgMore = 0x8000
)

func (a *Agent) recv(fd, length, flags int32, from bool, gone <-chan struct{}) (r reply) {
	a.mu.Lock()
	s, err := a.get(fd)
	if err == nil && length < 0 {
		err = syscall.EINVAL
	}
	length = min(length, maxData)
	if err == nil && !s.stream {
		err = a.openUDP(s, anywhere)
	}
	if err != nil {
		a.mu.Unlock()
		return reply{err: err}
	}
	limit := s.limit(flags, s.opt.rcvTimeout)
	if flags&syscall.MSG_OOB != 0 && s.stream {
		limit = 0 // it never waits
	}
	a.mu.Unlock()
	var data []byte
	var peer netip.AddrPort
	total := 0 // octets of the datagram
	err = a.wait(gone, limit, func() (err error) {
		a.mu.Lock()
		defer a.mu.Unlock()
		if !s.stream {
			data, peer, err = s.udp.ReceiveNow(flags&syscall.MSG_PEEK != 0)
			if errors.Is(err, syscall.EAGAIN) && s.noRead && limit != 0 {
				return nil // it does not wait for what will not be given
			}
			total = len(data)
			return err
		}
		if flags&syscall.MSG_OOB != 0 {
			data, err = s.recvUrgent(flags&syscall.MSG_PEEK != 0)
			return err
		}
		var more []byte
		more, err = s.recvStream(int(length)-len(data), len(data), flags)
		data = append(data, more...)
		if err != nil && len(data) > 0 && !errors.Is(err, syscall.EAGAIN) {
			return nil // what has come first
		}
		want := min(s.opt.rcvLow, length)
		if flags&syscall.MSG_WAITALL != 0 {
			want = length
		}
		if err == nil && len(more) > 0 && len(data) < int(want) && !s.beforeMark(len(data), flags) {
			err = syscall.EAGAIN // the rest
		}
		return err
	})
	if len(data) > 0 {
		err = nil
	}
	if s.stream {
		if total = len(data); flags&syscall.MSG_TRUNC != 0 {
			clear(data) // counted, not copied
		}
	} else if data = data[:min(len(data), int(length))]; flags&syscall.MSG_TRUNC == 0 {
		total = len(data)
	}
	if from {
		data = append(appendAddr(nil, peer), data...)
	}
	return reply{result: int32(total), data: data, err: err}
}

// recvStream reads what is there. have is what this call has read already; with
// MSG_PEEK it is still in the queue.
func (s *sock) recvStream(n, have int, flags int32) ([]byte, error) {
	switch {
	case s.lost != nil:
		return nil, s.takeErr()
	case s.conn == nil && s.noRead:
		return nil, nil
	case s.conn == nil:
		return nil, syscall.ENOTCONN
	case s.conn.Deferred(): // the SYN goes on waiting for text
		return nil, syscall.EAGAIN
	}
	there := s.conn.Info().RecvQueue
	if n == 0 && there > 0 { // be it the urgent octet, which is nothing to read
		return nil, nil
	}
	buf := make([]byte, min(n, there))
	var k int
	var err error
	if flags&syscall.MSG_PEEK != 0 {
		k, err = s.conn.PeekNow(buf, have)
	} else {
		k, err = s.conn.ReadNow(buf)
	}
	switch {
	case err == nil && k == 0 && n > 0: // it came after the look at the queue
		return nil, syscall.EAGAIN
	case err == io.EOF:
		return nil, nil
	case s.noRead && errors.Is(err, syscall.EAGAIN):
		return nil, nil // as Linux: what comes after shutdown can be read, and is not waited for
	case err == nil || errors.Is(err, syscall.EAGAIN):
		return buf[:k], err
	case s.failed: // reported before: as at the end
		return nil, nil
	}
	s.failed = true
	return nil, err
}

// beforeMark reports whether the urgent octet is next, where a call ends, after the n
// octets that it has read or looked at.
func (s *sock) beforeMark(n int, flags int32) bool {
	if flags&syscall.MSG_PEEK == 0 {
		n = 0
	}
	return s.conn.Urgent()-1 == n
}

func (s *sock) recvUrgent(peek bool) ([]byte, error) {
	switch {
	case s.ln != nil:
		return nil, syscall.ENOTCONN
	case s.conn == nil:
		return nil, syscall.EINVAL
	}
	read := s.conn.ReadUrgent
	if peek {
		read = s.conn.PeekUrgent
	}
	b, err := read()
	if err != nil {
		return nil, err
	}
	return []byte{b}, nil
}

func (a *Agent) send(fd, flags int32, data []byte, to *netip.AddrPort, gone <-chan struct{}) reply {
	a.mu.Lock()
	s, err := a.get(fd)
	if err == nil && !s.stream {
		if err = a.openUDP(s, anywhere); err == nil {
			err = s.sendDatagram(data, to, flags)
		}
		a.mu.Unlock()
		return reply{result: int32(len(data)), err: err}
	}
	early := s != nil && s.conn != nil && s.conn.Deferred()
	if err == nil && flags&msgFastOpen != 0 {
		early, err = a.openWith(s, to, len(data))
	}
	if err == nil {
		err = s.sendable()
	}
	if err != nil {
		a.mu.Unlock()
		return reply{err: err}
	}
	limit := s.limit(flags, s.opt.sndTimeout)
	if limit == 0 && flags&msgFastOpen != 0 && !early && s.opening && s.conn.Ready() == (stack.Readiness{}) {
		a.mu.Unlock()
		return reply{err: syscall.EINPROGRESS} // as connect would
	}
	if limit == 0 && s.conn.Deferred() { // what the SYN takes
		data = data[:min(len(data), s.conn.SynRoom())]
	}
	if flags&msgMore != 0 {
		_ = s.conn.MoreToCome()
	}
	a.mu.Unlock()
	n := 0
	err = a.wait(gone, limit, func() error {
		a.mu.Lock()
		defer a.mu.Unlock()
		if err := s.sendable(); err != nil {
			return err
		}
		write := s.conn.WriteNow
		if flags&syscall.MSG_OOB != 0 {
			write = s.conn.WriteUrgentNow
		}
		for {
			part := s.writeRoom(len(data) - n)
			if part == 0 && n < len(data) {
				return syscall.EAGAIN
			}
			k, err := write(data[n:][:part])
			n += k
			if err == nil && n < len(data) {
				continue
			}
			if err == nil && flags&msgEOR != 0 {
				_ = s.conn.EndRecord()
			}
			return err
		}
	})
	if flags&msgMore == 0 {
		a.mu.Lock()
		if s.conn != nil && !s.opt.cork {
			_ = s.conn.SetCork(false)
		}
		a.mu.Unlock()
	}
	if n > 0 {
		err = nil
		if early && limit != 0 {
			err = a.openedEarly(s, gone, limit)
		}
	}
	return reply{result: int32(n), err: err}
}

// full reports whether what waits to be sent keeps poll(2) from calling the socket
// writable: more than half of TCP_NOTSENT_LOWAT.
func (s *sock) full() bool {
	low := uint64(s.opt.notsentLow)
	return s.conn != nil && low > 0 && 2*uint64(s.conn.Info().Unsent) >= low
}

// maxSuperSegment bounds the payload of a super-segment.
const maxSuperSegment = 64 << 10

// writeRoom returns how many of n octets are written at once. With
// TCP_NOTSENT_LOWAT a write begins super-segments for as long as less than that
// waits to be sent, and fills what was begun, as in Linux: 64 KiB, or half of the
// peer's window.
func (s *sock) writeRoom(n int) int {
	if s.conn == nil || s.opt.notsentLow == 0 {
		return n
	}
	i := s.conn.Info()
	mss := max(i.SndMSS, 1)
	goal := max(min(maxSuperSegment, i.SndWnd/2)/mss, 1) * mss
	begun := i.Unsent % goal
	if begun == 0 && uint32(i.Unsent) >= s.opt.notsentLow {
		return 0
	}
	return min(n, goal-begun)
}

// sendable returns why nothing can be sent on a stream: what has ended it comes
// first, once.
func (s *sock) sendable() error {
	if !s.noWrite && s.conn != nil && !s.over() {
		return nil
	}
	if err := s.takeErr(); err != nil {
		return err
	}
	return syscall.EPIPE
}

func (s *sock) sendDatagram(data []byte, to *netip.AddrPort, flags int32) (err error) {
	switch {
	case flags&syscall.MSG_OOB != 0:
		return syscall.EOPNOTSUPP
	case to == nil && s.udp.RemoteAddr() == nil:
		return syscall.EDESTADDRREQ
	case s.noWrite:
		if err := s.udp.TakeErr(); err != nil {
			return err
		}
		return syscall.EPIPE
	case to == nil:
		_, err = s.udp.Write(data)
	default:
		_, err = s.udp.WriteAway(data, s.reachable(*to))
	}
	return err
}
