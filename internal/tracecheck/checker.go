package tracecheck

import (
	"fmt"
	"time"

	"arpeggio/stack/tcp"
)

// Config says what is known about the host beside its segments. The zero value
// is a host with the customary timers, seen in its own machine.
type Config struct {
	// Slack is the longest time from a segment's passing the point to the
	// host's having acted on it, in both directions together. Zero: a segment
	// passes in the instant in which the host takes it, and what the host
	// sends in answer passes next.
	Slack time.Duration
	// MinRTO and MaxRTO bound the retransmission timeout, InitialRTO is the
	// one of the handshake. Zero means 200 ms, 60 s and 1 s.
	MinRTO, MaxRTO, InitialRTO time.Duration
	// LeastMSS is what a smaller MSS of the peer's is raised to; zero means
	// that it is obeyed.
	LeastMSS int
	// CountsPackets: the congestion window counts segments, whatever their
	// size, and grows with what is delivered, in order or not (RFC 5681 counts
	// octets that are acknowledged).
	CountsPackets bool
	// MayDrop: the host may be short of memory and drop text that fits its
	// window, or whole segments.
	MayDrop bool
	// Allow is asked about each violation; true says that it is known, and
	// the check goes on. Nil allows none.
	Allow func(*Violation) bool
}

// Checker checks what one host sends on one connection, or on several of the
// same two ports, one after the other. It is not for concurrent use.
type Checker struct {
	cfg   Config
	index int
	at    time.Duration // of the latest event, less the jumps: to judge what is late
	clock time.Duration // the same with them: to judge what is early
	jumps time.Duration
	err   error

	out, in     half
	most, least view // what the host can know, and what it must know
	pending     []input
	newSYN      *input // a SYN that may open the next connection

	text []byte // sent, from textAt on
	base int64
	txs  []tx

	adv       int64 // right edge of the window that was advertised
	ackSent   int64 // highest acknowledgment sent
	sentAt    time.Duration
	sentIndex int
	urgent    int64

	dead      bool // the host has sent a reset
	credit    int  // what has arrived and a closed connection may answer
	resets    int  // answers that a dead host may still give
	strays    []stray
	debts     []debt
	oddAt     time.Duration // when something last arrived that is answered at a limited rate
	unacked   int64         // octets in order that wait for an acknowledgment
	fullSize  int
	newest    span // what came out of order last, for SackFirst
	dups      spans
	waited    spans // what has ever come behind a gap
	tsMax     uint32
	tsLast    uint32
	tsLastAt  time.Duration // without regard to jumps
	tsSeen    bool
	cause     int           // the segment that last gave a reason to send something again
	causedAt  time.Duration // when something was last sent again for a cause
	heard     int           // the last segment with an ACK
	heardAt   time.Duration // when it passed
	dupAcks   int
	inflated  int64         // what duplicate acknowledgments say has left the network (RFC 6582 §3.2)
	sacked    int64         // highest number that the peer reports to hold
	anyRTT    time.Duration // the least, with what was sent again; negative before there is one
	measured  bool
	minRTT    time.Duration // the same once something was measured without doubt
	ackedSegs int64
	timer     timer
	lossSent  int64 // octets sent since the last timeout, while nothing was heard
	tail      bool  // a tail loss probe was sent, and nothing heard since
	probe     timer
	echo      bool // a CE mark waits for its echo
}

// half is one direction of the connection: numbers are relative to iss.
type half struct {
	open bool
	iss  tcp.Seq
	next int64 // behind the highest number seen
	fin  int64 // number of the FIN; -1 when there was none
	syn  tcp.Segment
	last bool // the FIN came after the other side's: it may be LAST-ACK, and then CLOSED
}

// rel returns s as a number relative to iss, the one that is closest to near.
func (h *half) rel(s tcp.Seq, near int64) int64 {
	return near + int64(int32(uint32(s)-uint32(h.iss)-uint32(near)))
}

// stray is a segment that a reset may answer.
type stray struct {
	seq, ack tcp.Seq
	flags    tcp.Flags
	len      int
}

// debt is an answer that the host owes.
type debt struct {
	rule  Rule
	index int
	due   time.Duration
	what  string
}

// timer is a series of transmissions without an answer.
type timer struct {
	from     int64
	at       time.Duration // on the host's clock
	real     time.Duration // without its jumps
	interval time.Duration // without jumps
	n        int
	index    int
}

// New returns a checker for a connection that has not begun.
func New(cfg Config) *Checker {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&cfg.MinRTO, 200*time.Millisecond)
	def(&cfg.MaxRTO, time.Minute)
	def(&cfg.InitialRTO, time.Second)
	c := &Checker{cfg: cfg}
	c.forget()
	return c
}

// forget begins a new connection.
func (c *Checker) forget() {
	*c = Checker{cfg: c.cfg, index: c.index, at: c.at, clock: c.clock, jumps: c.jumps, anyRTT: -1, oddAt: -time.Hour, sentAt: c.at}
	c.out.fin, c.in.fin = -1, -1
	c.most, c.least = newView(c, false), newView(c, true)
}

// Jump says that the host's clock goes d ahead between the last event and the
// next, with nobody to look at it: what becomes due in that time is not late.
func (c *Checker) Jump(d time.Duration) { c.jumps += d }

// Hint says that the host has learned of something in another way, from an ICMP
// message for example, that may make it send again.
func (c *Checker) Hint() {
	c.index++
	c.cause, c.heard, c.heardAt, c.lossSent = c.index, c.index, c.at, 0
}

// Received takes a segment that arrives at the host at a time on the host's
// clock; it never goes back. seg is not kept. The error is the *Violation that
// the time has brought about, or an earlier one.
func (c *Checker) Received(at time.Duration, seg *tcp.Segment) error {
	if !c.step(at) {
		return c.err
	}
	in := input{at: c.at, clock: c.clock, index: c.index, seg: *seg, n: int64(seg.DataLen()), edge: c.adv, sent: c.out.next, acked: c.ackSent}
	in.seg.Payload, in.seg.Data = nil, nil
	c.receive(&in)
	return c.err
}

// Sent takes a segment that the host sends. seg is not kept.
func (c *Checker) Sent(at time.Duration, seg *tcp.Segment) error {
	if !c.step(at) {
		return c.err
	}
	c.send(seg)
	c.sentAt, c.sentIndex = c.at, c.index
	return c.err
}

// Close ends the trace at a time, at which the host lives and owes nothing.
func (c *Checker) Close(at time.Duration) error {
	c.step(at)
	return c.err
}

// step brings the pictures up to the time, and says what is overdue.
func (c *Checker) step(at time.Duration) bool {
	if c.err != nil {
		return false
	}
	c.clock = max(c.clock, at)
	c.at = c.clock - c.jumps
	c.index++
	for len(c.pending) > 0 && c.pending[0].at+c.cfg.Slack < c.at {
		c.least.take(&c.pending[0])
		c.pending = c.pending[1:]
	}
	for i := 0; i < len(c.debts); i++ {
		if d := c.debts[i]; c.at > d.due {
			c.debts = append(c.debts[:i], c.debts[i+1:]...)
			i--
			c.failAt(d.index, d.rule, "%s: no answer after %v", d.what, c.at-d.due+c.cfg.Slack)
		}
	}
	if c.synchronized() && !c.dead && !c.most.reset && c.least.una < c.out.next && c.most.una < c.out.next &&
		c.at-c.sentAt > c.cfg.MaxRTO+c.cfg.MaxRTO/10+c.cfg.Slack {
		c.fail(NoRetransmit, "%d to %d unacknowledged, nothing sent for %v", c.most.una, c.out.next, c.at-c.sentAt)
		c.sentAt = c.at
	}
	return c.err == nil
}

// fail records a violation by the present segment.
func (c *Checker) fail(r Rule, format string, args ...any) {
	c.failAt(c.index, r, format, args...)
}

func (c *Checker) failAt(index int, r Rule, format string, args ...any) {
	v := &Violation{Rule: r, Index: index, Detail: fmt.Sprintf(format, args...)}
	if c.err == nil && (c.cfg.Allow == nil || !c.cfg.Allow(v)) {
		c.err = v
	}
}

// owe notes that the host owes an acknowledgment within d.
func (c *Checker) owe(in *input, r Rule, d time.Duration, what string) {
	c.debts = append(c.debts, debt{r, in.index, in.at + d + c.cfg.Slack, what})
}

// synchronized reports whether the host may be in ESTABLISHED or later.
func (c *Checker) synchronized() bool { return c.most.una > 0 && c.most.nxt > 0 }

// agreed reports whether both SYNs had the option.
func (c *Checker) agreed(has func(o *tcp.Options) bool) bool {
	return c.out.open && c.in.open && has(&c.out.syn.Options) && has(&c.in.syn.Options)
}

func (c *Checker) timestamps() bool {
	return c.agreed(func(o *tcp.Options) bool { return o.HasTimestamps })
}

func (c *Checker) sack() bool {
	return c.agreed(func(o *tcp.Options) bool { return o.SACKPermitted })
}

// scale returns the shift of the windows that h sends.
func (c *Checker) scale(h *half) uint8 {
	if c.agreed(func(o *tcp.Options) bool { return o.HasWindowScale }) {
		return h.syn.Options.WindowScale
	}
	return 0
}

// peerMSS returns how much the peer takes, options included.
func (c *Checker) peerMSS() int64 {
	mss := int64(536) // RFC 9293 §3.7.1 MUST-15
	if m := c.in.syn.Options.MSS; m != 0 {
		mss = int64(m)
	}
	return max(mss, int64(c.cfg.LeastMSS))
}
