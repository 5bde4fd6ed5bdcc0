package tracecheck

import (
	"bytes"
	"time"

	"arpeggio/stack/tcp"
)

// tx is text, SYN or FIN that was sent in one segment and is not acknowledged.
type tx struct {
	span
	last  time.Duration // on the host's clock
	real  time.Duration // without its jumps
	index int
	again bool // more than once
}

// sendText judges the numbers of a segment, its text and when it goes.
func (c *Checker) sendText(s *tcp.Segment) {
	n := int64(s.DataLen())
	from := c.out.rel(s.Seq, c.out.next)
	to := from + int64(s.Len())
	if c.sendEmpty(s, from, to, n) {
		return
	}
	text := from
	if s.Flags&tcp.SYN != 0 {
		text++
	} else if c.most.una == 0 || c.most.nxt == 0 {
		c.fail(Early, "%d to %d", from, to)
	}
	switch {
	case from > c.out.next:
		c.fail(SeqAhead, "%d after %d", from, c.out.next)
		return
	case to <= c.least.una && s.Len() > 1 && !c.cfg.MayDrop:
		c.fail(SeqBehind, "%d to %d, acknowledged is %d", from, to, c.least.una)
	}
	c.checkFIN(s, to)
	if max := c.peerMSS(); n > 0 && n+int64(s.HeaderLen()-tcp.HeaderLen) > max && s.Flags&tcp.SYN == 0 {
		c.fail(TooBig, "%d octets and %d of options for an MSS of %d", n, s.HeaderLen()-tcp.HeaderLen, max)
	}
	c.checkText(s, text)
	c.checkUrgent(s, from)
	if to > c.out.next {
		c.checkRoom(s, from, to)
	}
	c.checkAgain(s, from, to)
	c.remember(from, to)
}

// sendEmpty judges a segment that takes no number, or one that was acknowledged
// long ago: acknowledgments, keep-alive and window probes. It reports whether
// s is one.
func (c *Checker) sendEmpty(s *tcp.Segment, from, to, n int64) bool {
	probe := n == 1 && s.Flags&tcp.FIN == 0 && to == c.least.una // RFC 9293 §3.8.4: one garbage octet
	if to > from && !probe {
		return false
	}
	switch {
	case from > c.out.next:
		c.fail(SeqAhead, "an empty one at %d, %d is next", from, c.out.next)
	case from < c.least.una-1:
		c.fail(SeqBehind, "an empty one at %d, acknowledged is %d", from, c.least.una)
	}
	c.checkUrgent(s, from)
	return true
}

// checkFIN judges what lies at and behind the end.
func (c *Checker) checkFIN(s *tcp.Segment, to int64) {
	end := to
	if s.Flags&tcp.FIN != 0 {
		end--
	}
	switch {
	case c.out.fin >= 0 && (end > c.out.fin || s.Flags&tcp.FIN != 0 && end != c.out.fin):
		c.fail(BeyondFIN, "up to %d, the FIN is %d", end, c.out.fin)
	case s.Flags&tcp.FIN != 0 && c.out.fin < 0:
		if end < c.out.next {
			c.fail(BeyondFIN, "a FIN at %d, text was sent up to %d", end, c.out.next)
			return
		}
		c.out.fin = end
		c.out.last = c.most.fin >= 0 && s.Flags&tcp.ACK != 0 && c.in.rel(s.Ack, c.most.nxt) > c.most.fin
	}
}

// checkText compares text with what was sent under the same numbers.
func (c *Checker) checkText(s *tcp.Segment, from int64) {
	if c.text == nil {
		c.base = 1
	}
	put := func(p []byte) {
		if old := c.base + int64(len(c.text)) - from; old > 0 {
			k := min(old, int64(len(p)))
			if skip := max(0, c.base-from); skip < k && !bytes.Equal(p[skip:k], c.text[from+skip-c.base:from+k-c.base]) {
				c.fail(SameText, "%d to %d", from, from+k)
			}
			c.text = append(c.text, p[k:]...)
		} else {
			c.text = append(c.text, p...)
		}
		from += int64(len(p))
	}
	put(s.Payload)
	for _, p := range s.Data {
		put(p)
	}
	if done := c.least.una - c.base; done > 1<<20 {
		c.text = append(c.text[:0], c.text[min(done, int64(len(c.text))):]...)
		c.base += done
	}
}

// checkUrgent judges the urgent pointer. One that does not fit is cut.
func (c *Checker) checkUrgent(s *tcp.Segment, from int64) {
	if s.Flags&tcp.URG == 0 || s.Urgent == 65535 {
		return
	}
	if up := from + int64(s.Urgent); up < c.urgent {
		c.fail(UrgentBack, "%d after %d", up, c.urgent)
	} else {
		c.urgent = up
	}
}

// checkRoom judges new text against the peer's window and what a congestion
// window can be at most.
func (c *Checker) checkRoom(s *tcp.Segment, from, to int64) {
	if s.Flags&tcp.SYN != 0 {
		return
	}
	edge := max(c.least.edge, c.most.edge)
	for i := range c.pending {
		p := &c.pending[i].seg
		if p.Flags&(tcp.ACK|tcp.SYN) == tcp.ACK {
			edge = max(edge, c.out.rel(p.Ack, c.most.una)+int64(p.Window)<<c.scale(&c.in))
		}
	}
	if to > edge {
		if to-from > 1 || from < c.least.una {
			c.fail(BeyondWindow, "%d to %d, the window ends at %d", from, to, edge)
		}
		return
	}
	mss := c.peerMSS()
	initial := min(10*mss, max(2*mss, 14600)) // RFC 6928 §2
	grown := c.most.una
	if c.cfg.CountsPackets {
		initial, grown = 10*mss, max(grown, c.sacked, c.ackedSegs*mss) // what was delivered counts
	}
	// Limited transmit, F-RTO and a tail loss probe send three beyond.
	// What the peer holds out of order, and what may be lost in front of it, is
	// not in flight (RFC 6675 §3, RFC 6582 §3.2).
	gone := max(c.most.una, c.sacked) + c.inflated
	if flight := to - gone; flight > initial+grown+3*mss {
		c.fail(TooMuch, "%d in flight, %d acknowledged so far", flight, c.most.una)
	}
}

// remember notes what was sent.
func (c *Checker) remember(from, to int64) {
	var keep []tx
	if from >= c.out.next {
		keep = c.txs // all new
	}
	for _, t := range c.txs[len(keep):] {
		if t.to <= from || t.from >= to {
			keep = append(keep, t)
			continue
		}
		if t.from < from {
			a := t
			a.to = from
			keep = append(keep, a)
		}
		b := t
		b.from, b.to = max(t.from, from), min(t.to, to)
		b.last, b.real, b.index, b.again = c.clock, c.at, c.index, true
		keep = append(keep, b)
		if t.to > to {
			a := t
			a.from = to
			keep = append(keep, a)
		}
	}
	if to > c.out.next {
		keep = append(keep, tx{span{max(from, c.out.next), to}, c.clock, c.at, c.index, false})
		c.out.next = to
	}
	c.txs = keep
}
