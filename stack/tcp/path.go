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
// goes below 88. When it falls, what was in flight is sent again in smaller
// segments, without a penalty: the loss says nothing about congestion. Ten minutes
// later the connection tries by itself whether the path carries more (RFC 1191
// §6.3).
func (c *Conn) SetPathMSS(now Instant, mss int) {
	old := c.win.MSS
	c.pathMSS = c.pathLowered(now, uint16(min(max(mss, minSendMSS), int(c.maxMSS))))
	c.resizeMSS()
	if c.win.MSS >= old || !c.state.Synchronized() || c.state == TimeWait {
		return
	}
	if c.flight() > 0 {
		c.resend(now)
	}
}
