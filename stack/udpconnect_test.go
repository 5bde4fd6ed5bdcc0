package stack_test

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"arpeggio/stack"
	"arpeggio/stack/vnet"
)

// The ends of a socket can be asked for while another call changes them: for the race
// detector.
func TestUDPEndsWhileConnecting(t *testing.T) {
	lanTest(t, "ends", 1, vnet.PortConfig{}, func(t *testing.T, l *lan) {
		s := l.stacks[0]
		u, err := s.DialUDP(netip.AddrPort{}, netip.MustParseAddrPort("10.0.0.1:9"))
		if err != nil {
			t.Fatal(err)
		}
		var calls sync.WaitGroup
		for range 4 {
			calls.Go(func() {
				for range 100 {
					_, _ = u.LocalAddr(), u.RemoteAddr()
					_, _ = u.Write(nil)
					_, _ = u.WriteTo(nil, &net.UDPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 9})
				}
			})
		}
		for port := range uint16(100) {
			if err := u.Connect(netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), port+1)); err != nil {
				t.Error(err)
			}
			_ = u.Connect(netip.AddrPort{})
		}
		calls.Wait()
		u.Close()
	})
}

// A socket that Connect has left without a port takes part in nothing, and gets one
// again as long as there are any.
func TestUDPWithoutAPort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLAN(t, 1, vnet.PortConfig{}, stack.Config{Ports: stack.PortRange{First: 40_000, Last: 40_003}})
		defer l.sw.Close()
		s := l.stacks[0]
		peer := netip.MustParseAddrPort("10.0.0.1:9")
		u, err := s.DialUDP(netip.AddrPort{}, peer)
		if err != nil {
			t.Fatal(err)
		}
		if err := u.Connect(netip.AddrPort{}); err != nil {
			t.Fatal(err)
		}
		if a := u.LocalAddr().String(); a != "0.0.0.0:0" || u.RemoteAddr() != nil || len(s.PacketConns()) != 0 {
			t.Errorf("%s, %v, %v", a, u.RemoteAddr(), s.PacketConns())
		}
		// Others take every port that there is.
		var all []net.PacketConn
		for {
			pc, err := s.ListenPacket("udp", ":0")
			if err != nil {
				break
			}
			all = append(all, pc)
		}
		if _, err := u.WriteToAddrPort([]byte("x"), peer); !errors.Is(err, syscall.EAGAIN) {
			t.Errorf("write: %v", err)
		}
		if err := u.Connect(peer); !errors.Is(err, syscall.EAGAIN) {
			t.Errorf("connect: %v", err)
		}
		free := all[0].LocalAddr().(*net.UDPAddr).Port
		all[0].Close()
		if err := u.Connect(peer); err != nil || u.LocalAddr().(*net.UDPAddr).Port != free {
			t.Errorf("%v, %v, want port %d", err, u.LocalAddr(), free)
		}
		// Closing one without a port wakes its readers.
		_ = u.Connect(netip.AddrPort{})
		done := make(chan error)
		go func() {
			_, err := u.Read(make([]byte, 1))
			done <- err
		}()
		s.Close()
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Errorf("%v", err)
		}
	})
}
