package socketagent

import (
	"encoding/binary"
	"syscall"
	"testing"
)

// The layout of struct tcp_info is Linux 6.18's, to its end, and a shorter
// buffer gets its front.
func TestTCPInfoLayout(t *testing.T) {
	_, dial := newAgent(t)
	s := &script{caller: dial(), self: ourAddr, fds: map[string]int32{}}
	s.pair()
	const loopMSS = 65535 - 40 // a stack's packets to itself have no MTU
	s.send("a", "12345", 0)
	_, _, b := s.call(opGetsockopt, nil, s.fds["a"], solTCP, tcpInfo, 4096)
	if len(b) != 280 {
		t.Fatalf("%d octets", len(b))
	}
	for _, f := range []struct {
		name string
		at   int
		want uint32
	}{{"snd_mss", 16, loopMSS - 12}, {"advmss", 84, loopMSS}, {"segs_out", 136, 3}, {"data_segs_out", 156, 1}} {
		if got := binary.LittleEndian.Uint32(b[f.at:]); got != f.want {
			t.Errorf("%s is %d, want %d", f.name, got, f.want)
		}
	}
	if sent := binary.LittleEndian.Uint64(b[200:]); sent != 5 {
		t.Errorf("bytes_sent is %d", sent)
	}
	if wnd := binary.LittleEndian.Uint32(b[232:]); wnd == 0 {
		t.Error("no rcv_wnd")
	}
	_, errno, b := s.call(opGetsockopt, nil, s.fds["a"], syscall.IPPROTO_TCP, tcpInfo, 104)
	if errno != 0 || len(b) != 104 {
		t.Errorf("%d octets, %v", len(b), errno)
	}
}
