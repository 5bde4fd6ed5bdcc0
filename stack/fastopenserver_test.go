package stack_test

import (
	"io"
	"testing"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/tcp"
	"arpeggio/stack/vnet"
)

// On a network where nobody forges addresses both ends may do without cookies:
// the first connection saves its round trip already.
func TestFastOpenNoCookie(t *testing.T) {
	pc := vnet.PortConfig{Ingress: vnet.Impairment{Delay: 10 * time.Millisecond}}
	lanTest(t, "", 2, pc, func(t *testing.T, l *lan) {
		ln := l.fastServer(10)
		defer ln.Close()
		ask := func(want time.Duration) {
			t.Helper()
			start := time.Now()
			c, err := (&stack.Dialer{FastOpen: true, FastOpenNoCookie: true}).DialTCP(t.Context(), l.stacks[0], addrPort(2, 80))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := io.WriteString(c, "hello"); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(c, make([]byte, 6)); err != nil || time.Since(start) != want {
				t.Errorf("%v, %v; want %v", time.Since(start), err, want)
			}
		}
		ask(40 * time.Millisecond) // the server wants one
		ln.SetFastOpenNoCookie(true)
		ask(20 * time.Millisecond)
		ask(20 * time.Millisecond)
		if st := l.stacks[1].Stats().TCP; st.FastOpenPassive != 2 || st.FastOpenCookieReqd != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// Servers with the same keys take each other's cookies, also of the key before.
func TestFastOpenSharedKeys(t *testing.T) {
	pc := vnet.PortConfig{Ingress: vnet.Impairment{Delay: 10 * time.Millisecond}}
	lanTest(t, "", 2, pc, func(t *testing.T, l *lan) {
		first := tcp.FastOpenKey{1}
		serve := func(keys ...tcp.FastOpenKey) *stack.TCPListener {
			ln := l.fastServer(10)
			ln.SetFastOpenKeys(keys...)
			return ln
		}
		ln := serve(first)
		l.asks(40 * time.Millisecond)
		ln.Close()
		ln = serve(first)
		l.asks(20 * time.Millisecond)
		ln.SetFastOpenKeys(tcp.FastOpenKey{2}, first)
		l.asks(20 * time.Millisecond)
		ln.SetFastOpenKeys(tcp.FastOpenKey{2})
		l.asks(20 * time.Millisecond) // with the cookie that came with the last answer
		ln.SetFastOpenKeys(tcp.FastOpenKey{3})
		l.asks(40 * time.Millisecond)
		ln.Close()
	})
}

// A peer that has shown its cookie is accepted before its handshake is over, and
// hears from a server that speaks first a round trip earlier.
func TestFastOpenServerSpeaksFirst(t *testing.T) {
	pc := vnet.PortConfig{Ingress: vnet.Impairment{Delay: 10 * time.Millisecond}}
	lanTest(t, "", 2, pc, func(t *testing.T, l *lan) {
		ln, err := (&stack.ListenConfig{FastOpen: 10}).Listen(l.stacks[1], "tcp", ":25")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		go func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				io.WriteString(c, "hello")
				c.Close()
			}
		}()
		for _, want := range []time.Duration{40 * time.Millisecond, 20 * time.Millisecond} {
			start := time.Now()
			c, err := (&stack.Dialer{FastOpen: true}).DialTCP(t.Context(), l.stacks[0], addrPort(2, 25))
			if err != nil {
				t.Fatal(err)
			}
			b := make([]byte, 5)
			if _, err := io.ReadFull(c, b); string(b) != "hello" || err != nil || time.Since(start) != want {
				t.Errorf("%q, %v after %v, want %v", b, err, time.Since(start), want)
			}
			c.Close()
		}
	})
}
