package tcp

import "time"

// Info is a snapshot of a connection for people and metrics. Sizes are in
// octets.
type Info struct {
	State             State
	CongestionControl string
	SRTT, RTTVar, RTO time.Duration // SRTT is 0 until something was measured
	Cwnd, Ssthresh    int           // Ssthresh is 1<<30 until the first loss
	SndMSS            int           // payload of a full segment
	SndWnd, RcvWnd    int           // the peer's window, and what it may send us
	SendQueue         int           // written and not acknowledged
	RecvQueue         int           // received in order and not read
	Flight            int           // sent and not acknowledged
	OutOfOrder        int           // spans received out of order
	Retransmits       uint64        // segments sent again
	Marks             uint64        // times that the window was reduced for ECN's sake
	Timestamps        bool
	SACK              bool
	ECN               bool
	SndScale          uint8
	RcvScale          uint8
}

// Info returns a snapshot.
func (c *Conn) Info() Info {
	return Info{
		State: c.state, CongestionControl: c.cc.Name(),
		SRTT: c.srtt, RTTVar: c.rttvar, RTO: c.rto(),
		Cwnd: c.win.Cwnd, Ssthresh: c.win.Ssthresh, SndMSS: c.win.MSS,
		SndWnd: c.sndWnd, RcvWnd: max(0, c.rcvAdv.Sub(c.rcvNxt)),
		SendQueue: c.sndq.n, RecvQueue: c.rcvq.n, Flight: c.flight(),
		OutOfOrder: len(c.rcvq.early.s), Retransmits: c.retransmits,
		Marks: c.marks, Timestamps: c.timestamps, SACK: c.sack, ECN: c.ecn.ok, SndScale: c.sndScale, RcvScale: c.rcvScale,
	}
}
