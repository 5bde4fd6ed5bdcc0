package tcp

import "time"

// Deadline returns when Output must be called next although nothing happened;
// zero means never. It may lie in the past.
func (c *Conn) Deadline() Instant {
	return earlier(earlier(earlier(c.rtxAt, c.ackAt), earlier(c.tail.at, c.rack.timer)), earlier(earlier(c.keepAt, c.waitAt), earlier(c.corkAt(), c.paceAt())))
}

func due(now, at Instant) bool { return at != 0 && now >= at }

// runTimers acts on the deadlines that have passed.
func (c *Conn) runTimers(now Instant) {
	if due(now, c.waitAt) {
		c.waitAt = 0
		switch c.state {
		case SynSent, SynReceived:
			c.giveUp()
		case FinWait2, TimeWait:
			c.end(nil)
		}
	}
	if due(now, c.ackAt) {
		c.ackAt, c.ackDue = 0, max(c.ackDue, 1)
	}
	if due(now, c.corkAt()) {
		c.cork.at, c.cork.due = 0, true
	}
	if due(now, c.paceAt()) {
		c.pace.waiting = false
	}
	if due(now, c.tail.at) && (!due(now, c.rtxAt) || c.tail.at == c.rtxAt) {
		c.tailProbeTimer(now) // also in the place of the timeout
	}
	if due(now, c.rtxAt) {
		c.retransmitTimer(now)
	}
	if due(now, c.rack.timer) {
		c.reorderTimer(now)
	}
	if due(now, c.keepAt) {
		c.keepAliveTimer(now)
	}
}

// Retries returns how often in a row the retransmission timer has run out, of the
// handshake or of text. Window probes do not count: their peer answers.
func (c *Conn) Retries() int {
	if c.persist {
		return 0
	}
	return int(c.backoff)
}

// clockJump is how late a timer may be looked at by an owner that is busy. When it
// is later, this machine has stood still, and the peer has had no chance to answer:
// that time is no part of the user timeout.
const clockJump = 10 * time.Second

// retransmitTimer runs when rtxAt has passed: a timeout of the handshake, of
// data, or the next window probe.
func (c *Conn) retransmitTimer(now Instant) {
	late := now.Sub(c.rtxAt)
	c.rtxAt = 0
	if c.state == SynSent || c.state == SynReceived {
		c.backoff = min(c.backoff+1, maxBackoff)
		c.synDue, c.synAgain, c.rttAt = true, true, 0
		return
	}
	// A peer that has closed its window is being probed, not timed out, as long
	// as it answers: what leaves now is the first that it may not answer.
	if c.answered() {
		c.progressAt = now
	} else if late > clockJump {
		c.progressAt = c.progressAt.Add(late)
	}
	if now.Sub(c.progressAt) >= c.userTimeout.duration() {
		// RFC 9293 §3.8.3: R2 is passed. The peer may only have lost our
		// acknowledgments, so it is told.
		c.giveUp()
		return
	}
	if c.persist {
		c.probeDue = true
		return
	}
	if c.ecnHoldTimer() {
		return
	}
	if c.paceAt() != 0 && (c.rtxHead || !c.lost.empty()) {
		c.rtxAt = c.boundRetransmit(now, c.pace.at.Add(c.rto())) // what is lost has not left again yet
		return
	}
	c.timedOut(now)
}

// armRetransmit starts the retransmission timer anew. It never overshoots the
// user timeout.
func (c *Conn) armRetransmit(now Instant) {
	c.rtxAt = now.Add(c.rto())
	if c.state.Synchronized() {
		c.rtxAt = c.boundRetransmit(now, c.rtxAt)
	}
}

// answered reports whether nothing that was sent into a closed window, or as a probe
// of one, waits for the peer's answer. The user timeout does not run then: no progress
// is what the peer has asked for (RFC 9293 §3.8.6.1, MUST-37).
func (c *Conn) answered() bool {
	return (c.persist || c.sndWnd == 0) && c.lastRecv >= c.progressAt
}

// boundRetransmit returns at, or when the user timeout ends if that is sooner.
func (c *Conn) boundRetransmit(now, at Instant) Instant {
	if c.answered() {
		return at
	}
	return min(at, max(c.progressAt.Add(c.userTimeout.duration()), now+1))
}

// cutShort reports whether the timer runs to the end of the user timeout, which
// comes before the next probe is due but would not if it began now.
func (c *Conn) cutShort() bool {
	user := c.userTimeout.duration()
	return c.rtxAt.Sub(c.progressAt) >= user && c.rto() < user
}

// startPersist starts the persist timer (RFC 9293 §3.8.6.1): there is something
// to send, no window for it, and nothing in flight that would bring news.
func (c *Conn) startPersist(now Instant) {
	if c.persist {
		return
	}
	c.persist, c.backoff, c.progressAt = true, 0, c.lastRecv
	c.armRetransmit(now)
}

// stopPersist ends probing. An octet sent as a probe goes again with what
// follows it.
func (c *Conn) stopPersist() {
	c.persist, c.probeDue, c.rtxAt, c.backoff = false, false, 0, 0
}

// giveUp ends the connection because the peer does not answer. An ICMP error
// that came in the meantime says why (RFC 9293 §3.9.2.2).
func (c *Conn) giveUp() {
	err := ErrTimeout
	if c.softErr != nil {
		err = c.softErr
	}
	c.abort(err)
}

// armKeepAlive starts the wait for silence.
func (c *Conn) armKeepAlive(now Instant) {
	c.keepAt = 0
	if c.keep.idle > 0 && c.state.Synchronized() && c.state != TimeWait {
		c.keepAt = now.Add(c.keep.idle.duration())
	}
}

// keepAliveTimer runs when keepAt has passed. Traffic does not move keepAt;
// the time of the last segment tells whether the silence was real.
func (c *Conn) keepAliveTimer(now Instant) {
	if quiet := now.Sub(c.lastRecv); c.keepProbes == 0 && quiet < c.keep.idle.duration() {
		c.keepAt = c.lastRecv.Add(c.keep.idle.duration())
		return
	}
	if c.flight() > 0 || c.persist {
		c.keepAt = now.Add(c.keep.idle.duration()) // retransmission watches the peer
		return
	}
	if c.keepProbes >= c.keep.probes {
		c.giveUp()
		return
	}
	c.keepDue = true
	c.keepAt = now.Add(c.keep.interval.duration())
}
