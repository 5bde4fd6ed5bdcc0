package stack_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/icmp"
	"arpeggio/stack/vnet"
)

// Payloads of a protocol that nobody knows go both ways, and only to those who
// want them; without anybody the sender learns that the protocol is unreachable.
func TestIPConn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, 3, vnet.PortConfig{MTU: 1500})
		defer l.close()
		dial := func(n int) *stack.IPConn {
			c, err := l.stacks[n].DialIP(253, netip.Addr{}, addr(2))
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		a, c := dial(0), dial(2)
		if _, err := a.Write([]byte("nobody")); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Read(make([]byte, 9)); !errors.Is(err, syscall.ENOPROTOOPT) {
			t.Errorf("to a host without the protocol: %v", err)
		}
		all, err := l.stacks[1].ListenIP(253, netip.Addr{})
		if err != nil {
			t.Fatal(err)
		}
		mine, err := l.stacks[1].DialIP(253, netip.Addr{}, addr(1))
		if err != nil {
			t.Fatal(err)
		}
		large := bytes.Repeat([]byte("long"), 4000) // in fragments
		for _, p := range [][]byte{{}, []byte("a"), large} {
			if _, err := a.Write(p); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := c.Write([]byte("c")); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 20000)
		for _, want := range [][]byte{{}, []byte("a"), large} {
			if n, from, err := all.ReadFrom(buf); err != nil || !bytes.Equal(buf[:n], want) || from.String() != "10.0.0.1" {
				t.Errorf("%d octets from %v, %v; want %d", n, from, err, len(want))
			}
			if n, err := mine.Read(buf); err != nil || !bytes.Equal(buf[:n], want) {
				t.Errorf("with a peer: %d octets, %v; want %d", n, err, len(want))
			}
		}
		if n, d, err := all.ReadDatagram(buf); err != nil || string(buf[:n]) != "c" || d.From.Addr() != addr(3) || d.Dst != addr(2) || d.TTL != 64 {
			t.Errorf("%q, %+v, %v", buf[:n], d, err)
		}
		_ = mine.SetReadDeadline(time.Now().Add(time.Second))
		if n, err := mine.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("another host's payload reached a connection with a peer: %q, %v", buf[:n], err)
		}
		_ = all.SetTTL(7)
		_ = all.SetTOS(0x28)
		if _, err := all.WriteTo([]byte("back"), &net.IPAddr{IP: net.IPv4(10, 0, 0, 1)}); err != nil {
			t.Fatal(err)
		}
		if n, d, err := a.ReadDatagram(buf); err != nil || string(buf[:n]) != "back" || d.TTL != 7 || d.TOS != 0x28 {
			t.Errorf("%q, %+v, %v", buf[:n], d, err)
		}
		if err := all.Close(); err != nil {
			t.Error(err)
		}
		if st := l.stacks[1].Stats().IP; st.InUnknownProtos != 1 {
			t.Errorf("%d datagrams of an unknown protocol, want the first only", st.InUnknownProtos)
		}
	})
}

// A program makes its own pings, and sees what the stack handles besides.
func TestIPConnPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, 2, vnet.PortConfig{})
		defer l.close()
		c, err := l.stacks[0].DialContext(context.Background(), "ip4:icmp", "10.0.0.2")
		if err != nil {
			t.Fatal(err)
		}
		m := icmp.NewEcho(77, 5, []byte("are you there"))
		if _, err := c.Write(m.AppendTo(nil)); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 1500)
		n, err := c.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := icmp.Parse(buf[:n]); err != nil || r.Type != icmp.EchoReply || r.ID() != 77 || r.Seq() != 5 || string(r.Body) != "are you there" {
			t.Errorf("%+v, %v", r, err)
		}
		// Copies do not keep the stack from its work.
		pc, err := l.stacks[1].ListenPacket("ip4:icmp", "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.stacks[0].Ping(t.Context(), addr(2), 10); err != nil {
			t.Error(err)
		}
		if n, from, err := pc.ReadFrom(buf); err != nil || icmp.Type(buf[0]) != icmp.Echo || n != 18 || from.String() != "10.0.0.1" {
			t.Errorf("%d octets from %v: %v", n, from, err)
		}
	})
}

// What nobody reads is dropped and counted, and nothing waits for ever.
func TestIPConnBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, 2, vnet.PortConfig{}, stack.Config{}, stack.Config{UDPRcvBuf: 10_000})
		c, err := l.stacks[1].ListenIP(253, netip.Addr{})
		if err != nil {
			t.Fatal(err)
		}
		a, err := l.stacks[0].DialIP(253, netip.Addr{}, addr(2))
		if err != nil {
			t.Fatal(err)
		}
		for range 100 {
			if _, err := a.Write(make([]byte, 1000)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		if n, st := c.Dropped(), l.stacks[1].Stats().IP; n < 90 || n > 92 || st.RawQueueFull != n {
			t.Errorf("%d dropped, %d counted", n, st.RawQueueFull)
		}
		done := make(chan error)
		go func() {
			_, err := a.Read(make([]byte, 9))
			done <- err
		}()
		synctest.Wait()
		l.close()
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Errorf("read of a closed stack: %v", err)
		}
		if _, err := l.stacks[0].ListenIP(253, netip.Addr{}); !errors.Is(err, net.ErrClosed) {
			t.Errorf("listen on a closed stack: %v", err)
		}
	})
	for _, bad := range []string{"ip4:0", "ip4:255", "ip4:256", "ip4:", "ip:x"} {
		if c, err := stack.New(stack.Config{}).ListenPacket(bad, ""); err == nil {
			c.Close()
			t.Errorf("%s was accepted", bad)
		}
	}
}
