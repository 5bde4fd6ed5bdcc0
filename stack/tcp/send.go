package tcp

// sendText emits text and FIN: first what has to be sent again, then what is
// new, as the congestion window, the peer's window and Nagle's algorithm
// allow. It reports false when emit refused a segment.
func (c *Conn) sendText(t *transmitter) bool {
	if c.rtxHead && !c.retransmitHead(t) {
		return false
	}
	if c.loss != lossNone && c.frto != frtoNew && !c.sendLost(t) {
		return false
	}
	next := c.sndNxt
	if !c.sendNew(t) {
		return false
	}
	if c.tail.due && c.paceAt() != 0 {
		return true
	}
	if c.tail.due && c.sndNxt != next {
		c.tailProbeSent(t.now, false) // what has just left asks as well
	}
	return !c.tail.due || c.sendTailProbe(t)
}

// segLimit returns how much payload one segment and one call of emit may carry
// at present: the MSS less the SACK blocks that are due, and its multiple
// within the owner's bound.
func (c *Conn) segLimit(t *transmitter) (mss, most int) {
	mss = c.win.MSS
	if c.sack {
		mss -= c.sackOctets()
	}
	if c.urging() {
		return mss, mss // a pointer counts from its own segment
	}
	return mss, max(mss, c.paceQuantum(t.max)/mss*mss)
}

// retransmitHead sends the first segment that is lost, or not acknowledged,
// whatever the congestion window says.
func (c *Conn) retransmitHead(t *transmitter) bool {
	mss, _ := c.segLimit(t)
	from, to, ok := c.nextLost()
	if !ok {
		from, to, ok = c.board.gap(c.sndUna, c.sndNxt)
	}
	if !ok {
		c.rtxHead = false
		return true
	}
	if c.paceWaits(t.now) {
		return true
	}
	if !c.resendRange(t, from, minSeq(to, from.Add(mss))) {
		return false
	}
	c.rtxHead = false
	return true
}

// sendLost sends what is lost, while the estimate of what is in flight is below
// the congestion window (RFC 6675 §5 step C).
func (c *Conn) sendLost(t *transmitter) bool {
	mss, most := c.segLimit(t)
	for {
		from, to, ok := c.nextLost()
		if !ok {
			return true
		}
		room := c.win.Cwnd - c.pipe()
		if room < min(mss, to.Sub(from)) {
			return true
		}
		if c.paceWaits(t.now) {
			return true
		}
		if !c.resendRange(t, from, minSeq(to, from.Add(max(min(room, most)/mss, 1)*mss))) {
			return false
		}
	}
}

// resendRange retransmits [from, to), text or FIN or both, or the front of it.
// The timer runs from here when it did not.
func (c *Conn) resendRange(t *transmitter, from, to Seq) bool {
	n, flags := to.Sub(from), Flags(0)
	if to.After(c.sndq.end()) {
		n, flags = n-1, FIN
	}
	if to.AfterEq(c.sndq.end()) && n > 0 {
		flags |= PSH
	}
	before := c.traffic.segsOut
	n, ok := c.emitPart(t, from, n, flags)
	if !ok {
		return false
	}
	to = from.Add(n)
	segs := c.traffic.segsOut - before
	c.retransmits += segs
	c.traffic.bytesAgain += uint64(n)
	c.rttAt = 0 // Karn's algorithm
	c.reduce.out += uint32(n)
	c.lost.remove(from, to)
	c.pathResent(from, to)
	c.undoResent(t.now, from, to)
	c.sent.resent(from, to, segs, t.now)
	if c.rtxAt == 0 || c.loss == lossTimeout || from == c.sndUna {
		c.armRetransmit(t.now)
	}
	return true
}

// sendNew sends text that was never sent, and the FIN behind it.
func (c *Conn) sendNew(t *transmitter) bool {
	if c.ecnHold {
		return true
	}
	if on, ok := c.sendPathProbe(t); !on {
		return ok
	}
	for {
		mss, most := c.segLimit(t)
		text := c.sndq.end().Sub(c.sndNxt)
		fin := c.closing && text >= 0 && c.state != SynReceived // there it waits for ESTABLISHED
		if text <= 0 && !fin || c.paceWaits(t.now) {
			return true
		}
		if c.flight() == 0 {
			c.restartAfterIdle(t.now)
		}
		usable := c.sndEdge().Sub(c.sndNxt)
		record, whole := c.sndq.record(c.sndNxt, text)
		n := min(record, usable, most)
		room := c.win.Cwnd - c.pipe()
		if c.openEarly() {
			room++ // our SYN is no text
		}
		if c.frto == frtoNew { // RFC 5682 §2.1 step 2b: two segments
			room = max(room, c.recover.Add(2*mss).Sub(c.sndNxt))
		}
		if n > room {
			if n = room / mss * mss; n <= 0 && c.flight() > 0 {
				c.used(true)
				return true
			}
			n = max(n, min(mss, record, usable))
		}
		if c.ecn.reduced { // CWR belongs to one segment
			n = min(n, mss)
		}
		last := n == text // what goes out empties the queue
		fin = fin && last && usable > n
		if rest := n % mss; last && rest > 0 && c.keepsBack(t.now, fin) {
			if n, last = n-rest, false; n == 0 {
				return true
			}
		}
		if whole && n == record && !last {
			// A record goes at once when text follows it, as a full segment does.
		} else if n = c.worthSending(n, mss, last, fin, usable); n < 0 || n == 0 && !fin {
			if c.flight() == 0 {
				c.startPersist(t.now)
			}
			return true
		}
		if c.persist {
			c.stopPersist()
		}
		last = n == text
		fin = fin && last
		if !c.sendNext(t, n, last, fin, mss) {
			return false
		}
	}
}

// worthSending is silly window avoidance (RFC 9293 §3.8.6.2.1) and Nagle's
// algorithm (§3.7.4): of n octets that may be sent it returns how many should
// be, zero for none.
func (c *Conn) worthSending(n, mss int, last, fin bool, usable int) int {
	if n < 0 {
		return n
	}
	idle := c.flight() == 0 || c.openEarly() && c.sndNxt == c.iss.Add(1) // a SYN is no text
	rest := n % mss
	switch {
	case rest == 0: // (1) full segments only
	case last && (c.noDelay || fin || c.urging() || c.synTextLeft() || !c.smallOut()): // (2) all there is, and nothing small unacknowledged
	case last && c.closing && usable <= n: // the FIN waits for window, the text need not
	case !last && idle && n < mss && 2*n >= int(c.sndMaxWnd): // (3) half of the largest window
	case !last && c.noDelay && 2*rest >= int(c.sndMaxWnd):
	default:
		n -= rest
	}
	return n
}

// sendNext emits n octets from SND.NXT on and moves it.
func (c *Conn) sendNext(t *transmitter, n int, last, fin bool, mss int) bool {
	flags := Flags(0)
	if n > 0 && (last || c.fillsWindow(n, mss)) {
		flags |= PSH
	}
	if fin {
		flags |= FIN
	}
	from := c.sndNxt
	if c.ecn.reduced && n > 0 {
		flags |= CWR
	}
	before := c.traffic.segsOut
	first := c.ackDue > 0 && c.lastText == 0 && from != c.iss.Add(1) // behind a SYN's text, with the handshake's acknowledgment
	sent, ok := c.emitPart(t, from, n, flags)
	if !ok {
		return false
	}
	c.ecn.reduced = c.ecn.reduced && n == 0
	idle := c.flight() == 0
	c.sndNxt = from.Add(sent)
	c.sent.add(c.pool, from, c.sndNxt, c.traffic.segsOut-before, t.now)
	c.reduce.out += uint32(sent)
	c.sndMax = maxSeq(c.sndMax, c.sndNxt)
	c.lastSend = t.now
	if n%mss != 0 && !c.synTextLeft() {
		c.sndSmall = c.sndNxt
	}
	if k := c.cork; last && k != nil {
		k.at, k.due = 0, false
	}
	if n > 0 && (first || c.lastText != 0 && t.now.Sub(c.lastText) < c.ackDelay.duration()) {
		c.quickAcks, c.rcvq.hurried = 0, false // a conversation: acknowledgments find company
	}
	c.timeSegment(t.now, from.Add(min(sent, mss)))
	if idle {
		c.progressAt = t.now
	}
	if idle || c.rtxAt == 0 {
		c.armRetransmit(t.now)
	}
	c.armTailProbe(t.now)
	c.used(false)
	return true
}

// used notes how much of the congestion window is in use, and whether it kept
// text back. What a round trip saw at its fullest counts until the next has
// begun: the acknowledgments that follow empty the flight.
func (c *Conn) used(full bool) {
	n := int32(c.flight())
	if c.sndUna.AfterEq(c.useEnd) || n > c.useMost || full && !c.full {
		c.useMost, c.useEnd, c.full = n, c.sndNxt, full
	}
}

// limited reports whether the congestion window limits the sender, and may
// therefore grow: it keeps text back or, in slow start, was more than half in
// use, so that the next flight may need it whole (RFC 7661 §4.1 is stricter,
// Linux is like this).
func (c *Conn) limited() bool {
	return c.full || c.win.SlowStart() && c.win.Cwnd < 2*int(c.useMost)
}

// restartAfterIdle shrinks a window that was not used for longer than a
// timeout (RFC 5681 §4.1).
func (c *Conn) restartAfterIdle(now Instant) {
	if c.lastSend != 0 && now.Sub(c.lastSend) > c.rto() {
		c.keepReduction()
		c.win.Cwnd = min(c.win.Cwnd, initialWindow(c.win.MSS))
	}
}

// emitPart emits n octets of text from seq on, with PSH and FIN as asked, or
// fewer, without those, when the queue is too scattered for one segment, or a
// record ends before. It returns how many sequence numbers went out.
func (c *Conn) emitPart(t *transmitter, seq Seq, n int, flags Flags) (sent int, ok bool) {
	if k, ends := c.sndq.record(seq, n); ends {
		if flags |= PSH; k < n {
			flags &^= FIN
		}
		n = k
	}
	s := c.segment(t, flags, seq)
	if n > 0 {
		got := 0
		s.Data, got = c.sndq.slice(c.pool.pieces[:0], seq, n)
		if got < n {
			s.Flags &^= PSH | FIN
			n = got
		}
	}
	edge := c.withAck(s)
	if c.ecn.ok && n > 0 && seq == c.sndNxt && c.sndMax == c.sndNxt && !c.probeDue {
		s.Mark = ECT0 // new text only (RFC 3168 §6.1.4 to §6.1.6)
	}
	if mss := c.win.MSS - sackLen(int(s.Options.NSACK)); n > mss && !c.isPathProbe(seq, n) {
		s.GSOSize = uint16(mss)
		if c.loss == lossNone { // on the last piece: a receiver that joins them again need not wait for more
			s.Flags |= PSH
		}
	}
	took := c.put(t, s)
	clear(s.Data) // do not keep the user's buffers alive
	if !took {
		return 0, false
	}
	c.acknowledged(edge)
	c.pacedOut(t.now, n)
	if s.Flags&FIN != 0 {
		n++
	}
	return n, true
}
