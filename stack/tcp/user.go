package tcp

import (
	"io"
	"net/netip"
	"time"
)

// Read moves received octets to p. It returns ErrWouldBlock when there are
// none, io.EOF in its place after the peer's FIN and after CloseRead, and the connection's
// error when that is all there is; data that arrived before come first, and so
// does a FIN: a reset that follows a whole stream (the answer to a keep-alive
// probe when the peer has long forgotten the connection) takes nothing from it.
// RFC 9293 §3.10.7.4 would flush what is queued; Linux keeps it, too.
// Reading opens the window: call Output.
func (c *Conn) Read(p []byte) (int, error) {
	if c.rcvq.n > 0 {
		if p = c.toMark(p); c.rcvq.n > 0 {
			return c.rcvq.read(c.pool, p), nil
		}
	}
	return 0, c.readErr()
}

// readErr returns what Read does when there is nothing to read.
func (c *Conn) readErr() error {
	switch {
	case c.finDone():
		return io.EOF
	case c.err != nil:
		return c.err
	case c.noReader, c.state == Closed:
		return io.EOF
	}
	return ErrWouldBlock
}

// Peek is Read that leaves the octets where they are, from the n-th on.
func (c *Conn) Peek(p []byte, n int) (int, error) {
	if from, most := c.ahead(n); most > 0 {
		return c.rcvq.peek(p[:min(len(p), most)], from), nil
	}
	if n > 0 {
		return 0, ErrWouldBlock
	}
	return 0, c.readErr()
}

// finDone reports whether the peer's FIN and all text before it have arrived.
func (c *Conn) finDone() bool { return c.finReceived && c.rcvNxt.After(c.rcvFin) }

// WriteClosed reports whether Close or CloseWrite was called.
func (c *Conn) WriteClosed() bool { return c.closing }

// PeerClosed reports whether the peer's FIN and all text before it have arrived.
func (c *Conn) PeerClosed() bool { return c.finDone() }

// Readable reports whether Read would return something else than ErrWouldBlock.
func (c *Conn) Readable() bool {
	_, text := c.ahead(0)
	return text > 0 || c.noReader || c.err != nil || c.state == Closed || c.finDone()
}

// Buffered returns how many octets Read can give at once.
func (c *Conn) Buffered() int { return c.rcvq.n }

// writeErr returns why nothing can be written, nil when something can.
func (c *Conn) writeErr() error {
	switch {
	case c.err != nil:
		return c.err
	case c.closing, c.state == Closed:
		return ErrPipe
	case c.sndq.n >= c.sendSpace():
		return ErrWouldBlock
	}
	return nil
}

// Write copies as much of p as the send queue has room for and returns how
// much that was. It returns ErrWouldBlock only with n == 0, and ErrPipe or the
// connection's error when nothing can be sent any more. Before the handshake
// is over the data wait in the queue.
func (c *Conn) Write(p []byte) (int, error) {
	if err := c.writeErr(); err != nil {
		c.noteWish(err != ErrWouldBlock)
		return 0, err
	}
	n := min(len(p), c.sendSpace()-c.sndq.n)
	c.noteWish(n == len(p))
	c.sndq.write(c.pool, p[:n])
	return n, nil
}

// WriteRef queues p by reference: all of it when the queue is below its bound,
// which p may exceed, else nothing and ErrWouldBlock. Of more than a gibioctet
// only the first is taken; n tells. What was taken must not change until
// release is called, which happens exactly once, from inside a later call of
// the Conn (never from this one) or of Pool.Recycle, when it has been
// acknowledged or the connection is over. release must not call the Conn; nil
// is allowed. When n is 0 (after an error, or for an empty p) it is not called.
func (c *Conn) WriteRef(p []byte, release func()) (int, error) {
	err := c.writeErr()
	c.noteWish(err != ErrWouldBlock)
	if err != nil {
		return 0, err
	}
	n := min(len(p), maxBuffer)
	if n > 0 {
		c.sndq.writeRef(c.pool, p[:n], release)
	}
	return n, nil
}

// Writable reports whether Write would return something else than
// ErrWouldBlock.
func (c *Conn) Writable() bool { return c.writeErr() != ErrWouldBlock }

// State returns the present state.
func (c *Conn) State() State { return c.state }

// Err returns why the connection ended: nil while it lives and after an orderly
// close.
func (c *Conn) Err() error { return c.err }

// Done reports whether the owner may forget the connection: it is CLOSED and
// nothing is left to emit. Text that arrived before may still be read.
func (c *Conn) Done() bool { return c.state == Closed && !c.reply.due }

// Disordered reports whether something in flight seems to be lost. Then what is
// sent follows acknowledgment by acknowledgment (RFC 3042, RFC 9937): the owner
// calls Output before the next Input.
func (c *Conn) Disordered() bool {
	return c.loss != lossNone || !c.board.empty() || c.dupAcks > 0
}

// Local returns the local address and port.
func (c *Conn) Local() netip.AddrPort { return c.local }

// Remote returns the peer's address and port.
func (c *Conn) Remote() netip.AddrPort { return c.remote }

// SetNoDelay switches Nagle's algorithm off (true) or on (RFC 9293 §3.7.4).
// Switching it off sends what waits now, even behind a cork, as in Linux.
func (c *Conn) SetNoDelay(on bool) {
	c.noDelay = on
	if k := c.cork; on && k != nil && k.on {
		k.due = true
	}
}

// SetCongestionControl changes Config.CongestionControl; the window stays.
func (c *Conn) SetCongestionControl(cc CongestionControl) { c.cc = cc }

// SetQuickAck acknowledges at once what waits for its acknowledgment and the
// next segments (on), or delays as usual (TCP_QUICKACK).
func (c *Conn) SetQuickAck(on bool) {
	c.quickAcks, c.rcvq.hurried = 0, false
	if on {
		c.quickAcks = quickAckRun
		if c.ackAt != 0 {
			c.ackDue = max(c.ackDue, 1)
		}
	}
}

// SetFinWait2 changes Config.FinWait2, from the next close on.
func (c *Conn) SetFinWait2(d time.Duration) { c.finWait2 = inMillis(or(d, DefaultFinWait2)) }

// SetKeepAlive changes keep-alive probing; a zero Idle switches it off.
func (c *Conn) SetKeepAlive(now Instant, k KeepAlive) {
	c.keep, c.keepProbes, c.keepDue = k.compact(), 0, false
	c.armKeepAlive(now)
}

// SetConnectTimeout changes Config.ConnectTimeout of a handshake that is under way;
// zero means the default.
func (c *Conn) SetConnectTimeout(d time.Duration) {
	d = or(d, defaultConnectTimeout)
	switch {
	case c.state != SynSent && c.state != SynReceived:
	case c.Deferred():
		c.fast.timeout = inMillis(d)
	default:
		c.waitAt = c.progressAt.Add(d)
	}
}

// SetUserTimeout changes Config.UserTimeout; zero means the default. It is a
// millisecond at least and 49 days at most (RFC 5482 §3 wants bounds). What has gone
// unanswered for longer than that already ends the connection. A closed window that
// the peer still answers for is no such silence: the next probe leaves within the new
// timeout, and it runs from there.
func (c *Conn) SetUserTimeout(now Instant, d time.Duration) {
	was := c.progressAt.Add(c.userTimeout.duration())
	c.userTimeout = inMillis(or(d, defaultUserTimeout))
	switch {
	case c.rtxAt == 0 || !c.state.Synchronized():
	case c.answered():
		c.rtxAt = min(c.rtxAt, now.Add(c.userTimeout.duration()))
	case c.rtxAt == was:
		c.armRetransmit(now) // the old one had cut it short
	default:
		c.rtxAt = c.boundRetransmit(now, c.rtxAt)
	}
}

// AckedNewData reports whether a segment acknowledged new data since the last
// call: evidence that the way to the peer works (RFC 4861 §7.3.1).
func (c *Conn) AckedNewData() bool {
	was := c.ackedNew
	c.ackedNew = false
	return was
}
