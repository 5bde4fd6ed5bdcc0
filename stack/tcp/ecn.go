package tcp

// ECN says whether a connection uses Explicit Congestion Notification
// (RFC 3168): routers then mark segments where they would have dropped them.
type ECN uint8

// Settings of Config.ECN.
const (
	ECNAccept  ECN = iota // use it when the peer asks for it
	ECNRequest            // ask for it, too
	ECNOff                // never
)

// ECN codepoints of the IP header (RFC 3168 §5), for Segment.Mark.
const (
	NotECT uint8 = iota // not ECN-capable
	ECT1                // ECN-capable, accepted like ECT0
	ECT0                // ECN-capable
	CE                  // congestion experienced
)

// ecn is the state of congestion notification, in both roles.
type ecn struct {
	setup   bool // offered, not agreed yet
	ok      bool // agreed on
	echo    bool // receiver: ECE in every acknowledgment until CWR comes
	reduced bool // sender: the next new text bears CWR
	until   Seq  // sender: one reaction for what was sent before
}

// ecnSyn sets the bits of our SYN or SYN-ACK (RFC 3168 §6.1.1). A SYN that got
// no answer may have been dropped for them, so it goes without the next time
// (§6.1.1.1).
func (c *Conn) ecnSyn(s *Segment) {
	switch {
	case c.state == SynReceived:
		if c.ecn.ok {
			s.Flags |= ECE
		}
	case c.ecn.setup && c.synAgain:
		c.ecn.setup = false
	case c.ecn.setup:
		s.Flags |= ECE | CWR
	}
}

// ecnPeer learns from the peer's SYN or SYN-ACK: both bits in the one, ECE alone
// in the other. A SYN-ACK with both reflects bits that it does not know.
func (c *Conn) ecnPeer(syn *Segment, mode ECN) {
	bits := syn.Flags & (ECE | CWR)
	if syn.Flags&ACK == 0 {
		c.ecn.ok = bits == ECE|CWR && mode != ECNOff
	} else {
		c.ecn.ok = bits == ECE && c.ecn.setup
	}
	c.ecn.setup = false
	c.ecn.until = c.iss
}

// ecnText is the receiver's part (RFC 3168 §6.1.3), for text within the window:
// a mark is echoed until the peer says that it has slowed down.
func (c *Conn) ecnText(seg *Segment) {
	if !c.ecn.ok {
		return
	}
	if seg.Flags&CWR != 0 {
		c.ecn.echo = false
	}
	if seg.Mark == CE {
		if !c.ecn.echo {
			c.ackDue = max(c.ackDue, 1) // the sooner it is known, the better
		}
		c.ecn.echo = true
	}
}

// ecnEcho is the sender's part (RFC 3168 §6.1.2): an echo halves the window like
// a loss, once for what is in flight, unless a loss has done so already. The
// threshold has a floor of two segments that losses cannot pass either; the
// window goes down to one (RFC 9438 §4.6), and from there on one segment goes
// per retransmission timeout. flight is what was in flight before seg, which may
// acknowledge all of it.
func (c *Conn) ecnEcho(now Instant, seg *Segment, flight int) {
	if !c.ecn.ok || seg.Flags&ECE == 0 || !c.sndUna.After(c.ecn.until) {
		return
	}
	if c.loss == lossNone {
		was := c.win.Cwnd
		c.cc.Lost(&c.win, now, min(flight, was))
		if was <= 2*c.win.MSS {
			c.win.Cwnd = max(was/2, c.win.MSS)
			if c.ecnHold = was <= c.win.MSS && !c.persist; c.ecnHold {
				c.armRetransmit(now)
			}
		}
		c.marks++
	}
	c.ecnReduced()
}

// ecnHoldTimer runs when the retransmission timer has run out that kept back
// new text, and reports whether that was all it was for.
func (c *Conn) ecnHoldTimer() bool {
	held := c.ecnHold
	c.ecnHold = false
	return held && c.flight() == 0
}

// ecnReduced notes a reduction of the window, for whatever reason: the peer is
// told with the next new text, and nothing in flight asks for another.
func (c *Conn) ecnReduced() {
	if c.ecn.ok {
		c.ecn.reduced, c.ecn.until = true, c.sndNxt
	}
}
