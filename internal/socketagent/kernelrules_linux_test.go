package socketagent

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"syscall"
	"time"
)

// addressOf names an address of a script: "self" is the host under test.
func (s *script) addressOf(name string) netip.Addr {
	if name == "self" {
		return s.self
	}
	return netip.MustParseAddr(name)
}

// to is an address with the port of a socket, or with a number.
func (s *script) to(addr string, port any) []byte {
	a := s.addressOf(addr).As4()
	return append(a[:], s.at(port)[4:]...)
}

// likeKernelRules are the scripts about who may have which address, and about what
// goes from one socket to another.
var likeKernelRules = map[string]func(s *script){
	"who may bind": func(s *script) {
		holders := map[string]func(x, y string, reuse int32){
			"bound":     func(x, y string, reuse int32) {},
			"listening": func(x, y string, reuse int32) { s.must(opListen, x, 1) },
			"connected": func(x, y string, reuse int32) { s.call(opConnect, s.at("l"), s.fds[x]) },
			"in TIME-WAIT": func(x, y string, reuse int32) {
				s.call(opConnect, s.at("l"), s.fds[x])
				fd, _, _ := s.call(opAccept, nil, s.fds["l"])
				s.fds[y] = fd
				s.must(opClose, x)
				s.call(opRecv, nil, fd, 1, 0)
				s.must(opClose, y)
			},
		}
		s.open("l")
		s.bindTo("l")
		s.must(opListen, "l", 1000)
		for _, state := range []string{"bound", "listening", "connected", "in TIME-WAIT"} {
			for _, theirs := range []string{"self", "0.0.0.0"} {
				for _, mine := range []string{"self", "0.0.0.0"} {
					for reuse := range int32(4) {
						s.open("x")
						s.call(opSetsockopt, int32s(reuse&1), s.fds["x"], solSocket, soReuseAddr)
						s.call(opBind, s.to(theirs, 0), s.fds["x"])
						port := s.at("x")
						holders[state]("x", "y", reuse)
						s.open("z")
						s.call(opSetsockopt, int32s(reuse>>1), s.fds["z"], solSocket, soReuseAddr)
						a := s.addressOf(mine).As4()
						if state == "in TIME-WAIT" && reuse == 2 {
							continue // Linux asks both to have said so, ours the newcomer alone
						}
						s.where = fmt.Sprintf("%s on %s, reuse %d; then %s, reuse %d: ", state, theirs, reuse&1, mine, reuse>>1)
						s.do("bind", opBind, append(a[:], port[4:]...), s.fds["z"])
						s.listen("z", 1)
						s.where = ""
						s.call(opClose, nil, s.fds["z"])
						s.call(opClose, nil, s.fds["x"])
					}
				}
			}
		}
	},
	"addresses": func(s *script) {
		s.open("l")
		s.bindTo("l")
		s.must(opListen, "l", 100)
		for _, typ := range []int32{syscall.SOCK_STREAM, syscall.SOCK_DGRAM} {
			for _, a := range []string{"192.0.2.77", "224.1.2.3", "255.255.255.255", "0.0.0.0", "self"} {
				if typ == syscall.SOCK_STREAM && s.addressOf(a) != s.self && a != "0.0.0.0" && a != "192.0.2.77" {
					continue // ours knows that no connection will come there
				}
				s.socket("x", typ)
				s.do(fmt.Sprint("bind ", typ, " ", a), opBind, s.to(a, 0), s.fds["x"])
				_, _, name := s.call(opGetsockname, nil, s.fds["x"])
				s.note("bound %v", a == "self" && netip.AddrFrom4([4]byte(name)) == s.self || a != "self" && netip.AddrFrom4([4]byte(name)) == s.addressOf(a))
				s.close("x")
			}
			for _, a := range []string{"224.1.2.3", "255.255.255.255"} {
				s.socket("x", typ)
				if typ == syscall.SOCK_STREAM || a == "255.255.255.255" {
					s.do(fmt.Sprint("connect ", typ, " ", a), opConnect, s.to(a, "l"), s.fds["x"])
				}
				s.close("x")
			}
		}
		s.socket("u", syscall.SOCK_DGRAM)
		s.do("sendto port 0", opSendto, append(s.to("self", 0), 'x'), s.fds["u"], 0)
		s.do("sendto oneself", opSendto, append(s.to("0.0.0.0", "u"), 'x'), s.fds["u"], 0)
		s.do("too long", opSendto, append(s.to("self", "l"), make([]byte, 65508)...), s.fds["u"], 0)
		s.open("x")
		s.do("connect to 0.0.0.0", opConnect, s.to("0.0.0.0", "x"), s.fds["x"])
		s.open("y")
		s.bindTo("y")
		s.do("getsockname", opGetsockname, nil, s.fds["y"])
		s.connect("y", "l")
		s.accept("l", "z")
		same := func(op uint32, name string, other string) {
			_, _, a := s.call(op, nil, s.fds[name])
			s.note("%v", string(a) == string(s.at(other)))
		}
		same(opGetpeername, "y", "l")
		same(opGetpeername, "z", "y")
		same(opGetsockname, "z", "l")
	},
	"what accept inherits": func(s *script) {
		options := [][2]int32{{solSocket, soReuseAddr}, {solSocket, soKeepAlive}, {solSocket, soOOBInline}, {solSocket, soRcvLowat}, {solSocket, soPriority},
			{solTCP, tcpNoDelay}, {solTCP, tcpKeepIdle}, {solTCP, tcpKeepIntvl}, {solTCP, tcpKeepCnt}, {solTCP, tcpSynCnt}, {solTCP, tcpLinger2},
			{solTCP, tcpUserTimeout}, {solTCP, tcpNotsentLow}, {solTCP, tcpCork}, {ipprotoIP, ipTOS}, {ipprotoIP, ipTTL}, {ipprotoIP, ipMTUDiscover}, {solTCP, tcpInq}}
		s.open("l")
		for _, o := range options {
			s.set("l", o[0], o[1], 1)
		}
		s.set("l", solSocket, soLinger, 1, 9)
		s.set("l", solSocket, soRcvBuf, 30000)
		s.set("l", solSocket, soSndBuf, 40000)
		s.do("timeout", opSetsockopt, timeval(3*time.Second), s.fds["l"], solSocket, soRcvTimeo)
		s.do("congestion control", opSetsockopt, []byte("reno"), s.fds["l"], solTCP, tcpCongestion)
		s.bindTo("l")
		s.must(opListen, "l", 5)
		s.nonblock("l")
		s.open("a")
		s.connect("a", "l")
		s.poll("l", 1000)
		s.accept("l", "b")
		s.do("flags", opFcntl, nil, s.fds["b"], fGetFL)
		for _, o := range append(options, [2]int32{solSocket, soSndBuf}, [2]int32{solSocket, soRcvBuf}) {
			s.get("b", o[0], o[1], 4)
		}
		s.get("b", solSocket, soLinger, 8)
		s.get("b", solSocket, soRcvTimeo, 16)
		s.get("b", solTCP, tcpCongestion, 4)
	},
	"time-outs": func(s *script) {
		s.pair()
		for _, o := range []int32{soRcvTimeo, soSndTimeo} {
			s.get("a", solSocket, o, 16)
			for _, v := range [][2]int64{{0, 1000}, {1, 999_999}, {1, 1_000_000}, {1, -1}, {-1, 0}, {0, 0}} {
				b := binary.LittleEndian.AppendUint64(nil, uint64(v[0]))
				b = binary.LittleEndian.AppendUint64(b, uint64(v[1]))
				s.do(fmt.Sprint("set ", v), opSetsockopt, b, s.fds["a"], solSocket, o)
			}
			s.do("set short", opSetsockopt, make([]byte, 8), s.fds["a"], solSocket, o)
			s.get("a", solSocket, o, 16)
		}
		s.do("set", opSetsockopt, timeval(20*time.Millisecond), s.fds["a"], solSocket, soRcvTimeo)
		s.get("a", solSocket, soRcvTimeo, 16)
		s.recv("a", 1, 0)
		s.set("a", solSocket, soRcvTimeo, 0, 0, 0, 0)
		s.do("set", opSetsockopt, timeval(20*time.Millisecond), s.fds["l"], solSocket, soRcvTimeo)
		s.accept("l", "c")
		s.socket("u", syscall.SOCK_DGRAM)
		s.do("set", opSetsockopt, timeval(20*time.Millisecond), s.fds["u"], solSocket, soRcvTimeo)
		s.recv("u", 1, 0)
	},
	"lengths of options": func(s *script) {
		s.pair()
		s.socket("u", syscall.SOCK_DGRAM)
		for _, name := range []string{"a", "l", "u"} {
			for _, o := range [][2]int32{{solSocket, soType}, {solSocket, soError}, {solSocket, soLinger}, {solSocket, soRcvTimeo}, {solSocket, soKeepAlive},
				{solTCP, tcpNoDelay}, {solTCP, tcpUserTimeout}, {ipprotoIP, ipTTL}, {ipprotoIP, ipTOS}, {ipprotoIP, ipMTUDiscover}} {
				for _, n := range []int32{0, 1, 2, 3, 4, 5, 8, 15, 16, 40} {
					s.get(name, o[0], o[1], n)
				}
			}
			for _, o := range [][2]int32{{solSocket, soKeepAlive}, {solSocket, soLinger}, {solSocket, soRcvBuf}, {solTCP, tcpNoDelay}, {solTCP, tcpCork}, {solTCP, tcpKeepIdle},
				{ipprotoIP, ipTTL}, {ipprotoIP, ipTOS}, {ipprotoIP, ipMTUDiscover}} {
				for _, n := range []int{0, 1, 3, 4, 5, 7, 8, 100} {
					v := make([]byte, n)
					if n > 0 {
						v[0] = 1
					}
					s.do(fmt.Sprint("set ", o, " ", n), opSetsockopt, v, s.fds[name], o[0], o[1])
				}
			}
			for _, level := range []int32{2, 17, 41, 255, -1} {
				s.get(name, level, 9999, 4)
				s.set(name, level, 9999, 1)
			}
		}
	},
	"linger": func(s *script) {
		for _, v := range [][]int32{{0, 0}, {1, 1}, {1, 0}} {
			s.pair()
			s.send("a", "text", 0)
			s.set("a", solSocket, soLinger, v...)
			s.close("a")
			s.settle()
			s.poll("b", 0)
			s.recv("b", 9, syscall.MSG_DONTWAIT)
			s.recv("b", 9, syscall.MSG_DONTWAIT)
			s.close("b")
			s.close("l")
		}
	},
	"connect again and again": func(s *script) {
		s.open("l")
		s.bindTo("l")
		s.must(opListen, "l", 100)
		s.open("x")
		s.bindTo("x") // nobody listens
		s.open("a")
		for range 2 {
			s.connect("a", "x")
			s.get("a", solSocket, soError, 4)
		}
		s.connect("a", "l")
		s.connect("a", "l")
		s.connect("a", "x")
		s.accept("l", "b")
		s.close("b")
		s.settle()
		s.connect("a", "l")
		s.shutdown("a", 1)
		s.settle()
		s.connect("a", "l")
		s.disconnect("a")
		s.connect("a", "l")
		s.accept("l", "b")
		s.send("b", "again", 0)
		s.settle()
		s.recv("a", 9, syscall.MSG_DONTWAIT)
		s.listen("a", 1)
		s.disconnect("a")
		s.listen("a", 1)
		s.connect("a", "l")
		s.shutdown("a", 2)
		s.listen("a", 1)
	},
	"datagrams to another peer": func(s *script) {
		for _, n := range []string{"a", "b", "c"} {
			s.socket(n, syscall.SOCK_DGRAM)
			s.bindTo(n)
		}
		s.connect("a", "b")
		s.sendTo("c", s.self, "a", "stranger")
		s.sendTo("b", s.self, "a", "friend")
		s.settle()
		s.recv("a", 20, syscall.MSG_DONTWAIT)
		s.recv("a", 20, syscall.MSG_DONTWAIT)
		s.connect("a", "c")
		s.sendTo("b", s.self, "a", "no friend")
		s.sendTo("c", s.self, "a", "no stranger")
		s.settle()
		s.recv("a", 20, syscall.MSG_DONTWAIT)
		s.recv("a", 20, syscall.MSG_DONTWAIT)
		s.disconnect("a")
		s.do("getpeername", opGetpeername, nil, s.fds["a"])
		s.sendTo("a", s.self, "c", "truncated")
		s.settle()
		s.recv("c", 4, syscall.MSG_DONTWAIT|syscall.MSG_PEEK|syscall.MSG_TRUNC)
		s.recv("c", 4, syscall.MSG_DONTWAIT|syscall.MSG_WAITALL)
		s.recv("c", 4, syscall.MSG_DONTWAIT)
	},
}
