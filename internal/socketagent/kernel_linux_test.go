package socketagent

import (
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
)

// likeKernel are scripts that must come out on our stack as on the kernel's.
var likeKernel = map[string]func(s *script){
	"socket": func(s *script) {
		for _, a := range [][3]int32{{99, 1, 0}, {2, 7, 0}, {2, 1, 17}, {2, 2, 6}, {2, 1, 6}, {2, 2, 17}, {2, 1 | sockNonblock | sockCloexec, 0}} {
			s.do(fmt.Sprint("socket ", a), opSocket, nil, a[0], a[1], a[2])
		}
		s.do("close nothing", opClose, nil, 999)
		s.do("listen on nothing", opListen, nil, 999, 1)
	},
	"bind": func(s *script) {
		for _, n := range []string{"a", "b", "c"} {
			s.socket(n, syscall.SOCK_STREAM)
		}
		s.bind("a", 0)
		s.bind("a", 0)
		s.bind("b", "a")
		s.set("b", solSocket, soReuseAddr, 1)
		s.bind("b", "a")
		s.set("a", solSocket, soReuseAddr, 1)
		s.bind("b", "a")
		s.listen("a", 1)
		s.set("c", solSocket, soReuseAddr, 1)
		s.bind("c", "a")
		s.do("bind elsewhere", opBind, appendAddr(nil, netip.MustParseAddrPort("192.0.2.1:0")), s.fds["c"])
	},
	"connect": func(s *script) {
		s.socket("x", syscall.SOCK_STREAM)
		s.bind("x", 0) // bound, not listening
		s.socket("a", syscall.SOCK_STREAM)
		s.connect("a", "x")
		s.get("a", solSocket, soError, 4)
		s.poll("a", 0)
		s.listen("x", 1)
		s.connect("a", "x")
		s.connect("a", "x")
		s.connect("x", "x")
		s.do("getpeername x", opGetpeername, nil, s.fds["x"])
		s.do("getpeername a", opGetpeername, nil, s.fds["a"])
	},
	"connect without waiting": func(s *script) {
		s.socket("x", syscall.SOCK_STREAM)
		s.bind("x", 0)
		s.socket("a", syscall.SOCK_STREAM)
		s.nonblock("a")
		// Over loopback the kernel knows the outcome at once; ours takes a turn.
		_, errno, _ := s.call(opConnect, s.at("x"), s.fds["a"])
		s.note("refused at once or in progress: %v", errno == syscall.ECONNREFUSED || errno == syscall.EINPROGRESS)
		if errno == syscall.EINPROGRESS {
			s.settle()
			_, errno, _ = s.call(opConnect, s.at("x"), s.fds["a"])
			s.note("%v", errno == syscall.ECONNREFUSED)
		} else {
			s.note("%v", true)
		}
	},
	"not connected": func(s *script) {
		s.socket("a", syscall.SOCK_STREAM)
		s.recv("a", 10, 0)
		s.send("a", "x", 0)
		s.shutdown("a", 1)
		s.shutdown("a", 9)
		s.poll("a", 0)
		s.accept("a", "b")
		s.do("getpeername", opGetpeername, nil, s.fds["a"])
		s.get("a", solTCP, tcpMaxSeg, 4)
		s.ioctl("a", siocInq)
		s.listen("a", 1)
		s.recv("a", 10, 0)
		s.send("a", "x", 0)
		s.ioctl("a", siocInq)
		s.poll("a", 0)
		s.nonblock("a")
		s.accept("a", "b")
		s.get("a", solSocket, soAcceptConn, 4)
	},
	"stream": func(s *script) {
		s.pair()
		s.poll("b", 0)
		s.poll("a", 0)
		s.recv("b", 10, syscall.MSG_DONTWAIT)
		s.send("a", "hello world", 0)
		s.settle()
		s.poll("b", 1000)
		s.ioctl("b", siocInq)
		s.recv("b", 5, syscall.MSG_PEEK)
		s.recv("b", 5, 0)
		s.recv("b", 0, 0)
		s.recv("b", 100, 0)
		s.send("a", "", 0)
		s.send("b", strings.Repeat("x", 3000), 0)
		s.settle()
		s.recv("a", 3000, syscall.MSG_WAITALL)
		s.get("a", solSocket, soError, 4)
	},
	"half-close": func(s *script) {
		s.pair()
		s.shutdown("a", 1)
		s.send("a", "x", 0)
		s.settle()
		s.poll("b", 0)
		s.recv("b", 10, 0)
		s.recv("b", 10, 0)
		s.send("b", "still", 0)
		s.settle()
		s.recv("a", 10, 0)
		s.shutdown("b", 1)
		s.settle()
		s.recv("a", 10, 0)
		s.poll("a", 0)
		s.poll("b", 0)
		s.shutdown("a", 2)
	},
	"records": func(s *script) {
		s.pair()
		for _, flags := range []int32{msgEOR, msgEOR, msgEOR | msgMore, 0} {
			s.send("a", "record", flags)
		}
		s.settle()
		s.ioctl("b", siocInq)
		s.recv("b", 100, 0)
		s.send("a", "", msgEOR)
		s.shutdown("a", 1)
		s.send("a", "late", msgEOR)
		s.settle()
		s.recv("b", 100, 0)
	},
	"shutdown for reading": func(s *script) {
		s.pair()
		s.shutdown("b", 0)
		s.poll("b", 0)
		s.recv("b", 10, 0)
		s.send("b", "x", 0)
		s.settle()
		s.recv("a", 10, 0)
		s.send("a", "late", 0)
		s.settle()
		s.ioctl("b", siocInq)
		s.recv("b", 2, syscall.MSG_PEEK)
		s.recv("b", 2, 0)
		s.recv("b", 10, 0)
		s.recv("b", 10, 0)
		s.send("a", "unread", 0)
		s.settle()
		s.close("b")
		s.settle()
		s.recv("a", 10, 0)
	},
	"calls in each state": func(s *script) {
		look := func(what, name string) {
			s.note("--- %s", what)
			s.poll(name, 0)
			info := s.do("info "+name, opGetsockopt, nil, s.fds[name], solTCP, tcpInfo, 1)
			s.note("state % x", info)
			for _, req := range []int32{siocInq, siocOutq, siocOutqNSD, siocAtMark} {
				s.ioctl(name, req)
			}
			s.do("getpeername "+name, opGetpeername, nil, s.fds[name])
			s.listen(name, 1)
			s.connect(name, "l")
			s.do("accept "+name, opAccept, nil, s.fds[name])
			s.bind(name, 0)
			s.recv(name, 0, syscall.MSG_DONTWAIT)
			s.recv(name, 1, syscall.MSG_DONTWAIT|syscall.MSG_PEEK)
			s.recv(name, 1, syscall.MSG_DONTWAIT|syscall.MSG_OOB)
		}
		// A reset in CLOSE-WAIT is EPIPE in Linux; ours calls it a reset in all
		// states, as RFC 9293 §3.10.7.4 does.
		sendAfterReset := func(name string) {
			_, errno, _ := s.call(opSend, []byte("x"), s.fds[name], syscall.MSG_DONTWAIT)
			if errno == syscall.ECONNRESET {
				errno = syscall.EPIPE
			}
			s.note("send %s: %v", name, errno)
		}
		end := func(name string) {
			s.recv(name, 100, syscall.MSG_DONTWAIT)
			s.recv(name, 100, syscall.MSG_DONTWAIT)
			s.send(name, "", syscall.MSG_DONTWAIT)
			s.send(name, "x", syscall.MSG_DONTWAIT)
			s.settle()
			s.poll(name, 0)
			sendAfterReset(name)
			s.get(name, solSocket, soError, 4)
			s.recv(name, 100, syscall.MSG_DONTWAIT)
			s.shutdown(name, 0)
			s.shutdown(name, 1)
			s.poll(name, 0)
			s.close(name)
		}
		begin := func() {
			s.socket("l", syscall.SOCK_STREAM)
			s.bind("l", 0)
			s.listen("l", 9)
			s.pairTo("l")
		}
		begin()
		look("established", "a")
		s.send("b", "text", 0)
		s.shutdown("b", 1)
		s.closing("b")
		look("close-wait with text", "a")
		look("fin-wait-2", "b")
		s.shutdown("a", 2)
		s.settle()
		look("closed by both, text unread", "a")
		end("a")
		end("b")
		s.close("l")

		begin()
		s.shutdown("a", 0)
		look("no more reading", "a")
		s.send("b", "late", 0)
		s.settle()
		look("no more reading, and text", "a")
		end("a")
		end("b")
		s.close("l")

		begin()
		s.close("b")
		s.settle()
		look("the peer is gone", "a")
		end("a")
		s.close("l")

		begin()
		s.shutdown("a", 1)
		s.closing("a")
		look("half closed", "a")
		look("half closed by the peer", "b")
		s.set("b", solSocket, soLinger, 1, 0)
		s.close("b")
		s.settle()
		look("reset after our end", "a")
		end("a")
		s.close("l")
	},
	"low-water mark": func(s *script) {
		s.pair()
		s.set("b", solSocket, soRcvLowat, 5)
		s.send("a", "123", 0)
		s.settle()
		s.poll("b", 0)
		s.recv("b", 10, syscall.MSG_DONTWAIT|syscall.MSG_PEEK)
		s.send("a", "45", 0)
		s.settle()
		s.poll("b", 0)
		s.recv("b", 10, 0)
		s.send("a", "6", 0)
		s.shutdown("a", 1)
		s.settle()
		s.poll("b", 0)
		s.recv("b", 10, 0)
	},
	"IP options": func(s *script) {
		s.pair()
		const ip = syscall.IPPROTO_IP
		for _, o := range []int32{ipTOS, ipTTL} {
			for _, length := range []int32{1, 4, 8} {
				s.get("a", ip, o, length)
			}
			for _, v := range []int32{0x23, 0, 1, 255, 256, -1, -2} {
				s.set("a", ip, o, v)
				s.get("a", ip, o, 4)
			}
			s.do("set one octet", opSetsockopt, []byte{0x48}, s.fds["a"], ip, o)
			s.get("a", ip, o, 4)
			s.do("set nothing", opSetsockopt, nil, s.fds["a"], ip, o)
		}
		s.get("a", ip, 9999, 4)
		s.set("a", ip, 9999, 1)
		s.set("l", ip, ipTTL, 9)
		s.socket("c", syscall.SOCK_STREAM)
		s.connect("c", "l")
		s.accept("l", "d")
		s.get("d", ip, ipTTL, 4)
	},
	"datagrams": func(s *script) {
		s.socket("a", syscall.SOCK_DGRAM)
		s.socket("b", syscall.SOCK_DGRAM)
		s.send("a", "x", 0)
		s.bind("b", 0)
		s.do("sendto", opSendto, append(s.at("b"), "one"...), s.fds["a"], 0)
		s.do("sendto", opSendto, append(s.at("b"), "second"...), s.fds["a"], 0)
		s.do("sendto", opSendto, s.at("b"), s.fds["a"], 0)
		s.settle()
		s.ioctl("b", siocInq)
		s.poll("b", 1000)
		s.recv("b", 100, syscall.MSG_PEEK)
		s.recv("b", 2, 0)
		s.recv("b", 2, syscall.MSG_TRUNC)
		s.recv("b", 10, 0)
		s.recv("b", 10, syscall.MSG_DONTWAIT)
		s.poll("b", 0)
		s.connect("a", "b")
		s.send("a", "connected", 0)
		s.settle()
		s.recv("b", 10, 0)
		s.listen("a", 1)
		s.accept("a", "c")
		s.bind("a", 0)
		s.get("a", solTCP, tcpNoDelay, 4)
		s.set("a", solTCP, tcpNoDelay, 1)
		s.close("b")
		s.send("a", "nobody", 0)
		s.settle()
		s.poll("a", 0)
		s.recv("a", 10, 0)
		s.recv("a", 10, syscall.MSG_DONTWAIT)
		s.do("too long", opSend, make([]byte, 65508), s.fds["a"], 0)
	},
	"poll time-out": func(s *script) {
		s.pair()
		s.do("poll", opPoll, nil, s.fds["a"], pollIn, 20)
		s.do("poll nothing", opPoll, nil, 999, pollIn, 0)
	},
}

// The same calls on our stack, where time is virtual, and on the kernel's, which
// does over loopback what it does at once.
func TestLikeTheKernel(t *testing.T) {
	maps.Copy(likeKernel, likeKernelIP)
	maps.Copy(likeKernel, likeKernelOptions)
	maps.Copy(likeKernel, likeKernelReset)
	maps.Copy(likeKernel, likeKernelStates)
	maps.Copy(likeKernel, likeKernelRules)
	for name, f := range likeKernel {
		t.Run(name, func(t *testing.T) {
			k := &kernel{open: map[int32]bool{}}
			defer func() {
				for fd, on := range k.open {
					if on {
						syscall.Close(int(fd))
					}
				}
			}()
			theirs := &script{caller: k, self: netip.MustParseAddr("127.0.0.1"), fds: map[string]int32{}}
			f(theirs)
			mine := &script{self: ourAddr, fds: map[string]int32{}}
			synctest.Test(t, func(t *testing.T) {
				_, dial := newAgent(t)
				mine.caller = dial()
				f(mine)
			})
			for i := range max(len(mine.log), len(theirs.log)) {
				var a, b string
				if i < len(mine.log) {
					a = mine.log[i]
				}
				if i < len(theirs.log) {
					b = theirs.log[i]
				}
				if a != b {
					t.Errorf("ours: %s\n   kernel: %s", a, b)
				}
			}
		})
	}
}
