package socketagent

import (
	"encoding/binary"
	"math"
	"time"

	"arpeggio/stack/tcp"
)

// States of Linux's struct tcp_info.
const (
	stateEstablished = 1 + iota
	stateSynSent
	stateSynRecv
	stateFinWait1
	stateFinWait2
	_ // TIME-WAIT is not a socket's state
	stateClose
	stateCloseWait
	stateLastAck
	stateListen
	stateClosing
)

var linuxState = map[tcp.State]byte{
	tcp.Established: stateEstablished, tcp.SynSent: stateSynSent, tcp.SynReceived: stateSynRecv,
	tcp.FinWait1: stateFinWait1, tcp.FinWait2: stateFinWait2, tcp.TimeWait: stateClose, tcp.Closed: stateClose,
	tcp.CloseWait: stateCloseWait, tcp.LastAck: stateLastAck, tcp.Closing: stateClosing,
}

// Option bits and states of loss recovery in struct tcp_info.
const (
	infoTimestamps = 1
	infoSACK       = 2
	infoScale      = 4
	infoECN        = 8
	infoSynData    = 32

	caOpen     = 0
	caDisorder = 1
	caRecovery = 3
	caLoss     = 4
)

var linuxRecovery = map[tcp.Recovery]byte{
	tcp.RecoveryNone: caOpen, tcp.RecoveryDisorder: caDisorder, tcp.RecoveryFast: caRecovery, tcp.RecoveryTimeout: caLoss,
}

// infiniteThreshold is Linux's ssthresh before the first loss.
const infiniteThreshold = 0x7fffffff

// Bounds of the degree of reordering, in segments; the stack itself goes by time
// (RFC 8985) and counts none.
const (
	minReordering = 3
	maxReordering = 300
)

// accurateECN is how many octets the counters of Accurate ECN take, which the
// stack does not speak.
const accurateECN = 32

// unlessZero has what is zero here, no bound, be that of Linux.
func unlessZero(rate uint64) uint64 {
	if rate == 0 {
		return math.MaxUint64
	}
	return rate
}

// tcpInfo lays out struct tcp_info as include/uapi/linux/tcp.h has it. Fields
// that the stack has no counterpart for are zero.
func (a *Agent) tcpInfo(s *sock) []byte {
	var i tcp.Info
	state, now := byte(stateClose), a.stack.Now()
	switch {
	case s.ln != nil:
		state = stateListen
	case s.conn != nil:
		s.conn.CountSending()
		i = s.conn.Info()
		state = linuxState[i.State]
	}
	mss := max(i.SndMSS, 1)
	packets := func(octets int) uint32 { return uint32((octets + mss - 1) / mss) }
	since := func(at tcp.Instant) uint32 {
		if at == 0 { // Linux counts from the handshake then
			at = i.LastHeard
		}
		if at == 0 {
			return 0
		}
		return uint32(now.Sub(at) / time.Millisecond)
	}
	micro := func(d time.Duration) uint32 { return uint32(d / time.Microsecond) }
	micro64 := func(d time.Duration) uint64 { return uint64(d / time.Microsecond) }
	opts := byte(0)
	for bit, on := range map[byte]bool{infoTimestamps: i.Timestamps, infoSACK: i.SACK, infoScale: i.SndScale|i.RcvScale != 0, infoECN: i.ECN, infoSynData: i.SynData} {
		if on {
			opts |= bit
		}
	}
	threshold := uint32(infiniteThreshold)
	if i.Ssthresh < 1<<30 {
		threshold = packets(i.Ssthresh)
	}
	reordering := min(max(packets(i.Overtaken), minReordering), maxReordering)

	b := []byte{state, linuxRecovery[i.Recovery], byte(i.Backoff), byte(i.Probes), byte(i.Backoff), opts, i.SndScale | i.RcvScale<<4, 0}
	u32 := func(v ...uint32) {
		for _, v := range v {
			b = binary.LittleEndian.AppendUint32(b, v)
		}
	}
	u64 := func(v ...uint64) {
		for _, v := range v {
			b = binary.LittleEndian.AppendUint64(b, v)
		}
	}
	u32(micro(i.RTO), micro(i.AckDelay), uint32(i.SndMSS), uint32(max(i.RcvMSS, 536)))
	unacked, sacked := packets(i.Flight), packets(i.Sacked)
	if s.ln != nil { // Linux tells of its queue there
		unacked, sacked = uint32(s.ln.Waiting()), s.backlog
	}
	u32(unacked, sacked, packets(i.Lost+i.Resent), packets(i.Resent), 0)                     // unacked, sacked, lost, retrans, fackets
	u32(since(i.LastSent), 0, since(i.LastReceived), since(i.LastHeard))                     // last_data_sent, last_ack_sent, last_data_recv, last_ack_recv
	u32(uint32(i.PathMSS+40), uint32(i.RcvWnd), micro(i.SRTT), micro(i.RTTVar))              // pmtu, rcv_ssthresh, rtt, rttvar
	u32(threshold, uint32(i.Cwnd/mss), uint32(i.AdvMSS), reordering)                         // snd_ssthresh, snd_cwnd, advmss, reordering
	u32(0, uint32(i.RcvWnd), uint32(i.Retransmits))                                          // rcv_rtt, rcv_space, total_retrans
	u64(unlessZero(i.PacingRate), unlessZero(i.MaxPacingRate), i.BytesAcked, i.BytesIn)      // pacing_rate, max_pacing_rate, bytes_acked, bytes_received
	u32(i.SegsOut, i.SegsIn, uint32(i.Unsent), micro(i.MinRTT), i.DataSegsIn, i.DataSegsOut) // segs_out ... data_segs_out
	u64(0, micro64(i.Busy), micro64(i.WindowLimited), micro64(i.BufferLimited))              // delivery_rate, busy_time, rwnd_limited, sndbuf_limited
	u32(i.Delivered, uint32(i.Marks))                                                        // delivered, delivered_ce
	u64(i.BytesOut, i.BytesAgain)                                                            // bytes_sent, bytes_retrans
	u32(0, uint32(i.Reordered), uint32(i.OutOfOrder), uint32(i.SndWnd))                      // dsack_dups, reord_seen, rcv_ooopack, snd_wnd
	u32(uint32(i.RcvWnd), 0, 0, 0)                                                           // rcv_wnd, rehash, total_rto and its recoveries, total_rto_time
	return append(b, make([]byte, accurateECN)...)
}
