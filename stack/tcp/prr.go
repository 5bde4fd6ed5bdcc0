package tcp

// reduction is the state of Proportional Rate Reduction (RFC 9937 §6), by which
// the flight comes down to Ssthresh over the round trip of a fast recovery,
// clocked by what arrives. Octets.
type reduction struct {
	from      int // RecoverFS: the flight when recovery began
	delivered int // prr_delivered
	out       int // prr_out: sent since
}

// beginPRR starts a reduction to Ssthresh with the acknowledgment that began
// recovery.
func (c *Conn) beginPRR(d *delivery) {
	// What was reported before does not arrive during recovery.
	from := c.flight() - c.board.octets + d.octets
	c.reduce = reduction{from: max(from, 1)}
	c.prr(d)
}

// prr sets the congestion window for an acknowledgment in fast recovery.
func (c *Conn) prr(d *delivery) {
	if d.octets == 0 && c.reduce.out > 0 {
		return
	}
	r, mss, goal := &c.reduce, c.win.MSS, c.win.Ssthresh
	r.delivered += d.octets
	inflight := c.pipe()
	count := 0
	if inflight > goal {
		count = (r.delivered*goal+r.from-1)/r.from - r.out
	} else {
		count = max(r.delivered-r.out, d.octets)
		if d.acked > 0 && c.lost.empty() {
			count += mss // SafeACK: progress, and no sign of more losses
		}
		count = min(goal-inflight, count)
	}
	if r.out == 0 {
		count = max(count, mss) // the fast retransmission
	}
	c.win.Cwnd = max(inflight+max(count, 0), mss)
}
