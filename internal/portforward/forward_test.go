package portforward

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits, on a busy machine, for what must come.
const patience = time.Minute

// start forwards a loopback port to dial and returns its address and a function
// that ends it and waits.
func start(t *testing.T, dial func(context.Context) (net.Conn, error)) (addr string, end func()) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		Serve(ctx, ln, dial, slog.New(slog.DiscardHandler))
	}()
	end = func() {
		cancel()
		select {
		case <-done:
		case <-time.After(patience):
			t.Error("Serve does not return when its context ends")
		}
	}
	t.Cleanup(end)
	return ln.Addr().String(), end
}

// echo is a server that answers after the caller's half-close, so that it only
// works when half-closes travel in both directions.
func echo(t *testing.T) func(context.Context) (net.Conn, error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				b, _ := io.ReadAll(c)
				c.Write(b)
			}()
		}
	}()
	return func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", ln.Addr().String())
	}
}

func TestHalfCloseTravels(t *testing.T) {
	addr, _ := start(t, echo(t))
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	io.WriteString(c, "hello")
	c.(*net.TCPConn).CloseWrite()
	if b, err := io.ReadAll(c); err != nil || string(b) != "hello" {
		t.Errorf("read %q, %v", b, err)
	}
}

func TestFailedDialIsAReset(t *testing.T) {
	addr, _ := start(t, func(context.Context) (net.Conn, error) { return nil, errors.New("no route") })
	c, err := net.Dial("tcp", addr)
	if err == nil { // else the reset was faster than connect(2)
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		_, err = c.Read(make([]byte, 1))
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("after a failed dial: %v, want a reset", err)
	}
}

func TestEndClosesIdleConnections(t *testing.T) {
	dial, dialled := echo(t), make(chan struct{})
	addr, end := start(t, func(ctx context.Context) (net.Conn, error) {
		defer close(dialled)
		return dial(ctx)
	})
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	<-dialled // it is being copied now
	end()
	if _, err := io.ReadAll(c); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("an idle connection outlives Serve")
	}
}
