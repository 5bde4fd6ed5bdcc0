package tcp

// undo is what the last reduction of the window would have to give back if it was
// for nothing, because what was sent again had only been late or overtaken: that of
// a timeout (RFC 5682, see frto) or of a fast recovery (RFC 9438 §4.9.2). Two proofs
// tell for a fast recovery. The acknowledgment that ends it answers an original, not
// the first retransmission or what came after it: its timestamp is older (RFC 3522
// §3.2). Or the peer reports every octet that was sent again as a duplicate
// (RFC 3708 §3).
type undo struct {
	Window
	stamp  uint32  // timestamp of the first retransmission
	again  spanSet // sent again, and not reported as a duplicate
	end    Seq     // SND.NXT when the recovery was over
	open   bool    // a fast recovery may turn out to have been for nothing
	resent bool    // something was sent again: stamp is valid
}

// Undoer is a CongestionControl that takes back what the last Lost or TimedOut has
// changed in it. Conn restores the Window by itself.
type Undoer interface {
	// Undo is called when nothing was lost, at most once after each of those
	// calls, and with no other between the two than Acked.
	Undo()
}

// saveWindow remembers the window ahead of a reduction.
func (c *Conn) saveWindow(open bool) {
	u := &c.ofSending().before
	u.again.clear()
	*u = undo{Window: c.win, open: open}
}

// restoreWindow puts things back as they were before the last reduction, unless the
// window has outgrown that in the meantime (RFC 9438 §4.9).
func (c *Conn) restoreWindow() {
	u := &c.send.before
	if c.win.Cwnd <= u.Cwnd {
		c.win.Cwnd, c.win.Ssthresh = u.Cwnd, max(c.win.Ssthresh, u.Ssthresh)
		if cc, ok := c.cc.(Undoer); ok {
			cc.Undo()
		}
	}
	c.keepReduction()
}

// keepReduction ends the doubt about the last fast recovery: it stays, for there was
// a loss or another reduction since.
func (c *Conn) keepReduction() {
	if c.send != nil {
		c.send.before.open = false
		c.send.before.again.clear()
	}
}

// undoable returns what is known of a fast recovery that may have been for nothing,
// nil when there is none.
func (c *Conn) undoable() *undo {
	if c.send == nil || !c.send.before.open {
		return nil
	}
	return &c.send.before
}

// settleReduction ends the doubt about a fast recovery that is over, a round trip
// after it: every report of what was sent again in it has come by then. What is
// never reported would otherwise keep its memory, and could be taken for numbers of
// which half the space has passed. An idle connection keeps few spans at most.
func (c *Conn) settleReduction() {
	if u := c.undoable(); u != nil && (c.sndUna.After(u.end) || c.flight() == 0 && cap(u.again.s) > maxIdleSpans) {
		c.keepReduction()
	}
}

// undoResent notes that [from, to) was sent again.
func (c *Conn) undoResent(now Instant, from, to Seq) {
	u := c.undoable()
	if u == nil || c.loss != lossRecovery {
		return
	}
	if !u.resent {
		u.resent, u.stamp = true, c.tsNow(now)
	}
	if _, ok := u.again.add(from, to); !ok {
		c.keepReduction()
	}
}

// undoDoubled takes a D-SACK: what was sent again and is reported was sent in vain.
func (c *Conn) undoDoubled(b SACKBlock) {
	u := c.undoable()
	if u == nil || u.again.empty() {
		return
	}
	u.again.remove(b.Start, b.End)
	if u.again.empty() && c.loss == lossNone {
		c.undoRecovery()
	}
}

// recoveredForNothing reports, for the acknowledgment that ends a fast recovery,
// whether it proves that nothing was lost.
func (c *Conn) recoveredForNothing(d *delivery) bool {
	u := c.undoable()
	if u == nil || !u.resent {
		return false
	}
	return u.again.empty() || c.timestamps && d.answers != 0 && int32(d.answers-u.stamp) < 0
}

// undoRecovery takes back a fast recovery in which nothing was lost: segments were
// overtaken, by more than RACK has allowed for so far.
func (c *Conn) undoRecovery() {
	c.pool.Counters.SpuriousRecoveries++
	c.rack.reordered = true
	c.restoreWindow()
}
