package tcp

import "time"

const (
	// maxAuto bounds buffers that grow by themselves where the pool has no
	// limit: the largest window of scale 8, just below 16 MiB.
	maxAuto = 65535 << 8
	// tuneAfter is how much a connection has received when its reader's pace
	// begins to be measured: less fits the buffer that it begins with.
	tuneAfter = DefaultBuffer / 4
	// tuneDefault is the first measure's length while no round trip is known.
	tuneDefault = 100 * time.Millisecond
)

// tuning is how a receive buffer that nobody has set grows (dynamic
// right-sizing: Fisk and Feng, 2001): what the user reads in a round trip, the
// peer can send in one, and it needs twice as much while it grows.
type tuning struct {
	at     Instant       // when the present measure began
	from   Seq           // what the user was to read next then
	space  int32         // the most that was read in one measure
	rtt    time.Duration // a measure's length: the round trip as the receiver sees it
	least  time.Duration // the least round trip in the present measure; 0 is none
	edge   Seq           // without timestamps: the right edge at edgeAt
	edgeAt Instant
}

// autoBuffer returns the bound that buffers reach by themselves: what a queue
// gets that is alone in the pool.
func (p *Pool) autoBuffer() int {
	if p.Limit <= 0 {
		return maxAuto
	}
	return min(max(p.Limit/shareOfFree, DefaultBuffer), maxBuffer)
}

// grow returns the new bound of a buffer that is to grow from old to n octets:
// old when memory is short, which is counted.
func (p *Pool) grow(old, n int) int {
	n = min(n, p.autoBuffer())
	if n <= old {
		return old
	}
	if n > p.share() {
		p.Counters.BuffersDenied++
		return old
	}
	return n
}

// growSend lets the send buffer follow the congestion window: the flight, and
// as much again that takes its place while the acknowledgments come in.
func (c *Conn) growSend() {
	if c.sndAuto && 2*c.win.Cwnd > int(c.sndBuf) {
		c.sndBuf = int32(c.pool.grow(int(c.sndBuf), 2*c.win.Cwnd))
	}
}

// seeRTT measures, for a segment with text that has arrived in order, the time
// from the acknowledgment that it answers. Where there are no timestamps, text
// beyond an edge was sent after that edge was heard of.
func (c *Conn) seeRTT(now Instant, seg *Segment) {
	t := c.tune
	switch {
	case t == nil && c.rcvAuto && c.traffic.bytesIn > tuneAfter:
		c.tune = &tuning{at: now, from: c.rcvq.rd, space: int32(initialWindow(int(c.maxMSS))), rtt: c.srtt, edge: c.rcvAdv, edgeAt: now}
	case t == nil:
	case c.timestamps && seg.Options.TSEcr != 0:
		if ms := int32(c.tsNow(now) - seg.Options.TSEcr); ms >= 0 && ms < 1<<24 {
			if r := max(time.Duration(ms)*time.Millisecond, clockG); t.least == 0 || r < t.least {
				t.least = r
			}
		}
	case !c.timestamps && c.rcvNxt.After(t.edge):
		if r := now.Sub(t.edgeAt); t.rtt == 0 || r < t.rtt {
			t.rtt = r
		}
		t.edge, t.edgeAt = c.rcvAdv, now
	}
}

// tuneReceive lets the receive buffer grow when more was read in a round trip
// than ever: to twice as much, and by twice as much as it grew, for a slow start
// doubles it again before that is seen. It ends the measure when its time is over.
func (c *Conn) tuneReceive(now Instant) {
	t := c.tune
	if t == nil {
		return
	}
	n := c.rcvq.rd.Sub(t.from)
	if n > int(t.space) {
		want := 2*n + 2*min(n-int(t.space), n) + 16*int(c.maxMSS)
		c.rcvBuf = int32(c.pool.grow(int(c.rcvBuf), min(want, 65535<<c.rcvScale)))
	}
	if now.Sub(t.at) < max(or(t.rtt, tuneDefault), clockG) {
		return
	}
	if t.least > 0 {
		t.rtt = t.least
	}
	t.at, t.from, t.least, t.space = now, c.rcvq.rd, 0, max(t.space, int32(n))
}
