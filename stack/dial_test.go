package stack_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/vnet"
)

func lanTest(t *testing.T, name string, n int, pc vnet.PortConfig, f func(t *testing.T, l *lan)) {
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := newLAN(t, n, pc)
			defer l.close()
			f(t, l)
		})
	})
}

// wantErrno checks the error's shape: what programs written for package net
// look at.
func wantErrno(t *testing.T, err error, op string, errno error) {
	t.Helper()
	var oe *net.OpError
	if !errors.As(err, &oe) || oe.Op != op || !errors.Is(err, errno) {
		t.Errorf("got %T %v, want a *net.OpError of %s with %v", err, err, op, errno)
	}
}

//rfc:9293 MUST-46
//rfc:1122 own-source
func TestDialErrors(t *testing.T) {
	lanTest(t, "refused", 2, vnet.PortConfig{}, func(t *testing.T, l *lan) {
		_, err := l.stacks[0].Dial("tcp", "10.0.0.2:81")
		wantErrno(t, err, "dial", syscall.ECONNREFUSED)
	})
	lanTest(t, "no neighbour", 2, vnet.PortConfig{}, func(t *testing.T, l *lan) {
		start := time.Now()
		_, err := l.stacks[0].Dial("tcp", "10.0.0.50:80")
		wantErrno(t, err, "dial", syscall.EHOSTUNREACH)
		if d := time.Since(start); d > time.Second {
			t.Errorf("it took %v to say so", d)
		}
		if st := l.stacks[0].Stats(); st.Pending.Failed != 1 {
			t.Errorf("%+v", st)
		}
	})
	lanTest(t, "no route", 1, vnet.PortConfig{}, func(t *testing.T, l *lan) {
		_, err := l.stacks[0].Dial("tcp", "192.0.2.1:80")
		wantErrno(t, err, "dial", syscall.ENETUNREACH)
	})
	lanTest(t, "broadcast", 1, vnet.PortConfig{}, func(t *testing.T, l *lan) {
		for _, a := range []string{"10.0.0.255:80", "255.255.255.255:80", "224.0.0.1:80"} {
			_, err := l.stacks[0].Dial("tcp", a)
			wantErrno(t, err, "dial", syscall.ENETUNREACH)
		}
	})
	lanTest(t, "silent peer", 2, vnet.PortConfig{Egress: vnet.Impairment{Loss: 1}}, func(t *testing.T, l *lan) {
		start := time.Now()
		_, err := l.stacks[0].Dial("tcp", "10.0.0.2:80")
		wantErrno(t, err, "dial", syscall.ETIMEDOUT)
		if !os.IsTimeout(err) {
			t.Error("not a timeout")
		}
		if d := time.Since(start); d < 3*time.Minute || d > 5*time.Minute { // RFC 9293 §3.8.3 (MUST-23)
			t.Errorf("gave up after %v", d)
		}
	})
	lanTest(t, "context", 2, vnet.PortConfig{Egress: vnet.Impairment{Loss: 1}}, func(t *testing.T, l *lan) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := l.stacks[0].DialContext(ctx, "tcp", "10.0.0.2:80")
		wantErrno(t, err, "dial", os.ErrDeadlineExceeded)
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err = l.stacks[0].DialContext(ctx, "tcp", "10.0.0.2:80")
		wantErrno(t, err, "dial", context.Canceled)
		begin := time.Now()
		_, err = l.stacks[0].DialTimeout("tcp", "10.0.0.2:80", 3*time.Second)
		wantErrno(t, err, "dial", context.DeadlineExceeded)
		if d := time.Since(begin); d != 3*time.Second || !os.IsTimeout(err) {
			t.Errorf("%v after %v", err, d)
		}
		if n := len(l.stacks[0].Conns()); n != 0 {
			t.Errorf("%d connections left behind", n)
		}
	})
	lanTest(t, "kinds of addresses", 1, vnet.PortConfig{}, func(t *testing.T, l *lan) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		s := l.stacks[0]
		_, udp := s.DialContext(ctx, "udp4", "10.0.0.2:80")
		_, tcp := s.DialContext(ctx, "tcp4", "10.0.0.2:80")
		_, listen := s.Listen("udp", "10.0.0.1:80")
		_, packet := s.ListenPacket("tcp", "10.0.0.1:80")
		for _, c := range []struct {
			err  error
			want net.Addr
		}{{udp, &net.UDPAddr{}}, {tcp, &net.TCPAddr{}}, {listen, &net.UDPAddr{}}, {packet, &net.TCPAddr{}}} {
			var oe *net.OpError
			if !errors.As(c.err, &oe) || reflect.TypeOf(oe.Addr) != reflect.TypeOf(c.want) {
				t.Errorf("%v: %T, want %T", c.err, oe.Addr, c.want)
			}
		}
	})
	lanTest(t, "addresses", 2, vnet.PortConfig{}, func(t *testing.T, l *lan) {
		s := l.stacks[0]
		for _, a := range []string{"nonsense", "10.0.0.2", "10.0.0.2:x", "10.0.0.2:65536", "example.com:80", "[::1]:80"} {
			if _, err := s.Dial("tcp", a); err == nil || !strings.Contains(err.Error(), "dial tcp") {
				t.Errorf("%q: %v", a, err)
			}
		}
		var unknown net.UnknownNetworkError
		if _, err := s.Dial("tcp6", "10.0.0.2:80"); !errors.As(err, &unknown) {
			t.Errorf("%v", err)
		}
		_, err := s.DialTCP(t.Context(), addrPort(7, 0), addrPort(2, 80))
		wantErrno(t, err, "dial", syscall.EADDRNOTAVAIL)
	})
}

func TestListenErrors(t *testing.T) {
	lanTest(t, "in use", 2, vnet.PortConfig{}, func(t *testing.T, l *lan) {
		s := l.stacks[0]
		ln, err := s.Listen("tcp", "10.0.0.1:80")
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range []string{":80", "10.0.0.1:80", "0.0.0.0:80"} {
			_, err := s.Listen("tcp", a)
			wantErrno(t, err, "listen", syscall.EADDRINUSE)
		}
		_, err = s.Listen("tcp", "10.0.0.2:80")
		wantErrno(t, err, "listen", syscall.EADDRNOTAVAIL)
		if err := ln.Close(); err != nil {
			t.Error(err)
		}
		if !errors.Is(ln.Close(), net.ErrClosed) {
			t.Error("closed twice without an error")
		}
		if ln, err = s.Listen("tcp", ":80"); err != nil {
			t.Fatal(err)
		}
		go func() { time.Sleep(time.Second); ln.Close() }()
		_, err = ln.Accept()
		wantErrno(t, err, "accept", net.ErrClosed)
	})
	lanTest(t, "deadline", 1, vnet.PortConfig{}, func(t *testing.T, l *lan) {
		ln, err := l.stacks[0].ListenTCP(netip.AddrPort{})
		if err != nil {
			t.Fatal(err)
		}
		ln.SetDeadline(time.Now().Add(time.Minute))
		start := time.Now()
		_, err = ln.Accept()
		wantErrno(t, err, "accept", os.ErrDeadlineExceeded)
		if d := time.Since(start); d != time.Minute {
			t.Errorf("after %v", d)
		}
	})
	lanTest(t, "backlog", 2, vnet.PortConfig{}, func(t *testing.T, l *lan) {
		ln, err := (&stack.ListenConfig{Backlog: 3}).Listen(l.stacks[1], "tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		opened := 0
		for range 5 {
			if _, err := l.stacks[0].DialContext(ctx, "tcp", "10.0.0.2:80"); err == nil {
				opened++
			}
		}
		if st := l.stacks[1].Stats(); opened != 3 || st.TCP.BacklogFull == 0 {
			t.Errorf("%d connections opened, %d refused for the backlog", opened, st.TCP.BacklogFull)
		}
		ln.Close() // resets those that nobody accepted
		synctest.Wait()
		for _, c := range l.stacks[0].Conns() {
			t.Errorf("%v is still %v", c.Local, c.State)
		}
	})
}

// A thousand clients at once are no flood: none is turned away or forgotten.
func TestBurstOfConnections(t *testing.T) {
	slow := vnet.PortConfig{Ingress: vnet.Impairment{Delay: 5 * time.Millisecond}}
	lanTest(t, "1000", 2, slow, func(t *testing.T, l *lan) {
		ln, err := l.stacks[1].Listen("tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				go func() { io.Copy(c, c); c.Close() }()
			}
		}()
		errs := make(chan error, 1000)
		for range cap(errs) {
			go func() {
				c, err := l.stacks[0].Dial("tcp", "10.0.0.2:80")
				if err == nil {
					_, err = c.Write([]byte("hello"))
				}
				if err == nil {
					_, err = io.ReadFull(c, make([]byte, 5))
				}
				if err == nil {
					err = c.Close()
				}
				errs <- err
			}()
		}
		for range cap(errs) {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		if st := l.stacks[1].Stats(); st.TCP.BacklogFull != 0 {
			t.Errorf("%d times no room in the backlog", st.TCP.BacklogFull)
		}
		ln.Close()
	})
}

func TestConnErrors(t *testing.T) {
	lanTest(t, "reset", 2, vnet.PortConfig{}, func(t *testing.T, l *lan) {
		c, s := l.connect()
		s.SetLinger(0)
		s.Close()
		_, err := c.Read(make([]byte, 1))
		wantErrno(t, err, "read", syscall.ECONNRESET)
		_, err = c.Write(make([]byte, 1))
		if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
			t.Errorf("write: %v", err)
		}
	})
	lanTest(t, "pipe", 2, vnet.PortConfig{}, func(t *testing.T, l *lan) {
		c, _ := l.connect()
		c.CloseWrite()
		_, err := c.Write([]byte("x"))
		wantErrno(t, err, "write", syscall.EPIPE)
	})
	lanTest(t, "unread data reset", 2, vnet.PortConfig{}, func(t *testing.T, l *lan) {
		c, s := l.connect()
		c.Write([]byte("never read"))
		synctest.Wait()
		s.Close()
		_, err := c.Read(make([]byte, 1))
		wantErrno(t, err, "read", syscall.ECONNRESET)
	})
	lanTest(t, "half close", 2, vnet.PortConfig{}, func(t *testing.T, l *lan) {
		c, s := l.connect()
		c.CloseWrite()
		if _, err := s.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("%v, want EOF itself", err)
		}
		if _, err := s.Write([]byte("late")); err != nil {
			t.Error(err)
		}
		s.Close()
		if b, err := io.ReadAll(c); string(b) != "late" || err != nil {
			t.Errorf("%q, %v", b, err)
		}
	})
	lanTest(t, "peer vanishes", 2, vnet.PortConfig{}, func(t *testing.T, l *lan) {
		c, _ := l.connect()
		l.ports[1].SetImpairment(vnet.Egress, vnet.Impairment{Loss: 1})
		c.SetUserTimeout(30 * time.Second)
		c.Write([]byte("anybody there?"))
		start := time.Now()
		_, err := c.Read(make([]byte, 1))
		wantErrno(t, err, "read", syscall.ETIMEDOUT)
		if d := time.Since(start); d < 29*time.Second || d > time.Minute {
			t.Errorf("after %v", d)
		}
	})
	lanTest(t, "keep-alive", 2, vnet.PortConfig{}, func(t *testing.T, l *lan) {
		c, _ := l.connect()
		c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: time.Second, Count: 4})
		l.ports[1].SetImpairment(vnet.Egress, vnet.Impairment{Loss: 1})
		start := time.Now()
		_, err := c.Read(make([]byte, 1))
		wantErrno(t, err, "read", syscall.ETIMEDOUT)
		if d := time.Since(start); d < 13*time.Second || d > 20*time.Second {
			t.Errorf("after %v", d)
		}
	})
	lanTest(t, "slow reader never blocks for ever", 2, vnet.PortConfig{}, func(t *testing.T, l *lan) {
		c, s := l.connect()
		go func() {
			io.Copy(c, stream(1, 8<<20))
			c.Close()
		}()
		buf, total := make([]byte, 128<<10), 0
		for {
			n, err := s.Read(buf)
			if total += n; err != nil {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		if total != 8<<20 {
			t.Errorf("%d octets", total)
		}
	})
}
