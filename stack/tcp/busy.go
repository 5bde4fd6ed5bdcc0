package tcp

import "time"

// sending is what few connections need to know about what they send.
type sending struct {
	before   undo    // the last reduction that may be undone
	relostAt Instant // when the window was last lowered for a lost retransmission
	losses   uint8   // see lossy
	lossAt   uint32  // segments with text that had been sent when the last was counted
	claim    pathClaim

	counting  bool // CountSending was called
	wants     bool // the user would write more than there is room for
	state     sendState
	since     Instant // when state began to count
	times     [sendStates]time.Duration
	delivered uint32
}

// sendState says what a sender waits for.
type sendState uint8

const (
	sendIdle   sendState = iota // text: all that was written is acknowledged
	sendBusy                    // the network
	sendWindow                  // the peer's window
	sendBuffer                  // the user, whom the send buffer keeps from writing
	sendStates
)

// ofSending returns c.send, which is there from then on.
func (c *Conn) ofSending() *sending {
	if c.send == nil {
		c.send = new(sending)
	}
	return c.send
}

// CountSending has Busy, WindowLimited, BufferLimited and Delivered of Info count
// from now on, and brings them up to now when they do. It costs some memory, so
// they do not by themselves.
func (c *Conn) CountSending(now Instant) {
	if s := c.ofSending(); !s.counting {
		s.counting = true
		s.delivered = c.deliveredSoFar()
	}
	c.countTimes(now)
}

// deliveredSoFar returns how many segments have arrived: all that left, but for
// those under way and, in full segments, what was sent again.
func (c *Conn) deliveredSoFar() uint32 {
	n := int64(c.traffic.dataSegsOut)
	if mss := uint64(c.win.MSS); mss > 0 {
		n -= int64((c.traffic.bytesAgain + mss - 1) / mss)
	}
	for from, to, ok := c.board.gap(c.sndUna, c.sndNxt); ok; from, to, ok = c.board.gap(to, c.sndNxt) {
		n -= int64(c.sent.segsIn(from, to))
	}
	n = max(n, 0) // segments may have become smaller, and a FIN is no text
	if c.state.Synchronized() {
		n++ // the SYN
	}
	return uint32(n)
}

// countDelivered notes that a SYN, or text, has arrived.
func (c *Conn) countDelivered(segments uint32) {
	if c.send != nil {
		c.send.delivered += segments
	}
}

func (c *Conn) countTimes(now Instant) {
	s := c.send
	if s == nil || !s.counting {
		return
	}
	if s.since != 0 {
		s.times[s.state] += now.Sub(s.since)
	}
	s.since, s.state = now, c.waitsFor()
}

// waitsFor returns what the sender waits for.
func (c *Conn) waitsFor() sendState {
	text := c.sndq.end().Sub(c.sndNxt)
	switch {
	case !c.state.Synchronized() || c.sndq.n == 0:
		return sendIdle
	case text > 0 && c.sndEdge().Sub(c.sndNxt) < min(text, c.win.MSS):
		return sendWindow
	case text <= 0 && c.send.wants && !c.closing:
		return sendBuffer
	}
	return sendBusy
}

// noteWish notes whether the user has written all that he would.
func (c *Conn) noteWish(all bool) {
	if c.send != nil {
		c.send.wants = !all
	}
}

// fillSending writes what CountSending has counted.
func (c *Conn) fillSending(i *Info) {
	if s := c.send; s != nil && s.counting {
		i.Delivered = s.delivered
		i.WindowLimited, i.BufferLimited = s.times[sendWindow], s.times[sendBuffer]
		i.Busy = s.times[sendBusy] + i.WindowLimited + i.BufferLimited
	}
}
