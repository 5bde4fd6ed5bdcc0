package stack

import (
	"net"
	"time"

	"arpeggio/stack/ipv4"
	"arpeggio/stack/tcp"
)

// LocalAddr implements net.Conn; the result is a *net.TCPAddr.
func (c *TCPConn) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(c.m.Local()) }

// RemoteAddr implements net.Conn; the result is a *net.TCPAddr.
func (c *TCPConn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.m.Remote()) }

// SetDeadline implements net.Conn.
func (c *TCPConn) SetDeadline(t time.Time) error { return c.setDeadlines(t, &c.rd, &c.wr) }

// SetReadDeadline implements net.Conn.
func (c *TCPConn) SetReadDeadline(t time.Time) error { return c.setDeadlines(t, &c.rd) }

// SetWriteDeadline implements net.Conn.
func (c *TCPConn) SetWriteDeadline(t time.Time) error { return c.setDeadlines(t, &c.wr) }

func (c *TCPConn) setDeadlines(t time.Time, ws ...*waiter) error {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	if c.closed {
		return c.setError(errClosed)
	}
	for _, w := range ws {
		w.set(t)
	}
	return nil
}

// SetNoDelay switches Nagle's algorithm off (true, as it is from the start) or
// on.
func (c *TCPConn) SetNoDelay(on bool) error {
	return c.control("set", func(tcp.Instant) { c.m.SetNoDelay(on) })
}

// IPHeader holds fields of the IP header of what a connection sends. The zero
// value is the defaults.
type IPHeader struct {
	TOS uint8 // type of service; its two low bits belong to ECN and are ignored
	TTL uint8 // hops; 0 is Config.TTL

	// MayFragment lets routers fragment what is too long for them, in the place
	// of path MTU discovery (RFC 1191): an evil, but some paths lose the errors
	// that this needs.
	MayFragment bool
}

// ecnMask is the part of the type of service that RFC 3168 has taken.
const ecnMask = 3

func (o IPHeader) stamp(h *ipv4.Header) {
	h.TOS |= o.TOS &^ ecnMask
	h.DF = !o.MayFragment
	if o.TTL != 0 {
		h.TTL = o.TTL
	}
}

// SetIPHeader changes the fields from the next packet on.
func (c *TCPConn) SetIPHeader(h IPHeader) error {
	return c.control("set", func(tcp.Instant) { c.header = h })
}

// PeerTOS returns the type of service, its ECN bits included, of the segment that
// came last (RFC 9293 §3.9.1.9), whether or not the connection took anything of it:
// whose traffic class a server would answer in, for one.
func (c *TCPConn) PeerTOS() uint8 {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return c.tos
}

// SetIPHeader changes the fields for connections that begin from now on.
func (l *TCPListener) SetIPHeader(h IPHeader) {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	l.header = h
}

// SetLinger says what Close does with data that the peer has not acknowledged:
// below zero, the default, they are sent in the background; 0 discards them and
// resets the connection; above zero Close waits for so many seconds.
func (c *TCPConn) SetLinger(sec int) error {
	return c.control("set", func(tcp.Instant) { c.linger = time.Duration(sec) * time.Second })
}

// SetKeepAlive switches keep-alive probes on or off.
func (c *TCPConn) SetKeepAlive(on bool) error {
	return c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: on, Idle: -1, Interval: -1, Count: -1})
}

// SetKeepAlivePeriod sets the silence before the first probe, of keep-alive that is
// on or will be, as Idle of SetKeepAliveConfig does.
func (c *TCPConn) SetKeepAlivePeriod(d time.Duration) error {
	return c.configureKeepAlive(net.KeepAliveConfig{Idle: d, Interval: -1, Count: -1}, func() bool { return c.probing })
}

// Bounds of Linux's: TCP_KEEPIDLE and TCP_KEEPINTVL in whole seconds, TCP_KEEPCNT.
const (
	maxKeepAlive  = 32767 * time.Second
	maxKeepProbes = 127
)

// SetKeepAliveConfig configures keep-alive as net.TCPConn's does: zero means
// the default (DefaultKeepAlive, then every 75 s, nine times), below zero leaves
// a value as it is. A time of more than 32,767 s, or more than 127 probes, is EINVAL,
// and changes nothing.
func (c *TCPConn) SetKeepAliveConfig(k net.KeepAliveConfig) error {
	return c.configureKeepAlive(k, func() bool { return k.Enable })
}

// configureKeepAlive is SetKeepAliveConfig that asks whether to enable under the lock.
func (c *TCPConn) configureKeepAlive(k net.KeepAliveConfig, enable func() bool) error {
	bad := max(k.Idle, k.Interval) > maxKeepAlive || k.Count > maxKeepProbes
	err := c.control("set", func(now tcp.Instant) {
		if bad {
			return
		}
		pick := func(v, def, old time.Duration) time.Duration {
			switch {
			case v == 0, v < 0 && old == 0:
				return def
			case v < 0:
				return old
			}
			return v
		}
		old := c.keepAlive
		c.keepAlive = tcp.KeepAlive{
			Idle:     pick(k.Idle, DefaultKeepAlive, old.Idle),
			Interval: pick(k.Interval, 0, old.Interval),
			Probes:   int(pick(time.Duration(k.Count), 0, time.Duration(old.Probes))),
		}
		if c.probing = enable(); c.probing {
			c.m.SetKeepAlive(now, c.keepAlive)
		} else {
			c.m.SetKeepAlive(now, tcp.KeepAlive{})
		}
	})
	if err == nil && bad {
		err = c.wrap("set", called("setsockopt", errInvalid))
	}
	return err
}

// SetCongestionControl changes what decides the congestion window; cc serves
// this connection only.
func (c *TCPConn) SetCongestionControl(cc tcp.CongestionControl) error {
	return c.control("set", func(tcp.Instant) { c.m.SetCongestionControl(cc) })
}

// SetReadBuffer bounds the octets that wait for Read, and ends the growing of
// the bound by itself. The window scale of the handshake limits how far it can
// grow; see ListenConfig.ReadBuffer and Config.RcvBuf.
func (c *TCPConn) SetReadBuffer(n int) error {
	return c.setBuffer(n, c.m.SetReceiveBuffer)
}

// SetWriteBuffer bounds the octets that wait to be sent and acknowledged, and
// ends the growing of the bound by itself.
func (c *TCPConn) SetWriteBuffer(n int) error {
	return c.setBuffer(n, c.m.SetSendBuffer)
}

func (c *TCPConn) setBuffer(n int, set func(int)) error {
	if err := c.control("set", func(tcp.Instant) { set(n) }); err != nil {
		return c.setError(errClosed)
	}
	return nil
}

// setError is what package net says about deadlines and buffers: it names the
// local end only, and that as the address.
func (c *TCPConn) setError(err error) error { return opError("set", "tcp", nil, c.LocalAddr(), err) }

// SetUserTimeout bounds how long data may stay unacknowledged before the
// connection ends with ETIMEDOUT (RFC 5482, local part); 0 is the default.
func (c *TCPConn) SetUserTimeout(d time.Duration) error {
	return c.control("set", func(now tcp.Instant) { c.m.SetUserTimeout(now, d) })
}

// SetConnectTimeout bounds the handshake, from its SYN on, when it is under way
// (TCP_SYNCNT counts its retransmissions); 0 is the default.
func (c *TCPConn) SetConnectTimeout(d time.Duration) error {
	return c.control("set", func(tcp.Instant) { c.m.SetConnectTimeout(d) })
}

// SetMaxPacingRate bounds the octets of text that leave in a second
// (SO_MAX_PACING_RATE); 0, the default, is no bound. A connection that begins with
// one has it from Dialer.Adjust or ListenConfig.Adjust: see
// tcp.Conn.SetMaxPacingRate.
func (c *TCPConn) SetMaxPacingRate(rate uint64) error {
	return c.control("set", func(tcp.Instant) { c.m.SetMaxPacingRate(rate) })
}

// Info returns a snapshot of the connection's state.
func (c *TCPConn) Info() tcp.Info {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return c.m.Info()
}

// CountSending brings Busy, WindowLimited, BufferLimited and Delivered of Info up
// to now. They count from the first call on.
func (c *TCPConn) CountSending() {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.m.CountSending(c.s.now())
}

// SetCork keeps partial segments back until it is switched off, for 200 ms at
// most (TCP_CORK).
func (c *TCPConn) SetCork(on bool) error {
	return c.control("set", func(tcp.Instant) { c.m.SetCork(on) })
}

// MoreToCome keeps a partial segment back for what will be written next, until
// something is acknowledged or 200 ms have passed (MSG_MORE).
func (c *TCPConn) MoreToCome() error {
	return c.control("set", func(tcp.Instant) { c.m.MoreToCome() })
}

// EndRecord marks the end of a record (MSG_EOR): what is written later shares no
// segment with what was written before.
func (c *TCPConn) EndRecord() error {
	return c.control("set", func(tcp.Instant) { c.m.EndRecord() })
}

// SetQuickAck acknowledges the next segments at once, or no longer (TCP_QUICKACK).
func (c *TCPConn) SetQuickAck(on bool) error {
	return c.control("set", func(tcp.Instant) { c.m.SetQuickAck(on) })
}

// SetFinWait2 bounds how long FIN-WAIT-2 lasts after Close (TCP_LINGER2); 0 is
// the default.
func (c *TCPConn) SetFinWait2(d time.Duration) error {
	return c.control("set", func(tcp.Instant) { c.m.SetFinWait2(d) })
}
