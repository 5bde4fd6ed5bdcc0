package socketagent

import (
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// With the cookie of an earlier connection a request goes in the SYN: by
// sendto with MSG_FASTOPEN, and by connect and send.
func TestFastOpen(t *testing.T) { synctest.Test(t, fastOpen) }

func fastOpen(t *testing.T) {
	_, dial := newAgent(t)
	s := &script{caller: dial(), self: ourAddr, fds: map[string]int32{}}
	s.socket("l", syscall.SOCK_STREAM)
	s.bind("l", 7)
	s.set("l", solTCP, tcpFastOpen, 5)
	s.listen("l", 5)
	sendto := func(name string) (int32, syscall.Errno) {
		ret, errno, _ := s.call(opSendto, append(s.at(7), "request"...), s.fds[name], msgFastOpen)
		return ret, errno
	}
	check := func(name string, inSyn bool) {
		t.Helper()
		s.accept("l", "b")
		for fd, want := range map[string]string{"b": "request"} {
			if _, errno, out := s.call(opRecv, nil, s.fds[fd], int32(len(want)), 0); errno != 0 || string(out) != want {
				t.Fatalf("%s: %q, %v", name, out, errno)
			}
		}
		for _, fd := range []string{"b", name} {
			_, _, info := s.call(opGetsockopt, nil, s.fds[fd], solTCP, tcpInfo, 280)
			if got := info[5]&infoSynData != 0; got != inSyn {
				t.Errorf("%s: text in the SYN at %s: %v", name, fd, got)
			}
			s.close(fd)
		}
	}

	s.socket("asking", syscall.SOCK_STREAM)
	s.nonblock("asking")
	n, errno := sendto("asking") // the handshake may be over at once
	if errno != 0 && errno != syscall.EINPROGRESS {
		t.Fatalf("without a cookie: %v", errno)
	}
	time.Sleep(settle)
	if n <= 0 {
		if n, errno := sendto("asking"); n != 7 || errno != 0 {
			t.Fatalf("when it is connected: %d, %v", n, errno)
		}
	}
	if _, errno := sendto("asking"); errno != syscall.EISCONN {
		t.Fatalf("once more: %v", errno)
	}
	check("asking", false)

	s.socket("sendto", syscall.SOCK_STREAM)
	if n, errno := sendto("sendto"); n != 7 || errno != 0 {
		t.Fatal(n, errno)
	}
	check("sendto", true)

	s.socket("connect", syscall.SOCK_STREAM)
	s.nonblock("connect")
	s.set("connect", solTCP, tcpFastOpenConnect, 1)
	if _, errno, _ := s.call(opConnect, s.at(7), s.fds["connect"]); errno != 0 {
		t.Fatalf("with a cookie connect waits for text: %v", errno)
	}
	if _, errno, _ := s.call(opRecv, nil, s.fds["connect"], 10, 0); errno != syscall.EAGAIN {
		t.Fatal(errno)
	}
	long := append([]byte("request"), make([]byte, 1<<17)...)
	if n, errno, _ := s.call(opSend, long, s.fds["connect"], 0); n != 65535-40-40 || errno != 0 {
		t.Fatal(n, errno)
	}
	check("connect", true)

	s.socket("empty", syscall.SOCK_STREAM)
	if n, errno, _ := s.call(opSendto, s.at(7), s.fds["empty"], msgFastOpen); n != 0 || errno != 0 {
		t.Fatalf("without text: %d, %v", n, errno)
	}
	s.send("empty", "request", 0)
	check("empty", false)

	s.socket("refused", syscall.SOCK_STREAM)
	if _, errno, _ := s.call(opSendto, append(s.at(8), "request"...), s.fds["refused"], msgFastOpen); errno != syscall.ECONNREFUSED {
		t.Fatalf("nobody listens: %v", errno)
	}
	s.socket("nobody", syscall.SOCK_STREAM)
	if _, errno, _ := s.call(opSend, []byte("x"), s.fds["nobody"], msgFastOpen); errno != syscall.EINVAL {
		t.Fatalf("without an address: %v", errno)
	}
	if _, errno := sendto("l"); errno != syscall.EPIPE {
		t.Fatalf("on a listener: %v", errno)
	}
}
