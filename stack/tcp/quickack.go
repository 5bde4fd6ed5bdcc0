package tcp

// A delayed acknowledgment spares packets while much is under way. Where little is,
// a sender waits for it: in its slow start, after a loss, after a timeout. There
// segments are acknowledged one by one for a while, as in Linux. RFC 5681 §4.2 asks
// for every second one at least and for one each at most.

const (
	// quickAckRun is how many segments are acknowledged at once behind a start or a
	// silence, and after SetQuickAck.
	quickAckRun = 16
	// quickAckLoss is how many are where the path has lost text, or
	// acknowledgments, or changed an order: the smaller the sender's window, the
	// fewer acknowledgments keep it going.
	quickAckLoss = 64
)

// hurry has the next quickAckLoss segments acknowledged at once.
func (c *Conn) hurry() { c.quickAcks, c.rcvq.hurried = max(c.quickAcks, quickAckLoss), true }

// Hurried reports whether an acknowledgment is due that had better not stand for the
// next segment, too: on a path that loses acknowledgments, one for all of a small
// window is lost with all of it. The owner calls Output before the next Input then.
// Elsewhere those that come together share theirs (RFC 9293 §3.10.7.4, MUST-58).
func (c *Conn) Hurried() bool { return c.rcvq.hurried && c.ackDue > 0 }

// countQuickAck reports whether text that has come in order is acknowledged at once,
// and counts it.
func (c *Conn) countQuickAck() bool {
	if c.quickAcks == 0 {
		c.rcvq.hurried = false
		return false
	}
	c.quickAcks--
	return true
}

// opensRun reports whether text of n octets that has come in order is the first of
// several that the peer sends on its own: with more behind it (full, and not
// pushed) after a silence, or at the start; or alone after a silence that no text of
// ours has come before, which is what a timeout sends again. What may be a request
// is neither: our answer will carry its acknowledgment.
func (c *Conn) opensRun(now Instant, seg *Segment, n int) bool {
	if c.lastText != 0 && now.Sub(c.lastText) <= c.rto()/2 {
		return false
	}
	return seg.Flags&PSH == 0 && n >= defaultMSS || c.lastText != 0 && c.lastSend < c.lastText
}
