// Package sockstat is what `arpeggio ss` shows: a snapshot of the sockets and
// counters of a stack, the form in which one program gives it to another, the
// filters of ss(8) that make sense here, and the lines that people read.
package sockstat

import (
	"net/netip"
	"slices"
	"time"

	"arpeggio/internal/recording"
	"arpeggio/stack"
	"arpeggio/stack/tcp"
)

// Snapshot is the state of a stack at one time. It goes from one program to
// another as JSON.
type Snapshot struct {
	Time    time.Time   `json:"time"`
	Node    string      `json:"node,omitempty"`
	Sockets []Socket    `json:"sockets"`
	Stats   stack.Stats `json:"stats"`
	// TCP has what RFC 4022 tells of TCP beside counters.
	TCP stack.TCPScalars `json:"tcp"`
	// Recording is what a recording of the frames took; nil when there is none.
	Recording *recording.Stats `json:"recording,omitempty"`
}

// Socket is a connection, a listener or a packet socket. Sizes are in octets
// and times in nanoseconds; what does not apply is zero.
type Socket struct {
	Proto     string         `json:"proto"` // tcp or udp
	State     string         `json:"state"` // as ss spells it: ESTAB, LISTEN, UNCONN
	Local     netip.AddrPort `json:"local"`
	Peer      netip.AddrPort `json:"peer,omitzero"`
	Interface string         `json:"iface,omitempty"`
	// RecvQueue is what waits to be read; of a listener, the connections that
	// wait to be accepted. SendQueue is what is not acknowledged yet; of a
	// listener, its backlog.
	RecvQueue int `json:"recv_q"`
	SendQueue int `json:"send_q"`

	Opening int    `json:"opening,omitempty"` // of a listener: handshakes under way
	Dropped uint64 `json:"dropped,omitempty"` // of a packet socket: datagrams that found it full
	TCP     *TCP   `json:"tcp,omitempty"`     // of a connection
}

// TCP is what only connections have.
type TCP struct {
	Congestion string `json:"cong"` // algorithm
	Phase      string `json:"ca_state"`
	Cwnd       int    `json:"cwnd"` // octets, as Ssthresh
	Ssthresh   int    `json:"ssthresh,omitempty"`

	SRTT   time.Duration `json:"srtt,omitempty"`
	RTTVar time.Duration `json:"rttvar,omitempty"`
	MinRTT time.Duration `json:"min_rtt,omitempty"`
	RTO    time.Duration `json:"rto"`
	ATO    time.Duration `json:"ato"` // how long an acknowledgment may wait

	MSS     int `json:"mss"`
	PathMTU int `json:"pmtu"`
	RcvMSS  int `json:"rcv_mss"`
	AdvMSS  int `json:"adv_mss"`
	SndWnd  int `json:"snd_wnd"`
	RcvWnd  int `json:"rcv_wnd"`
	SndBuf  int `json:"snd_buf"`
	RcvBuf  int `json:"rcv_buf"`

	Timestamps bool  `json:"ts"`
	SACK       bool  `json:"sack"`
	ECN        bool  `json:"ecn"`
	FastOpen   bool  `json:"fastopen,omitempty"` // text went in the SYN and was taken
	SndScale   uint8 `json:"snd_wscale"`
	RcvScale   uint8 `json:"rcv_wscale"`

	// In octets a second: the rate that the congestion window allows, 0 while no
	// round trip is known, and its bound, 0 when there is none: then what leaves is
	// clocked by acknowledgments alone.
	PacingRate    uint64 `json:"pacing_rate"`
	MaxPacingRate uint64 `json:"max_pacing_rate"`

	Flight      int    `json:"flight,omitempty"`
	Sacked      int    `json:"sacked,omitempty"`
	Lost        int    `json:"lost,omitempty"`
	Unsent      int    `json:"unsent,omitempty"`
	Holes       int    `json:"holes,omitempty"`   // spans received out of order
	Resent      int    `json:"resent,omitempty"`  // octets sent again and under way
	Retransmits uint64 `json:"retrans,omitempty"` // segments
	Backoff     int    `json:"backoff,omitempty"`
	Probes      int    `json:"probes,omitempty"`
	Marks       uint64 `json:"ecn_reduced,omitempty"`
	Reordering  bool   `json:"reordering,omitempty"`
	Reordered   int    `json:"reord_seen,omitempty"` // acknowledgments that told of it
	Overtaken   int    `json:"overtaken,omitempty"`  // octets that overtook a segment, at most
	QuickAcks   int    `json:"quick_acks,omitempty"` // segments that will be acknowledged at once

	BytesSent     uint64 `json:"bytes_sent"`
	BytesAgain    uint64 `json:"bytes_retrans"`
	BytesAcked    uint64 `json:"bytes_acked"`
	Delivered     uint64 `json:"bytes_delivered"` // acknowledged or reported by SACK
	BytesReceived uint64 `json:"bytes_received"`
	SegsOut       uint32 `json:"segs_out"`
	SegsIn        uint32 `json:"segs_in"`
	DataSegsOut   uint32 `json:"data_segs_out"`
	DataSegsIn    uint32 `json:"data_segs_in"`

	// Of connections whose program has asked for these: how long there was text to
	// send, the parts of that during which only the peer's window, or the bound of
	// the send queue, kept it back, and the segments that have arrived.
	Busy          time.Duration `json:"busy,omitempty"`
	WindowLimited time.Duration `json:"rwnd_limited,omitempty"`
	BufferLimited time.Duration `json:"sndbuf_limited,omitempty"`
	Arrived       uint32        `json:"delivered,omitempty"`

	Timer   string        `json:"timer"`              // what runs out first, none for nothing
	Expires time.Duration `json:"expires,omitempty"`  // in how long
	LastSnd Since         `json:"last_snd,omitempty"` // time since text was sent
	LastRcv Since         `json:"last_rcv,omitempty"` // since text was received
	LastAck Since         `json:"last_ack,omitempty"` // since anything was received
}

// Since is the time since something happened, nil when it never did.
type Since = *time.Duration

// Rate returns what the window lets out in a round-trip time, in bits a second;
// 0 while none was measured.
func (t *TCP) Rate() float64 {
	if t.SRTT <= 0 {
		return 0
	}
	return float64(t.Cwnd) * 8 / t.SRTT.Seconds()
}

// names are those of ss for the states of tcp.
var names = [...]string{
	tcp.Closed: "CLOSED", tcp.SynSent: "SYN-SENT", tcp.SynReceived: "SYN-RECV", tcp.Established: "ESTAB",
	tcp.FinWait1: "FIN-WAIT-1", tcp.FinWait2: "FIN-WAIT-2", tcp.CloseWait: "CLOSE-WAIT",
	tcp.Closing: "CLOSING", tcp.LastAck: "LAST-ACK", tcp.TimeWait: "TIME-WAIT",
}

// Take returns a snapshot of s: listeners, connections, packet sockets.
func Take(s *stack.Stack, node string) Snapshot {
	out := Snapshot{Time: time.Now(), Node: node, Stats: s.Stats(), TCP: s.TCPScalars()}
	listeners, conns, packets := s.Listeners(), s.Conns(), s.PacketConns()
	out.Sockets = slices.Grow(out.Sockets, len(listeners)+len(conns)+len(packets))
	for _, l := range listeners {
		out.Sockets = append(out.Sockets, Socket{Proto: "tcp", State: "LISTEN", Local: l.Local, RecvQueue: l.Ready, SendQueue: l.Backlog, Opening: l.Opening})
	}
	now := s.Now()
	for i := range conns {
		c := &conns[i]
		out.Sockets = append(out.Sockets, Socket{
			Proto: "tcp", State: names[c.State], Local: c.Local, Peer: c.Remote, Interface: c.Interface,
			RecvQueue: c.RecvQueue, SendQueue: c.SendQueue, TCP: describe(&c.Info, now),
		})
	}
	for _, u := range packets {
		state := "UNCONN"
		if u.Remote.IsValid() {
			state = "ESTAB"
		}
		out.Sockets = append(out.Sockets, Socket{
			Proto: "udp", State: state, Local: u.Local, Peer: u.Remote, Interface: u.Interface, RecvQueue: u.RecvQueue, Dropped: u.Dropped,
		})
	}
	return out
}

func describe(i *tcp.Info, now tcp.Instant) *TCP {
	t := &TCP{
		Congestion: i.CongestionControl, Phase: i.Recovery.String(), Cwnd: i.Cwnd,
		SRTT: i.SRTT, RTTVar: i.RTTVar, MinRTT: i.MinRTT, RTO: i.RTO, ATO: i.AckDelay,
		MSS: i.SndMSS, PathMTU: i.PathMSS + headers, RcvMSS: i.RcvMSS, AdvMSS: i.AdvMSS,
		SndWnd: i.SndWnd, RcvWnd: i.RcvWnd, SndBuf: i.SndBuf, RcvBuf: i.RcvBuf,
		Timestamps: i.Timestamps, SACK: i.SACK, ECN: i.ECN, SndScale: i.SndScale, RcvScale: i.RcvScale,
		PacingRate: i.PacingRate, MaxPacingRate: i.MaxPacingRate,
		Flight: i.Flight, Sacked: i.Sacked, Lost: i.Lost, Unsent: i.Unsent, Holes: i.OutOfOrder,
		Resent: i.Resent, Reordered: int(i.Reordered), Overtaken: i.Overtaken, QuickAcks: i.QuickAcks, FastOpen: i.SynData,
		Busy: i.Busy, WindowLimited: i.WindowLimited, BufferLimited: i.BufferLimited, Arrived: i.Delivered,
		Retransmits: i.Retransmits, Backoff: i.Backoff, Probes: i.Probes, Marks: i.Marks, Reordering: i.Reordering,
		BytesSent: i.BytesOut, BytesAgain: i.BytesAgain, BytesAcked: i.BytesAcked, Delivered: i.BytesAcked + uint64(i.Sacked), BytesReceived: i.BytesIn,
		SegsOut: i.SegsOut, SegsIn: i.SegsIn, DataSegsOut: i.DataSegsOut, DataSegsIn: i.DataSegsIn,
		Timer:   i.Timer.String(),
		LastSnd: since(now, i.LastSent), LastRcv: since(now, i.LastReceived), LastAck: since(now, i.LastHeard),
	}
	if i.Ssthresh < noThreshold {
		t.Ssthresh = i.Ssthresh
	}
	if i.TimerAt != 0 {
		t.Expires = max(0, i.TimerAt.Sub(now))
	}
	return t
}

const (
	headers     = 20 + tcp.HeaderLen // of IPv4 and TCP without options
	noThreshold = 1 << 30            // until the first loss
)

func since(now, then tcp.Instant) Since {
	if then == 0 {
		return nil
	}
	d := max(0, now.Sub(then))
	return &d
}
