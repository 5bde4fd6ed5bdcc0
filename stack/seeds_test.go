package stack_test

import (
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/vnet"
)

// The socket-level cases of mirage-tcpip's suite that are not elsewhere.

// pairMTU is a LAN of two with different MTUs.
func pairMTU(t *testing.T, client, server int, f func(t *testing.T, c, s *stack.TCPConn)) {
	synctest.Test(t, func(t *testing.T) {
		sw := vnet.New(vnet.Config{})
		defer sw.Close()
		a, b := port(t, sw, vnet.PortConfig{Name: "a", MTU: client}), port(t, sw, vnet.PortConfig{Name: "b", MTU: server})
		n := stack.StaticResolver{addr(1): a.Info().Addr, addr(2): b.Info().Addr}
		l := &lan{t: t, sw: sw, stacks: []*stack.Stack{stack.New(stack.Config{}), stack.New(stack.Config{})}}
		defer l.close()
		add(t, l.stacks[0], stack.InterfaceConfig{Device: a, Resolver: n, Addresses: []netip.Prefix{netip.PrefixFrom(addr(1), 24)}})
		add(t, l.stacks[1], stack.InterfaceConfig{Device: b, Resolver: n, Addresses: []netip.Prefix{netip.PrefixFrom(addr(2), 24)}})
		c, s := l.connect()
		f(t, c, s)
		for i, s := range l.stacks {
			if st := s.Stats(); st.Frames.OutErrors > 0 {
				t.Errorf("stack %d: %+v", i, st)
			}
		}
		if st := a.Stats(); st.Rx.Dropped[vnet.DropTooBig]+b.Stats().Rx.Dropped[vnet.DropTooBig] > 0 {
			t.Error("a packet was too large for its receiver")
		}
	})
}

func TestMixedMTU(t *testing.T) {
	for _, mtu := range [][2]int{{1500, 1500}, {1500, 9000}, {9000, 1500}, {9000, 9000}, {576, 9000}} {
		pairMTU(t, mtu[0], mtu[1], func(t *testing.T, c, s *stack.TCPConn) {
			go func() { io.Copy(c, stream(1, 200_000)); c.CloseWrite() }()
			go func() { io.Copy(s, stream(2, 200_000)); s.CloseWrite() }()
			if err := same(s, 1, 200_000); err != nil {
				t.Errorf("%v: %v", mtu, err)
			}
			if err := same(c, 2, 200_000); err != nil {
				t.Errorf("%v: %v", mtu, err)
			}
		})
	}
}

// 7000 octets at an MTU of 9000 arrive in one read.
func TestJumboRead(t *testing.T) {
	pairMTU(t, 9000, 9000, func(t *testing.T, c, s *stack.TCPConn) {
		c.Write(make([]byte, 7000))
		synctest.Wait()
		if n, err := s.Read(make([]byte, 9000)); n != 7000 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})
}

// Connect a hundred times while 10 % of the packets without payload are lost.
func TestConnectSmallLoss(t *testing.T) {
	lanTest(t, "hello", 2, vnet.PortConfig{Ingress: vnet.Impairment{SmallLoss: 0.1, Trailing: 9, Delay: time.Millisecond}}, func(t *testing.T, l *lan) {
		ln, err := l.stacks[1].Listen("tcp", ":7")
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
				go func() { io.WriteString(c, "hello world"); c.Close() }()
			}
		}()
		for i := range 100 {
			c, err := l.stacks[0].Dial("tcp", "10.0.0.2:7")
			if err != nil {
				t.Fatalf("connection %d: %v", i, err)
			}
			if b, err := io.ReadAll(c); string(b) != "hello world" || err != nil {
				t.Fatalf("connection %d: %q, %v", i, b, err)
			}
			c.Close()
		}
		if l.ports[0].Stats().Tx.Dropped[vnet.DropLoss] == 0 {
			t.Error("nothing was lost: the test shows nothing")
		}
	})
}

// The wire is dead for a second after a megabyte.
func TestOutage(t *testing.T) {
	lanTest(t, "1 s after 1 MB", 2, vnet.PortConfig{Ingress: vnet.Impairment{OutageAfter: 1_000_000, OutageFor: time.Second, Delay: time.Millisecond}}, func(t *testing.T, l *lan) {
		start := time.Now()
		both(t, l, 3_000_000)
		if d := time.Since(start); d < time.Second || d > 20*time.Second {
			t.Errorf("it took %v", d)
		}
		if l.ports[0].Stats().Tx.Dropped[vnet.DropOutage] == 0 {
			t.Error("nothing was lost: the test shows nothing")
		}
	})
}

// Both sides close at once, or with half a round trip between; within TIME-WAIT
// nothing is left.
func TestSimultaneousClose(t *testing.T) {
	for _, gap := range []time.Duration{0, 5 * time.Millisecond, 50 * time.Millisecond} {
		lanTest(t, gap.String(), 2, vnet.PortConfig{Ingress: vnet.Impairment{Delay: 10 * time.Millisecond}}, func(t *testing.T, l *lan) {
			c, s := l.connect()
			var wg sync.WaitGroup
			wg.Go(func() { c.Close() })
			wg.Go(func() { time.Sleep(gap); s.Close() })
			wg.Wait()
			time.Sleep(2 * time.Minute)
			for i, st := range l.stacks {
				if n := st.Conns(); len(n) > 0 {
					t.Errorf("stack %d: %+v", i, n)
				}
			}
		})
	}
}

// SetLinger: Close waits until the peer has everything, or not at all.
func TestLinger(t *testing.T) {
	lanTest(t, "waits", 2, vnet.PortConfig{Ingress: vnet.Impairment{Delay: 100 * time.Millisecond}}, func(t *testing.T, l *lan) {
		c, s := l.connect()
		go io.Copy(io.Discard, s)
		c.SetLinger(5)
		c.Write(make([]byte, 1000))
		start := time.Now()
		c.Close()
		if d := time.Since(start); d != 200*time.Millisecond {
			t.Errorf("Close took %v, want a round trip", d)
		}
	})
	lanTest(t, "no longer than asked", 2, vnet.PortConfig{}, func(t *testing.T, l *lan) {
		c, _ := l.connect()
		l.ports[0].SetImpairment(vnet.Ingress, vnet.Impairment{Loss: 1})
		c.SetLinger(5)
		c.Write(make([]byte, 1000))
		start := time.Now()
		c.Close()
		if d := time.Since(start); d != 5*time.Second {
			t.Errorf("Close took %v", d)
		}
	})
}

// The options that programs set, on a connection in use.
func TestOptions(t *testing.T) {
	lanTest(t, "all", 2, vnet.PortConfig{}, func(t *testing.T, l *lan) {
		c, _ := l.connect()
		for name, err := range map[string]error{
			"no delay": c.SetNoDelay(false), "keep-alive off": c.SetKeepAlive(false), "on": c.SetKeepAlive(true),
			"read buffer": c.SetReadBuffer(1 << 16), "write buffer": c.SetWriteBuffer(1 << 16),
			"period": c.SetKeepAlivePeriod(time.Minute), "linger": c.SetLinger(-1), "close read": c.CloseRead(),
		} {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		c.Close()
		wantErrno(t, c.SetNoDelay(true), "set", net.ErrClosed)
		wantErrno(t, c.SetDeadline(time.Now()), "set", net.ErrClosed)
		wantErrno(t, c.Close(), "close", net.ErrClosed)
	})
}

// Buffers bound what a peer that does not read can make us keep.
func TestBuffers(t *testing.T) {
	lanTest(t, "bounded", 2, vnet.PortConfig{}, func(t *testing.T, l *lan) {
		c, s := l.connect()
		c.SetWriteBuffer(10_000)
		s.SetReadBuffer(20_000)
		s.SetWriteBuffer(1)
		c.SetWriteDeadline(time.Now().Add(time.Second))
		n, err := c.Write(make([]byte, 1<<20))
		wantErrno(t, err, "write", os.ErrDeadlineExceeded)
		if n < 20_000 || n > 10_000+65535 { // the handshake has promised 65535
			t.Errorf("%d octets were taken", n)
		}
		if q := c.Info().SendQueue; q > 10_000 {
			t.Errorf("%d octets queued", q)
		}
	})
}
