package tcp

// SoftError records an ICMP error that does not end the connection. It is
// reported instead of ErrTimeout when the connection gives up (RFC 9293
// §3.9.2.2, MUST-56).
func (c *Conn) SoftError(err error) { c.softErr = err }

// HardError ends the handshake with err. Once the connection is synchronized it
// is a soft error: then there is evidence that the peer was there, and blind
// attackers forge these messages (RFC 5927 §5.2).
func (c *Conn) HardError(err error) {
	if c.state == SynSent || c.state == SynReceived {
		c.fastOpenUnanswered()
		c.end(err)
		return
	}
	c.SoftError(err)
}

// Outstanding reports whether seq was sent and is not acknowledged: the test
// that an ICMP message's quotation has to pass (RFC 5927 §4.1).
func (c *Conn) Outstanding(seq Seq) bool {
	return seq.AfterEq(c.sndUna) && seq.Before(c.sndMax)
}

// SetPathMSS tells the largest payload that the path carries: path MTU less
// fixed headers (RFC 1191 §6, RFC 8201 §5). It never exceeds Config.MSS nor
// goes below 48. When it falls, what was in flight is sent again in smaller
// segments, without a penalty: the loss says nothing about congestion. Ten minutes
// later the connection tries by itself whether the path carries more (RFC 1191
// §6.3).
func (c *Conn) SetPathMSS(now Instant, mss int) {
	old := c.win.MSS
	c.pathMSS = c.pathLowered(now, c.boundMSS(mss))
	c.resized(now, old)
}

// SetLinkMSS tells the largest payload that our own link takes: its MTU less
// fixed headers. It never exceeds Config.MSS nor goes below 28. Unlike what an
// ICMP message says this is certain: segments, and probes for what the path
// carries, stay below it until it is told anew, and may be larger at once when
// it rises. When it falls, what was in flight is sent again as by SetPathMSS.
func (c *Conn) SetLinkMSS(now Instant, mss int) {
	old := c.win.MSS
	c.linkMSS = uint16(min(max(mss, leastMSS), int(c.maxMSS)))
	if p := c.pmtu; p != nil && p.size > c.linkMSS {
		p.size = 0 // what becomes of the probe says nothing now
	}
	c.resized(now, old)
}

// PathChanged tells that what is sent takes another way from now on: what the old
// one has lost says nothing about it.
func (c *Conn) PathChanged() {
	if c.send != nil {
		c.send.losses = 0
	}
}

// PathLimit returns the largest payload, as in SetPathMSS, that the path may carry
// by all that is known: an ICMP message that says more than that is no news.
func (c *Conn) PathLimit() int {
	if c.pmtu != nil {
		return int(c.pmtu.high)
	}
	return int(c.pathMSS)
}

func (c *Conn) boundMSS(mss int) uint16 { return uint16(min(max(mss, minSendMSS), int(c.maxMSS))) }

// resized has what was in flight sent again when segments have become smaller
// than old. A SYN that was too big goes again without its text.
func (c *Conn) resized(now Instant, old int) {
	c.resizeMSS()
	if c.synTooBig() {
		c.fast.big, c.fast.over, c.synDue, c.rttAt = true, true, true, 0
	}
	if c.win.MSS >= old || !c.state.Synchronized() || c.state == TimeWait {
		return
	}
	if c.flight() > 0 {
		c.resend(now)
	}
}
