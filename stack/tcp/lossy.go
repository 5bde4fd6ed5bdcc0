package tcp

// A path that loses segments again and again loses acknowledgments, too, and
// where the window is small, one of them often stands for all of it: receivers
// collect what arrives together (RFC 5681 §4.2), and wait for company with the
// last segment. Each silence then costs a delay of the peer's or a timeout. A
// sender whose losses have shown such a path asks for acknowledgments as plainly
// as it may. Its window is that of every sender.

const (
	manyLosses = 3 // recoveries and timeouts that show such a path
	// lossRun is how many segments with text are sent after the last loss until it is
	// such a path no longer: one that loses a segment in a hundred loses one of those.
	lossRun = 1000
	// smallWindow is, in segments, below what a window has few acknowledgments.
	smallWindow = 16
)

// lossSeen counts a recovery or a timeout.
func (c *Conn) lossSeen() {
	s := c.ofSending()
	if c.traffic.dataSegsOut-s.lossAt >= lossRun {
		s.losses = 0
	}
	s.losses, s.lossAt = min(s.losses+1, manyLosses), c.traffic.dataSegsOut
}

// lossy reports whether this path is known to lose much.
func (c *Conn) lossy() bool {
	return c.send != nil && c.send.losses >= manyLosses && c.traffic.dataSegsOut-c.send.lossAt < lossRun
}

// fillsWindow reports whether n octets of new text are the last that a small
// window lets out on a lossy path. They are pushed: the receiver has no reason to
// wait for more (RFC 9293 §3.9.1.2 says which segments need PSH at least).
func (c *Conn) fillsWindow(n, mss int) bool {
	return c.lossy() && c.win.Cwnd < smallWindow*mss && c.pipe()+n+mss > c.win.Cwnd
}

// probesRecovery reports whether a tail loss probe may ask for an acknowledgment
// in fast recovery. RFC 8985 §7.2 leaves that to the mechanisms which act on
// acknowledgments; when the only one is lost they do not, and a timeout would.
// The probe is new text: what is lost is recovery's to send. The bounds of §7.3
// hold as elsewhere.
func (c *Conn) probesRecovery() bool {
	return c.loss == lossRecovery && c.lossy() && c.newTextFits()
}
