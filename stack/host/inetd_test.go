package host_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/host"
)

// withServices runs f, in virtual time, on a station beside one that has the
// test services.
func withServices(t *testing.T, f func(t *testing.T, peer *stack.Stack, d *host.Inetd)) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, host.DHCPServerConfig{First: netip.MustParseAddr("10.0.0.100"), Last: netip.MustParseAddr("10.0.0.101"), Router: gateway.Addr()})
		defer l.close()
		s, _ := l.station(mac(7), netip.MustParsePrefix("10.0.0.7/24"))
		peer, _ := l.station(mac(8), netip.MustParsePrefix("10.0.0.8/24"))
		d, err := host.StartInetd(host.InetdConfig{Stack: s})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		f(t, peer, d)
	})
}

func dialService(t *testing.T, s *stack.Stack, network string, port int) net.Conn {
	t.Helper()
	c, err := s.Dial(network, fmt.Sprintf("10.0.0.7:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	t.Cleanup(func() { c.Close() })
	return c
}

//rfc:862 tcp
func TestEcho(t *testing.T) {
	withServices(t, func(t *testing.T, peer *stack.Stack, _ *host.Inetd) {
		c := dialService(t, peer, "tcp", host.EchoPort).(*stack.TCPConn)
		want := bytes.Repeat([]byte("0123456789abcdef"), 20_000)
		go func() {
			_, _ = c.Write(want)
			_ = c.CloseWrite()
		}()
		if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d octets came back of %d, %v", len(got), len(want), err)
		}
	})
}

//rfc:862 udp
func TestEchoDatagram(t *testing.T) {
	withServices(t, func(t *testing.T, peer *stack.Stack, _ *host.Inetd) {
		c := dialService(t, peer, "udp", host.EchoPort)
		for _, want := range []string{"hello", "", strings.Repeat("x", 4000)} {
			_, _ = c.Write([]byte(want))
			buf := make([]byte, 5000)
			if n, err := c.Read(buf); err != nil || string(buf[:n]) != want {
				t.Fatalf("%d octets, %v", n, err)
			}
		}
		for _, port := range []uint16{7, 13, 17, 19} { // they would answer
			u, err := peer.DialUDP(netip.AddrPortFrom(netip.Addr{}, port), netip.MustParseAddrPort("10.0.0.7:7"))
			if err != nil {
				t.Fatal(err)
			}
			_, _ = u.Write([]byte("again"))
			_ = u.SetDeadline(time.Now().Add(time.Second))
			if n, err := u.Read(make([]byte, 9)); err == nil {
				t.Fatalf("%d octets for port %d: an endless loop", n, port)
			}
			u.Close()
		}
	})
}

// RFC 1123 §2.3: an answer comes from the address that was asked, also where the host
// has several, for whoever asked hears nobody else. What was for everybody has the
// interface's first.
//
//rfc:1123 answer-source
func TestAnswersFromTheAddressAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, host.DHCPServerConfig{})
		defer l.close()
		s, _ := l.station(mac(7), netip.MustParsePrefix("10.0.0.7/24"), netip.MustParsePrefix("10.0.0.9/24"))
		peer, _ := l.station(mac(8), netip.MustParsePrefix("10.0.0.8/24"))
		d, err := host.StartInetd(host.InetdConfig{Stack: s})
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		for asked, want := range map[string]string{"10.0.0.7": "10.0.0.7", "10.0.0.9": "10.0.0.9", "10.0.0.255": "10.0.0.7"} {
			c, err := peer.ListenPacket("udp4", ":0")
			if err != nil {
				t.Fatal(err)
			}
			u := c.(*stack.UDPConn)
			_, _ = u.WriteToAddrPort([]byte("x"), netip.AddrPortFrom(netip.MustParseAddr(asked), host.EchoPort))
			_ = u.SetReadDeadline(time.Now().Add(time.Second))
			if _, from, err := u.ReadFromAddrPort(make([]byte, 9)); err != nil || from.Addr().String() != want {
				t.Errorf("%s: answer from %v, %v; want %s", asked, from, err, want)
			}
			u.Close()
		}
	})
}

//rfc:863 tcp
func TestDiscard(t *testing.T) {
	withServices(t, func(t *testing.T, peer *stack.Stack, _ *host.Inetd) {
		c := dialService(t, peer, "tcp", host.DiscardPort).(*stack.TCPConn)
		if _, err := c.Write(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
		_ = c.CloseWrite()
		if got, err := io.ReadAll(c); err != nil || len(got) != 0 {
			t.Fatalf("%d octets, %v; want none and FIN", len(got), err)
		}
	})
}

//rfc:864 discards
func TestChargenDiscards(t *testing.T) {
	withServices(t, func(t *testing.T, peer *stack.Stack, _ *host.Inetd) {
		c := dialService(t, peer, "tcp", host.ChargenPort)
		go io.Copy(io.Discard, c)
		if _, err := c.Write(make([]byte, 4<<20)); err != nil {
			t.Error(err)
		}
	})
}

//rfc:867 tcp form
func TestDaytime(t *testing.T) {
	withServices(t, func(t *testing.T, peer *stack.Stack, _ *host.Inetd) {
		got, err := io.ReadAll(dialService(t, peer, "tcp", host.DaytimePort))
		if want := "Saturday, January 1, 2000 00:00:0"; err != nil || !strings.HasPrefix(string(got), want) || !strings.HasSuffix(string(got), "-UTC\r\n") {
			t.Fatalf("%q, %v", got, err)
		}
	})
}

//rfc:864 tcp pattern
func TestChargen(t *testing.T) {
	withServices(t, func(t *testing.T, peer *stack.Stack, _ *host.Inetd) {
		c := dialService(t, peer, "tcp", host.ChargenPort)
		got := make([]byte, 96*74)
		if _, err := io.ReadFull(c, got); err != nil {
			t.Fatal(err)
		}
		lines := strings.SplitAfter(string(got), "\r\n")
		// The first two lines and the last of RFC 864's example.
		for i, want := range map[int]string{
			0:  " !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefg\r\n",
			1:  "!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefgh\r\n",
			94: "~ !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdef\r\n",
		} {
			if lines[i] != want {
				t.Errorf("line %d: %q", i, lines[i])
			}
		}
		if lines[95] != lines[0] {
			t.Errorf("the pattern does not begin again: %q", lines[95])
		}
	})
}

func TestDialCommand(t *testing.T) {
	withServices(t, func(t *testing.T, peer *stack.Stack, _ *host.Inetd) {
		ln, err := peer.Listen("tcp", "10.0.0.8:5555")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		u := dialService(t, peer, "udp", host.DialPort)
		_, _ = u.Write([]byte("dial 10.0.0.8 5555\n"))
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if a := c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr(); a.String() != "10.0.0.7" {
			t.Fatalf("connected from %v", a)
		}
		_, _ = c.Write([]byte("ping"))
		buf := make([]byte, 100)
		if n, err := c.Read(buf); err != nil || string(buf[:n]) != "ping" {
			t.Fatalf("%q, %v", buf[:n], err)
		}
		for _, bad := range []string{"", "dial", "dial 10.0.0.8", "dial 10.0.0.300 1", "dial 10.0.0.8 0", "dial 10.0.0.8 65536", "dial ::1 80", "call 10.0.0.8 80", "dial 10.0.0.8 80 x"} {
			_, _ = u.Write([]byte(bad))
			if n, err := u.Read(buf); err != nil || !strings.Contains(string(buf[:n]), "want: dial A.B.C.D PORT\n") {
				t.Errorf("%q is answered with %q, %v", bad, buf[:n], err)
			}
		}
		for _, port := range []uint16{host.EchoPort, host.DialPort} { // which would send it back
			u, err := peer.DialUDP(netip.AddrPortFrom(netip.Addr{}, port), netip.MustParseAddrPort("10.0.0.7:4000"))
			if err != nil {
				t.Fatal(err)
			}
			_, _ = u.Write([]byte("again"))
			_ = u.SetDeadline(time.Now().Add(time.Second))
			if n, err := u.Read(make([]byte, 9)); err == nil {
				t.Errorf("%d octets for port %d: an endless loop", n, port)
			}
			u.Close()
		}
	})
}

// Close ends what is open, and the ports are free again.
func TestInetdClose(t *testing.T) {
	withServices(t, func(t *testing.T, peer *stack.Stack, d *host.Inetd) {
		c := dialService(t, peer, "tcp", host.EchoPort)
		synctest.Wait()
		d.Close()
		d.Close()
		if _, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Fatalf("Read: %v, want EOF", err)
		}
		if _, err := peer.DialContext(context.Background(), "tcp", "10.0.0.7:7"); err == nil {
			t.Fatal("echo answers after Close")
		}
	})
}

// Services of which one port is taken open none.
func TestInetdPortTaken(t *testing.T) {
	withServices(t, func(t *testing.T, peer *stack.Stack, _ *host.Inetd) {
		ln, err := peer.Listen("tcp", ":19")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		if _, err := host.StartInetd(host.InetdConfig{Stack: peer}); err == nil || !strings.Contains(err.Error(), ":19") {
			t.Fatalf("%v, want one that names the port", err)
		}
		free, err := peer.Listen("tcp", ":7")
		if err != nil {
			t.Fatal(err)
		}
		free.Close()
		if _, err := host.StartInetd(host.InetdConfig{}); err == nil {
			t.Fatal("started without a stack")
		}
	})
}
