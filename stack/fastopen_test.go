package stack_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/checksum"
	"arpeggio/stack/ipv4"
	"arpeggio/stack/tcp"
	"arpeggio/stack/vnet"
)

// fastServer answers each request of five octets on 10.0.0.2:80 with "answer".
func (l *lan) fastServer(pending int) *stack.TCPListener {
	l.t.Helper()
	ln, err := (&stack.ListenConfig{FastOpen: pending}).Listen(l.stacks[1], "tcp", ":80")
	if err != nil {
		l.t.Fatal(err)
	}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, err := io.ReadFull(c, make([]byte, 5)); err == nil {
					io.WriteString(c, "answer")
				}
			}()
		}
	}()
	return ln.(*stack.TCPListener)
}

// ask opens a connection with Fast Open, asks, and returns how long that took.
func (l *lan) ask() (time.Duration, error) {
	start := time.Now()
	c, err := (&stack.Dialer{FastOpen: true}).DialTCP(l.t.Context(), l.stacks[0], addrPort(2, 80))
	if err != nil {
		return 0, err
	}
	defer c.Close()
	c.SetDeadline(start.Add(20 * time.Second))
	if _, err := io.WriteString(c, "hello"); err != nil {
		return 0, err
	}
	b := make([]byte, 6)
	if _, err := io.ReadFull(c, b); err != nil || string(b) != "answer" {
		return 0, fmt.Errorf("%q: %w", b, err)
	}
	return time.Since(start), nil
}

func (l *lan) asks(want time.Duration) {
	l.t.Helper()
	if d, err := l.ask(); err != nil || d != want {
		l.t.Errorf("asking took %v (%v), want %v", d, err, want)
	}
}

// The first connection brings a cookie, the next ones save a round trip
// (RFC 7413 §1), until the cookie has expired.
//
//rfc:7413 off-by-default
func TestFastOpen(t *testing.T) {
	lanTest(t, "round trips", 2, vnet.PortConfig{Ingress: vnet.Impairment{Delay: 10 * time.Millisecond}}, func(t *testing.T, l *lan) {
		defer l.fastServer(10).Close()
		l.asks(40 * time.Millisecond)
		l.asks(20 * time.Millisecond)
		l.asks(20 * time.Millisecond)
		time.Sleep(time.Hour) // the cookie is old, and another one comes
		l.asks(20 * time.Millisecond)
		time.Sleep(time.Hour)
		l.asks(20 * time.Millisecond)
		time.Sleep(3 * time.Hour)
		l.asks(40 * time.Millisecond)
		l.asks(20 * time.Millisecond)
		c, s := l.stacks[0].Stats(), l.stacks[1].Stats()
		if c.TCP.FastOpenActive != 5 || c.TCP.FastOpenActiveFail != 1 || c.TCP.FastOpenBlackhole != 0 ||
			s.TCP.FastOpenPassive != 5 || s.TCP.FastOpenPassiveFail != 1 || s.TCP.FastOpenCookieReqd != 1 {
			t.Errorf("client %+v, server %+v", c, s)
		}
	})
	lanTest(t, "off", 2, vnet.PortConfig{Ingress: vnet.Impairment{Delay: 10 * time.Millisecond}}, func(t *testing.T, l *lan) {
		ln := l.fastServer(0)
		defer ln.Close()
		l.asks(40 * time.Millisecond)
		l.asks(40 * time.Millisecond)
		ln.SetFastOpen(1)
		l.asks(40 * time.Millisecond)
		l.asks(20 * time.Millisecond)
		ln.SetFastOpen(0)
		l.asks(40 * time.Millisecond)
		if st := l.stacks[1].Stats(); st.TCP.FastOpenPassive != 1 {
			t.Errorf("%+v", st)
		}
	})
	lanTest(t, "refused", 2, vnet.PortConfig{}, func(t *testing.T, l *lan) {
		ln := l.fastServer(10)
		l.asks(0)
		ln.Close()
		_, err := l.ask() // the handshake's error is that of what follows Write
		if !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%v", err)
		}
	})
	lanTest(t, "read first", 2, vnet.PortConfig{}, func(t *testing.T, l *lan) {
		defer l.fastServer(10).Close()
		l.asks(0)
		c, err := (&stack.Dialer{FastOpen: true}).DialTCP(t.Context(), l.stacks[0], addrPort(2, 80))
		if err != nil || !c.Deferred() || !c.Ready().Write || c.Ready().Read {
			t.Fatal(err)
		}
		c.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error(err)
		}
		if c.Deferred() || c.Info().State != tcp.Established {
			t.Errorf("a reader waits for a connection that does not begin: %+v", c.Info())
		}
		c.Close()
	})
}

// A path that swallows SYNs with text costs a second twice, for the first may have
// been lost like any packet, and is not tried for an hour, then two (RFC 7413
// §7.1).
//
//rfc:7413 pause
func TestFastOpenBlackhole(t *testing.T) {
	lanTest(t, "", 2, vnet.PortConfig{Ingress: vnet.Impairment{Delay: 10 * time.Millisecond}}, func(t *testing.T, l *lan) {
		defer l.fastServer(10).Close()
		block := func(mtu int) {
			if err := l.ports[0].SetImpairment(vnet.Ingress, vnet.Impairment{Delay: 10 * time.Millisecond, MTU: mtu}); err != nil {
				t.Fatal(err)
			}
		}
		const plain, with = 40 * time.Millisecond, 20 * time.Millisecond
		l.asks(plain)
		block(76) // a SYN with cookie and text has 77 octets
		l.asks(time.Second + plain)
		l.asks(time.Second + plain)
		l.asks(plain)
		time.Sleep(61 * time.Minute)
		l.asks(time.Second + plain)
		time.Sleep(61 * time.Minute)
		l.asks(plain)
		block(0)
		time.Sleep(time.Hour)
		l.asks(plain) // the cookie has expired
		l.asks(with)
		l.stacks[0].ForgetPeers()
		l.asks(plain)
		if st := l.stacks[0].Stats(); st.TCP.FastOpenBlackhole != 3 || st.TCP.FastOpenActive != 1 {
			t.Errorf("%+v", st)
		}
	})
}

// fastSyn sends a SYN to port 80 with a cookie and text, and returns the answer.
func (r *raw) fastSyn(port uint16, cookie tcp.FastOpenCookie, text string) (answer tcp.Segment) {
	r.t.Helper()
	r.segment(&tcp.Segment{SrcPort: port, DstPort: 80, Seq: 100, Flags: tcp.SYN, Window: 1000,
		Options: tcp.Options{FastOpen: true, Cookie: cookie}}, text)
	for _, p := range r.got() {
		if p.h.Proto == ipv4.ProtoTCP {
			seg, err := tcp.ParseSegment(p.body)
			if err != nil {
				r.t.Fatal(err)
			}
			answer = seg
		}
	}
	return answer
}

// segment sends seg with text from 10.0.0.9.
func (r *raw) segment(seg *tcp.Segment, text string) {
	b := append(seg.AppendHeader(nil), text...)
	sum := checksum.Checksum(checksum.Sum(b, checksum.Pseudo(addr(9), addr(1), 6, len(b))))
	binary.BigEndian.PutUint16(b[tcp.ChecksumOffset:], sum)
	r.ip(ipv4.Header{Proto: ipv4.ProtoTCP, Src: addr(9), Dst: addr(1)}, nil, b)
}

// A listener takes the text of no more SYNs than it was told, those included
// that were reset in the last minute; the others open the ordinary way
// (RFC 7413 §5.1). Under a flood, SYN cookies answer, and take no text.
//
//rfc:7413 pending-bound
func TestFastOpenPendingLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRaw(t, stack.Config{})
		defer r.close()
		s := r.stacks[0]
		ln, err := (&stack.ListenConfig{FastOpen: 2, Backlog: 8}).Listen(s, "tcp", ":80")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		cookie := r.fastSyn(1000, tcp.FastOpenCookie{}, "hello").Options.Cookie
		if cookie.IsZero() {
			t.Fatal("no cookie")
		}
		taken := func(port uint16, want bool) {
			t.Helper()
			if a := r.fastSyn(port, cookie, "hello"); (a.Ack == 106) != want || a.Flags != tcp.SYN|tcp.ACK {
				t.Errorf("port %d: %v, want the text taken: %v", port, &a, want)
			}
		}
		taken(1001, true)
		taken(1002, true)
		taken(1003, false)
		r.segment(&tcp.Segment{SrcPort: 1001, DstPort: 80, Seq: 106, Flags: tcp.RST}, "")
		taken(1004, false)
		time.Sleep(time.Minute) // 1002 has given up, 1001 counts no more
		taken(1005, true)
		taken(1006, true)
		st := s.Stats()
		if st.TCP.FastOpenPassive != 4 || st.TCP.FastOpenListenOverflow != 2 || st.TCP.FastOpenCookieReqd != 1 {
			t.Errorf("%+v", st)
		}
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 5)
		if _, err := io.ReadFull(c, b); err != nil || string(b) != "hello" {
			t.Errorf("%q, %v", b, err)
		}
		c.Close()
		for port := range uint16(20) {
			taken(2000+port, false)
		}
		if s.Stats().TCP.CookiesSent == 0 {
			t.Error("the flood was not one")
		}
		wrong, _ := tcp.NewFastOpenCookie([]byte("notyours"))
		if r.fastSyn(3000, wrong, "hello"); s.Stats().TCP.FastOpenPassive != 4 {
			t.Error("a wrong cookie")
		}
	})
}
