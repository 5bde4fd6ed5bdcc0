package socketagent

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"syscall"
	"time"
)

// script is a test that both run: it logs what each call says, and the two logs
// are compared.
type script struct {
	caller
	self netip.Addr
	log  []string
	fds  map[string]int32

	after []func() // see later
	where string   // begins each line
}

// do makes a call on the descriptor with a name. show picks what of the answer is
// compared: nothing of the data, unless told.
func (s *script) do(what string, op uint32, data []byte, args ...int32) []byte {
	ret, errno, out := s.call(op, data, args...)
	switch op {
	case opSocket, opAccept:
		if errno == 0 {
			ret = 0
		}
	}
	line := fmt.Sprintf("%s: %d", what, ret)
	if errno != 0 {
		line = fmt.Sprintf("%s: %s", what, errnoName(errno))
	}
	s.log = append(s.log, s.where+line)
	return out
}

func errnoName(e syscall.Errno) string { return fmt.Sprintf("errno %d (%v)", int(e), e) }

func (s *script) note(format string, args ...any) {
	s.log = append(s.log, s.where+fmt.Sprintf(format, args...))
}

func (s *script) socket(name string, typ int32) {
	ret, errno, _ := s.call(opSocket, nil, syscall.AF_INET, typ, 0)
	if errno != 0 {
		s.note("socket %s: %v", name, errno)
	}
	s.fds[name] = ret
}

// at returns the address of the host under test, with the port that a named
// socket has, or a number.
func (s *script) at(port any) []byte {
	switch p := port.(type) {
	case int:
		return appendAddr(nil, netip.AddrPortFrom(s.self, uint16(p)))
	case string:
		_, _, out := s.call(opGetsockname, nil, s.fds[p])
		return append(appendAddr(nil, netip.AddrPortFrom(s.self, 0))[:4], out[4:]...)
	}
	return nil
}

func (s *script) bind(name string, port any) { s.do("bind "+name, opBind, s.at(port), s.fds[name]) }

// bindFree binds a datagram socket to a port by its number, which it returns: one that
// nobody had a moment ago, and another one if somebody was quicker.
func (s *script) bindFree(name string, to netip.Addr) int {
	for {
		s.socket("free", syscall.SOCK_DGRAM)
		_, _, _ = s.call(opBind, s.at(0), s.fds["free"])
		port := binary.BigEndian.Uint16(s.at("free")[4:])
		_, _, _ = s.call(opClose, nil, s.fds["free"])
		_, errno, _ := s.call(opBind, appendAddr(nil, netip.AddrPortFrom(to, port)), s.fds[name])
		if errno != syscall.EADDRINUSE {
			s.note("bind %s to a number: %v", name, errno)
			return int(port)
		}
	}
}

func (s *script) listen(name string, n int32) {
	s.do("listen "+name, opListen, nil, s.fds[name], n)
}
func (s *script) connect(name string, port any) {
	s.do("connect "+name, opConnect, s.at(port), s.fds[name])
}
func (s *script) accept(from, name string) {
	ret, errno, _ := s.call(opAccept, nil, s.fds[from])
	s.note("accept %s: %v", from, errno)
	if errno == 0 {
		s.fds[name] = ret
	}
}
func (s *script) send(name, text string, flags int32) {
	s.do("send "+name, opSend, []byte(text), s.fds[name], flags)
}
func (s *script) recv(name string, n, flags int32) {
	out := s.do(fmt.Sprintf("recv %s %d %#x", name, n, flags), opRecv, nil, s.fds[name], n, flags)
	s.note("%q", out)
}
func (s *script) poll(name string, timeout int32) {
	out := s.do("poll "+name, opPoll, nil, s.fds[name], 0x3fff, timeout)
	s.note("%#x", binary.LittleEndian.Uint32(out))
}
func (s *script) set(name string, level, opt int32, v ...int32) {
	s.do(fmt.Sprintf("set %s %d/%d %v", name, level, opt, v), opSetsockopt, int32s(v...), s.fds[name], level, opt)
}
func (s *script) get(name string, level, opt, n int32) {
	out := s.do(fmt.Sprintf("get %s %d/%d", name, level, opt), opGetsockopt, nil, s.fds[name], level, opt, n)
	s.note("% x", out)
}
func (s *script) close(name string) { s.do("close "+name, opClose, nil, s.fds[name]) }
func (s *script) nonblock(name string) {
	s.do("nonblock "+name, opFcntl, nil, s.fds[name], fSetFL, sockNonblock)
}
func (s *script) shutdown(name string, h int32) {
	s.do(fmt.Sprintf("shutdown %s %d", name, h), opShutdown, nil, s.fds[name], h)
}
func (s *script) ioctl(name string, req int32) {
	out := s.do(fmt.Sprintf("ioctl %s %#x", name, req), opIoctl, nil, s.fds[name], req)
	s.note("% x", out)
}

// pair connects two sockets, "a" and "b", by the listener "l".
func (s *script) pair() {
	s.socket("l", syscall.SOCK_STREAM)
	s.bind("l", 0)
	s.listen("l", 5)
	s.pairTo("l")
}

// pairTo is pair by a listener that there is.
func (s *script) pairTo(listener string) {
	s.socket("a", syscall.SOCK_STREAM)
	s.connect("a", listener)
	s.accept(listener, "b")
}

// closing waits until the FIN of a socket is acknowledged, which the kernel takes
// its time for.
func (s *script) closing(name string) {
	for range 4000 {
		if _, _, info := s.call(opGetsockopt, nil, s.fds[name], solTCP, tcpInfo, 1); info[0] == stateFinWait2 {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

const settle = 30 * time.Millisecond // what is sent arrives

// settle waits until what has been sent has arrived, and what answers it.
func (s *script) settle() {
	time.Sleep(settle)
	if k, ok := s.caller.(interface{ delivered() error }); ok {
		if err := k.delivered(); err != nil {
			s.note("delivered: %v", err)
		}
	}
}
