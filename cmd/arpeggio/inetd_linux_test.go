package main

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	namespace "arpeggio/internal/netns"
)

// TestServeInetd uses the test services from the kernel's own stack.
func TestServeInetd(t *testing.T) {
	ns, bin := netns(t), binary(t)
	serve := append(ns, bin, "serve", "--tap", "tap0", "--host-ip", "10.9.0.1/24", "--ip", "10.9.0.2/24", "--inetd")
	refused(t, "choose another --port or --manage", append(serve, "--manage", "13")...)
	p := spawn(t, serve...)
	p.expect(30*time.Second, `^  tests +echo 7, `)

	// sock opens a socket of the namespace's kernel.
	sock := func(open func() error) {
		t.Helper()
		if err := (&namespace.Namespace{Name: ns[3]}).Do(open); err != nil {
			t.Fatal(err)
		}
	}
	dial := func(network, addr string) (c net.Conn) {
		t.Helper()
		sock(func() (err error) { c, err = net.DialTimeout(network, addr, 10*time.Second); return err })
		t.Cleanup(func() { c.Close() })
		_ = c.SetDeadline(time.Now().Add(time.Minute))
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
	_ = ln.(*net.TCPListener).SetDeadline(time.Now().Add(10 * time.Second))
	back, err := ln.Accept()
	if err != nil {
		t.Fatalf("the dial command brings no connection: %v", err)
	}
	defer back.Close()
	_ = back.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = back.Write([]byte("ping"))
	if n, err := back.Read(buf); err != nil || string(buf[:n]) != "ping" {
		t.Errorf("the dialled connection echoes %q, %v", buf[:n], err)
	}
}
