package tracecheck

import (
	"fmt"
	"time"

	"arpeggio/stack/tcp"
)

// ackLimit is the longest that an acknowledgment may wait (RFC 9293 §3.8.6.3).
const ackLimit = 500 * time.Millisecond

// receive brings what arrives into both pictures and notes what the host owes.
func (c *Checker) receive(in *input) {
	s := &in.seg
	c.credit++
	if s.Flags&tcp.SYN != 0 && c.most.una == 0 {
		c.cause, c.heard, c.heardAt = in.index, in.index, in.at // a SYN again asks for the answer again
	}
	if s.Flags&tcp.RST == 0 {
		c.resets++
		c.strays = append(c.strays, stray{s.Seq, s.Ack, s.Flags, s.Len() + int(in.n)})
		if len(c.strays) > 256 {
			c.strays = append(c.strays[:0], c.strays[128:]...)
		}
	}
	c.meetSYN(in)
	if !c.in.open || !c.out.open || c.dead {
		if c.out.open && !c.in.open && s.Flags.Has(tcp.RST|tcp.ACK) && c.out.rel(s.Ack, 1) == 1 {
			c.most.reset, c.least.reset = true, true // refused
		}
		c.most.take(in)
		c.least.take(in)
		return
	}
	c.noteTimestamp(in)
	before := c.most.una
	c.noteDuplicates(in)
	r := c.most.take(in)
	if c.cfg.Slack == 0 {
		c.least.take(in)
	} else {
		c.pending = append(c.pending, *in)
	}
	c.noteCause(in, &r, before)
	c.measure(before)
	if c.most.reset || c.most.over() && c.out.last {
		c.debts = nil // nobody is there who could owe anything
		return
	}
	c.noteDebts(in, &r)
	if c.sack() && r.early {
		c.newest = span{r.from, r.to}
		c.waited.add(r.from, r.to)
	}
	if c.ecn() && r.to > r.from && !r.dropped {
		if s.Flags&tcp.CWR != 0 {
			c.echo = false
		}
		c.echo = c.echo || s.Mark == tcp.CE && (r.moved > 0 || r.early) && !c.cfg.MayDrop && c.cfg.Slack == 0
	}
}

// meetSYN takes note of the SYN that begins the peer's direction, or that may
// begin another connection.
func (c *Checker) meetSYN(in *input) {
	s := &in.seg
	if s.Flags&(tcp.SYN|tcp.RST) != tcp.SYN || c.in.open && s.Seq == c.in.iss {
		return
	}
	if c.in.open || c.dead {
		if s.Flags&tcp.ACK == 0 {
			n := *in
			c.newSYN = &n
		}
		return
	}
	if s.Flags&tcp.ACK != 0 && (!c.out.open || c.out.rel(s.Ack, 1) != 1) {
		return
	}
	c.in.open, c.in.iss, c.in.syn = true, s.Seq, *s
	c.tsMax = s.Options.TSVal
	if c.out.open {
		c.adv = 1 + int64(c.out.syn.Window)
	}
}

// noteTimestamp extends the range of timestamps that the host may echo.
func (c *Checker) noteTimestamp(in *input) {
	o := &in.seg.Options
	if !o.HasTimestamps || in.seg.Flags&tcp.RST != 0 {
		return
	}
	if c.cfg.Slack > 0 || c.in.rel(in.seg.Seq, c.most.nxt) <= in.acked {
		if int32(o.TSVal-c.tsMax) > 0 || in.clock-c.most.tsAt >= 24*24*time.Hour {
			c.tsMax = o.TSVal
		}
	}
}

// noteDuplicates remembers text that comes for the second time.
func (c *Checker) noteDuplicates(in *input) {
	v := &c.most
	if v.nxt == 0 {
		return
	}
	seq := c.in.rel(in.seg.Seq, v.nxt)
	c.dups.add(seq, min(seq+in.n+int64(in.seg.Len()), v.nxt)) // some count a FIN as text
	var again spans
	v.got.common(seq, seq+in.n, again.add)
	for _, s := range again {
		c.dups.add(s.from, s.to)
	}
}

// noteCause takes note of what gives the host a reason to send again.
func (c *Checker) noteCause(in *input, r *result, before int64) {
	if in.seg.Flags&tcp.ACK == 0 || in.seg.Flags&tcp.RST != 0 {
		return
	}
	c.heard, c.heardAt, c.tail, c.lossSent = in.index, in.at, false, 0
	switch {
	case r.advanced:
		c.dupAcks = 0
		c.inflated = max(0, c.inflated-(c.most.una-before)+c.peerMSS())
	case r.duplicate:
		c.dupAcks++
		c.inflated += c.peerMSS()
	}
	if r.advanced || r.opened || in.seg.Options.NSACK > 0 || c.dupAcks >= 3 || c.most.una == 0 {
		c.cause = in.index
	}
	for _, b := range in.seg.Options.SACK[:in.seg.Options.NSACK] {
		if end := c.out.rel(b.End, c.most.una); end <= in.sent {
			c.sacked = max(c.sacked, end)
		}
	}
	if r.opened || c.most.edge > c.most.una {
		c.probe = timer{}
	}
}

// measure takes round-trip times from what has been acknowledged.
func (c *Checker) measure(before int64) {
	if c.most.una == before {
		return
	}
	keep := c.txs[:0]
	for _, t := range c.txs {
		if t.to > c.most.una {
			rest := t
			rest.from = max(t.from, c.most.una)
			keep = append(keep, rest)
		} else {
			c.ackedSegs++
		}
		if t.from >= c.most.una {
			continue
		}
		// Of what was sent again, timestamps may tell the time of the last copy.
		rtt := c.at - t.real
		if c.anyRTT < 0 || rtt < c.anyRTT {
			c.anyRTT = rtt
		}
		if c.measured = c.measured || !t.again; c.measured {
			c.minRTT = c.anyRTT
		}
	}
	c.txs = keep
}

// noteDebts says what the host owes for the segment.
func (c *Checker) noteDebts(in *input, r *result) {
	s := &in.seg
	if !c.synchronized() {
		return
	}
	if c.timestamps() && !s.Options.HasTimestamps && s.Flags&tcp.RST == 0 {
		return // it may be dropped without a word (RFC 7323 §3.2)
	}
	if r.odd {
		if c.at-c.oddAt >= time.Second && s.Flags&(tcp.SYN|tcp.RST) != 0 && !c.most.over() {
			c.owe(in, Challenge, 0, "a SYN or a reset")
		}
		c.oddAt = c.at
		return
	}
	if s.Flags&tcp.RST != 0 {
		return
	}
	if r.outside && !c.cfg.MayDrop {
		c.owe(in, AckUnacceptable, 0, fmt.Sprintf("%v outside %d to %d", s.Seq-c.in.iss, c.most.nxt, in.edge))
	}
	if r.dropped || c.cfg.MayDrop {
		return
	}
	if n := int(in.n); n > c.fullSize {
		c.fullSize = n
	}
	if r.early || r.filled {
		c.owe(in, AckGap, 0, "text out of order")
	}
	if r.moved == 0 {
		return
	}
	c.owe(in, AckDelay, ackLimit, "text or FIN")
	if c.unacked += r.moved; c.unacked >= 2*int64(c.fullSize) && c.fullSize > 0 && in.n > 0 {
		c.owe(in, AckSecond, 0, "the second full segment")
	}
}
