package socketagent

import (
	"net/netip"
	"syscall"
)

// resetAfterEnd makes a pair of which "a" has sent text and its end, and then a
// reset.
func (s *script) resetAfterEnd() {
	s.pair()
	s.send("a", "text", 0)
	s.shutdown("a", 1)
	s.settle()
	s.set("a", solSocket, soLinger, 1, 0)
	s.close("a")
	s.settle()
}

func (s *script) disconnect(name string) { s.do("disconnect "+name, opConnect, nil, s.fds[name]) }

// likeKernelReset are the scripts about connections that end with a reset.
var likeKernelReset = map[string]func(s *script){
	"reset": func(s *script) {
		s.pair()
		s.set("a", solSocket, soLinger, 1, 0)
		s.close("a")
		s.settle()
		s.poll("b", 0)
		s.recv("b", 10, 0)
		s.recv("b", 10, 0)
		s.send("b", "x", 0)
		s.poll("b", 0)
		s.get("b", solSocket, soError, 4)
		s.shutdown("b", 1)
		s.do("getpeername", opGetpeername, nil, s.fds["b"])
	},
	"reset and write": func(s *script) {
		s.pair()
		s.set("a", solSocket, soLinger, 1, 0)
		s.close("a")
		s.settle()
		s.send("b", "x", 0)
		s.send("b", "x", 0)
		s.recv("b", 10, 0)
	},
	"reset and ask": func(s *script) {
		s.pair()
		s.set("a", solSocket, soLinger, 1, 0)
		s.close("a")
		s.settle()
		s.get("b", solSocket, soError, 4)
		s.get("b", solSocket, soError, 4)
		s.recv("b", 10, 0)
		s.send("b", "x", 0)
	},
	"unread data reset": func(s *script) {
		s.pair()
		s.send("a", "unread", 0)
		s.settle()
		s.close("b")
		s.settle()
		s.recv("a", 10, 0)
		s.recv("a", 10, 0)
	},
	"reset after the end, sending": func(s *script) {
		s.resetAfterEnd()
		s.poll("b", 0)
		s.send("b", "x", 0)
		s.send("b", "x", 0)
		s.recv("b", 10, 0)
		s.recv("b", 10, 0)
		s.poll("b", 0)
	},
	"reset after the end, asking": func(s *script) {
		s.resetAfterEnd()
		s.get("b", solSocket, soError, 4)
		s.get("b", solSocket, soError, 4)
		s.send("b", "x", 0)
		s.recv("b", 10, 0)
	},
	"reset after the end, receiving": func(s *script) {
		s.resetAfterEnd()
		s.recv("b", 10, 0)
		s.recv("b", 10, 0)
		s.poll("b", 0)
		s.shutdown("b", 1)
		s.send("b", "x", 0)
		s.send("b", "x", 0)
	},
	"datagrams: connect gives back what bind did not ask for": func(s *script) {
		s.socket("v", syscall.SOCK_DGRAM)
		s.bind("v", 0)
		for _, bound := range []string{"", "address", "port", "both"} {
			s.where = bound + ": "
			s.socket("u", syscall.SOCK_DGRAM)
			port := 0
			switch bound {
			case "address":
				s.bind("u", 0)
			case "port":
				port = s.bindFree("u", netip.IPv4Unspecified())
			case "both":
				port = s.bindFree("u", s.self)
			}
			named := func() (same bool) {
				_, _, out := s.call(opGetsockname, nil, s.fds["u"])
				at, err := parseAddr(out)
				s.note("%v: %v, port %v, the one asked for %v", err, at.Addr() == s.self, at.Port() != 0, port == 0 || port == int(at.Port()))
				return at.Port() != 0
			}
			named()
			s.set("u", ipprotoIP, ipTTL, 7)
			s.connect("u", "v")
			named()
			s.sendTo("v", s.self, "u", "waits")
			s.settle()
			s.disconnect("u")
			if named() {
				s.sendTo("v", s.self, "u", "bound")
				s.settle()
			}
			s.disconnect("u")
			s.recv("u", 9, syscall.MSG_DONTWAIT)
			s.recv("u", 9, syscall.MSG_DONTWAIT)
			s.send("u", "nobody", 0)
			s.sendTo("u", s.self, "v", "x") // it has a port again
			named()
			s.settle()
			s.recv("v", 9, syscall.MSG_DONTWAIT)
			s.sendTo("v", s.self, "u", "answer")
			s.settle()
			s.recv("u", 9, syscall.MSG_DONTWAIT)
			s.disconnect("u")
			named()
			s.connect("u", "v")
			named()
			s.disconnect("u")
			if port = 0; bound == "" || bound == "address" {
				port = s.bindFree("u", s.self)
			} else {
				s.bind("u", 0)
			}
			named()
			s.get("u", ipprotoIP, ipTTL, 4)
			s.close("u")
		}
	},
	"disconnect": func(s *script) {
		s.pair()
		s.send("a", "text", 0)
		s.settle()
		s.disconnect("a")
		s.poll("a", 0)
		s.send("a", "x", 0)
		s.recv("a", 1, 0)
		s.do("getpeername", opGetpeername, nil, s.fds["a"])
		s.settle()
		s.recv("b", 10, 0)
		s.recv("b", 10, 0)
		s.connect("a", "l")
		s.accept("l", "c")
		s.send("a", "again", 0)
		s.recv("c", 10, 0)
		s.disconnect("l")
		s.accept("l", "d")
		s.socket("new", syscall.SOCK_STREAM)
		s.disconnect("new")
		s.socket("u", syscall.SOCK_DGRAM)
		s.socket("v", syscall.SOCK_DGRAM)
		s.disconnect("u")
		s.bind("v", 0)
		s.connect("u", "v")
		s.disconnect("u")
		s.send("u", "x", 0)
		s.do("getpeername", opGetpeername, nil, s.fds["u"])
	},
}
