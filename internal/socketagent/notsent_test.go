package socketagent

import (
	"encoding/binary"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// With TCP_NOTSENT_LOWAT a write leaves at most one super-segment behind the
// peer's closed window, although the send buffer has room for more; poll waits
// until half of the low-water mark is left.
func TestNotSentLowWater(t *testing.T) { synctest.Test(t, notSentLowWater) }

func notSentLowWater(t *testing.T) {
	_, dial := newAgent(t)
	s := &script{caller: dial(), self: ourAddr, fds: map[string]int32{}}
	s.socket("l", syscall.SOCK_STREAM)
	s.bind("l", 0)
	s.set("l", solSocket, soRcvBuf, 16<<10)
	s.listen("l", 5)
	s.pairTo("l")
	s.nonblock("a")
	const low, buffer = 4000, 2 << 20
	s.set("a", solSocket, soSndBuf, buffer/2)
	s.set("a", solTCP, tcpNotsentLow, low)
	unsent := func() int {
		_, _, b := s.call(opGetsockopt, nil, s.fds["a"], solTCP, tcpInfo, 280)
		return int(binary.LittleEndian.Uint32(b[144:]))
	}
	writable := func() bool {
		_, _, b := s.call(opPoll, nil, s.fds["a"], pollOut, 0)
		return binary.LittleEndian.Uint32(b)&pollOut != 0
	}
	if !writable() {
		t.Fatal("not writable at first")
	}
	total := 0
	for {
		n, errno, _ := s.call(opSend, make([]byte, 1<<18), s.fds["a"], 0)
		if errno == syscall.EAGAIN {
			break
		}
		if errno != 0 || total > buffer {
			t.Fatalf("%d octets taken, %v", total, errno)
		}
		total += int(n)
		time.Sleep(settle)
	}
	if n := unsent(); n < low || n > low+maxSuperSegment || writable() {
		t.Errorf("%d octets wait, writable: %v", n, writable())
	}
	for got, deadline := 0, time.Now().Add(10*time.Second); got < total; {
		n, errno, _ := s.call(opRecv, nil, s.fds["b"], 4096, syscall.MSG_DONTWAIT)
		if errno != 0 && errno != syscall.EAGAIN || time.Now().After(deadline) {
			t.Fatalf("%d octets of %d read, %v", got, total, errno)
		}
		time.Sleep(time.Millisecond)
		if got += int(max(n, 0)); writable() && 2*unsent() >= low { // it does not grow meanwhile
			t.Fatalf("writable with %d octets waiting", unsent())
		}
	}
	if !writable() || unsent() != 0 {
		t.Errorf("%d octets wait, writable: %v", unsent(), writable())
	}
}
