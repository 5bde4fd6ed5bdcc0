package tcp

// SetSendBuffer changes Config.SndBuf; n is at least 1. What is queued already
// stays.
func (c *Conn) SetSendBuffer(n int) { c.sndBuf = min(max(n, 1), maxBuffer) }

// SetReceiveBuffer changes Config.RcvBuf; n is at least 1. The window that was
// advertised is not taken back (RFC 9293 §3.8.6, SHLD-14), and the bound does
// not exceed what the window scale agreed in the handshake can advertise.
func (c *Conn) SetReceiveBuffer(n int) {
	most := 65535
	if c.state == SynSent || c.scaling {
		most <<= c.rcvScale
	}
	c.rcvBuf = min(max(n, 1), most, maxBuffer)
}
