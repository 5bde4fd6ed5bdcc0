package tracecheck

import (
	"time"

	"arpeggio/stack/tcp"
)

// early reports whether d is clearly less than what it should be.
func (c *Checker) early(d, least time.Duration) bool {
	return d+2*c.cfg.Slack < least-least/20
}

// checkAgain judges when something is sent again: for a cause that arrived, or
// after the timeout, or as a tail loss probe.
func (c *Checker) checkAgain(s *tcp.Segment, from, to int64) {
	if to > c.most.edge && to-from == 1 && c.synchronized() && c.most.edge <= c.most.una {
		c.checkProbe(from)
		return
	}
	head := from <= c.most.una
	// Nothing was heard since the last timeout. Of what passed shortly before it,
	// the host may have heard only after it.
	quiet := c.heard < c.timer.index && c.timer.real-c.heardAt >= c.cfg.Slack
	var sent *tx
	for i := range c.txs {
		t := &c.txs[i]
		if t.from >= to || from >= t.to {
			continue
		}
		// The first segment may take more with it; else the part that was sent
		// last must have waited, too.
		if head && t.from <= from || !head && (sent == nil || t.index > sent.index) {
			sent = t
		}
	}
	if sent == nil || c.cause > sent.index {
		if quiet && c.timer.n > 0 && s.Flags&tcp.SYN == 0 {
			c.afterLoss(from, to)
		}
		c.causedAt = c.clock
		return
	}
	if c.causedAt == c.clock {
		return // it goes with what has a cause
	}
	waited := c.clock - sent.last
	least := max(c.cfg.MinRTO, c.minRTT)
	if s.Flags&tcp.SYN != 0 {
		least = c.cfg.InitialRTO
	}
	// RFC 8985 §7: the tail may go again after two round trips, once. When it is
	// all there is, that cannot be told from a timeout.
	if to == c.out.next && !c.tail && c.sack() && c.measured && !(quiet && c.timer.n > 0) {
		// It does not wait longer than the timeout of what was sent first.
		first := waited
		for _, t := range c.txs {
			if t.from <= c.most.una && c.most.una < t.to {
				first = c.clock - t.last
			}
		}
		if c.early(waited, min(least, 2*c.minRTT)) && c.early(first, least) {
			c.fail(EarlyTimeout, "%d to %d as a tail loss probe after %v, round trips take %v", from, to, waited, c.minRTT)
		}
		c.tail = true
		return
	}
	if quiet && c.timer.n > 0 && from != c.timer.from {
		c.afterLoss(from, to) // it goes with what has timed out
		return
	}
	if c.early(waited, least) {
		c.fail(EarlyTimeout, "%d to %d after %v, should be %v", from, to, waited, least)
	}
	c.lossSent = to - from
	c.series(&c.timer, from, BackOff, quiet, s.Flags&tcp.SYN != 0)
}

// afterLoss judges what goes after a timeout while nobody has answered.
func (c *Checker) afterLoss(from, to int64) {
	if to-from == 1 && from == c.out.fin {
		return // a FIN is no text
	}
	if c.lossSent += to - from; c.lossSent > c.peerMSS() {
		c.fail(LossWindow, "%d to %d, %d octets since the timeout of %d", from, to, c.lossSent, c.timer.from)
	}
}

// series judges the intervals of repeated transmissions. The first interval
// says what the timeout is only when the timer was started with the first
// transmission, as in a handshake.
func (c *Checker) series(t *timer, from int64, r Rule, goesOn, handshake bool) {
	if !goesOn || t.from != from || t.n == 0 {
		*t = timer{from: from, at: c.clock, real: c.at, n: 1, index: c.index}
		if handshake {
			t.interval = c.at - c.firstSYN()
		}
		return
	}
	interval := c.clock - t.at
	if t.interval > 0 && c.early(interval, min(2*t.interval, c.cfg.MaxRTO)) {
		c.fail(r, "%v after %v", interval, t.interval)
	}
	t.interval = c.at - t.real
	t.at, t.real, t.index = c.clock, c.at, c.index
	t.n++
}

// firstSYN returns when the SYN was sent that waits for its answer.
func (c *Checker) firstSYN() time.Duration {
	for _, t := range c.txs {
		if t.from == 0 {
			return t.real
		}
	}
	return c.at
}

// checkProbe judges a zero-window probe (RFC 9293 §3.8.6.1).
func (c *Checker) checkProbe(from int64) {
	last := -time.Hour
	for _, t := range c.txs {
		last = max(last, t.last)
	}
	if c.probe.n == 0 && c.early(c.clock-last, c.cfg.MinRTO) {
		c.fail(ProbeInterval, "the first one after %v", c.clock-last)
	}
	c.series(&c.probe, from, ProbeInterval, true, false)
}
