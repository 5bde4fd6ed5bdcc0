//go:build linux

package stack_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"arpeggio/stack"
)

// Options of Linux that package syscall does not have.
const (
	linuxFastOpen        = 23 // TCP_FASTOPEN
	linuxFastOpenConnect = 30 // TCP_FASTOPEN_CONNECT
)

// control sets an option of a kernel socket.
func control(option, value int) func(_, _ string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) (err error) {
		if e := c.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, option, value) }); e != nil {
			return e
		}
		return err
	}
}

// echoes answers on ln until it is closed.
func echoes(ln net.Listener) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			_, _ = io.Copy(c, c)
			c.Close()
		}()
	}
}

// asked sends a line over each of n connections and reads it back.
func asked(t *testing.T, n int, dial func() (net.Conn, error)) {
	t.Helper()
	for range n {
		c, err := dial()
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		if _, err := io.WriteString(c, "hello"); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 5)
		if _, err := io.ReadFull(c, b); err != nil || string(b) != "hello" {
			t.Fatalf("%q, %v", b, err)
		}
		c.Close()
	}
}

// Fast Open with the kernel, in both roles: the first connection brings the
// cookie, the SYNs of the others carry text (RFC 7413). Where a busy machine leaves
// a SYN unanswered until it is sent again, either side takes the path for one that
// drops such SYNs, and does without for a while: then once more.
func TestKernelFastOpen(t *testing.T) {
	needTools(t, "sysctl", "nstat")
	for n := range 4 {
		again := false
		t.Run(fmt.Sprint("attempt ", n+1), func(t *testing.T) { again = kernelFastOpen(t, n < 3) })
		if !again {
			return
		}
	}
}

// kernelFastOpen reports whether a SYN with text was lost to time, which is no error
// when the caller may try again.
func kernelFastOpen(t *testing.T, mayRetry bool) (again bool) {
	s, ns, _ := onTAP(t, true, false)
	in(t, ns, "sysctl", "-qw", "net.ipv4.tcp_fastopen=3")
	counted := func(name, want string) {
		t.Helper()
		if out := in(t, ns, "nstat", "-asz", name); !strings.Contains(out, name+strings.Repeat(" ", 32-len(name))+want+" ") {
			t.Errorf("want %s %s\n%s", name, want, out)
		}
	}

	ln := inside(t, ns, func() (net.Listener, error) {
		return (&net.ListenConfig{Control: control(linuxFastOpen, 10)}).Listen(context.Background(), "tcp4", "10.9.0.1:8000")
	})
	defer ln.Close()
	go echoes(ln)
	asked(t, 4, func() (net.Conn, error) {
		return (&stack.Dialer{FastOpen: true}).DialTCP(t.Context(), s, netip.MustParseAddrPort("10.9.0.1:8000"))
	})
	st := s.Stats()
	if mayRetry && st.TCP.FastOpenBlackhole > 0 {
		return true
	}
	if st.TCP.FastOpenActive != 3 || st.TCP.FastOpenActiveFail != 0 {
		t.Errorf("%+v", st)
	}
	counted("TcpExtTCPFastOpenPassive", "3")

	ours, err := (&stack.ListenConfig{FastOpen: 10}).Listen(s, "tcp", ":8001")
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	go echoes(ours)
	asked(t, 4, func() (net.Conn, error) {
		return inside(t, ns, func() (net.Conn, error) {
			return (&net.Dialer{Control: control(linuxFastOpenConnect, 1)}).Dial("tcp4", "10.9.0.2:8001")
		}), nil
	})
	if mayRetry && !strings.Contains(in(t, ns, "nstat", "-asz", "TcpExtTCPFastOpenActiveFail"), "TcpExtTCPFastOpenActiveFail     0 ") {
		return true
	}
	if st := s.Stats(); st.TCP.FastOpenPassive != 3 || st.TCP.FastOpenCookieReqd != 1 {
		t.Errorf("%+v", st)
	}
	counted("TcpExtTCPFastOpenActive", "3")
	return false
}
