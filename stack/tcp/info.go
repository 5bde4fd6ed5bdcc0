package tcp

import "time"

// Info is a snapshot of a connection for people and metrics. Sizes are in
// octets, super-segments count as what they are cut into.
type Info struct {
	State             State
	CongestionControl string
	SRTT, RTTVar, RTO time.Duration // SRTT is 0 until something was measured
	MinRTT            time.Duration // with SACK, of the last five minutes; 0 until something was measured
	AckDelay          time.Duration // how long an acknowledgment may wait
	Cwnd, Ssthresh    int           // Ssthresh is 1<<30 until the first loss
	SndMSS, RcvMSS    int           // payload of a full segment; RcvMSS is the largest seen
	AdvMSS, PathMSS   int           // what we announced; what the path carries
	SndWnd, RcvWnd    int           // the peer's window, and what it may send us
	SndBuf, RcvBuf    int           // bounds of the queues at present, before the pool's
	SendQueue         int           // written and not acknowledged
	Unsent            int           // of these, not sent yet
	RecvQueue         int           // received in order and not read
	Flight            int           // sent and not acknowledged
	Sacked, Lost      int           // of these, reported by the peer, and taken for lost
	Resent            int           // sent again since they were lost or overdue, and under way
	OutOfOrder        int           // spans received out of order
	Recovery          Recovery
	QuickAcks         int    // segments that will be acknowledged at once
	Backoff           int    // times that the retransmission timeout was doubled
	Probes            int    // unanswered keep-alive probes
	Retransmits       uint64 // segments sent again, modulo 1<<32
	Marks             uint64 // times that the window was reduced for ECN's sake, modulo 1<<32
	Reordering        bool   // seen on the way to the peer
	Reordered         uint16 // acknowledgments that told of it, modulo 1<<16
	Overtaken         int    // octets that overtook a segment that arrived late, at most
	Timestamps        bool
	SACK              bool
	ECN               bool
	SynData           bool // text went in the SYN and was taken (Fast Open)
	SndScale          uint8
	RcvScale          uint8

	SegsIn, SegsOut         uint32 // modulo 1<<32
	DataSegsIn, DataSegsOut uint32 // of these, with text
	BytesIn, BytesAcked     uint64 // received in order; acknowledged by the peer
	BytesOut, BytesAgain    uint64 // sent, retransmissions included; these alone

	PacingRate    uint64 // octets a second that the congestion window allows, as Linux computes it; 0 while no round trip is known
	MaxPacingRate uint64 // its bound; 0 is none, and then nothing is paced

	Timer   Timer   // what runs out first
	TimerAt Instant // when it does; it may lie in the past. 0 when none runs

	// With CountSending: how long there was text to send, and the parts of that
	// during which nothing but the peer's window, or the bound of the send queue,
	// kept the sender from sending; and the segments that have arrived at the peer,
	// SYN included, modulo 1<<32.
	Busy, WindowLimited, BufferLimited time.Duration
	Delivered                          uint32

	LastSent, LastReceived, LastHeard Instant // new text sent, new text received, anything received; 0 is never
}

// Timer says what a connection waits for.
type Timer uint8

// Timers of a connection.
const (
	TimerNone       Timer = iota
	TimerRetransmit       // RFC 6298
	TimerPersist          // the next window probe (RFC 9293 §3.8.6.1)
	TimerReorder          // what is missing will be taken for lost (RFC 8985 §6.2)
	TimerTailProbe        // RFC 8985 §7
	TimerDelayedAck       // RFC 9293 §3.8.6.3
	TimerCork             // a partial segment goes
	TimerKeepAlive        // RFC 9293 §3.8.4
	TimerHandshake        // the attempt to connect is given up
	TimerFinWait2         // the peer's FIN is waited for no longer
	TimerTimeWait         // 2 MSL
	TimerPacing           // text that may not leave yet goes (SetMaxPacingRate)
)

// String returns the timer in a word.
func (t Timer) String() string {
	names := [...]string{"none", "on", "persist", "reorder", "probe", "delack", "cork", "keepalive", "handshake", "finwait2", "timewait", "pacing"}
	return names[min(int(t), len(names)-1)]
}

// timer returns what runs out first.
func (c *Conn) timer() (t Timer, at Instant) {
	for _, k := range [...]struct {
		t  Timer
		at Instant
	}{
		{TimerRetransmit, c.rtxAt}, {TimerReorder, c.rack.timer}, {TimerTailProbe, c.tail.at}, {TimerDelayedAck, c.ackAt},
		{TimerCork, c.corkAt()}, {TimerPacing, c.paceAt()}, {TimerKeepAlive, c.keepAt}, {TimerHandshake, c.waitAt},
	} {
		if k.at != 0 && (at == 0 || k.at < at) {
			t, at = k.t, k.at
		}
	}
	switch {
	case t == TimerRetransmit && c.persist:
		t = TimerPersist
	case t == TimerHandshake && c.state == FinWait2:
		t = TimerFinWait2
	case t == TimerHandshake && c.state == TimeWait:
		t = TimerTimeWait
	}
	return t, at
}

// Recovery is where loss recovery stands.
type Recovery uint8

// States of loss recovery.
const (
	RecoveryNone     Recovery = iota
	RecoveryDisorder          // the peer reports holes
	RecoveryFast              // lost segments are being sent again
	RecoveryTimeout           // after a retransmission timeout
)

// String returns the state in a word.
func (r Recovery) String() string {
	return [...]string{"open", "disorder", "recovery", "loss"}[min(r, RecoveryTimeout)]
}

// traffic counts what a connection has carried.
type traffic struct {
	segsIn, segsOut         uint32
	dataSegsIn, dataSegsOut uint32
	bytesIn, bytesAcked     uint64
	bytesOut, bytesAgain    uint64
}

// Info returns a snapshot.
func (c *Conn) Info() Info {
	n := &c.traffic
	timer, timerAt := c.timer()
	i := Info{
		State: c.state, CongestionControl: c.cc.Name(),
		SRTT: c.srtt, RTTVar: c.rttvar, RTO: c.rto(), MinRTT: c.rack.minRTT, AckDelay: c.ackDelay.duration(),
		Cwnd: c.win.Cwnd, Ssthresh: c.win.Ssthresh,
		SndMSS: c.win.MSS, RcvMSS: int(c.rcvMSS), AdvMSS: int(c.maxMSS), PathMSS: int(min(c.pathMSS, c.linkMSS)),
		SndWnd: int(c.sndWnd), RcvWnd: max(0, c.rcvAdv.Sub(c.rcvNxt)),
		SndBuf: int(c.sndBuf), RcvBuf: int(c.rcvBuf),
		SendQueue: c.sndq.n, Unsent: max(0, c.sndq.end().Sub(c.sndNxt)), RecvQueue: c.rcvq.n,
		Flight: c.flight(), Sacked: int(c.board.octets), Lost: int(c.lost.octets), Resent: c.resentOctets(),
		OutOfOrder: len(c.rcvq.early.s), Recovery: c.recoveryState(), QuickAcks: int(c.quickAcks), Backoff: int(c.backoff), Probes: int(c.keepProbes),
		Retransmits: uint64(c.retransmits), Marks: uint64(c.marks), Reordering: c.rack.reordered, Reordered: c.rack.seen, Overtaken: int(c.rack.behind),
		Timestamps: c.timestamps, SACK: c.sack, ECN: c.ecn.ok, SynData: c.synData, SndScale: c.sndScale, RcvScale: c.rcvScale,
		SegsIn: n.segsIn, SegsOut: n.segsOut, DataSegsIn: n.dataSegsIn, DataSegsOut: n.dataSegsOut,
		BytesIn: n.bytesIn, BytesAcked: n.bytesAcked, BytesOut: n.bytesOut, BytesAgain: n.bytesAgain,
		PacingRate: c.pacingRate(), MaxPacingRate: c.maxPacingRate(),
		Timer: timer, TimerAt: timerAt,
		LastSent: c.lastSend, LastReceived: c.lastText, LastHeard: c.lastRecv,
	}
	c.fillSending(&i)
	return i
}

func (c *Conn) recoveryState() Recovery {
	switch {
	case c.loss == lossRecovery:
		return RecoveryFast
	case c.loss == lossTimeout:
		return RecoveryTimeout
	case !c.board.empty() || c.dupAcks > 0:
		return RecoveryDisorder
	}
	return RecoveryNone
}
