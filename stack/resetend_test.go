package stack_test

import (
	"errors"
	"syscall"
	"testing"
	"testing/synctest"

	"arpeggio/stack"
	"arpeggio/stack/ipv4"
	"arpeggio/stack/tcp"
)

// A reset that follows the peer's FIN is EPIPE for those who would go on sending,
// and ECONNRESET when all was sent, as in Linux.
func TestResetAfterTheEnd(t *testing.T) {
	for _, tc := range []struct {
		name string
		done bool
		want syscall.Errno
	}{{"CLOSE-WAIT", false, syscall.EPIPE}, {"LAST-ACK", true, syscall.ECONNRESET}} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRaw(t, stack.Config{})
				defer r.close()
				ln, err := r.stacks[0].Listen("tcp", ":80")
				if err != nil {
					t.Fatal(err)
				}
				defer ln.Close()
				seg := tcp.Segment{SrcPort: 1000, DstPort: 80, Seq: 100, Flags: tcp.SYN, Window: 1000}
				r.segment(&seg, "")
				for _, p := range r.got() {
					if a, err := tcp.ParseSegment(p.body); p.h.Proto == ipv4.ProtoTCP && err == nil {
						seg.Ack = a.Seq.Add(1)
					}
				}
				seg.Seq, seg.Flags = 101, tcp.ACK|tcp.FIN
				r.segment(&seg, "")
				conn, err := ln.Accept()
				if err != nil {
					t.Fatal(err)
				}
				c := conn.(*stack.TCPConn)
				defer c.Close()
				if tc.done {
					if err := c.CloseWrite(); err != nil {
						t.Fatal(err)
					}
				}
				seg.Seq, seg.Flags = 102, tcp.RST
				r.segment(&seg, "")
				r.got()
				if err := c.Ready().Err; err != tc.want {
					t.Errorf("Ready: %v, want %v", err, tc.want)
				}
				if _, err := c.Write([]byte("x")); !errors.Is(err, tc.want) {
					t.Errorf("Write: %v, want %v", err, tc.want)
				}
			})
		})
	}
}
