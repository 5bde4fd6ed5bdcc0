package tcp

// SetSendBuffer changes Config.SndBuf; n is at least 1. What is queued already
// stays. The bound does not grow by itself any more.
func (c *Conn) SetSendBuffer(n int) { c.sndBuf, c.sndAuto = int32(min(max(n, 1), maxBuffer)), false }

// SetReceiveBuffer changes Config.RcvBuf; n is at least 1. The window that was
// advertised is not taken back (RFC 9293 §3.8.6, SHLD-14), and the bound does
// not exceed what the window scale agreed in the handshake can advertise. It
// does not grow by itself any more.
func (c *Conn) SetReceiveBuffer(n int) {
	most := 65535
	if c.state == SynSent || c.scaling {
		most <<= c.rcvScale
	}
	c.rcvBuf, c.rcvAuto, c.tune = int32(min(max(n, 1), most, maxBuffer)), false, nil
}
