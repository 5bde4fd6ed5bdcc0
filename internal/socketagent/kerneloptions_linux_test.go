package socketagent

import (
	"fmt"
	"syscall"
)

// likeKernelOptions are the scripts about socket options and urgent data.
var likeKernelOptions = map[string]func(s *script){
	"bounds of options": func(s *script) {
		s.pair()
		s.socket("new", syscall.SOCK_STREAM)
		for _, fd := range []string{"a", "l", "new"} {
			for _, o := range []int32{tcpNoDelay, tcpCork, tcpKeepIdle, tcpKeepIntvl, tcpKeepCnt, tcpSynCnt, tcpLinger2, tcpUserTimeout} {
				for _, v := range []int32{-2, -1, 0, 1, 2, 60, 120, 121, 127, 128, 255, 256, 32767, 32768, 1 << 30} {
					if o == tcpSynCnt && v > 20 && v < 128 {
						continue // ours keeps the sum of the time-outs below days
					}
					s.set(fd, solTCP, o, v)
					s.get(fd, solTCP, o, 4)
				}
			}
			for _, v := range []int32{-1, 0, 1, 87, 88, 500, 536, 1000, 32767, 32768} {
				s.set(fd, solTCP, tcpMaxSeg, v)
				if fd != "a" { // its segments have the size of the path
					s.get(fd, solTCP, tcpMaxSeg, 4)
				}
			}
			for _, o := range []int32{soKeepAlive, soReuseAddr, soOOBInline, soBroadcast, soNoCheck, soRcvLowat, soPriority} {
				for _, v := range []int32{-1, 0, 1, 2, 6} {
					if fd == "a" && o == soReuseAddr || v < 0 && (o == soRcvLowat || o == soPriority) {
						continue // not ours to know: what half a buffer is, and who may
					}
					s.set(fd, solSocket, o, v)
					s.get(fd, solSocket, o, 4)
				}
			}
			s.get(fd, solSocket, soMaxPacingRate, 8)
			for _, v := range [][]int32{{}, {1000}, {0}, {-2}, {-1}, {5, 1}, {-1, 0}, {-1, -1}} {
				s.set(fd, solSocket, soMaxPacingRate, v...)
				for _, n := range []int32{0, 3, 4, 8, 9} {
					s.get(fd, solSocket, soMaxPacingRate, n)
				}
			}
			for _, v := range [][]int32{{0, 0}, {1, 0}, {0, 9}, {7, 3}, {-1, 1}, {1}} {
				s.set(fd, solSocket, soLinger, v...)
				s.get(fd, solSocket, soLinger, 8)
				s.get(fd, solSocket, soLinger, 4)
			}
			for _, o := range [][2]int32{{solSocket, soType}, {solSocket, soError}, {solSocket, soAcceptConn}, {solSocket, soProtocol}, {solSocket, soDomain}, {solTCP, tcpInfo}} {
				s.set(fd, o[0], o[1], 1)
			}
			for _, n := range []int32{0, 1, 3} {
				s.get(fd, solSocket, soType, n)
				s.get(fd, solTCP, tcpNoDelay, n)
			}
		}
	},
	"urgent": func(s *script) {
		s.pair()
		s.recv("b", 1, syscall.MSG_OOB)
		s.send("a", "abc", 0)
		s.send("a", "deX", syscall.MSG_OOB)
		s.send("a", "fgh", 0)
		s.settle()
		s.poll("b", 0)
		s.ioctl("b", siocAtMark)
		s.recv("b", 100, 0)
		s.ioctl("b", siocAtMark)
		s.recv("b", 1, syscall.MSG_OOB)
		s.recv("b", 1, syscall.MSG_OOB)
		s.recv("b", 100, 0)
		s.ioctl("b", siocAtMark)
		s.set("b", solSocket, soOOBInline, 1)
		s.send("a", "Y", syscall.MSG_OOB)
		s.settle()
		s.recv("b", 1, syscall.MSG_OOB)
		s.ioctl("b", siocAtMark)
		s.recv("b", 100, 0)
	},
	"urgent, as poll sees it": func(s *script) {
		look := func() {
			s.poll("b", 0)
			s.ioctl("b", siocInq)
			s.ioctl("b", siocAtMark)
		}
		for _, inline := range []int32{0, 1} {
			s.pair()
			s.set("b", solSocket, soOOBInline, inline)
			for _, after := range []string{"", "after"} {
				s.note("--- inline %d, then %q", inline, after)
				s.send("a", "abcX", syscall.MSG_OOB)
				s.send("a", after, 0)
				s.settle()
				look()
				s.recv("b", 10, syscall.MSG_PEEK)
				s.recv("b", 10, 0)
				look()
				s.recv("b", 10, syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
				s.recv("b", 1, syscall.MSG_OOB|syscall.MSG_PEEK)
				look()
				s.recv("b", 1, syscall.MSG_OOB)
				s.recv("b", 1, syscall.MSG_OOB)
				look()
				s.recv("b", 10, syscall.MSG_DONTWAIT)
				look()
				s.send("a", "more", 0)
				s.settle()
				look()
				s.recv("b", 10, 0)
				look()
			}
			s.send("a", "Y", syscall.MSG_OOB)
			s.shutdown("a", 1)
			s.settle()
			look()
			s.recv("b", 10, 0)
			s.recv("b", 10, 0)
			look()
		}
	},
	"options": func(s *script) {
		s.pair()
		for _, o := range [][2]int32{{solSocket, soType}, {solSocket, soProtocol}, {solSocket, soDomain}, {solSocket, soKeepAlive}, {solSocket, soReuseAddr},
			{solSocket, soOOBInline}, {solSocket, soBroadcast}, {solSocket, soError}, {solSocket, soAcceptConn}, {solSocket, soRcvLowat},
			{solTCP, tcpNoDelay}, {solTCP, tcpCork}, {solTCP, tcpKeepIdle}, {solTCP, tcpKeepIntvl}, {solTCP, tcpKeepCnt}, {solTCP, tcpSynCnt},
			{solTCP, tcpLinger2}, {solTCP, tcpUserTimeout}, {solTCP, tcpNotsentLow}} {
			s.get("a", o[0], o[1], 4)
			s.get("a", o[0], o[1], 2)
		}
		s.get("a", solSocket, soLinger, 8)
		s.get("a", solSocket, 9999, 4)
		s.get("a", solTCP, 9999, 4)
		s.set("a", solTCP, 9999, 1)
		s.set("a", solSocket, 9999, 1)
		s.do("set short", opSetsockopt, []byte{1}, s.fds["a"], solTCP, tcpNoDelay)
		for _, o := range [][3]int32{{solTCP, tcpKeepIdle, 0}, {solTCP, tcpKeepIdle, 32768}, {solTCP, tcpKeepIdle, 100}, {solTCP, tcpKeepIntvl, 0},
			{solTCP, tcpKeepIntvl, 7}, {solTCP, tcpKeepCnt, 128}, {solTCP, tcpKeepCnt, 3}, {solTCP, tcpSynCnt, 0}, {solTCP, tcpSynCnt, 3},
			{solTCP, tcpUserTimeout, -1}, {solTCP, tcpUserTimeout, 4000}, {solTCP, tcpNotsentLow, 5000}, {solTCP, tcpNoDelay, 5}, {solTCP, tcpCork, 1},
			{solSocket, soKeepAlive, 7}, {solSocket, soOOBInline, 1}} {
			s.set("a", o[0], o[1], o[2])
			s.get("a", o[0], o[1], 4)
		}
		for _, o := range [][2]int32{{tcpFastOpen, 5}, {tcpFastOpen, -1}, {tcpFastOpenConnect, 1}, {tcpFastOpenConnect, 2}, {tcpFastOpenConnect, -1},
			{tcpFastOpenNoCookie, 1}, {tcpFastOpenNoCookie, 2}, {tcpFastOpenNoCookie, -1}, {tcpInq, 1}, {tcpInq, 2}, {tcpInq, -1}} {
			s.socket("f", syscall.SOCK_STREAM)
			for _, name := range []string{"a", "l", "f"} { // connected, listening, new
				s.set(name, solTCP, o[0], o[1])
			}
			s.get("f", solTCP, o[0], 4)
			s.close("f")
		}
		s.set("a", solTCP, tcpMaxSeg, 10)
		s.set("a", solSocket, soLinger, 1, 5)
		s.get("a", solSocket, soLinger, 8)
	},
	"keys of Fast Open": func(s *script) {
		s.pair()
		s.socket("f", syscall.SOCK_STREAM)
		key := []byte("sixteen octets..another sixteen!")
		for _, name := range []string{"a", "l", "f"} {
			for _, n := range []int{0, 3, 16, 17, 32} {
				s.do(fmt.Sprintf("key %s %d", name, n), opSetsockopt, key[:n], s.fds[name], solTCP, tcpFastOpenKey)
				if n >= 16 {
					s.get(name, solTCP, tcpFastOpenKey, 40)
				}
			}
		}
	},
}
