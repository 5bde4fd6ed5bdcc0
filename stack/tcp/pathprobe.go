package tcp

import "time"

// Sizes are payloads with TCP options, as in SetPathMSS: what is left of an MTU
// without the fixed headers of IPv4 and TCP.
const (
	pathBase  = 1200 - 40 // BASE_PLPMTU (RFC 8899 §5.1.2): what nearly every path carries
	pathLeast = 576 - 40  // MIN_PLPMTU: what every host takes (RFC 1122 §3.3.3)
	pathTries = 3         // MAX_PROBES (RFC 8899 §5.1.2)
	pathStep  = 16        // the search ends when it is that close; the number is ours
	// pathAgain is PMTU_RAISE_TIMER (RFC 8899 §5.1.1): how long after a search
	// the path may carry more than it did.
	pathAgain = 10 * time.Minute

	// baseTimeouts and leastTimeouts are how many retransmission timeouts in a
	// row of full-sized segments make it likely that the path swallows them for
	// their size (RFC 4821 §7.7).
	baseTimeouts  = 3
	leastTimeouts = 6
)

// pathProbe is the search for the largest segment that the path carries where
// routers do not tell (RFC 4821, RFC 8899), or some time after they did. Probes
// are segments of the stream that are larger than the others.
type pathProbe struct {
	low, high  uint16 // the path carries low; nothing beyond high is tried
	size       uint16 // of the probe that is under way; 0 is none
	failed     uint8  // probes of one size that were lost
	top        bool   // high itself is tried first: the hole may have been an outage
	verified   bool   // low was acknowledged
	told       bool   // a router has said so
	news       bool   // for PathNews
	start, end Seq    // of the probe
	at         Instant
	wait       Instant // nothing is tried before: a probe was lost, and its loss forgiven
	raised     pathRaise
}

// pathRaise is what a segment size is judged by that a probe has found
// (RFC 4821 §7.8): where several ways lead to the peer, some may not carry it.
type pathRaise struct {
	from        uint16  // the size before; 0 when the new one is judged
	at          Instant // it is judged then
	sent, again uint32  // segments with text, and those sent again, until the raise
}

// Numbers of pathRaise, RFC 4821's suggestions.
const (
	raiseTimeouts = 4  // retransmission timeouts that a new size is watched for
	raiseLoss     = 10 // it is wrong if one in as many segments, or more, was sent again
)

// pathTop is the largest size that both ends and our own link take.
func (c *Conn) pathTop() uint16 { return min(c.peerMSS, c.maxMSS, c.linkMSS) }

// blackHole makes segments smaller when full-sized ones time out again and
// again. The search for the true size begins when one gets through.
func (c *Conn) blackHole() {
	size := uint16(pathBase)
	switch now := min(c.pathTop(), c.pathMSS); {
	case c.flight() < c.win.MSS, c.sndNxt.After(c.sndEdge()):
		return // not for its size
	case c.backoff+1 == leastTimeouts:
		size = pathLeast
		fallthrough
	case c.backoff+1 == baseTimeouts:
		if now <= size {
			return
		}
	default:
		return
	}
	if c.pmtu == nil {
		c.pmtu = new(pathProbe)
	}
	*c.pmtu = pathProbe{low: size, high: max(c.pmtu.high, min(c.pathTop(), c.pathMSS)), top: true, wait: c.pmtu.wait}
	c.pathMSS = size
	c.resizeMSS()
	c.pool.Counters.BlackHoles++
}

// pathLowered notes what an ICMP message has said, and returns what to send at
// most.
func (c *Conn) pathLowered(now Instant, size uint16) uint16 {
	p := c.pmtu
	if p == nil {
		c.pathKnown(size, now.Add(pathAgain))
		return size
	}
	if size > p.high {
		c.pmtu = nil // the owner knows better
		return size
	}
	p.size, p.failed, p.top = 0, 0, false
	p.high = size
	p.low = min(p.low, p.high)
	if p.at != 0 {
		p.at = now.Add(pathAgain)
	}
	return p.low
}

// pathKnown notes what others have found out about the path. The connection tries
// more from until on.
func (c *Conn) pathKnown(size uint16, until Instant) {
	if size < min(c.maxMSS, c.linkMSS) {
		c.pathMSS = size
		c.pmtu = &pathProbe{low: size, high: size, verified: true, told: true, at: until}
	}
}

// raisePath has segments be as large as they can when what a router has said is
// old (RFC 1191 §6.3). That is for a peer without SACK, where a probe that is lost
// could not be told from congestion: if the path still carries no more, the router
// says so again.
func (c *Conn) raisePath(now Instant) {
	if p := c.pmtu; !c.sack && p.told && now >= p.at && c.loss == lossNone && c.dupAcks == 0 && c.win.Cwnd >= int(c.pathTop()) {
		c.pmtu, c.pathMSS = nil, c.maxMSS
		c.resizeMSS()
	}
}

// next returns the size to try, 0 for none.
func (p *pathProbe) next(now Instant, top uint16) uint16 {
	if now < p.at || now < p.wait || !p.verified || p.raised.from != 0 {
		return 0
	}
	if p.at != 0 {
		p.at, p.high, p.top = 0, top, true
	}
	p.high = max(p.low, min(p.high, top)) // low may have been found over a wider link
	switch {
	case p.top && p.high > p.low:
		return p.high
	case p.high-p.low >= pathStep:
		return p.low + (p.high-p.low+1)/2
	}
	p.at = now.Add(pathAgain)
	return 0
}

// sendPathProbe sends a probe when one is due and as much may follow as tells of
// its loss at once. It waits for room in the windows, which text that fits a
// segment would take. It reports whether sending goes on, and false with ok
// false when emit refused the probe.
func (c *Conn) sendPathProbe(t *transmitter) (on, ok bool) {
	if c.pmtu != nil {
		c.raisePath(t.now)
		c.judgeRaise(t.now)
	}
	p := c.pmtu
	if p == nil || p.size != 0 || !c.sack || c.paceClosed(t.now) || c.loss != lossNone || !c.board.empty() || c.urging() {
		return true, true
	}
	size := p.next(t.now, c.pathTop())
	if size == 0 {
		return true, true
	}
	mss, _ := c.segLimit(t)
	text, n := c.sndq.end().Sub(c.sndNxt), int(size)-(int(min(c.pathTop(), c.pathMSS))-mss)
	if min(text, int(c.sndWnd), c.win.Cwnd) < n+dupThresh*mss {
		return true, true
	}
	if min(c.sndEdge().Sub(c.sndNxt), c.win.Cwnd-c.pipe()) < n {
		c.used(true)
		return c.flight() == 0, true
	}
	p.size, p.start, p.end = size, c.sndNxt, c.sndNxt.Add(n)
	if !c.sendNext(t, n, false, false, mss) {
		p.size = 0
		return false, false
	}
	if c.sndNxt != p.end {
		p.size = 0 // the queue is too scattered for one segment
		return true, true
	}
	c.pool.Counters.PathProbes++
	return true, true
}

// isPathProbe reports whether n octets at seq are a probe: one segment, whatever
// its size.
func (c *Conn) isPathProbe(seq Seq, n int) bool {
	return c.pmtu != nil && c.pmtu.size != 0 && seq == c.pmtu.start && seq.Add(n) == c.pmtu.end
}

// pathAcked learns from an advance of SND.UNA that the path carries a size.
func (c *Conn) pathAcked() {
	p := c.pmtu
	if !p.verified {
		p.verified, p.news = true, true
	}
	if p.size == 0 || c.sndUna.Before(p.end) {
		return
	}
	size := p.size
	p.size = 0
	if c.win.Cwnd < int(size) {
		return // one such segment would be more than the window: try again
	}
	p.raised = pathRaise{from: p.low, at: c.progressAt.Add(raiseTimeouts * c.rto()), sent: c.traffic.dataSegsOut, again: c.retransmits}
	p.low, p.news = size, true
	p.failed, p.top = 0, false
	c.pathMSS = p.low
	c.resizeMSS()
	c.carried = true
}

// judgeRaise goes back to smaller segments where those that a probe has found get
// lost again and again.
func (c *Conn) judgeRaise(now Instant) {
	p := c.pmtu
	if p == nil || p.raised.from == 0 || now < p.raised.at {
		return
	}
	r := p.raised
	p.raised = pathRaise{}
	if sent, again := c.traffic.dataSegsOut-r.sent, c.retransmits-r.again; p.low <= r.from || again == 0 || again*raiseLoss < sent {
		return
	}
	p.high, p.low, p.news = max(r.from, p.low-1), r.from, true
	c.pathMSS = p.low
	c.resizeMSS()
}

// pathHeadway is how long no probe follows one whose loss was not taken for
// congestion: a round trip for each segment that may be in flight, and thus longer
// than congestion control would take to lose one itself (RFC 4821 §4, §7.6.2).
func (c *Conn) pathHeadway() time.Duration {
	return c.srtt * time.Duration(min(c.win.Cwnd, int(c.sndWnd))/c.win.MSS+1)
}

// pathTimedOut has the search rest when a probe is under way as everything times
// out, longer than after one that is lost alone (RFC 4821 §7.6.3).
func (c *Conn) pathTimedOut(now Instant) {
	if p := c.pmtu; p != nil && p.size != 0 {
		p.size, p.wait = 0, now.Add(5*c.pathHeadway())
	}
}

// pathProbeLost reports whether a probe is lost and nothing else: then it was too
// large, which says nothing of congestion (RFC 4821 §7.5), and its text goes
// again in segments that fit.
func (c *Conn) pathProbeLost(now Instant) bool {
	p := c.pmtu
	if p == nil || p.size == 0 || len(c.lost.s) != 1 || c.lost.s[0].start != p.start || c.lost.s[0].end != p.end {
		return false
	}
	c.pool.Counters.PathProbesLost++
	p.wait = now.Add(c.pathHeadway())
	if p.failed++; p.failed >= pathTries {
		p.high, p.top, p.failed = max(p.low, p.size-1), false, 0
	}
	p.size = 0
	c.startResend(now)
	return true
}

// pathResent notes that [from, to) is sent again. What is acknowledged of a
// probe then says nothing.
func (c *Conn) pathResent(from, to Seq) {
	if p := c.pmtu; p != nil && p.size != 0 && from.Before(p.end) && p.start.Before(to) {
		p.size = 0
	}
}

// PathNews returns, once, the largest payload, as in SetPathMSS, that the path
// carries when the connection has found out by itself.
func (c *Conn) PathNews() (size int, ok bool) {
	if c.pmtu == nil || !c.pmtu.news {
		return 0, false
	}
	c.pmtu.news = false
	return int(c.pmtu.low), true
}
