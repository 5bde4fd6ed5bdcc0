package tcp

// frtoState is where the test stands whether a retransmission timeout was
// spurious (RFC 5682): the segments were late, not lost.
type frtoState uint8

const (
	frtoNone frtoState = iota
	frtoHead           // the first segment was sent again (§2.1 step 1)
	frtoNew            // new text was sent where more would have been sent again (step 2b)
)

// beginFRTO prepares the test at a timeout, unless recovery is under way: then
// acknowledgments could not be told apart.
func (c *Conn) beginFRTO() {
	if c.loss != lossNone || c.backoff > 0 {
		c.frto = frtoNone
		return
	}
	c.frto = frtoHead
	c.saveWindow(false)
}

// checkTimeout takes the next step of the test, and reports whether the timeout
// was spurious: then the window is as it was before. With SACK, text that was
// sent only once and arrives is the proof (RFC 5682 §3.1); without, it takes
// two acknowledgments in a row that advance (§2.1 step 3b).
func (c *Conn) checkTimeout(d *delivery, duplicate bool) bool {
	advanced := d.acked > 0
	switch {
	case c.sack && d.original, !c.sack && c.frto == frtoNew && advanced:
		c.undoTimeout()
		return true
	case c.frto == frtoHead && advanced && c.sndUna.Before(c.recover) && c.newTextFits():
		c.frto = frtoNew
	case advanced, duplicate, d.octets > 0:
		c.frto = frtoNone // step 2a, 3a: the losses are real
	}
	return false
}

// newTextFits reports whether there is new text that the peer's window takes.
func (c *Conn) newTextFits() bool {
	return c.sndq.end().After(c.sndNxt) && c.sndEdge().After(c.sndNxt)
}

// undoTimeout puts things back as they were: nothing was lost (RFC 4015 §3).
func (c *Conn) undoTimeout() {
	c.pool.Counters.SpuriousTimeouts++
	c.loss, c.frto, c.rtxHead, c.dupAcks, c.inflate = lossNone, frtoNone, false, 0, 0
	c.restoreWindow()
	c.lost.clear()
}
