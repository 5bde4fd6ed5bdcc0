package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"arpeggio/stack"
)

// Ports of the test services.
const (
	EchoPort    = 7    // TCP and UDP (RFC 862)
	DiscardPort = 9    // TCP (RFC 863)
	DaytimePort = 13   // TCP (RFC 867)
	ChargenPort = 19   // TCP (RFC 864)
	DialPort    = 4000 // UDP; the test command, ours
)

// InetdConfig configures the test services. Stack is required.
type InetdConfig struct {
	Stack *stack.Stack // stays the caller's
	// DialTimeout bounds the handshake that a dial command begins; zero is the
	// stack's own limit.
	DialTimeout time.Duration
	Logger      *slog.Logger // hears of dial commands; nil discards
}

// Inetd runs the small services by which a host is tested from outside: on TCP
// echo (RFC 862), discard (RFC 863), daytime (RFC 867) and chargen (RFC 864), on
// UDP echo, and on UDP port 4000 a command:
//
//	dial A.B.C.D PORT
//
// makes the host connect there and echo what comes. A command that is none is
// answered with a line that says so; a good one is answered by the connection.
//
// They are for a network of one's own: anybody who reaches them can have
// traffic sent (CA-1996-01). UDP echo leaves datagrams from the ports of such
// services alone, and the dial command is not explained to them, so that two hosts
// never echo to each other for ever.
//
// Idle connections stay open as long as their peer does.
type Inetd struct {
	cfg     InetdConfig
	log     *slog.Logger
	life    context.Context
	stop    context.CancelFunc
	running sync.WaitGroup

	mu   sync.Mutex
	open map[io.Closer]struct{} // nil when closed
}

// StartInetd opens the services' ports on every own address. When one is taken
// it opens none and returns the listener's error.
func StartInetd(cfg InetdConfig) (*Inetd, error) {
	if cfg.Stack == nil {
		return nil, errors.New("host: the test services need a Stack")
	}
	d := &Inetd{cfg: cfg, log: cfg.Logger, open: make(map[io.Closer]struct{})}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	d.life, d.stop = context.WithCancel(context.Background())
	for _, s := range []struct {
		port  uint16
		serve func(net.Conn)
	}{{EchoPort, echo}, {DiscardPort, discard}, {DaytimePort, daytime}, {ChargenPort, chargen}} {
		if err := d.listen(s.port, s.serve); err != nil {
			d.Close()
			return nil, err
		}
	}
	for _, s := range []struct {
		port   uint16
		answer func(p []byte, from netip.AddrPort) []byte
	}{{EchoPort, echoDatagram}, {DialPort, d.command}} {
		if err := d.packets(s.port, s.answer); err != nil {
			d.Close()
			return nil, err
		}
	}
	return d, nil
}

// Close ends the services and their connections. It is idempotent.
func (d *Inetd) Close() error {
	d.stop()
	d.mu.Lock()
	open := d.open
	d.open = nil
	d.mu.Unlock()
	for c := range open {
		c.Close()
	}
	d.running.Wait()
	return nil
}

// hold notes that c is to be closed with the services; false means that they
// are closed, and c with them.
func (d *Inetd) hold(c io.Closer) bool {
	d.mu.Lock()
	held := d.open != nil
	if held {
		d.open[c] = struct{}{}
	}
	d.mu.Unlock()
	if !held {
		c.Close()
	}
	return held
}

// release closes c.
func (d *Inetd) release(c io.Closer) {
	d.mu.Lock()
	delete(d.open, c)
	d.mu.Unlock()
	c.Close()
}

// listen serves each connection to a TCP port.
func (d *Inetd) listen(port uint16, serve func(net.Conn)) error {
	ln, err := d.cfg.Stack.Listen("tcp4", ":"+strconv.Itoa(int(port)))
	if err != nil {
		return fmt.Errorf("host: test service: %w", err)
	}
	d.hold(ln)
	d.running.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			d.serve(c, serve)
		}
	})
	return nil
}

// serve runs a service on c until it ends. The services show the stack to those
// who test it, so Nagle's algorithm is on, as RFC 9293 §3.7.4 has it.
func (d *Inetd) serve(c net.Conn, service func(net.Conn)) {
	if !d.hold(c) {
		return
	}
	if t, ok := c.(*stack.TCPConn); ok {
		_ = t.SetNoDelay(false) // fails for a connection that is gone
	}
	d.running.Go(func() {
		defer d.release(c)
		service(c)
	})
}

// packets answers the datagrams of a UDP port.
func (d *Inetd) packets(port uint16, answer func(p []byte, from netip.AddrPort) []byte) error {
	pc, err := d.cfg.Stack.ListenPacket("udp4", ":"+strconv.Itoa(int(port)))
	if err != nil {
		return fmt.Errorf("host: test service: %w", err)
	}
	u := pc.(*stack.UDPConn)
	d.hold(u)
	d.running.Go(func() {
		buf := make([]byte, 65535)
		for {
			n, q, err := u.ReadDatagram(buf)
			switch {
			case errors.Is(err, net.ErrClosed):
				return
			case err != nil:
				continue // an ICMP error about an answer
			}
			if reply := answer(buf[:n], q.From); reply != nil {
				_, _ = u.Answer(q, reply) // lost, as datagrams may be
			}
		}
	})
	return nil
}

// echoDatagram answers with the datagram itself (RFC 862), unless another
// service would answer that.
func echoDatagram(p []byte, from netip.AddrPort) []byte {
	switch from.Port() {
	case EchoPort, DaytimePort, 17, ChargenPort: // 17: quote of the day
		return nil
	}
	return p
}

// command carries out a dial command and returns what there is to answer.
func (d *Inetd) command(p []byte, from netip.AddrPort) []byte {
	to, err := parseDial(string(p))
	if err != nil {
		switch from.Port() {
		case DialPort, EchoPort: // another host's complaint, or its echo of ours
			return nil
		}
		return []byte(err.Error() + "\n")
	}
	d.log.Info("dial", "to", to, "asked by", from)
	d.running.Go(func() {
		ctx := d.life
		if d.cfg.DialTimeout > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, d.cfg.DialTimeout)
			defer cancel()
		}
		c, err := d.cfg.Stack.DialTCP(ctx, netip.AddrPort{}, to)
		if err != nil {
			d.log.Info("dial failed", "to", to, "error", err)
			return
		}
		d.serve(c, echo)
	})
	return nil
}

// parseDial reads "dial A.B.C.D PORT", with any white space around the words.
func parseDial(s string) (netip.AddrPort, error) {
	f := strings.Fields(s)
	if len(f) != 3 || f[0] != "dial" {
		return netip.AddrPort{}, errors.New("want: dial A.B.C.D PORT")
	}
	a, err := netip.ParseAddr(f[1])
	if err != nil || !a.Is4() {
		return netip.AddrPort{}, fmt.Errorf("%.40q is not an IPv4 address; want: dial A.B.C.D PORT", f[1])
	}
	port, err := strconv.ParseUint(f[2], 10, 16)
	if err != nil || port == 0 {
		return netip.AddrPort{}, fmt.Errorf("%.40q is not a port between 1 and 65535; want: dial A.B.C.D PORT", f[2])
	}
	return netip.AddrPortFrom(a, uint16(port)), nil
}
