package tcp

import (
	"net/netip"
	"time"
)

// Conn is one connection: flat state, no timers, no goroutines. Use NewActive or
// NewPassive. Its methods are called by one owner at a time. The variables bear
// the names of RFC 9293 §3.3.1 where it has one.
type Conn struct {
	local, remote netip.AddrPort
	pool          *Pool
	cc            CongestionControl
	err           error // why the connection ended
	softErr       error // the last ICMP error that did not end it

	state State
	loss  lossState
	frto  frtoState

	passive     bool // began with NewPassive
	closing     bool // a FIN is queued behind the send queue
	noReader    bool // CloseRead: nobody waits for text
	orphan      bool // Close: received text resets the connection
	noDelay     bool
	timestamps  bool // agreed on; in SYN-SENT: offered
	sack        bool // likewise
	scaling     bool // likewise
	synDue      bool // SYN or SYN-ACK must be emitted
	synAgain    bool // the handshake was retransmitted
	rtxHead     bool // the first unacknowledged segment must be retransmitted now
	probeDue    bool // a window probe is due
	keepDue     bool // a keep-alive probe is due
	persist     bool // the retransmission timer serves as the persist timer
	ackedNew    bool // for AckedNewData
	full        bool // see limited
	finReceived bool // rcvFin is valid
	hasDSACK    bool
	urgentApart bool // SetUrgentInline(false)
	sndAuto     bool // sndBuf grows by itself
	rcvAuto     bool // likewise
	synData     bool // text went in the SYN and was taken (RFC 7413)
	ecnHold     bool // nothing new before the retransmission timer runs out (RFC 3168 §6.1.2)
	backoff     uint8
	keepProbes  uint8 // unanswered keep-alive probes
	challenges  uint8 // challenge ACKs in the present period
	ackDue      uint8 // acknowledgments that must be emitted at once
	quickAcks   uint8 // segments that are acknowledged at once
	sndScale    uint8 // shift of the windows we receive
	rcvScale    uint8 // shift of the windows we send
	carried     bool  // segments as large as the present ones have arrived: see Carried
	rcvMSS      uint16
	maxMSS      uint16 // Config.MSS
	peerMSS     uint16
	pathMSS     uint16 // largest payload that the path carries
	linkMSS     uint16 // likewise our own link: SetLinkMSS

	// Send sequence variables.
	iss                    Seq
	sndUna, sndNxt, sndMax Seq // sndMax is above sndNxt only after a window probe
	sndWL1, sndWL2         Seq
	sndMaxWnd              int32
	rcvUnacked             int32 // octets received and not yet acknowledged
	sndBuf                 int32
	sndWnd                 int32
	useEnd                 Seq // see used
	sndq                   sendQueue

	// Receive sequence variables.
	irs         Seq
	rcvNxt      Seq
	rcvAdv      Seq // right edge that was advertised; in SYN-SENT the window
	rcvFin      Seq // sequence number of the peer's FIN
	lastAckSent Seq
	rcvBuf      int32
	rcvq        recvQueue
	urg         *urgent
	fast        *fastOpen  // during the handshake
	pmtu        *pathProbe // where the path carries less than both ends take
	tune        *tuning    // of the receive buffer; nil while little has come
	dsack       SACKBlock

	// Timestamps (RFC 7323).
	tsOffset, tsRecent uint32
	tsRecentAt         uint32 // in seconds
	tsEcho             uint32 // timestamp of an old segment, to be echoed once; 0 when there is none

	// Loss recovery (RFC 8985, RFC 6675, RFC 6582, RFC 5682) and congestion.
	board       spanSet  // what the peer holds out of order
	lost        spanSet  // what is taken for lost and was not sent again yet
	sent        sentList // when what is in flight was sent
	recover     Seq      // recovery point
	dupAcks     int32
	inflate     int32 // NewReno's window inflation
	useMost     int32 // see used
	reduce      reduction
	challengeAt uint32 // the period in which challenges count
	rack        rack
	tail        tailProbe
	ecn         ecn
	cork        *cork   // nil until something is kept back
	pace        *pacing // nil without a bound
	win         Window
	send        *sending

	// Round-trip time (RFC 6298).
	srtt, rttvar   time.Duration
	rtoBase        time.Duration
	minRTO, maxRTO millis
	rttSeq         Seq
	sndSmall       Seq     // end of the last partial segment sent, for Nagle's algorithm
	rttAt          Instant // when rttSeq was sent; 0 when nothing is timed

	// Deadlines.
	rtxAt  Instant // retransmission or persist
	ackAt  Instant // delayed acknowledgment
	keepAt Instant // keep-alive
	waitAt Instant // end of the handshake, of FIN-WAIT-2 or of TIME-WAIT

	lastRecv   Instant // when the peer was last heard
	lastText   Instant // when it last said something new
	lastSend   Instant // when text was last sent
	progressAt Instant // when the outstanding data last moved

	keep                                      keepAlive
	userTimeout, timeWait, finWait2, ackDelay millis

	reply       resetReply
	retransmits uint32
	marks       uint32
	traffic     traffic
}

// resetReply is a reset that must be emitted.
type resetReply struct {
	due      bool
	agreed   bool // on the handshake's options
	flags    Flags
	seq, ack Seq
}

// newConn returns what both ends have in common.
func newConn(cfg *Config, now Instant) *Conn {
	c := &Conn{
		local: cfg.Local, remote: cfg.Remote,
		pool: cfg.Pool, cc: cfg.CongestionControl,
		noDelay:    cfg.NoDelay,
		timestamps: !cfg.NoTimestamps, sack: !cfg.NoSACK, scaling: !cfg.NoWindowScale,
		maxMSS: max(or(cfg.MSS, defaultMSS), leastMSS), peerMSS: defaultMSS,
		iss: cfg.ISS, sndUna: cfg.ISS, sndNxt: cfg.ISS, sndMax: cfg.ISS,
		sndBuf: int32(min(or(cfg.SndBuf, DefaultBuffer), maxBuffer)), rcvBuf: int32(min(or(cfg.RcvBuf, DefaultBuffer), maxBuffer)),
		sndAuto: cfg.SndBuf <= 0, rcvAuto: cfg.RcvBuf <= 0,
		tsOffset: cfg.TSOffset,
		recover:  cfg.ISS,
		minRTO:   inMillis(or(cfg.MinRTO, DefaultMinRTO)), maxRTO: inMillis(or(cfg.MaxRTO, DefaultMaxRTO)),
		rtoBase:     initialRTO,
		userTimeout: inMillis(or(cfg.UserTimeout, defaultUserTimeout)), timeWait: inMillis(or(cfg.TimeWait, DefaultTimeWait)),
		finWait2: inMillis(or(cfg.FinWait2, DefaultFinWait2)), ackDelay: inMillis(min(or(cfg.DelayedAck, DefaultDelayedAck), maxDelayedAck)),
		waitAt:   now.Add(or(cfg.ConnectTimeout, defaultConnectTimeout)),
		lastRecv: now, progressAt: now,
		keep: cfg.KeepAlive.compact(), synDue: true,
	}
	if c.pool == nil {
		c.pool = new(Pool)
	}
	if c.cc == nil {
		c.cc = new(Cubic)
	}
	c.SetMaxPacingRate(cfg.MaxPacingRate)
	c.quickAcks = uint8(min(max(cfg.QuickAcks, 0), 255))
	c.pathMSS, c.linkMSS = c.maxMSS, c.maxMSS
	if cfg.PathMSS != 0 {
		c.pathKnown(c.boundMSS(int(cfg.PathMSS)), or(cfg.PathUntil, now.Add(pathAgain)))
	}
	c.sndq.start, c.rack.fack, c.sndSmall = c.iss.Add(1), c.iss.Add(1), c.iss
	// RFC 7323 §2.3: the scale is for good, so it is that of the largest window
	// to come.
	most := int(c.rcvBuf)
	if c.rcvAuto {
		most = c.pool.autoBuffer()
	}
	for most>>c.rcvScale > 65535 {
		c.rcvScale++
	}
	return c
}

// NewActive returns a connection in SYN-SENT (RFC 9293 §3.10.1); Output emits
// its SYN.
func NewActive(cfg Config, now Instant) *Conn {
	c := newConn(&cfg, now)
	c.enter(SynSent)
	c.pool.Counters.ActiveOpens++
	c.ecn.setup = cfg.ECN == ECNRequest
	c.beginFastOpen(&cfg)
	return c
}

// NewPassive returns a connection in SYN-RECEIVED that answers syn, a segment
// with SYN set and neither ACK nor RST (RFC 9293 §3.10.7.2); Output emits its
// SYN-ACK. Text that syn carries is not taken, unless Config.FastOpen says so: it
// stays unacknowledged and comes again when the peer has proved that it exists.
func NewPassive(cfg Config, syn *Segment, now Instant) *Conn {
	c := newConn(&cfg, now)
	c.passive = true
	c.enter(SynReceived)
	c.pool.Counters.PassiveOpens++
	c.takeSYN(now, syn)
	c.ecnPeer(syn, cfg.ECN)
	c.takeSynText(now, &cfg, syn)
	return c
}

// takeSYN learns what the peer's SYN says: its sequence number and options. An
// option counts only when both sides offer it.
func (c *Conn) takeSYN(now Instant, syn *Segment) {
	o := &syn.Options
	c.irs, c.rcvNxt = syn.Seq, syn.Seq.Add(1)
	c.rcvq.rd = c.rcvNxt
	if wnd := int(min(c.rcvBuf, 65535)); c.passive {
		c.rcvAdv = c.rcvNxt.Add(wnd)
	} else {
		c.rcvAdv = c.rcvNxt.Add(max(wnd, int(c.rcvAdv))) // what our SYN has promised stands
	}
	c.lastAckSent = c.rcvNxt
	if o.MSS != 0 {
		c.peerMSS = max(o.MSS, minSendMSS)
	}
	if c.scaling = c.scaling && o.HasWindowScale; c.scaling {
		c.sndScale = min(o.WindowScale, maxWindowScale)
	} else {
		c.sndScale, c.rcvScale = 0, 0
		c.rcvBuf = min(c.rcvBuf, 65535) // more could not be advertised
	}
	c.sack = c.sack && o.SACKPermitted
	if c.timestamps = c.timestamps && o.HasTimestamps; c.timestamps {
		c.setTSRecent(now, o.TSVal)
	}
	// The window of a SYN is never scaled (RFC 7323 §2.2).
	c.sndWnd, c.sndMaxWnd = int32(syn.Window), int32(syn.Window)
	c.sndWL1, c.sndWL2 = syn.Seq, syn.Ack
	c.lastRecv = now
	c.resizeMSS()
	c.win.Cwnd, c.win.Ssthresh = initialWindow(c.win.MSS), maxWindow
}

// resizeMSS recomputes how much payload a full segment carries: the least of
// what the peer takes, what we take, what our link and what the path carry, less
// the options that every segment has (RFC 9293 §3.7.1, RFC 6691).
func (c *Conn) resizeMSS() {
	m := int(max(min(minSendMSS, c.maxMSS, c.linkMSS), min(c.pathTop(), c.pathMSS)))
	if c.timestamps {
		m -= timestampsLen
	}
	c.carried = c.carried && m == c.win.MSS
	if old := c.win.MSS; m < old {
		// RFC 4821 §4: no more segments than before.
		c.win.shrink(old, m)
		if c.frto != frtoNone || c.undoable() != nil {
			c.send.before.shrink(old, m)
		}
	}
	c.win.MSS = m
	c.win.Cwnd, c.win.Ssthresh = max(c.win.Cwnd, m), max(c.win.Ssthresh, 2*m)
}

// established enters ESTABLISHED, or the state after it when the user has
// closed in the meantime (RFC 9293 §3.10.4).
func (c *Conn) established(now Instant) {
	c.setState(now, Established)
	c.countDelivered(1)
	c.rtxAt, c.backoff = 0, 0
	c.progressAt = now
	if c.synAgain && (c.fast == nil || !c.fast.big) {
		// RFC 6298 §5.7 and RFC 5681 §3.1: the handshake was lost once.
		c.rtoBase = max(c.rtoBase, 3*time.Second)
		c.win.Cwnd = c.win.MSS
	}
	if c.closing {
		c.setState(now, FinWait1)
	}
	c.armKeepAlive(now)
}

// setState moves to s and sets the state's own deadline.
func (c *Conn) setState(now Instant, s State) {
	c.enter(s)
	c.waitAt = 0
	switch s {
	case FinWait2:
		if c.orphan {
			c.waitAt = now.Add(c.finWait2.duration())
		}
	case TimeWait:
		c.waitAt = now.Add(c.timeWait.duration())
		c.rtxAt, c.keepAt, c.tail = 0, 0, tailProbe{}
		c.forgetFlight()
	}
}

// end enters CLOSED with err, nil after an orderly close. Text that arrived in
// order stays readable.
func (c *Conn) end(err error) {
	if c.fast != nil && c.fast.over && err != ErrRefused {
		c.fastOpenUnanswered()
	}
	c.enter(Closed)
	if c.err == nil {
		c.err = err
	}
	c.rtxAt, c.ackAt, c.keepAt, c.waitAt, c.cork, c.tail = 0, 0, 0, 0, nil, tailProbe{}
	c.stopPacing()
	c.synDue, c.ackDue, c.probeDue, c.keepDue, c.rtxHead = false, 0, false, false, false
	c.sndq.drop(c.pool)
	c.forgetFlight()
	c.rcvq.dropEarly(c.pool)
}

// forgetFlight forgets what recovery knows of text in flight.
func (c *Conn) forgetFlight() {
	c.board.clear()
	c.lost.clear()
	c.sent.clear(c.pool)
	c.rack.timer = 0
}

// finSeq returns the sequence number that our FIN has, or will have.
func (c *Conn) finSeq() Seq { return c.sndq.end() }

// finAcked reports whether the peer has acknowledged our FIN.
func (c *Conn) finAcked() bool { return c.closing && c.sndUna.After(c.finSeq()) }

// sndEdge returns the right edge of the peer's window. That of a SYN begins behind
// our own, which the peer will have received when it sees text.
func (c *Conn) sndEdge() Seq {
	edge := c.sndUna.Add(int(c.sndWnd))
	if c.state == SynReceived && c.sndUna == c.iss {
		edge = edge.Add(1)
	}
	return edge
}

// flight returns the octets sent and not acknowledged.
func (c *Conn) flight() int { return c.sndNxt.Sub(c.sndUna) }
