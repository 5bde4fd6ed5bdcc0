package host

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"time"

	"arpeggio/stack"
)

// UDP ports of DHCP (RFC 2131 §4.1).
const (
	serverPort = 67
	clientPort = 68
)

// maxMessage is more than any DHCP message that fits an Ethernet frame.
const maxMessage = 4096

// PacketConn carries DHCP messages over one interface; *stack.UDPConn is one.
// It must send to 255.255.255.255 and receive broadcasts before the interface
// has an address. A read deadline that passes ends a pending read with an error
// that is os.ErrDeadlineExceeded. Its methods are called concurrently.
type PacketConn interface {
	ReadFromAddrPort(p []byte) (n int, from netip.AddrPort, err error)
	WriteToAddrPort(p []byte, to netip.AddrPort) (n int, err error)
	SetReadDeadline(t time.Time) error
	Close() error
}

// anonymousWriter is a PacketConn that can send to a broadcast address from
// 0.0.0.0 while the interface has another address; *stack.UDPConn is one.
type anonymousWriter interface {
	WriteAnonymous(p []byte, to netip.AddrPort) (n int, err error)
}

// bind opens port on an interface.
func bind(s *stack.Stack, i *stack.Interface, port uint16) (PacketConn, error) {
	if s == nil || i == nil {
		return nil, errors.New("host: DHCP needs a Stack and one of its Interfaces, or a Conn")
	}
	c, err := (&stack.ListenConfig{Interface: i}).ListenPacket(s, "udp4", fmt.Sprintf(":%d", port))
	if err != nil {
		return nil, fmt.Errorf("host: DHCP on %s: %w", i.Name(), err)
	}
	return c.(*stack.UDPConn), nil
}

// engine is what both shells drive. It knows no clock: now is an argument.
type engine interface {
	input(now time.Time, msg []byte) // a message has arrived
	tick(now time.Time)              // the deadline may have passed
	deadline() time.Time             // when tick is due; zero is never
	emit() (out outgoing, more bool) // a message to send, until there is none
}

// outgoing is a message and where it goes.
type outgoing struct {
	msg       []byte
	to        netip.AddrPort
	anonymous bool // from 0.0.0.0
}

// nudge makes a shell look again at what has been asked of it from outside. The
// zero value works.
type nudge struct {
	mu      sync.Mutex
	conn    PacketConn // of the running shell
	pending bool
}

// set asks for a look.
func (n *nudge) set() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pending = true
	if n.conn != nil {
		_ = n.conn.SetReadDeadline(time.Unix(1, 0)) // fails when closed, and the shell has ended
	}
}

// take reports whether a look was asked for since the last time.
func (n *nudge) take() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	was := n.pending
	n.pending = false
	return was
}

// attach says which connection a shell reads; nil is none any more.
func (n *nudge) attach(c PacketConn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.conn = c
}

// run drives e until ctx ends (nil) or the connection fails. after is called when
// e may have changed and its messages have been sent, and when look is set.
func run(ctx context.Context, c PacketConn, e engine, look *nudge, after func(ctx context.Context)) error {
	look.attach(c)
	defer look.attach(nil)
	stop := context.AfterFunc(ctx, func() {
		_ = c.SetReadDeadline(time.Unix(1, 0)) // fails when closed, which ends the read too
	})
	defer stop()
	buf := make([]byte, maxMessage)
	for {
		e.tick(time.Now())
		flush(c, e)
		after(ctx)
		flush(c, e)
		if err := c.SetReadDeadline(e.deadline()); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
		if look.take() { // since after began
			continue
		}
		n, _, err := c.ReadFromAddrPort(buf)
		switch {
		case err == nil:
			e.input(time.Now(), buf[:n])
		case ctx.Err() != nil:
			return nil
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return err
		}
	}
}

// flush sends what e has to say. A message that cannot be sent is as one that is
// lost on the way: it will be sent again.
func flush(c PacketConn, e engine) {
	for {
		out, ok := e.emit()
		if !ok {
			return
		}
		if a, ok := c.(anonymousWriter); ok && out.anonymous {
			_, _ = a.WriteAnonymous(out.msg, out.to)
			continue
		}
		_, _ = c.WriteToAddrPort(out.msg, out.to)
	}
}
