package stack_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"arpeggio/stack"
)

// face is what package net and a Stack have in common. Both have the address
// 10.0.0.1, and no way to 192.0.2.1.
type face interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
	Listen(network, address string) (net.Listener, error)
	ListenPacket(network, address string) (net.PacketConn, error)
}

// kernelFace is package net.
type kernelFace struct{}

func (kernelFace) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, network, address)
}
func (kernelFace) Listen(network, address string) (net.Listener, error) {
	return net.Listen(network, address)
}
func (kernelFace) ListenPacket(network, address string) (net.PacketConn, error) {
	return net.ListenPacket(network, address)
}

var _ face = (*stack.Stack)(nil)

// tcpOps are methods that *net.TCPConn and *stack.TCPConn have beyond net.Conn.
type tcpOps interface {
	net.Conn
	CloseRead() error
	CloseWrite() error
	SetNoDelay(bool) error
	SetLinger(int) error
	SetKeepAlive(bool) error
	SetKeepAlivePeriod(time.Duration) error
	SetKeepAliveConfig(net.KeepAliveConfig) error
	SetReadBuffer(int) error
	SetWriteBuffer(int) error
}

// table is one run of the misuses, all on one face.
type table struct {
	t *testing.T
	face
	closers []func() error
}

func must[T any](tb *table, v T, err error) T {
	tb.t.Helper()
	if err != nil {
		tb.t.Fatalf("%T: %v", tb.face, err)
	}
	return v
}

func (tb *table) listen() net.Listener {
	tb.t.Helper()
	ln, err := tb.Listen("tcp", "10.0.0.1:0")
	ln = must(tb, ln, err)
	tb.closers = append(tb.closers, ln.Close)
	return ln
}

func (tb *table) packet() net.PacketConn    { return tb.packetOn("udp", "10.0.0.1:0") }
func (tb *table) rawPacket() net.PacketConn { return tb.packetOn("ip4:253", "10.0.0.1") }

func (tb *table) packetOn(network, address string) net.PacketConn {
	tb.t.Helper()
	pc, err := tb.ListenPacket(network, address)
	pc = must(tb, pc, err)
	tb.closers = append(tb.closers, pc.Close)
	return pc
}

func (tb *table) dial(network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := tb.DialContext(ctx, network, address)
	if err == nil {
		tb.closers = append(tb.closers, c.Close)
	}
	return c, err
}

// pair returns both ends of a connection.
func (tb *table) pair() (c, s tcpOps) {
	tb.t.Helper()
	ln := tb.listen()
	d, err := tb.dial("tcp", ln.Addr().String())
	d = must(tb, d, err)
	a, err := ln.Accept()
	a = must(tb, a, err)
	tb.closers = append(tb.closers, a.Close)
	return d.(tcpOps), a.(tcpOps)
}

// udp returns a connected packet connection.
func (tb *table) udp() net.Conn {
	tb.t.Helper()
	u, err := tb.dial("udp", tb.packet().LocalAddr().String())
	return must(tb, u, err)
}

// reset makes s reset its connection and waits until c knows.
func (tb *table) reset(c, s tcpOps) {
	_ = s.SetLinger(0)
	_ = s.Close()
	_ = c.SetReadDeadline(time.Now().Add(time.Minute))
	_, _ = c.Read(make([]byte, 1))
}

func closed[C interface{ Close() error }](c C) C {
	_ = c.Close()
	return c
}

func second[A, B any](_ A, b B) B { return b }

func (tb *table) raw() net.Conn {
	tb.t.Helper()
	c, err := tb.dial("ip4:253", "10.0.0.1")
	return must(tb, c, err)
}

// misuse is a wrong use, and what it returns.
type misuse struct {
	name string
	do   func(tb *table) error
}

// misuses are those of each call.
var misuses = []misuse{
	{"dial refused", func(tb *table) error { return second(tb.dial("tcp", closed(tb.listen()).Addr().String())) }},
	{"dial no route", func(tb *table) error { return second(tb.dial("tcp", "192.0.2.1:80")) }},
	{"dial no route udp", func(tb *table) error { return second(tb.dial("udp", "192.0.2.1:80")) }},
	{"dial broadcast", func(tb *table) error { return second(tb.dial("tcp", "255.255.255.255:80")) }},
	{"dial nobody in particular", func(tb *table) error { return errno(tb.dial("tcp", "0.0.0.0:1")) }},
	{"dial no host", func(tb *table) error { return errno(tb.dial("tcp", ":1")) }},
	{"dial multicast", func(tb *table) error { return second(tb.dial("tcp", "224.0.0.1:80")) }},
	{"dial port 0", func(tb *table) error { return second(tb.dial("tcp", "10.0.0.1:0")) }},
	{"dial bad port", func(tb *table) error { return second(tb.dial("tcp", "10.0.0.1:99999")) }},
	{"dial negative port", func(tb *table) error { return second(tb.dial("tcp", "10.0.0.1:-1")) }},
	{"dial no port", func(tb *table) error { return second(tb.dial("tcp", "10.0.0.1")) }},
	{"dial empty", func(tb *table) error { return second(tb.dial("tcp", "")) }},
	{"dial unknown network", func(tb *table) error { return second(tb.dial("tcp9", "10.0.0.1:80")) }},
	{"dial unknown service", func(tb *table) error { return second(tb.dial("tcp", "10.0.0.1:no-such-service")) }},
	{"dial canceled", func(tb *table) error {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		return second(tb.DialContext(ctx, "tcp", "10.0.0.1:80"))
	}},
	{"dial too late", func(tb *table) error {
		ctx, cancel := context.WithDeadline(context.Background(), time.Now().Add(-time.Second))
		defer cancel()
		return second(tb.DialContext(ctx, "tcp", "10.0.0.1:80"))
	}},

	{"ip dial unknown protocol", func(tb *table) error { return second(tb.dial("ip4:no-such-protocol", "10.0.0.1")) }},
	{"ip dial no protocol", func(tb *table) error { return second(tb.dial("ip4", "10.0.0.1")) }},
	{"ip dial no route", func(tb *table) error { return second(tb.dial("ip4:icmp", "192.0.2.1")) }},
	{"ip dial empty", func(tb *table) error { return second(tb.dial("ip4:icmp", "")) }},
	{"ip listen foreign address", func(tb *table) error { return second(tb.ListenPacket("ip4:253", "192.0.2.9")) }},
	{"ip listen with tcp", func(tb *table) error { return second(tb.Listen("ip4:253", "10.0.0.1")) }},
	{"ip read closed", func(tb *table) error { return second(closed(tb.raw()).Read(make([]byte, 9))) }},
	{"ip write closed", func(tb *table) error { return second(closed(tb.raw()).Write(make([]byte, 9))) }},
	{"ip close twice", func(tb *table) error { return closed(tb.raw()).Close() }},
	{"ip deadline closed", func(tb *table) error { return closed(tb.raw()).SetDeadline(time.Now()) }},
	{"ip read too late", func(tb *table) error {
		c := tb.raw()
		_ = c.SetReadDeadline(time.Now().Add(-time.Second))
		return second(c.Read(make([]byte, 9)))
	}},
	{"ip write too late", func(tb *table) error {
		c := tb.raw()
		_ = c.SetWriteDeadline(time.Now().Add(-time.Second))
		return second(c.Write(make([]byte, 9)))
	}},
	{"ip write too long", func(tb *table) error { return second(tb.raw().Write(make([]byte, 65536))) }},
	{"ip write to connected", func(tb *table) error {
		return second(tb.raw().(net.PacketConn).WriteTo(nil, &net.IPAddr{IP: net.IPv4(10, 0, 0, 1)}))
	}},
	{"ip write to nil", func(tb *table) error { return second(tb.rawPacket().WriteTo(nil, nil)) }},
	{"ip write to udp address", func(tb *table) error {
		return second(tb.rawPacket().WriteTo(nil, &net.UDPAddr{IP: net.IPv4(10, 0, 0, 1)}))
	}},
	{"ip write to no route", func(tb *table) error {
		return second(tb.rawPacket().WriteTo(nil, &net.IPAddr{IP: net.IPv4(192, 0, 2, 1)}))
	}},
	{"ip write without peer", func(tb *table) error { return second(tb.rawPacket().(net.Conn).Write(make([]byte, 9))) }},

	{"listen in use", func(tb *table) error { return second(tb.Listen("tcp", tb.listen().Addr().String())) }},
	{"listen foreign address", func(tb *table) error { return second(tb.Listen("tcp", "192.0.2.9:80")) }},
	{"listen bad port", func(tb *table) error { return second(tb.Listen("tcp", "10.0.0.1:99999")) }},
	{"listen no port", func(tb *table) error { return second(tb.Listen("tcp", "10.0.0.1")) }},
	{"listen unknown network", func(tb *table) error { return second(tb.Listen("tcp9", "10.0.0.1:80")) }},
	{"listen udp", func(tb *table) error { return second(tb.Listen("udp", "10.0.0.1:80")) }},
	{"listen packet in use", func(tb *table) error { return second(tb.ListenPacket("udp", tb.packet().LocalAddr().String())) }},
	{"listen packet foreign address", func(tb *table) error { return second(tb.ListenPacket("udp", "192.0.2.9:53")) }},
	{"listen packet tcp", func(tb *table) error { return second(tb.ListenPacket("tcp", "10.0.0.1:53")) }},

	{"accept closed", func(tb *table) error { return second(closed(tb.listen()).Accept()) }},
	{"accept while closed", func(tb *table) error {
		ln := tb.listen()
		time.AfterFunc(20*time.Millisecond, func() { ln.Close() })
		return second(ln.Accept())
	}},
	{"accept deadline", func(tb *table) error {
		ln := tb.listen()
		if err := ln.(interface{ SetDeadline(time.Time) error }).SetDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
			return err
		}
		return second(ln.Accept())
	}},
	{"listener closed twice", func(tb *table) error { return closed(tb.listen()).Close() }},
	{"listener deadline closed", func(tb *table) error {
		return closed(tb.listen()).(interface{ SetDeadline(time.Time) error }).SetDeadline(time.Now())
	}},

	{"read closed", func(tb *table) error { c, _ := tb.pair(); return second(closed(c).Read(make([]byte, 1))) }},
	{"read while closed", func(tb *table) error {
		c, _ := tb.pair()
		time.AfterFunc(20*time.Millisecond, func() { c.Close() })
		return second(c.Read(make([]byte, 1)))
	}},
	{"write closed", func(tb *table) error { c, _ := tb.pair(); return second(closed(c).Write([]byte("x"))) }},
	{"write nothing closed", func(tb *table) error { c, _ := tb.pair(); return second(closed(c).Write(nil)) }},
	{"close twice", func(tb *table) error { c, _ := tb.pair(); return closed(c).Close() }},
	{"close read closed", func(tb *table) error { c, _ := tb.pair(); return closed(c).CloseRead() }},
	{"close write closed", func(tb *table) error { c, _ := tb.pair(); return closed(c).CloseWrite() }},
	{"close write twice", func(tb *table) error { c, _ := tb.pair(); _ = c.CloseWrite(); return c.CloseWrite() }},
	{"close write reset", func(tb *table) error { c, s := tb.pair(); tb.reset(c, s); return c.CloseWrite() }},
	{"close read reset", func(tb *table) error { c, s := tb.pair(); tb.reset(c, s); return c.CloseRead() }},
	{"deadline closed", func(tb *table) error { c, _ := tb.pair(); return closed(c).SetDeadline(time.Now()) }},
	{"read deadline closed", func(tb *table) error { c, _ := tb.pair(); return closed(c).SetReadDeadline(time.Now()) }},
	{"write deadline closed", func(tb *table) error { c, _ := tb.pair(); return closed(c).SetWriteDeadline(time.Now()) }},
	{"no delay closed", func(tb *table) error { c, _ := tb.pair(); return closed(c).SetNoDelay(true) }},
	{"linger closed", func(tb *table) error { c, _ := tb.pair(); return closed(c).SetLinger(1) }},
	{"keep alive closed", func(tb *table) error { c, _ := tb.pair(); return closed(c).SetKeepAlive(true) }},
	{"keep alive period closed", func(tb *table) error { c, _ := tb.pair(); return closed(c).SetKeepAlivePeriod(time.Second) }},
	{"keep alive config closed", func(tb *table) error {
		c, _ := tb.pair()
		return closed(c).SetKeepAliveConfig(net.KeepAliveConfig{Enable: true})
	}},
	{"keep alive out of range", func(tb *table) error {
		c, _ := tb.pair()
		var errs []string
		for _, k := range []net.KeepAliveConfig{
			{Idle: 32767 * time.Second}, {Idle: 32767*time.Second + 1}, {Interval: 32767 * time.Second}, {Interval: 32767*time.Second + 1},
			{Idle: 1}, {Interval: 1}, {Count: 127}, {Count: 128}, {Count: 1 << 40}, {Idle: -1, Interval: -1, Count: -1}, {Idle: math.MaxInt64},
		} {
			errs = append(errs, shape(c.SetKeepAliveConfig(k)))
		}
		errs = append(errs, shape(c.SetKeepAlivePeriod(32768*time.Second)), shape(c.SetKeepAlivePeriod(0)), shape(c.SetKeepAlivePeriod(-1)))
		return errors.New(strings.Join(errs, "\n"))
	}},
	{"read buffer closed", func(tb *table) error { c, _ := tb.pair(); return closed(c).SetReadBuffer(4096) }},
	{"write buffer closed", func(tb *table) error { c, _ := tb.pair(); return closed(c).SetWriteBuffer(4096) }},

	{"read deadline", func(tb *table) error {
		c, _ := tb.pair()
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		return second(c.Read(make([]byte, 1)))
	}},
	{"read deadline passed", func(tb *table) error {
		c, _ := tb.pair()
		_ = c.SetReadDeadline(time.Unix(1, 0))
		return second(c.Read(make([]byte, 1)))
	}},
	{"write deadline", func(tb *table) error {
		c, _ := tb.pair()
		_ = c.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
		for {
			if _, err := c.Write(make([]byte, 1<<20)); err != nil {
				return err
			}
		}
	}},
	{"read reset", func(tb *table) error {
		c, s := tb.pair()
		_ = s.SetLinger(0)
		_ = s.Close()
		return second(c.Read(make([]byte, 1)))
	}},
	{"read after reset", func(tb *table) error { c, s := tb.pair(); tb.reset(c, s); return second(c.Read(make([]byte, 1))) }},
	{"write after reset", func(tb *table) error { c, s := tb.pair(); tb.reset(c, s); return second(c.Write([]byte("x"))) }},
	{"read end", func(tb *table) error { c, s := tb.pair(); _ = s.Close(); return second(c.Read(make([]byte, 1))) }},
	{"read nothing at the end", func(tb *table) error { c, s := tb.pair(); _ = s.Close(); return second(c.Read(nil)) }},
	{"read after close read", func(tb *table) error { c, _ := tb.pair(); _ = c.CloseRead(); return second(c.Read(make([]byte, 1))) }},
	{"read what waited at close read", func(tb *table) error {
		c, s := tb.pair()
		_, _ = s.Write([]byte("xyz"))
		_, _ = c.Read(make([]byte, 1)) // the others came along
		_ = c.CloseRead()
		n, err := c.Read(make([]byte, 9))
		m, end := c.Read(make([]byte, 9))
		return fmt.Errorf("%d, %w, then %d, %w", n, err, m, end)
	}},
	{"read what came after close read", func(tb *table) error {
		c, s := tb.pair()
		_ = c.CloseRead()
		_, _ = s.Write([]byte("xyz"))
		for {
			if n, err := c.Read(make([]byte, 9)); n > 0 || err != io.EOF {
				m, end := c.Read(make([]byte, 9))
				return fmt.Errorf("%d, %w, then %d, %w", n, err, m, end)
			}
			time.Sleep(time.Millisecond)
		}
	}},
	{"read reset after close read", func(tb *table) error {
		c, s := tb.pair()
		_ = c.CloseRead()
		_ = s.SetLinger(0)
		_ = s.Close()
		for {
			if n, err := c.Read(make([]byte, 9)); n > 0 || err != io.EOF {
				return err
			}
			time.Sleep(time.Millisecond)
		}
	}},
	{"write to who has closed both directions", func(tb *table) error {
		c, s := tb.pair()
		_ = s.CloseRead()
		_ = s.CloseWrite()
		_, _ = c.Read(make([]byte, 1))
		for {
			if _, err := c.Write([]byte("x")); err != nil {
				return err
			}
			time.Sleep(time.Millisecond)
		}
	}},
	{"read after both directions are closed", func(tb *table) error {
		c, s := tb.pair()
		_ = s.CloseRead()
		_ = s.CloseWrite()
		_, _ = c.Write([]byte("x"))
		for {
			if n, err := s.Read(make([]byte, 9)); n > 0 || err != io.EOF {
				return err
			}
			time.Sleep(time.Millisecond)
		}
	}},
	{"write after close write", func(tb *table) error { c, _ := tb.pair(); _ = c.CloseWrite(); return second(c.Write([]byte("x"))) }},
	{"write until reset", func(tb *table) error {
		c, s := tb.pair()
		_ = s.Close() // the next segment is answered by a reset
		for {
			if _, err := c.Write([]byte("x")); err != nil {
				return err
			}
			time.Sleep(time.Millisecond)
		}
	}},

	{"packet read closed", func(tb *table) error { return third(closed(tb.packet()).ReadFrom(make([]byte, 1))) }},
	{"packet write closed", func(tb *table) error {
		return second(closed(tb.packet()).WriteTo([]byte("x"), &net.UDPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 9}))
	}},
	{"packet closed twice", func(tb *table) error { return closed(tb.packet()).Close() }},
	{"packet deadline closed", func(tb *table) error { return closed(tb.packet()).SetDeadline(time.Now()) }},
	{"packet deadline", func(tb *table) error {
		pc := tb.packet()
		_ = pc.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		return third(pc.ReadFrom(make([]byte, 1)))
	}},
	{"packet write deadline", func(tb *table) error {
		pc := tb.packet()
		_ = pc.SetWriteDeadline(time.Unix(1, 0))
		return second(pc.WriteTo([]byte("x"), pc.LocalAddr()))
	}},
	{"packet too long", func(tb *table) error {
		pc := tb.packet()
		return second(pc.WriteTo(make([]byte, 65508), pc.LocalAddr()))
	}},
	{"packet no route", func(tb *table) error {
		return second(tb.packet().WriteTo([]byte("x"), &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 9}))
	}},
	{"packet to port 0", func(tb *table) error {
		return second(tb.packet().WriteTo([]byte("x"), &net.UDPAddr{IP: net.IPv4(10, 0, 0, 1)}))
	}},
	{"packet to nobody", func(tb *table) error { return second(tb.packet().WriteTo([]byte("x"), nil)) }},
	{"packet to a TCP address", func(tb *table) error {
		return second(tb.packet().WriteTo([]byte("x"), &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 9}))
	}},
	{"packet write without a peer", func(tb *table) error { return second(tb.packet().(net.Conn).Write([]byte("x"))) }},
	{"packet write to with a peer", func(tb *table) error {
		u := tb.udp()
		return second(u.(net.PacketConn).WriteTo([]byte("x"), u.RemoteAddr()))
	}},
	{"packet too long with a peer", func(tb *table) error { return second(tb.udp().Write(make([]byte, 65508))) }},
	{"packet refused", func(tb *table) error { u := tb.refused(); return second(u.Read(make([]byte, 1))) }},
	{"packet refused, seen by write", func(tb *table) error { u := tb.refused(); return second(u.Write([]byte("x"))) }},
	{"packet refused, seen by read from", func(tb *table) error {
		u := tb.refused()
		return third(u.(net.PacketConn).ReadFrom(make([]byte, 1)))
	}},
}

func third[A, B, C any](_ A, _ B, c C) C { return c }

// errno is all that is alike where package net tells the addresses of sockets that
// speak IPv6 as well.
func errno(_ net.Conn, err error) error {
	e, _ := errors.AsType[syscall.Errno](err)
	return e
}

// refused returns a packet connection whose peer's port is closed, and which has
// been told so.
func (tb *table) refused() net.Conn { return tb.refusedAt("10.0.0.1:0") }

// refusedAt is refused with another peer.
func (tb *table) refusedAt(address string) net.Conn {
	tb.t.Helper()
	pc := tb.packetOn("udp", address)
	u, err := tb.dial("udp", pc.LocalAddr().String())
	u = must(tb, u, err)
	pc.Close()
	if _, err := u.Write([]byte("x")); err != nil {
		tb.t.Fatal(err)
	}
	told := func() bool { // the error stays
		if ours, ok := u.(*stack.UDPConn); ok {
			return ours.Ready().Err != nil
		}
		c, err := u.(syscall.Conn).SyscallConn()
		c = must(tb, c, err)
		p := []unix.PollFd{{}}
		err = c.Control(func(fd uintptr) {
			p[0].Fd = int32(fd)
			_, _ = unix.Poll(p, 0)
		})
		must(tb, 0, err)
		return p[0].Revents&unix.POLLERR != 0
	}
	for end := time.Now().Add(time.Minute); !told() && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	_ = u.SetReadDeadline(time.Now().Add(time.Minute))
	return u
}
