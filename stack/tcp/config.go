package tcp

import (
	"cmp"
	"net/netip"
	"time"
)

// Config says how a connection starts. Only Local and Remote are required; for
// security an owner also sets ISS and TSOffset from a keyed hash of the
// addresses and a clock (RFC 6528 §3, RFC 7323 §5.4).
type Config struct {
	Local, Remote netip.AddrPort

	// MSS is the largest payload that fits a packet of the path's first hop:
	// its MTU less the fixed IP and TCP headers (RFC 9293 §3.7.1). It is
	// announced to the peer and bounds what is sent. Zero means 536 (IPv4's
	// minimum, MUST-15), and less than 28 means 28: every link carries packets of
	// 68 octets (RFC 791 §3.2).
	MSS uint16

	// PathMSS is the largest payload, like MSS, that the path is known to carry
	// until PathUntil; from then on the connection tries by itself whether it
	// carries more (RFC 1191 §6.3). Zero, or more than MSS, means that nothing is
	// known. PathUntil zero means ten minutes from the start.
	PathMSS   uint16
	PathUntil Instant

	// ISS is the initial send sequence number. A passive connection that
	// takes the place of one in TIME-WAIT gets it from Conn.Reopens.
	ISS Seq
	// TSOffset is added to the clock in timestamps sent.
	TSOffset uint32

	// RcvBuf and SndBuf bound the octets queued in either direction. Memory is
	// taken as data arrive, not in advance. Zero means a bound that begins with
	// DefaultBuffer and grows as the path and the user need it, to an eighth of
	// Pool.Limit (just below 16 MiB without a limit) while memory is not short.
	// What is set stays as it is; it is bounded by the largest window there is,
	// just below 1<<30 octets.
	RcvBuf, SndBuf int

	// NoDelay switches Nagle's algorithm off (RFC 9293 §3.7.4).
	NoDelay bool
	// KeepAlive is off when its Idle is zero (RFC 9293 §3.8.4).
	KeepAlive KeepAlive

	// MinRTO is the least margin of the retransmission timeout over the
	// round-trip time, MaxRTO bounds the timeout. Zero means DefaultMinRTO and
	// DefaultMaxRTO.
	MinRTO, MaxRTO time.Duration
	// ConnectTimeout bounds the handshake: zero means 200 s. RFC 9293 §3.8.3
	// (MUST-23) wants the SYN to go again for three minutes at least; with the
	// default timeouts the first one past that goes 183 s after the first.
	ConnectTimeout time.Duration
	// UserTimeout bounds how long sent data may stay unacknowledged, and how
	// long a zero window may stay unanswered. Zero means five minutes
	// (RFC 9293 §3.9.1.1).
	UserTimeout time.Duration
	// TimeWait is how long TIME-WAIT lasts, 2 MSL. Zero means DefaultTimeWait.
	TimeWait time.Duration
	// FinWait2 is how long FIN-WAIT-2 lasts after Close. Zero means
	// DefaultFinWait2.
	FinWait2 time.Duration
	// DelayedAck is how long an acknowledgment may wait for company, less than
	// 500 ms (RFC 9293 §3.8.6.3). Zero means DefaultDelayedAck.
	DelayedAck time.Duration

	// QuickAcks is how many of the first segments with text are acknowledged
	// at once, before text of ours goes out. Linux takes up to 16. Zero leaves it
	// to what comes: the first full segments that are not pushed, and those behind
	// a loss or a silence, are acknowledged at once, too.
	QuickAcks int

	// NoWindowScale, NoTimestamps and NoSACK leave the option out of the
	// handshake.
	NoWindowScale, NoTimestamps, NoSACK bool

	// ECN says whether congestion notification is used; zero accepts it.
	ECN ECN

	// FastOpen has the handshake carry text; zero does without.
	FastOpen FastOpen

	// CongestionControl decides the congestion window of this connection. Nil
	// means CUBIC (RFC 9438). An instance serves one connection.
	CongestionControl CongestionControl

	// MaxPacingRate bounds what is sent: see Conn.SetMaxPacingRate. Zero is no
	// bound.
	MaxPacingRate uint64

	// Pool lends buffers. Connections under one lock should share one; nil
	// means a pool of the connection's own.
	Pool *Pool
}

// KeepAlive says when an idle connection is probed (RFC 9293 §3.8.4). Times count in
// milliseconds, up to 49 days.
type KeepAlive struct {
	Idle     time.Duration // silence before the first probe; 0 switches keep-alive off
	Interval time.Duration // between probes; 0 means 75 s
	Probes   int           // unanswered probes that end the connection; 0 means 9, 255 is the most
}

// Defaults of Config.
const (
	DefaultBuffer = 256 << 10
	// DefaultMinRTO is below the second of RFC 6298 §2.4, as in Linux: the
	// rule guards against delayed acknowledgments of coarse 1990s timers,
	// while receivers today delay by 40 to 200 ms, which SRTT sees or this
	// floor covers. Set MinRTO to a second for the RFC's behaviour.
	DefaultMinRTO = 200 * time.Millisecond
	// DefaultMaxRTO is the least that RFC 6298 §2.5 allows.
	DefaultMaxRTO = 60 * time.Second
	// DefaultTimeWait takes MSL as 30 s where RFC 9293 §3.4.2 takes two
	// minutes, as hosts do: TTLs bound a packet's life in hops, and timestamps
	// (PAWS) tell old duplicates from new segments for the rest.
	DefaultTimeWait = 60 * time.Second
	// DefaultFinWait2 bounds how long a closed connection waits for a FIN that
	// a vanished peer never sends; RFC 9293 leaves it unbounded.
	DefaultFinWait2 = 60 * time.Second
	// DefaultDelayedAck is Linux's least delay.
	DefaultDelayedAck = 40 * time.Millisecond
)

const (
	defaultMSS            = 536 // RFC 9293 §3.7.1 MUST-15
	defaultConnectTimeout = 200 * time.Second
	defaultUserTimeout    = 5 * time.Minute
	defaultKeepInterval   = 75 * time.Second
	defaultKeepProbes     = 9
	maxDelayedAck         = 499 * time.Millisecond // RFC 9293 §3.8.6.3 MUST-40: less than half a second
	leastMSS              = 68 - 40
	minSendMSS            = 48 // least payload bound that a peer or a path may impose, as Linux has it; less is a denial of service
)

// or returns v when it was set to something that makes sense, else def.
func or[T cmp.Ordered](v, def T) T {
	var zero T
	if v <= zero {
		return def
	}
	return v
}
