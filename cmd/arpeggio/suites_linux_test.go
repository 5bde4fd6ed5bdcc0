package main

import (
	"bytes"
	bin "encoding/binary"
	"io"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	namespace "arpeggio/internal/netns"
)

// TestServeForSuites uses the test services and the socket agent as test suites
// do, with the kernel's own stack at the other end.
func TestServeForSuites(t *testing.T) {
	ns, exe, agent := netns(t), binary(t), filepath.Join(t.TempDir(), "agent")
	serve := append(ns, exe, "serve", "--tap", "tap0", "--host-ip", "10.9.0.1/24", "--ip", "10.9.0.2/24", "--probe", "never", "--inetd", "--socket-agent", agent)
	refused(t, "choose another --port or --manage", append(serve, "--manage", "13")...)
	p := spawn(t, serve...)
	p.expect(`^  tests +echo 7, `)

	// sock opens a socket of the namespace's kernel.
	sock := func(open func() error) {
		t.Helper()
		if err := (&namespace.Namespace{Name: ns[3]}).Do(open); err != nil {
			t.Fatal(err)
		}
	}
	dial := func(network, addr string) (c net.Conn) {
		t.Helper()
		sock(func() (err error) { c, err = net.DialTimeout(network, addr, testLimit); return err })
		t.Cleanup(func() { c.Close() })
		_ = c.SetDeadline(time.Now().Add(testLimit))
		return c
	}

	want := bytes.Repeat([]byte("arpeggio"), 1<<20)
	c := dial("tcp", "10.9.0.2:7").(*net.TCPConn)
	go func() {
		_, _ = c.Write(want)
		_ = c.CloseWrite()
	}()
	if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, want) {
		t.Errorf("echo: %d octets of %d, equal %v, %v", len(got), len(want), bytes.Equal(got, want), err)
	}
	if got, err := io.ReadAll(dial("tcp", "10.9.0.2:13")); err != nil || !strings.HasSuffix(string(got), "-UTC\r\n") {
		t.Errorf("daytime: %q, %v", got, err)
	}
	u := dial("udp", "10.9.0.2:7")
	_, _ = u.Write([]byte("hello"))
	buf := make([]byte, 100)
	if n, err := u.Read(buf); err != nil || string(buf[:n]) != "hello" {
		t.Errorf("UDP echo: %q, %v", buf[:n], err)
	}

	var ln net.Listener
	sock(func() (err error) { ln, err = net.Listen("tcp", "10.9.0.1:0"); return err })
	defer ln.Close()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	_, _ = dial("udp", "10.9.0.2:4000").Write([]byte("dial 10.9.0.1 " + port + "\n"))
	_ = ln.(*net.TCPListener).SetDeadline(time.Now().Add(testLimit))
	back, err := ln.Accept()
	if err != nil {
		t.Fatalf("the dial command brings no connection: %v", err)
	}
	defer back.Close()
	_ = back.SetDeadline(time.Now().Add(testLimit))
	_, _ = back.Write([]byte("ping"))
	if n, err := back.Read(buf); err != nil || string(buf[:n]) != "ping" {
		t.Errorf("the dialled connection echoes %q, %v", buf[:n], err)
	}

	a, err := net.Dial("unix", agent)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	call := func(op int32, data string, args ...int32) (ret, errno int32, out []byte) {
		t.Helper()
		var head struct {
			Op int32
			A  [5]int32
			N  int32
		}
		head.Op, head.N = op, int32(len(data))
		copy(head.A[:], args)
		b, err := bin.Append(nil, bin.LittleEndian, head)
		if err == nil {
			_, err = a.Write(append(b, data...))
		}
		var reply struct{ Ret, Errno, N int32 }
		if err == nil {
			err = bin.Read(a, bin.LittleEndian, &reply)
		}
		out = make([]byte, reply.N)
		if err == nil {
			_, err = io.ReadFull(a, out)
		}
		if err != nil {
			t.Fatal(err)
		}
		return reply.Ret, reply.Errno, out
	}
	fd, _, _ := call(1, "", syscall.AF_INET, syscall.SOCK_STREAM) // socket
	call(2, "\x0a\x09\x00\x02\x13\x88", fd)                       // bind to 10.9.0.2:5000
	if _, errno, _ := call(3, "", fd, 5); errno != 0 {            // listen
		t.Fatal(syscall.Errno(errno))
	}
	peer := dial("tcp", "10.9.0.2:5000")
	_, _ = peer.Write([]byte("by the agent"))
	conn, errno, _ := call(4, "", fd) // accept
	if errno != 0 {
		t.Fatal(syscall.Errno(errno))
	}
	if n, _, got := call(6, "", conn, 100); string(got) != "by the agent" || n != 12 { // recv
		t.Errorf("%d octets, %q", n, got)
	}
}
