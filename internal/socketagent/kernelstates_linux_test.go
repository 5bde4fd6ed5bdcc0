package socketagent

import (
	"bytes"
	"syscall"
	"time"
)

// socketStates put a socket into a state. Where there is a peer it is
// "y" and the state's name.
var socketStates = []struct {
	name string
	make func(s *script, x, y string)
}{
	{"fresh", func(s *script, x, y string) { s.open(x) }},
	{"bound", func(s *script, x, y string) { s.open(x); s.bindTo(x) }},
	{"listening", func(s *script, x, y string) { s.open(x); s.bindTo(x); s.must(opListen, x, 3) }},
	{"listening with a connection", func(s *script, x, y string) {
		s.open(x)
		s.bindTo(x)
		s.must(opListen, x, 3)
		s.open(y)
		s.call(opConnect, s.at(x), s.fds[y])
	}},
	{"no longer listening", func(s *script, x, y string) {
		s.open(x)
		s.bindTo(x)
		s.must(opListen, x, 3)
		s.must(opShutdown, x, 0)
	}},
	{"refused", func(s *script, x, y string) { s.open(x); s.call(opConnect, s.at("nobody"), s.fds[x]) }},
	{"connected", func(s *script, x, y string) { s.join(x, y) }},
	{"accepted", func(s *script, x, y string) { s.join(y, x) }},
	{"with text", func(s *script, x, y string) { s.join(x, y); s.call(opSend, []byte("text"), s.fds[y]) }},
	{"with urgent text", func(s *script, x, y string) {
		s.join(x, y)
		s.call(opSend, []byte("abc"), s.fds[y], syscall.MSG_OOB)
	}},
	{"with an urgent octet", func(s *script, x, y string) {
		s.join(x, y)
		s.call(opSend, []byte("u"), s.fds[y], syscall.MSG_OOB)
	}},
	{"with an urgent octet amidst text", func(s *script, x, y string) {
		s.join(x, y)
		s.call(opSend, []byte("abc"), s.fds[y], syscall.MSG_OOB)
		s.call(opSend, []byte("de"), s.fds[y])
	}},
	{"with an urgent octet inline", func(s *script, x, y string) {
		s.join(x, y)
		s.call(opSetsockopt, int32s(1), s.fds[x], solSocket, soOOBInline)
		s.call(opSend, []byte("abc"), s.fds[y], syscall.MSG_OOB)
		s.call(opSend, []byte("de"), s.fds[y])
	}},
	{"with an urgent octet, closed by the peer", func(s *script, x, y string) {
		s.join(x, y)
		s.call(opSend, []byte("u"), s.fds[y], syscall.MSG_OOB)
		s.must(opShutdown, y, 1)
	}},
	{"closed by the peer", func(s *script, x, y string) { s.join(x, y); s.must(opShutdown, y, 1) }},
	{"closed by the peer, with text", func(s *script, x, y string) {
		s.join(x, y)
		s.call(opSend, []byte("text"), s.fds[y])
		s.must(opShutdown, y, 1)
	}},
	{"half closed", func(s *script, x, y string) {
		s.join(x, y)
		s.must(opShutdown, x, 1)
		s.after = append(s.after, func() { s.closing(x) })
	}},
	{"half closed, with text", func(s *script, x, y string) {
		s.join(x, y)
		s.must(opShutdown, x, 1)
		s.after = append(s.after, func() { s.closing(x) })
		s.call(opSend, []byte("text"), s.fds[y])
	}},
	{"shut for reading", func(s *script, x, y string) { s.join(x, y); s.must(opShutdown, x, 0) }},
	{"shut both ways", func(s *script, x, y string) { s.join(x, y); s.must(opShutdown, x, 2) }},
	{"closed by both, the peer first", func(s *script, x, y string) { s.join(x, y); s.must(opShutdown, y, 1); s.later(opShutdown, x, 1) }},
	{"closed by both, the peer last", func(s *script, x, y string) { s.join(x, y); s.must(opShutdown, x, 1); s.later(opShutdown, y, 1) }},
	{"reset", func(s *script, x, y string) { s.join(x, y); s.reset(y) }},
	{"reset with text", func(s *script, x, y string) {
		s.join(x, y)
		s.call(opSend, []byte("text"), s.fds[y])
		s.after = append(s.after, func() { s.reset(y) })
	}},
	{"reset after the end", func(s *script, x, y string) {
		s.join(x, y)
		s.must(opShutdown, y, 1)
		s.after = append(s.after, func() { s.reset(y) })
	}},
	{"disconnected", func(s *script, x, y string) { s.join(x, y); s.call(opConnect, nil, s.fds[x]) }},
	{"datagram", func(s *script, x, y string) { s.socket(x, syscall.SOCK_DGRAM) }},
	{"bound datagram", func(s *script, x, y string) { s.socket(x, syscall.SOCK_DGRAM); s.bindTo(x) }},
	{"connected datagram", func(s *script, x, y string) { s.couple(x, y) }},
	{"datagram that waits", func(s *script, x, y string) { s.couple(x, y); s.call(opSend, []byte("text"), s.fds[y]) }},
	{"empty datagram that waits", func(s *script, x, y string) { s.couple(x, y); s.call(opSend, nil, s.fds[y]) }},
	{"datagram to nobody", func(s *script, x, y string) {
		s.couple(x, y)
		s.must(opClose, y)
		s.call(opSend, []byte("text"), s.fds[x])
	}},
	{"datagram shut for reading", func(s *script, x, y string) { s.couple(x, y); s.must(opShutdown, x, 0) }},
	{"datagram shut for writing", func(s *script, x, y string) { s.couple(x, y); s.must(opShutdown, x, 1) }},
}

// open makes a stream socket that connects to nobody yet.
func (s *script) open(name string) { s.socket(name, syscall.SOCK_STREAM) }

func (s *script) bindTo(name string) { s.call(opBind, s.at(0), s.fds[name]) }

// must makes a call that succeeds in any state that a test prepares.
func (s *script) must(op uint32, name string, args ...int32) {
	if _, errno, _ := s.call(op, nil, append([]int32{s.fds[name]}, args...)...); errno != 0 {
		s.note("call %d %s: %v", op, name, errno)
	}
}

// later makes a call when what has been sent until now has arrived.
func (s *script) later(op uint32, name string, args ...int32) {
	s.after = append(s.after, func() { s.must(op, name, args...) })
}

// join connects x with y by the listener "l".
func (s *script) join(x, y string) {
	s.open(x)
	s.call(opConnect, s.at("l"), s.fds[x])
	fd, errno, _ := s.call(opAccept, nil, s.fds["l"])
	if errno != 0 {
		s.note("accept: %v", errno)
	}
	s.fds[y] = fd
}

// couple connects the datagram sockets x and y.
func (s *script) couple(x, y string) {
	for _, n := range []string{x, y} {
		s.socket(n, syscall.SOCK_DGRAM)
		s.bindTo(n)
	}
	s.call(opConnect, s.at(y), s.fds[x])
	s.call(opConnect, s.at(x), s.fds[y])
}

// reset ends the connection of a socket with a reset.
func (s *script) reset(name string) {
	s.call(opSetsockopt, int32s(1, 0), s.fds[name], solSocket, soLinger)
	s.must(opClose, name)
}

// socketCalls are what is tried in each state, each on a socket of its own.
var socketCalls = []struct {
	name string
	call func(s *script, x string)
}{
	{"recv", func(s *script, x string) { s.recv(x, 3, 0); s.recv(x, 3, 0); s.recv(x, 3, 0) }},
	{"recv nothing", func(s *script, x string) { s.recv(x, 0, 0); s.recv(x, 0, syscall.MSG_PEEK); s.recv(x, 9, 0) }},
	{"peek", func(s *script, x string) {
		s.recv(x, 3, syscall.MSG_PEEK)
		s.recv(x, 3, syscall.MSG_PEEK)
		s.recv(x, 9, syscall.MSG_PEEK|syscall.MSG_WAITALL)
		s.recv(x, 9, syscall.MSG_DONTWAIT)
	}},
	{"recv all", func(s *script, x string) { s.recv(x, 9, syscall.MSG_WAITALL); s.recv(x, 9, syscall.MSG_WAITALL) }},
	{"recv truncated", func(s *script, x string) { s.recv(x, 2, syscall.MSG_TRUNC|syscall.MSG_PEEK) }},
	{"recv urgent", func(s *script, x string) {
		s.recv(x, 1, syscall.MSG_OOB|syscall.MSG_PEEK)
		s.recv(x, 1, syscall.MSG_OOB)
		s.recv(x, 9, 0)
	}},
	{"send", func(s *script, x string) { s.send(x, "ab", 0); s.send(x, "c", 0); s.recv(x, 9, 0) }},
	{"send nothing", func(s *script, x string) { s.send(x, "", 0) }},
	{"sendto", func(s *script, x string) {
		s.do("sendto", opSendto, append(s.at("nobody"), 'x'), s.fds[x], 0)
	}},
	{"send urgent", func(s *script, x string) { s.send(x, "!", syscall.MSG_OOB) }},
	{"poll", func(s *script, x string) {
		s.poll(x, 0)
		s.do("poll for nothing "+x, opPoll, nil, s.fds[x], 0, 0)
		out := s.do("poll for writing "+x, opPoll, nil, s.fds[x], 4, 0)
		s.note("% x", out)
	}},
	{"ioctl", func(s *script, x string) {
		for _, r := range []int32{siocInq, siocAtMark, 0x8999} {
			s.ioctl(x, r)
		}
		// What the kernel says of a socket that is closed is left from before.
		_, _, info := s.call(opGetsockopt, nil, s.fds[x], solTCP, tcpInfo, 1)
		closed := bytes.Equal(info, []byte{stateClose})
		for _, r := range []int32{siocOutq, siocOutqNSD} {
			out := s.do("ioctl", opIoctl, nil, s.fds[x], r)
			s.note("%v", closed || bytes.Equal(out, int32s(0)))
		}
	}},
	{"names", func(s *script, x string) {
		s.do("getsockname", opGetsockname, nil, s.fds[x])
		s.do("getpeername", opGetpeername, nil, s.fds[x])
	}},
	{"error", func(s *script, x string) {
		s.get(x, solSocket, soError, 4)
		s.get(x, solSocket, soError, 4)
		s.poll(x, 0)
		s.recv(x, 9, 0)
		s.send(x, "x", 0)
	}},
	{"shutdown for reading", func(s *script, x string) { s.shutdown(x, 0); s.poll(x, 0); s.recv(x, 9, 0); s.shutdown(x, 0) }},
	{"shutdown for writing", func(s *script, x string) { s.shutdown(x, 1); s.poll(x, 0); s.send(x, "x", 0); s.shutdown(x, 1) }},
	{"shutdown", func(s *script, x string) {
		s.shutdown(x, 2)
		s.poll(x, 0)
		s.recv(x, 9, 0)
		s.send(x, "x", 0)
		s.shutdown(x, 2)
	}},
	{"shutdown of nothing", func(s *script, x string) { s.shutdown(x, 3); s.shutdown(x, -1) }},
	{"listen", func(s *script, x string) {
		s.listen(x, 0)
		s.poll(x, 0)
		s.listen(x, -1)
		s.get(x, solSocket, soAcceptConn, 4)
	}},
	{"accept", func(s *script, x string) {
		s.do("accept", opAccept, nil, s.fds[x])
		s.do("accept", opAccept, nil, s.fds[x])
	}},
	{"bind", func(s *script, x string) { s.bind(x, 0); s.bind(x, 0) }},
	{"info", func(s *script, x string) {
		for _, n := range []int32{0, 1, 6, 8, 104, 224} {
			out := s.do("info", opGetsockopt, nil, s.fds[x], solTCP, tcpInfo, n)
			s.note("%d octets", len(out))
			if len(out) >= 5 {
				s.note("state %d, recovery %d, retransmits %d, probes %d, backoff %d", out[0], out[1], out[2], out[3], out[4])
			}
			if len(out) >= 40 {
				s.note("unacked, sacked, lost, retrans: % x", out[24:40])
			}
		}
	}},
	{"flags", func(s *script, x string) {
		s.do("flags", opFcntl, nil, s.fds[x], fGetFL)
		s.do("flags", opFcntl, nil, s.fds[x], 999)
	}},
	{"options", func(s *script, x string) {
		for _, o := range [][2]int32{{solSocket, soType}, {solSocket, soProtocol}, {solSocket, soDomain}, {solSocket, soAcceptConn}, {solSocket, soReuseAddr},
			{solSocket, soKeepAlive}, {solSocket, soOOBInline}, {solSocket, soRcvLowat}, {solTCP, tcpNoDelay}, {solTCP, tcpCork}, {solTCP, tcpSynCnt},
			{solTCP, tcpLinger2}, {solTCP, tcpKeepCnt}, {solTCP, tcpUserTimeout}, {ipprotoIP, ipTTL}, {ipprotoIP, ipTOS}} {
			s.get(x, o[0], o[1], 4)
		}
		for _, o := range [][2]int32{{solSocket, soKeepAlive}, {solTCP, tcpNoDelay}, {solTCP, tcpCork}, {solTCP, tcpQuickAck}, {solTCP, tcpMaxSeg}, {solTCP, tcpSynCnt},
			{solTCP, tcpLinger2}, {solTCP, tcpUserTimeout}, {solTCP, tcpKeepIdle}, {solTCP, tcpKeepIntvl}, {solTCP, tcpKeepCnt}} {
			s.set(x, o[0], o[1], 100)
			s.do("get back", opGetsockopt, nil, s.fds[x], o[0], o[1], 4)
		}
	}},
	{"buffers", func(s *script, x string) {
		for _, o := range []int32{soSndBuf, soRcvBuf} {
			for _, v := range []int32{0, 1, 2304, 4608, 10000, 50000} {
				s.set(x, solSocket, o, v)
				s.get(x, solSocket, o, 4)
			}
			s.set(x, solSocket, o, -1) // the most that the host allows
		}
	}},
	{"close", func(s *script, x string) { s.close(x); s.close(x); s.recv(x, 1, 0); s.poll(x, 0) }},
	{"close with a reset", func(s *script, x string) { s.set(x, solSocket, soLinger, 1, 0); s.close(x) }},
	{"disconnect", func(s *script, x string) {
		s.disconnect(x)
		s.poll(x, 0)
		s.recv(x, 9, 0)
		s.send(x, "x", 0)
		s.disconnect(x)
	}},
	{"connect", func(s *script, x string) { // one that waits
		s.do("wait", opFcntl, nil, s.fds[x], fSetFL, 0)
		s.connect(x, "l")
		s.poll(x, 0)
		s.get(x, solSocket, soError, 4)
	}},
	{"connect to nobody", func(s *script, x string) {
		s.do("wait", opFcntl, nil, s.fds[x], fSetFL, 0)
		s.connect(x, "nobody")
		s.get(x, solSocket, soError, 4)
		s.connect(x, "l")
	}},
}

// everyCallInEveryState prepares all sockets first, so that what they send is
// waited for once.
func everyCallInEveryState(s *script) {
	s.open("nobody")
	s.bindTo("nobody")
	s.open("l")
	s.bindTo("l")
	s.must(opListen, "l", 1000)
	for _, state := range socketStates {
		for _, call := range socketCalls {
			name := state.name + ", " + call.name
			state.make(s, name, "y "+name)
			s.call(opFcntl, nil, s.fds[name], fSetFL, sockNonblock)
		}
	}
	time.Sleep(10 * settle)
	s.settle()
	for _, f := range s.after {
		f()
	}
	time.Sleep(10 * settle)
	s.settle()
	for _, state := range socketStates {
		for _, call := range socketCalls {
			name := state.name + ", " + call.name
			s.where, s.fds["x"] = name+": ", s.fds[name]
			call.call(s, "x")
		}
	}
}

var likeKernelStates = map[string]func(s *script){
	"every call in every state": everyCallInEveryState,
	"no such descriptor": func(s *script) {
		s.open("l")
		s.open("nobody")
		for _, s.fds["x"] = range []int32{900, -1, 1 << 30} {
			for _, c := range socketCalls {
				s.where = c.name + ": "
				c.call(s, "x")
			}
		}
	},
}
