package tcp

// FastOpen says how a handshake uses Fast Open (RFC 7413): text in the SYN, one
// round trip less. The zero value does without. The text may reach the
// application twice when the network doubles the SYN (§2.1), so this is only for
// requests that can be repeated.
type FastOpen struct {
	// Request, of an active connection, asks the server for a cookie.
	Request bool
	// Cookie, of an active connection, is what the server gave for this address
	// before: the SYN bears it, and the text written until then, and leaves when
	// there is text, or at StartHandshake. Of a passive connection it is what the
	// SYN-ACK gives to the peer.
	Cookie FastOpenCookie
	// NoCookie, of an active connection, is Cookie without one, for a server that
	// asks for none: on a network where nobody forges addresses.
	NoCookie bool
	// MSS is what the server announced with its cookie: the SYN carries no more
	// text than that. Zero means 536, and with NoCookie, where a server need not
	// have been asked before, Config.MSS.
	MSS uint16
	// Accept, of a passive connection, takes the text of the SYN, whose cookie
	// the owner has checked. Read gives it, and Write sends, before the handshake
	// is over, also when there is none.
	Accept bool
	// Old, of a passive connection, gives the cookie in the form of the
	// experiments before RFC 7413, in which the SYN asked for it.
	Old bool
}

// early reports whether the SYN carries text.
func (f *FastOpen) early() bool { return f.NoCookie || !f.Cookie.IsZero() }

// FastOpenResult is what an active connection has learned of Fast Open.
type FastOpenResult struct {
	Cookie   FastOpenCookie // given by the server; zero when none was
	MSS      uint16         // announced by the server
	Tried    bool           // the SYN carried text
	Accepted bool           // and the server took some of it
	// Blocked: the SYN with the option was not answered and a plain one was, with
	// neither cookie nor text taken: something on the path may be in the way of Fast
	// Open (RFC 7413 §7.1).
	Blocked bool
	// Unanswered: nor was a plain one, or an ICMP error was the answer. Something
	// on the path may shut a connection out for good that has tried Fast Open
	// (RFC 7413 §4.1.3.1). Blocked is set, too.
	Unanswered bool
}

// fastOpen is the state of Fast Open during a handshake.
type fastOpen struct {
	FastOpen
	timeout millis // Config.ConnectTimeout, which runs from the SYN
	waiting bool   // the SYN waits for text
	over    bool   // the SYN goes without, now
	big     bool   // because it was too big for the path, which is no sign of congestion
	known   bool   // the result is
	end     Seq    // behind the text of the SYN
	result  FastOpenResult
}

// beginFastOpen prepares an active connection.
func (c *Conn) beginFastOpen(cfg *Config) {
	f := cfg.FastOpen
	if !f.early() && !f.Request {
		return
	}
	if f.NoCookie {
		f.MSS = or(f.MSS, c.maxMSS)
	}
	c.fast = &fastOpen{FastOpen: f, waiting: f.early(), timeout: inMillis(or(cfg.ConnectTimeout, defaultConnectTimeout))}
	if c.fast.waiting {
		c.synDue, c.waitAt = false, 0
	}
}

// StartHandshake sends a SYN that waits for text (FastOpen.Cookie) without, and
// reports whether there was one.
func (c *Conn) StartHandshake() bool {
	waits := c.Deferred()
	if waits {
		c.fast.waiting, c.synDue = false, true
	}
	return waits
}

// Deferred reports whether the SYN waits for text.
func (c *Conn) Deferred() bool { return c.state == SynSent && c.fast != nil && c.fast.waiting }

// deferredSyn has the SYN sent when there is what it waited for.
func (c *Conn) deferredSyn(now Instant) {
	if c.Deferred() && (c.sndq.n > 0 || c.closing) {
		c.StartHandshake()
	}
	if c.synDue && c.waitAt == 0 {
		c.waitAt, c.progressAt = now.Add(c.fast.timeout.duration()), now
	}
}

// Sendable reports whether text that is written can leave before anything
// arrives: the handshake is over, or Fast Open does not wait for its end.
func (c *Conn) Sendable() bool {
	return c.state.Synchronized() || c.openEarly() || c.Deferred()
}

// openEarly reports whether this is a server that has let a SYN in (Accept) and may
// answer it already.
func (c *Conn) openEarly() bool {
	return c.state == SynReceived && c.passive && c.fast != nil && c.fast.Accept
}

// SynRoom returns how much text a SYN that waits for text can carry, in octets:
// the server's segment size without the room of all the options that there can
// be. It is zero when no SYN waits.
func (c *Conn) SynRoom() int {
	if !c.Deferred() {
		return 0
	}
	return c.synRoom()
}

func (c *Conn) synRoom() int {
	return max(0, min(int(or(c.fast.MSS, defaultMSS)), int(c.pathMSS), int(c.linkMSS))-maxOptionsLen)
}

// fastOpenSyn adds option and text to a SYN or SYN-ACK and returns the octets of
// text. What is sent again goes without: the path may not like it (RFC 7413
// §4.1.3).
func (c *Conn) fastOpenSyn(s *Segment) (n int) {
	f := c.fast
	if f == nil || f.over {
		return 0
	}
	if c.sndMax != c.iss {
		f.over = true
		return 0
	}
	o := &s.Options
	o.FastOpen, o.Cookie, o.FastOpenOld = f.Request || !f.Cookie.IsZero(), f.Cookie, f.Old
	if c.state != SynSent || !f.early() {
		return 0
	}
	if n = min(c.sndq.n, c.synRoom()); n > 0 {
		s.Data, n = c.sndq.slice(c.pool.pieces[:0], c.iss.Add(1), n)
	}
	f.end = c.iss.Add(1 + n)
	return n
}

// synTextLeft reports whether all that waits was in the SYN and not taken. It goes
// at once: Nagle's algorithm collects what is new.
func (c *Conn) synTextLeft() bool {
	return c.fast != nil && c.fast.result.Tried && c.sndq.end().BeforeEq(c.fast.end)
}

// synTooBig reports whether a SYN is under way with more text than the path, as it
// is known now, carries.
func (c *Conn) synTooBig() bool {
	f := c.fast
	return c.state == SynSent && f != nil && f.result.Tried && !f.over && f.end.Sub(c.iss.Add(1)) > c.synRoom()
}

// fastOpenAnswered learns from the SYN-ACK: whether it acknowledges text, which
// is sent again otherwise, and the cookie for the next time (RFC 7413 §4.1.3).
func (c *Conn) fastOpenAnswered(seg *Segment) {
	n := seg.Ack.Sub(c.iss.Add(1))
	c.sndq.advance(c.pool, seg.Ack)
	c.traffic.bytesAcked += uint64(n)
	c.sndNxt, c.sndMax = seg.Ack, seg.Ack
	f := c.fast
	if f == nil {
		return
	}
	c.synData = n > 0 && seg.Ack == f.end
	f.result.MSS = c.peerMSS
	if f.Request || !f.Cookie.IsZero() { // else nobody has asked for it
		f.result.Cookie = seg.Options.Cookie
	}
	f.result.Accepted, f.result.Blocked = n > 0, f.over && !f.big && n == 0 && f.result.Cookie.IsZero()
	if f.big { // it went without its text at last, which says nothing about the server
		f.result.Tried = false
	}
	f.known = true
}

// fastOpenUnanswered notes that the SYN with the option has had no answer, nor one
// without, or an ICMP error.
func (c *Conn) fastOpenUnanswered() {
	if f := c.fast; c.state == SynSent && f != nil && !f.big && c.sndMax != c.iss {
		f.result.Blocked, f.result.Unanswered, f.known = true, true, true
	}
}

// FastOpenResult returns, once, what an active connection has learned of Fast
// Open when its SYN is answered, or has failed.
func (c *Conn) FastOpenResult() (r FastOpenResult, ok bool) {
	if c.fast == nil || !c.fast.known {
		return r, false
	}
	r, c.fast = c.fast.result, nil
	return r, true
}

// takeSynText is the server's part: the text of the SYN counts as received
// (RFC 7413 §4.2.2).
func (c *Conn) takeSynText(now Instant, cfg *Config, syn *Segment) {
	f := cfg.FastOpen
	if !f.Cookie.IsZero() || f.Accept {
		c.fast = &fastOpen{FastOpen: FastOpen{Cookie: f.Cookie, Accept: f.Accept, Old: f.Old}}
	}
	p := syn.Payload[:min(len(syn.Payload), c.recvSpace(), int(c.maxMSS))]
	if !f.Accept || len(p) == 0 {
		return
	}
	c.rcvq.insert(c.pool, c.rcvNxt, p)
	c.rcvNxt = c.rcvq.nxt()
	c.rcvAdv = c.rcvNxt.Add(c.synWindow())
	c.lastAckSent, c.lastText = c.rcvNxt, now
	c.synData = true
	c.traffic.bytesIn += uint64(len(p))
}

// synWindow returns the window of a SYN or SYN-ACK, which is never scaled
// (RFC 7323 §2.2), and not less than was promised, whatever has become of the
// buffer.
func (c *Conn) synWindow() int {
	promised := int(c.rcvAdv)
	if c.state == SynReceived {
		promised = c.rcvAdv.Sub(c.rcvNxt)
	}
	return min(max(promised, int(c.rcvBuf)-c.rcvq.n), 65535)
}

// fastOpenDone ends the server's part when the handshake is over. What was sent
// behind a SYN-ACK that was lost came too early for the peer.
func (c *Conn) fastOpenDone(now Instant) {
	if c.passive {
		c.fast = nil
	}
	if c.flight() == 0 {
		return
	}
	if c.synAgain {
		c.resend(now)
		return
	}
	c.armRetransmit(now)
}
