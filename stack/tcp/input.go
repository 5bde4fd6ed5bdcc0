package tcp

// Input processes a received segment (RFC 9293 §3.10.7). Its addresses and
// ports are the connection's, and its checksum has been verified. What has to
// be answered is emitted by the next Output. seg is not kept.
func (c *Conn) Input(now Instant, seg *Segment) {
	k := uint32(seg.Pieces())
	c.traffic.segsIn += k
	if len(seg.Payload) > 0 {
		c.traffic.dataSegsIn += k
	}
	switch c.state {
	case Closed:
		c.arriveClosed(seg)
	case SynSent:
		c.arriveSynSent(now, seg)
	case SynReceived:
		c.arriveSynReceived(now, seg)
	case Established:
		c.arriveEstablished(now, seg)
	case FinWait1:
		c.arriveFinWait1(now, seg)
	case FinWait2:
		c.arriveFinWait2(now, seg)
	case CloseWait:
		c.arriveCloseWait(now, seg)
	case Closing:
		c.arriveClosing(now, seg)
	case LastAck:
		c.arriveLastAck(now, seg)
	case TimeWait:
		c.arriveTimeWait(now, seg)
	}
}

// arriveClosed: §3.10.7.1, everything but a reset is answered with a reset.
func (c *Conn) arriveClosed(seg *Segment) {
	if r, ok := ResetFor(seg); ok {
		c.reply = resetReply{true, false, r.Flags, r.Seq, r.Ack}
	}
}

// arriveSynSent: §3.10.7.3.
func (c *Conn) arriveSynSent(now Instant, seg *Segment) {
	hasACK := seg.Flags&ACK != 0
	// First, check the ACK bit: an acknowledgment of anything but our SYN
	// is answered with a reset, unless it is one.
	if hasACK && !seg.Ack.In(c.iss.Add(1), c.sndMax.Sub(c.iss)) {
		c.arriveClosed(seg)
		return
	}
	// So is one that answers a SYN of another time, as its echo tells (RFC 7323
	// §3.2: TSecr echoes what was sent).
	if hasACK && seg.Flags&RST == 0 && !c.echoesOurSyn(now, seg) {
		c.arriveClosed(seg)
		return
	}
	// Second, check the RST bit: only with an acceptable ACK (RFC 5961 §3.2).
	if seg.Flags&RST != 0 {
		if hasACK {
			c.end(ErrRefused)
		}
		return
	}
	// Fourth, check the SYN bit (the third check, security, is not ours).
	if seg.Flags&SYN == 0 {
		return
	}
	c.takeSYN(now, seg)
	if !hasACK {
		c.ecn.setup = false // simultaneous open: neither side answers the other's offer
		if c.fast != nil {
			c.fast.over = true // nor is this end a server that has cookies
		}
		// Simultaneous open (§3.5, figure 7): answer with SYN-ACK.
		deadline := c.waitAt
		c.setState(now, SynReceived)
		c.waitAt = deadline
		c.synDue = true
		return
	}
	// Our SYN is acknowledged: ESTABLISHED, and acknowledge theirs.
	c.ecnPeer(seg, ECNRequest)
	c.sndUna = seg.Ack
	c.fastOpenAnswered(seg)
	if !c.synAgain {
		c.rttFromAck(now, seg)
	}
	c.rttAt = 0
	c.ackedNew = true
	c.synDue = false
	c.established(now)
	c.ackDue = 1
	// Text or FIN that came along is processed as in the later states.
	if seg.Len() > 1 {
		rest := *seg
		rest.Seq, rest.Flags = seg.Seq.Add(1), seg.Flags&^SYN
		c.Input(now, &rest)
	}
}

// arriveSynReceived: §3.10.7.4 with the arms of SYN-RECEIVED.
func (c *Conn) arriveSynReceived(now Instant, seg *Segment) {
	if seg.Flags&(SYN|RST) == SYN && seg.Seq == c.irs {
		if seg.Flags&ACK == 0 {
			// The peer's SYN again: our answer was lost.
			c.synDue, c.synAgain = true, true
			if c.timestamps && seg.Options.HasTimestamps && int32(seg.Options.TSVal-c.tsRecent) > 0 {
				c.setTSRecent(now, seg.Options.TSVal) // RFC 7323 §4.3: it begins before Last.ACK.sent
			}
			if seg.Flags&(ECE|CWR) != ECE|CWR {
				c.ecn.ok = false // it goes without now (RFC 3168 §6.1.1.1)
			}
			return
		}
		// Simultaneous open: the SYN was processed, its ACK was not. The peer may
		// not know that we have its SYN, which has come twice.
		c.ackDue = max(c.ackDue, 1)
		c.reportDuplicate(c.irs, c.irs.Add(1))
		rest := *seg
		rest.Seq, rest.Flags = seg.Seq.Add(1), seg.Flags&^SYN
		seg = &rest
	}
	if !c.checkSegment(now, seg) {
		return
	}
	// Fifth, check the ACK field: it must acknowledge our SYN.
	if !seg.Ack.After(c.sndUna) || seg.Ack.After(c.sndMax) {
		r, _ := ResetFor(seg)
		c.reply = resetReply{true, false, r.Flags, r.Seq, r.Ack}
		return
	}
	c.sndUna = c.iss.Add(1)
	if !c.synAgain {
		c.rttFromAck(now, seg)
	}
	c.rttAt = 0
	c.synDue = false
	c.ackedNew = true
	c.sndWnd = int32(seg.Window) << c.sndScale
	c.sndMaxWnd = max(c.sndMaxWnd, c.sndWnd)
	c.sndWL1, c.sndWL2 = seg.Seq, seg.Ack
	c.established(now)
	if seg.Ack.After(c.sndUna) {
		c.ack(now, seg) // text that left with the SYN-ACK
	}
	c.fastOpenDone(now)
	// Sixth to eighth: urgent data, text, FIN.
	c.arriveUrgent(seg)
	c.text(now, seg)
	c.fin(now, seg)
}

// arriveEstablished: every step of §3.10.7.4.
func (c *Conn) arriveEstablished(now Instant, seg *Segment) {
	if c.checkSegment(now, seg) && c.ack(now, seg) {
		c.arriveUrgent(seg)
		c.text(now, seg)
		c.fin(now, seg)
	}
}

// arriveFinWait1: as ESTABLISHED; if our FIN is now acknowledged, continue in
// FIN-WAIT-2.
func (c *Conn) arriveFinWait1(now Instant, seg *Segment) {
	if !c.checkSegment(now, seg) || !c.ack(now, seg) {
		return
	}
	if c.finAcked() {
		c.setState(now, FinWait2)
	}
	c.arriveUrgent(seg)
	c.text(now, seg)
	c.fin(now, seg)
}

// arriveFinWait2: as ESTABLISHED; the retransmission queue is empty.
func (c *Conn) arriveFinWait2(now Instant, seg *Segment) {
	if c.checkSegment(now, seg) && c.ack(now, seg) {
		c.arriveUrgent(seg)
		c.text(now, seg)
		c.fin(now, seg)
	}
}

// arriveCloseWait: as ESTABLISHED, but text and FIN "should not occur, since a
// FIN has been received": they are ignored.
func (c *Conn) arriveCloseWait(now Instant, seg *Segment) {
	if c.checkSegment(now, seg) {
		c.ack(now, seg)
	}
}

// arriveClosing: if our FIN is acknowledged, TIME-WAIT; otherwise ignore.
func (c *Conn) arriveClosing(now Instant, seg *Segment) {
	if c.checkSegment(now, seg) && c.ack(now, seg) && c.finAcked() {
		c.setState(now, TimeWait)
	}
}

// arriveLastAck: "the only thing that can arrive is an acknowledgment of our
// FIN": then CLOSED.
func (c *Conn) arriveLastAck(now Instant, seg *Segment) {
	if c.checkSegment(now, seg) && c.ack(now, seg) && c.finAcked() {
		c.end(nil)
	}
}

// arriveTimeWait: "the only thing that can arrive is a retransmission of the
// remote FIN": acknowledge it and restart the 2 MSL timeout. Whatever else takes
// part of the sequence space, or lies ahead, is wrong, and its sender learns
// where we are. A reset does not end the state (RFC 1337 §3), a SYN that may is
// up to Reopens.
func (c *Conn) arriveTimeWait(now Instant, seg *Segment) {
	if seg.Flags&RST != 0 {
		return
	}
	if seg.Flags&FIN != 0 && seg.Seq.Add(seg.Len()-1) == c.rcvFin {
		c.setState(now, TimeWait)
	}
	if c.checkSegment(now, seg) && (seg.Seq != c.rcvNxt || seg.Len() > 0) {
		c.challenge(now)
	}
}
