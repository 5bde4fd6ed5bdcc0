package socketagent

import (
	"fmt"
	"net/netip"
	"syscall"
)

var group = netip.MustParseAddr("239.1.2.3")

// mreq is a struct ip_mreq or, with a source, ip_mreq_source, of the host's own
// interface.
func (s *script) mreq(group netip.Addr, source ...netip.Addr) []byte {
	b := group.As4()
	self := s.self.As4()
	out := append(b[:], self[:]...)
	for _, a := range source {
		v := a.As4()
		out = append(out, v[:]...)
	}
	return out
}

func (s *script) opt(name string, opt int32, v []byte) {
	s.do(fmt.Sprintf("set %s 0/%d", name, opt), opSetsockopt, v, s.fds[name], ipprotoIP, opt)
}

// sendTo sends to a group's or another address, at the port of a named socket.
func (s *script) sendTo(name string, to netip.Addr, port, text string) {
	b := to.As4()
	s.do("sendto "+name, opSendto, append(append(b[:], s.at(port)[4:]...), text...), s.fds[name], 0)
}

// likeKernelIP are more scripts for TestLikeTheKernel, of level IP.
var likeKernelIP = map[string]func(s *script){
	"options of datagrams": func(s *script) {
		s.socket("a", syscall.SOCK_DGRAM)
		for range 2 { // before it has a port, and after
			for _, o := range []int32{ipTOS, ipTTL, ipMTUDiscover, ipRecvErr, ipMulticastTTL, ipMulticastLoop} {
				s.get("a", ipprotoIP, o, 4)
				for _, v := range []int32{-2, -1, 0, 1, 2, 3, 255, 256} {
					if (o == ipMTUDiscover || o == ipMulticastTTL) && v > 3 && v < 256 {
						continue // later modes of Linux's
					}
					if o == ipTTL && v == 0 || o == ipMulticastTTL && v == -2 || o == ipTOS && (v < 0 || v > 255) {
						continue
					}
					s.set("a", ipprotoIP, o, v)
				}
				s.get("a", ipprotoIP, o, 4)
			}
			s.opt("a", ipMulticastTTL, []byte{7})
			s.get("a", ipprotoIP, ipMulticastTTL, 4)
			s.set("a", ipprotoIP, ipMTUDiscover, 1)
			s.set("a", ipprotoIP, ipRecvErr, 0)
			s.bind("a", 0)
		}
		s.get("a", ipprotoIP, 9999, 4)
		s.set("a", ipprotoIP, 9999, 1)
	},
	"options of streams": func(s *script) {
		s.pair()
		s.socket("new", syscall.SOCK_STREAM)
		for _, fd := range []string{"a", "l", "new"} {
			s.get(fd, ipprotoIP, ipMTUDiscover, 4)
			for _, v := range []int32{-1, 0, 1, 2, 3, 255, 256} {
				s.set(fd, ipprotoIP, ipMTUDiscover, v)
				s.get(fd, ipprotoIP, ipMTUDiscover, 4)
			}
			s.opt(fd, ipMTUDiscover, []byte{0})
			s.get(fd, ipprotoIP, ipMTUDiscover, 4)
			s.get(fd, ipprotoIP, ipMTUDiscover, 1)
		}
	},
	"membership": func(s *script) {
		s.socket("a", syscall.SOCK_DGRAM)
		s.bind("a", 0)
		other := netip.MustParseAddr("10.7.7.7")
		for _, v := range [][]byte{nil, s.mreq(group)[:4], s.mreq(s.self), s.mreq(group), s.mreq(group)} {
			s.opt("a", ipAddMembership, v)
		}
		s.opt("a", ipAddSource, s.mreq(group, other))
		s.opt("a", ipDropSource, s.mreq(group, other))
		s.opt("a", ipUnblockSource, s.mreq(group, other))
		s.opt("a", ipBlockSource, s.mreq(group, other))
		s.opt("a", ipBlockSource, s.mreq(group, other))
		s.opt("a", ipUnblockSource, s.mreq(group, other))
		s.opt("a", ipDropMembership, s.mreq(group))
		s.opt("a", ipDropMembership, s.mreq(group))
		s.opt("a", ipBlockSource, s.mreq(group, other))
		s.opt("a", ipAddSource, s.mreq(group))
		s.opt("a", ipAddSource, s.mreq(group, other))
		s.opt("a", ipAddSource, s.mreq(group, other))
		s.opt("a", ipAddSource, s.mreq(group, s.self))
		s.opt("a", ipAddMembership, s.mreq(group))
		s.opt("a", ipDropSource, s.mreq(group, other))
		s.opt("a", ipDropSource, s.mreq(group, s.self))
		s.opt("a", ipDropMembership, s.mreq(group))
		nowhere := append(group.AsSlice(), 192, 0, 2, 77)
		s.opt("a", ipAddMembership, nowhere)
		s.opt("a", ipMulticastIf, []byte{192, 0, 2, 77})
		s.opt("a", ipMulticastIf, []byte{1, 2})
		s.opt("a", ipMulticastIf, s.self.AsSlice())
		s.opt("a", ipMulticastIf, []byte{0, 0, 0, 0})
	},
	"membership before bind": func(s *script) {
		s.socket("a", syscall.SOCK_DGRAM)
		s.opt("a", ipAddMembership, s.mreq(group))
		s.opt("a", ipAddMembership, s.mreq(group))
		s.opt("a", ipDropMembership, s.mreq(netip.MustParseAddr("224.9.9.8")))
		s.bind("a", 0)
		s.opt("a", ipAddMembership, s.mreq(group))
		s.opt("a", ipDropMembership, s.mreq(group))
		s.opt("a", ipDropMembership, s.mreq(group))
	},
	"multicast": func(s *script) {
		s.socket("r", syscall.SOCK_DGRAM)
		s.set("r", solSocket, soReuseAddr, 1)
		s.bind("r", 0)
		s.socket("a", syscall.SOCK_DGRAM)
		s.opt("a", ipMulticastIf, s.self.AsSlice())
		s.opt("r", ipAddMembership, s.mreq(group))
		send := func(what string) {
			s.note("%s", what)
			s.sendTo("a", group, "r", what)
			s.settle()
			s.recv("r", 100, syscall.MSG_DONTWAIT)
		}
		send("joined")
		s.set("a", ipprotoIP, ipMulticastLoop, 0)
		s.set("a", ipprotoIP, ipMulticastTTL, 0)
		s.set("a", ipprotoIP, ipMulticastLoop, 1)
		send("with a time to live of zero")
		s.opt("r", ipBlockSource, s.mreq(group, s.self))
		send("blocked")
		s.opt("r", ipUnblockSource, s.mreq(group, s.self))
		send("unblocked")
		s.opt("r", ipDropMembership, s.mreq(group))
		s.opt("r", ipAddSource, s.mreq(group, netip.MustParseAddr("10.7.7.7")))
		send("of another source")
		s.opt("r", ipAddSource, s.mreq(group, s.self))
		send("of this source")
	},
	"broadcast": func(s *script) {
		s.socket("a", syscall.SOCK_DGRAM)
		s.bind("a", 0)
		all := netip.MustParseAddr("255.255.255.255")
		s.sendTo("a", all, "a", "x")
		s.set("a", solSocket, soBroadcast, 1)
		s.get("a", solSocket, soBroadcast, 4)
		s.set("a", solSocket, soBroadcast, 0)
		s.sendTo("a", all, "a", "x")
	},
	"no checksums": func(s *script) {
		s.socket("a", syscall.SOCK_DGRAM)
		s.set("a", solSocket, soNoCheck, 7)
		s.get("a", solSocket, soNoCheck, 4)
		s.bind("a", 0)
		s.socket("b", syscall.SOCK_DGRAM)
		s.bind("b", 0)
		s.sendTo("a", s.self, "b", "without")
		s.settle()
		s.recv("b", 10, syscall.MSG_DONTWAIT)
	},
	"a port for several": func(s *script) {
		for _, n := range []string{"a", "b", "c"} {
			s.socket(n, syscall.SOCK_DGRAM)
		}
		s.bind("a", 0)
		s.bind("b", "a")
		s.close("a")
		s.socket("a", syscall.SOCK_DGRAM)
		s.set("a", solSocket, soReuseAddr, 1)
		s.bind("a", 0)
		s.bind("b", "a")
		s.set("c", solSocket, soReuseAddr, 1)
		s.bind("c", "a")
		s.sendTo("b", s.self, "a", "x")
		s.settle()
		s.recv("a", 10, syscall.MSG_DONTWAIT)
		s.recv("c", 10, syscall.MSG_DONTWAIT)
	},
	"errors without a peer": func(s *script) {
		for _, n := range []string{"a", "x", "y"} {
			s.socket(n, syscall.SOCK_DGRAM)
			s.bind(n, 0)
		}
		gone := s.at("x")
		s.connect("x", "y") // nobody else can have the port now, and it is closed for "a"
		for _, on := range []int32{0, 1} {
			s.set("a", ipprotoIP, ipRecvErr, on)
			s.do("sendto", opSendto, append(gone[:6:6], 'x'), s.fds["a"], 0)
			s.settle()
			s.recv("a", 10, syscall.MSG_DONTWAIT)
			s.recv("a", 10, syscall.MSG_DONTWAIT)
		}
	},
}
