//go:build linux

package stack_test

import (
	"io"
	"net"
	"testing"
	"time"

	"arpeggio/stack"
)

// The kernel opens a connection through a cookie while another one of its, which
// never hears our answer, fills the backlog (RFC 4987).
func TestKernelCookie(t *testing.T) {
	needTools(t, "nft")
	s, ns, _ := onTAP(t, true, false)
	filter(t, ns, "table ip deaf {\nchain c {\ntype filter hook input priority 0;\ntcp dport 5555 drop\n}\n}\n")
	ln, err := (&stack.ListenConfig{Backlog: 1}).Listen(s, "tcp", ":7000")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	dial := func(port int, limit time.Duration) (net.Conn, error) {
		return (&net.Dialer{Timeout: limit, LocalAddr: &net.TCPAddr{Port: port}}).Dial("tcp", "10.9.0.2:7000")
	}
	inside(t, ns, func() (any, error) {
		if c, err := dial(5555, 200*time.Millisecond); err == nil {
			t.Errorf("%v hears although it is deaf", c)
		}
		return nil, nil
	})
	c := inside(t, ns, func() (net.Conn, error) { return dial(0, time.Minute) })
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	ours, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	go func() { _, _ = io.Copy(ours, ours) }()
	buf := make([]byte, 5)
	if _, err := io.ReadFull(c, buf); err != nil || string(buf) != "hello" {
		t.Fatalf("%q, %v", buf, err)
	}
	i, st := ours.(*stack.TCPConn).Info(), s.Stats()
	if st.TCP.CookiesUsed != 1 || !i.SACK || !i.Timestamps || i.SndScale == 0 || i.SndMSS != 1448 {
		t.Errorf("%+v, %d cookies used", i, st.TCP.CookiesUsed)
	}
}
