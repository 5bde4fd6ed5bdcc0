package tcp

// reduction is the state of Proportional Rate Reduction (RFC 9937 §6), by which
// the flight comes down to Ssthresh over the round trip of a fast recovery,
// clocked by what arrives. Octets.
type reduction struct {
	from      uint32 // RecoverFS: the flight when recovery began
	delivered uint32 // prr_delivered
	out       uint32 // prr_out: sent since
}

// beginPRR starts a reduction to Ssthresh with the acknowledgment that began
// recovery.
func (c *Conn) beginPRR(d *delivery) {
	// What was reported before does not arrive during recovery.
	from := c.flight() - int(c.board.octets) + d.octets
	c.reduce = reduction{from: uint32(max(from, 1))}
	c.prr(d)
}

// prr sets the congestion window for an acknowledgment in fast recovery.
func (c *Conn) prr(d *delivery) {
	if d.octets == 0 && c.reduce.out > 0 {
		return
	}
	r, mss, goal := &c.reduce, c.win.MSS, c.win.Ssthresh
	r.delivered += uint32(d.octets)
	from, delivered, out := int(r.from), int(r.delivered), int(r.out)
	inflight := c.pipe()
	count := 0
	if inflight > goal {
		count = (delivered*goal+from-1)/from - out
	} else {
		count = max(delivered-out, d.octets)
		if d.acked > 0 && !d.lost {
			count += mss // SafeACK: progress, and no sign of more losses
		}
		count = min(goal-inflight, count)
	}
	if r.out == 0 {
		count = max(count, mss) // the fast retransmission
	}
	c.win.Cwnd = max(inflight+max(count, 0), mss)
}
