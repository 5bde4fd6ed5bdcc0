package stack_test

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/stack"
	"arpeggio/stack/udp"
	"arpeggio/stack/vnet"
)

func listenUDP(t testing.TB, s *stack.Stack, address string) *stack.UDPConn {
	t.Helper()
	p, err := s.ListenPacket("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	return p.(*stack.UDPConn)
}

//rfc:1122 reassembly fragmentation broadcast-limited
func TestUDP(t *testing.T) {
	lanTest(t, "sizes", 2, vnet.PortConfig{}, func(t *testing.T, l *lan) {
		a, b := listenUDP(t, l.stacks[0], ":5000"), listenUDP(t, l.stacks[1], "10.0.0.2:5001")
		for _, n := range []int{0, 1, 1472, 1473, udp.MaxPayload4} {
			want := bytes.Repeat([]byte{byte(n)}, n)
			if _, err := a.WriteTo(want, b.LocalAddr()); err != nil {
				t.Fatalf("%d octets: %v", n, err)
			}
			buf := make([]byte, 65536)
			got, from, err := b.ReadFrom(buf)
			if err != nil || !bytes.Equal(buf[:got], want) || from.String() != "10.0.0.1:5000" {
				t.Errorf("%d octets: %d from %v, %v", n, got, from, err)
			}
		}
		_, err := a.WriteTo(make([]byte, udp.MaxPayload4+1), b.LocalAddr())
		wantErrno(t, err, "write", syscall.EMSGSIZE)
	})
	lanTest(t, "connected", 2, vnet.PortConfig{}, func(t *testing.T, l *lan) {
		b := listenUDP(t, l.stacks[1], ":7")
		c, err := l.stacks[0].Dial("udp", "10.0.0.2:7")
		if err != nil {
			t.Fatal(err)
		}
		c.Write([]byte("ping"))
		buf := make([]byte, 100)
		n, from, err := b.ReadFromAddrPort(buf)
		if err != nil || string(buf[:n]) != "ping" {
			t.Fatalf("%q, %v", buf[:n], err)
		}
		stranger := listenUDP(t, l.stacks[1], ":8")
		stranger.WriteToAddrPort([]byte("forged"), from)
		b.WriteToAddrPort([]byte("pong"), from)
		if n, err := c.Read(buf); err != nil || string(buf[:n]) != "pong" {
			t.Errorf("%q, %v", buf[:n], err)
		}
		_, err = c.(net.PacketConn).WriteTo(nil, b.LocalAddr())
		wantErrno(t, err, "write", net.ErrWriteToConnected)
		if n, err := c.(*stack.UDPConn).WriteAway([]byte("away"), netip.MustParseAddrPort("10.0.0.2:8")); n != 4 || err != nil {
			t.Error(n, err)
		}
		if n, _, err := stranger.ReadFromAddrPort(buf); err != nil || string(buf[:n]) != "away" {
			t.Errorf("%q, %v", buf[:n], err)
		}
		_, err = b.Write(nil)
		wantErrno(t, err, "write", syscall.EDESTADDRREQ)
	})
	lanTest(t, "port unreachable reaches the socket", 2, vnet.PortConfig{}, func(t *testing.T, l *lan) {
		c, err := l.stacks[0].Dial("udp", "10.0.0.2:9")
		if err != nil {
			t.Fatal(err)
		}
		c.Write([]byte("x"))
		_, err = c.Read(make([]byte, 1))
		wantErrno(t, err, "read", syscall.ECONNREFUSED)
		c.Write([]byte("x"))
		synctest.Wait()
		_, err = c.Write([]byte("x"))
		wantErrno(t, err, "write", syscall.ECONNREFUSED)
	})
	lanTest(t, "host unreachable reaches the socket", 2, vnet.PortConfig{}, func(t *testing.T, l *lan) {
		c, err := l.stacks[0].Dial("udp", "10.0.0.77:9")
		if err != nil {
			t.Fatal(err)
		}
		c.Write([]byte("x"))
		_, err = c.Read(make([]byte, 1))
		wantErrno(t, err, "read", syscall.EHOSTUNREACH)
	})
	lanTest(t, "subnet and limited broadcast", 3, vnet.PortConfig{}, func(t *testing.T, l *lan) {
		a := listenUDP(t, l.stacks[0], ":67")
		b, c := listenUDP(t, l.stacks[1], ":67"), listenUDP(t, l.stacks[2], ":67")
		buf := make([]byte, 100)
		for _, dst := range []string{"10.0.0.255:67", "255.255.255.255:67"} {
			if _, err := a.WriteToAddrPort([]byte(dst), netip.MustParseAddrPort(dst)); err != nil {
				t.Fatal(err)
			}
			for _, u := range []*stack.UDPConn{b, c} {
				if n, _, err := u.ReadFromAddrPort(buf); err != nil || string(buf[:n]) != dst {
					t.Errorf("%v: %q, %v", dst, buf[:n], err)
				}
			}
		}
	})
	lanTest(t, "in use", 1, vnet.PortConfig{}, func(t *testing.T, l *lan) {
		s := l.stacks[0]
		u := listenUDP(t, s, "10.0.0.1:53")
		_, err := s.ListenPacket("udp", ":53")
		wantErrno(t, err, "listen", syscall.EADDRINUSE)
		u.Close()
		listenUDP(t, s, ":53")
		_, err = u.WriteTo(nil, u.LocalAddr())
		wantErrno(t, err, "write", net.ErrClosed)
		_, err = s.ListenPacket("udp", "10.0.0.9:54")
		wantErrno(t, err, "listen", syscall.EADDRNOTAVAIL)
		v := listenUDP(t, s, ":0")
		if v.LocalAddr().(*net.UDPAddr).Port == 0 {
			t.Error("no port was chosen")
		}
	})
	lanTest(t, "deadline and close wake the reader", 1, vnet.PortConfig{}, func(t *testing.T, l *lan) {
		u := listenUDP(t, l.stacks[0], ":53")
		u.SetReadDeadline(time.Now().Add(time.Second))
		_, _, err := u.ReadFrom(nil)
		wantErrno(t, err, "read", os.ErrDeadlineExceeded)
		u.SetReadDeadline(time.Time{})
		go func() { time.Sleep(time.Second); u.Close() }()
		_, _, err = u.ReadFrom(nil)
		wantErrno(t, err, "read", net.ErrClosed)
	})
	lanTest(t, "queue is bounded", 2, vnet.PortConfig{}, func(t *testing.T, l *lan) {
		a, b := listenUDP(t, l.stacks[0], ":1"), listenUDP(t, l.stacks[1], ":2")
		b.SetReadBuffer(10_000)
		for range 100 {
			a.WriteToAddrPort(make([]byte, 1000), addrPort(2, 2))
		}
		synctest.Wait()
		if st := l.stacks[1].Stats(); st.UDP.InDatagrams != 9 || st.UDP.QueueFull != 91 {
			t.Errorf("%d queued, %d dropped", st.UDP.InDatagrams, st.UDP.QueueFull)
		}
	})
}

// RFC 768: no checksum, and a wrong one.
//
//rfc:1122 udp-bad-checksum udp-checksum
//rfc:768 no-sum
func TestUDPChecksum(t *testing.T) {
	rawTest(t, "zero and wrong", func(t *testing.T, r *raw) {
		u := listenUDP(t, r.stacks[0], ":9")
		h, body := udpPacket(addrPort(9, 1), addrPort(1, 9), []byte("bad"))
		body[7] ^= 1
		r.ip(h, nil, body)
		body[6], body[7] = 0, 0
		copy(body[8:], "sum")
		r.ip(h, nil, body)
		buf := make([]byte, 10)
		if n, _, err := u.ReadFrom(buf); err != nil || string(buf[:n]) != "sum" {
			t.Errorf("%q, %v", buf[:n], err)
		}
		if st := r.stats(); st.UDP.BadChecksum != 1 {
			t.Errorf("%+v", st)
		}
	})
}

// RFC 1122 §4.1.3.4: a program may send datagrams without a checksum, and refuse
// those that come without. One that is refused is no port unreachable: somebody is
// there.
//
//rfc:1122 udp-no-checksum udp-want-checksum
func TestUDPWithoutChecksum(t *testing.T) {
	rawTest(t, "sent", func(t *testing.T, r *raw) {
		u := listenUDP(t, r.stacks[0], ":9")
		for _, without := range []bool{true, false} {
			if err := u.SetNoChecksum(without); err != nil {
				t.Fatal(err)
			}
			u.WriteToAddrPort([]byte("text"), addrPort(9, 9))
			got := r.got()
			if len(got) != 1 || string(got[0].body[8:]) != "text" || got[0].body[5] != 12 || (got[0].body[6]|got[0].body[7] == 0) != without {
				t.Errorf("without %t: %+v", without, got)
			}
		}
		u.Close()
		wantErrno(t, u.SetNoChecksum(true), "set", net.ErrClosed)
	})
	rawTest(t, "received", func(t *testing.T, r *raw) {
		for _, dst := range []string{"10.0.0.1:9", "10.0.0.255:9"} {
			u, other := listenUDP(t, r.stacks[0], ":9"), addrPort(9, 1)
			if err := u.SetNeedChecksum(true); err != nil {
				t.Fatal(err)
			}
			before := r.stats().UDP
			h, without := udpPacket(other, netip.MustParseAddrPort(dst), []byte("without"))
			without[6], without[7] = 0, 0
			r.ip(h, nil, without)
			h, with := udpPacket(other, netip.MustParseAddrPort(dst), []byte("with"))
			r.ip(h, nil, with)
			buf := make([]byte, 10)
			if n, d, err := u.ReadDatagram(buf); err != nil || string(buf[:n]) != "with" || d.NoChecksum {
				t.Errorf("%s: %q, %+v, %v", dst, buf[:n], d, err)
			}
			u.SetNeedChecksum(false)
			r.ip(h, nil, without)
			if n, d, err := u.ReadDatagram(buf); err != nil || string(buf[:n]) != "without" || !d.NoChecksum {
				t.Errorf("%s: %q, %+v, %v", dst, buf[:n], d, err)
			}
			st := r.stats().UDP
			if n, e := st.Unsummed-before.Unsummed, st.InErrors-before.InErrors; n != 1 || e != 1 {
				t.Errorf("%s: %d counted, %d errors", dst, n, e)
			}
			if got := r.got(); len(got) > 0 {
				t.Errorf("%s: answered: %+v", dst, got)
			}
			u.Close()
		}
	})
}

// What DHCP needs: from 0.0.0.0 to 255.255.255.255 before there is an address,
// and the answer by broadcast.
func TestUnconfiguredInterface(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, 1, vnet.PortConfig{})
		defer l.close()
		server := listenUDP(t, l.stacks[0], ":67")
		p, err := l.sw.Port(vnet.PortConfig{Name: "new"})
		if err != nil {
			t.Fatal(err)
		}
		s := stack.New(stack.Config{})
		defer s.Close()
		i, err := s.AddInterface(stack.InterfaceConfig{Device: p, Resolver: l.neighbors})
		if err != nil {
			t.Fatal(err)
		}
		pc, err := (&stack.ListenConfig{Interface: i}).ListenPacket(s, "udp", ":68")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pc.WriteTo([]byte("discover"), &net.UDPAddr{IP: net.IPv4bcast, Port: 67}); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 100)
		n, from, err := server.ReadFrom(buf)
		if err != nil || string(buf[:n]) != "discover" || from.String() != "0.0.0.0:68" {
			t.Fatalf("%q from %v, %v", buf[:n], from, err)
		}
		server.WriteTo([]byte("offer"), &net.UDPAddr{IP: net.IPv4bcast, Port: 68})
		if n, _, err := pc.ReadFrom(buf); err != nil || string(buf[:n]) != "offer" {
			t.Fatalf("%q, %v", buf[:n], err)
		}
		// Without an interface named there is no way out.
		u := listenUDP(t, s, ":69")
		_, err = u.WriteTo(nil, &net.UDPAddr{IP: net.IPv4bcast, Port: 67})
		wantErrno(t, err, "write", syscall.ENETUNREACH)

		l.neighbors[addr(50)] = i.Addr()
		if err := i.AddAddress(netip.MustParsePrefix("10.0.0.50/24")); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Ping(t.Context(), addr(1), 10); err != nil {
			t.Errorf("with an address: %v", err)
		}
		if err := i.RemoveAddress(addr(50)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Ping(t.Context(), addr(1), 10); !errors.Is(err, syscall.ENETUNREACH) {
			t.Errorf("without an address: %v", err)
		}
		if err := i.RemoveAddress(addr(50)); !errors.Is(err, stack.ErrNoAddress) {
			t.Errorf("removed twice: %v", err)
		}
	})
}
