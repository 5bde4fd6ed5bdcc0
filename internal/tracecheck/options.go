package tracecheck

import (
	"time"

	"arpeggio/stack/tcp"
)

// checkOptions judges the options but SACK.
func (c *Checker) checkOptions(s *tcp.Segment) {
	o := &s.Options
	if s.Flags&tcp.SYN == 0 {
		if o.MSS != 0 || o.HasWindowScale || o.SACKPermitted {
			c.fail(OptionPlace, "%v", s)
		}
		if o.HasTimestamps != c.timestamps() {
			c.fail(TimestampsAgreed, "agreed: %v, there: %v", c.timestamps(), o.HasTimestamps)
		}
	} else if s.Flags&tcp.ACK != 0 {
		p := &c.in.syn.Options
		if o.HasWindowScale && !p.HasWindowScale || o.HasTimestamps && !p.HasTimestamps {
			c.fail(OptionOffer, "%v answers %v", s, &c.in.syn)
		}
	}
	if o.HasTimestamps {
		c.checkClock(o.TSVal)
		c.checkEcho(s)
	}
}

// checkClock judges the timestamp itself. A SYN cookie may hide 64 ticks in it.
func (c *Checker) checkClock(val uint32) {
	clock := c.clock
	if c.tsSeen && clock-c.tsLastAt < 20*24*time.Hour {
		ticks := int64(int32(val - c.tsLast))
		passed := clock - c.tsLastAt + c.cfg.Slack
		switch {
		case ticks < 0:
			c.fail(TimestampClock, "it goes back by %d", -ticks)
		case ticks > int64(passed/time.Millisecond)+1+64:
			c.fail(TimestampClock, "%d ticks in %v", ticks, passed)
		case ticks < int64((passed-2*c.cfg.Slack)/time.Second)-1:
			c.fail(TimestampClock, "%d ticks in %v", ticks, passed)
		}
		if ticks == 0 {
			return // the time of the tick stands
		}
	}
	c.tsSeen, c.tsLast, c.tsLastAt = true, val, clock
}

// checkEcho judges the timestamp that goes back.
func (c *Checker) checkEcho(s *tcp.Segment) {
	ecr := s.Options.TSEcr
	if s.Flags&tcp.ACK == 0 {
		if ecr != 0 {
			c.fail(TimestampEcho, "%d without ACK", ecr)
		}
		return
	}
	low := c.least.ts
	if c.least.nxt == 0 {
		low = c.in.syn.Options.TSVal
	}
	if int32(ecr-low) < 0 || int32(c.tsMax-ecr) < 0 {
		c.fail(TimestampEcho, "%d, should be %d to %d", ecr, low, c.tsMax)
	}
}

// checkSACK judges the blocks of a segment that acknowledges up to ack.
func (c *Checker) checkSACK(s *tcp.Segment, ack int64) {
	o := &s.Options
	blocks := o.SACK[:o.NSACK]
	if !c.sack() {
		if o.NSACK > 0 {
			c.fail(SackAgreed, "%d blocks", o.NSACK)
		}
		return
	}
	var b [len(o.SACK)]span
	for i := range blocks {
		b[i] = span{c.in.rel(blocks[i].Start, ack), c.in.rel(blocks[i].End, ack)}
		if b[i].from >= b[i].to {
			c.fail(SackReceived, "an empty block %v", b[i])
			return
		}
	}
	first := 0
	if len(blocks) > 0 && (b[0].to <= ack || len(blocks) > 1 && b[1].from <= b[0].from && b[0].to <= b[1].to) {
		first = 1
		end := b[0].to
		if c.most.fin >= 0 && end == c.most.fin+1 {
			end-- // some count a FIN as text
		}
		if _, ok := c.dups.holding(b[0].from, end); !ok && b[0].from < end && !c.cfg.MayDrop {
			rule := SackDuplicate
			if _, queued := c.waited.holding(b[0].from, end); queued && b[0].to == ack {
				rule = SackStale
			}
			c.fail(rule, "%v came once at most", b[0])
		}
	}
	for i := first; i < len(blocks); i++ {
		if c.most.fin >= 0 && b[i].to == c.most.fin+1 {
			b[i].to-- // some count a FIN as text
		}
		held, ok := c.most.got.holding(b[i].from, b[i].to)
		// What has filled a gap since may lie behind the newest RCV.NXT, and so
		// does what the host dropped and got again.
		if c.cfg.MayDrop || c.cfg.Slack > 0 {
			from := max(b[i].from, c.most.nxt)
			_, ok = c.most.got.holding(from, b[i].to)
			ok = ok || b[i].to <= c.most.nxt
		}
		switch {
		case !ok:
			c.fail(SackReceived, "%v of %v", b[i], c.most.got)
		case held != b[i] && c.cfg.Slack == 0 && !c.cfg.MayDrop:
			c.fail(SackReceived, "%v is part of %v", b[i], held)
		}
	}
	if c.cfg.Slack > 0 || c.cfg.MayDrop || s.Flags&tcp.SYN != 0 {
		return
	}
	if len(blocks) == first {
		if len(c.most.got) > 0 {
			c.fail(SackMissing, "%v are queued", c.most.got)
		}
		return
	}
	if n := c.newest; n.from >= ack && n.to > n.from && (n.from < b[first].from || n.to > b[first].to) {
		c.fail(SackFirst, "%v, but %v came last", b[first], n)
	}
}

// ecn reports whether congestion notification is agreed on.
func (c *Checker) ecn() bool {
	if !c.out.open || !c.in.open {
		return false
	}
	const both = tcp.ECE | tcp.CWR
	syn, answer := &c.out.syn, &c.in.syn
	if answer.Flags&tcp.ACK == 0 {
		syn, answer = answer, syn
	}
	return answer.Flags&tcp.ACK != 0 && syn.Flags&both == both && answer.Flags&both == tcp.ECE
}

// checkECN judges the bits of RFC 3168.
func (c *Checker) checkECN(s *tcp.Segment) {
	bits := s.Flags & (tcp.ECE | tcp.CWR)
	if s.Flags&tcp.SYN != 0 {
		asked := c.in.syn.Flags&(tcp.ECE|tcp.CWR) == tcp.ECE|tcp.CWR
		if s.Mark != 0 || s.Flags&tcp.ACK != 0 && bits != 0 && (!asked || bits != tcp.ECE) {
			c.fail(EcnAgreed, "[%v] mark %d", s.Flags, s.Mark)
		}
		if c.out.iss == s.Seq && c.most.una == 0 {
			c.out.syn.Flags = s.Flags // the last one counts: it may go without
		}
		return
	}
	if !c.ecn() {
		if bits != 0 || s.Mark != 0 {
			c.fail(EcnAgreed, "[%v] mark %d", s.Flags, s.Mark)
		}
		return
	}
	if s.Mark != 0 && (s.DataLen() == 0 || c.out.rel(s.Seq, c.out.next) < c.out.next) {
		c.fail(EcnMark, "mark %d on %v", s.Mark, s)
	}
	if c.echo && bits&tcp.ECE == 0 {
		c.fail(EcnEcho, "no ECE")
	}
}
