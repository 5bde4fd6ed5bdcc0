package tcp

import "time"

// corkLimit is how long a corked connection keeps a partial segment back, as in
// Linux.
const corkLimit = 200 * time.Millisecond

// cork keeps partial segments back until there is more to send (TCP_CORK).
type cork struct {
	on   bool
	more bool    // until something is acknowledged
	due  bool    // the time is over
	at   Instant // when what is kept back goes nevertheless; 0 when nothing is
}

// smallOut reports whether a partial segment is under way. Nagle's algorithm
// (RFC 9293 §3.7.4) waits while anything is; but the last, partial segment of much
// text then waits for an acknowledgment that the peer may delay, being one for two
// full segments. So only what is partial waits for what is partial, as RFC 9293
// appendix A.3 describes it (draft-minshall-nagle) and Linux does it: there is
// never more than one small segment in a round trip.
func (c *Conn) smallOut() bool { return c.sndSmall.After(c.sndUna) }

// SetCork switches the keeping back of partial segments on or off; what was kept
// back goes then. While it is on, a partial segment goes after 200 ms at the
// latest.
func (c *Conn) SetCork(on bool) {
	if on || c.cork != nil {
		*c.corkState() = cork{on: on}
	}
}

// MoreToCome is SetCork(true) until the next acknowledgment of text: the promise of
// MSG_MORE, which holds for what has just been written. A cork that is on stays.
func (c *Conn) MoreToCome() {
	if k := c.corkState(); !k.on || k.more {
		*k = cork{on: true, more: true}
	}
}

func (c *Conn) corkState() *cork {
	if c.cork == nil {
		c.cork = new(cork)
	}
	return c.cork
}

// corkAt returns when what is kept back goes nevertheless, 0 for never.
func (c *Conn) corkAt() Instant {
	if c.cork == nil {
		return 0
	}
	return c.cork.at
}

// EndRecord marks the end of a record behind what has been written (MSG_EOR):
// what is written later shares no segment with what was before, also when that is
// sent again. A record that text follows does not wait for acknowledgments to
// fill its last segment. Text in a SYN (RFC 7413) knows no records.
func (c *Conn) EndRecord() { c.sndq.endRecord() }

// keepsBack reports whether a partial segment waits for more text. The FIN never
// does.
func (c *Conn) keepsBack(now Instant, fin bool) bool {
	k := c.cork
	if k == nil || !k.on || k.due || fin {
		return false
	}
	if k.at == 0 {
		k.at = now.Add(corkLimit)
	}
	return true
}
