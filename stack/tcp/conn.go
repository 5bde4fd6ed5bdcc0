package tcp

import (
	"net/netip"
	"time"
)

// Conn is one connection. Use NewActive or NewPassive.
type Conn struct {
	local, remote netip.AddrPort
	state         State
	err           error
}

// NewActive returns a connection in SYN-SENT; Output emits its SYN.
func NewActive(cfg Config, now Instant) *Conn {
	return &Conn{local: cfg.Local, remote: cfg.Remote, state: SynSent}
}

// NewPassive returns a connection in SYN-RECEIVED that answers syn, a segment
// with SYN set and neither ACK nor RST; Output emits its SYN-ACK. The text of
// syn, if any, is queued.
func NewPassive(cfg Config, syn *Segment, now Instant) *Conn {
	return &Conn{local: cfg.Local, remote: cfg.Remote, state: SynReceived}
}

// Input processes a received segment (RFC 9293 §3.10.7). Its addresses and ports are the connection's; its
// checksum has been verified.
func (c *Conn) Input(now Instant, seg *Segment) {}

// Output emits all segments that are due at now and runs expired timers. A
// payload is at most the MSS, or at most maxPayload when that is greater: then
// GSOSize is set. The segment given to emit is reused: emit keeps nothing of
// it. When emit returns false, the segment counts as not sent and Output
// returns; the owner calls again when there is room.
func (c *Conn) Output(now Instant, maxPayload int, emit func(*Segment) bool) {}

// Deadline returns when Output must be called next although nothing happened;
// zero means never. It may lie in the past.
func (c *Conn) Deadline() Instant { return 0 }

// Read moves received octets to p. It returns ErrWouldBlock when there are
// none, io.EOF after the peer's FIN or after CloseRead, and the connection's
// error when that is all there is. Reading opens the window: call Output.
func (c *Conn) Read(p []byte) (int, error) { return 0, ErrWouldBlock }

// Write copies as much of p as the send queue has room for and returns how
// much that was. It returns ErrWouldBlock only with n == 0, and ErrPipe or the
// connection's error when nothing can be sent any more. Before the handshake
// is over the data wait in the queue.
func (c *Conn) Write(p []byte) (int, error) { return 0, ErrWouldBlock }

// WriteRef queues p by reference: all of it (n == len(p)) as long as the queue
// is below its bound, which p may exceed, else nothing and ErrWouldBlock. p
// must not change until release is called, which happens exactly once, from
// inside a later call of the Conn (never from this one), when p has been
// acknowledged or the connection is over. release must not call the Conn; nil
// is allowed. After an error other than nil release is not called.
func (c *Conn) WriteRef(p []byte, release func()) (int, error) { return 0, ErrWouldBlock }

// Readable reports whether Read would not return ErrWouldBlock.
func (c *Conn) Readable() bool { return false }

// Writable reports whether Write would not return ErrWouldBlock.
func (c *Conn) Writable() bool { return false }

// CloseWrite sends FIN after all queued data (RFC 9293 §3.10.4). It is idempotent.
func (c *Conn) CloseWrite(now Instant) {}

// CloseRead discards received data from now on; Read returns io.EOF. The peer is
// not told and its data are acknowledged.
func (c *Conn) CloseRead(now Instant) {}

// Close closes both directions for good: data still unread, or arriving later, abort the connection with a reset
// (RFC 9293 §3.6.1), and FIN-WAIT-2 ends by timeout. Queued data are still sent.
func (c *Conn) Close(now Instant) {}

// Abort drops all queued data and sends a reset where the state asks for one
// (RFC 9293 §3.10.5); Output emits it. The state is CLOSED at once.
func (c *Conn) Abort(now Instant) {}

// State returns the present state.
func (c *Conn) State() State { return c.state }

// Err returns why the connection ended, nil while it lives or after an orderly close.
func (c *Conn) Err() error { return c.err }

// Done reports whether the owner may forget the connection: it is CLOSED and nothing is left to emit.
// Data that arrived before may still be read.
func (c *Conn) Done() bool { return false }

// Local returns the local address and port.
func (c *Conn) Local() netip.AddrPort { return c.local }

// Remote returns the peer's address and port.
func (c *Conn) Remote() netip.AddrPort { return c.remote }

// SoftError records an ICMP error that does not end the connection; it is
// reported instead of ErrTimeout if the connection gives up (RFC 9293 §3.9.2.2 MUST-56).
func (c *Conn) SoftError(err error) {}

// HardError aborts the connection with err before it is synchronized; afterwards it is a soft error (RFC 5927 §5.2).
func (c *Conn) HardError(err error) {}

// Outstanding reports whether seq was sent and is not acknowledged: the check that an ICMP message's
// quotation has to pass (RFC 5927 §4.1).
func (c *Conn) Outstanding(seq Seq) bool { return false }

// SetPathMSS tells the largest payload that the path carries at present
// (path MTU less fixed headers; RFC 1191, RFC 8201). What was sent in larger segments is sent again.
func (c *Conn) SetPathMSS(now Instant, mss int) {}

// SetNoDelay switches Nagle's algorithm off (true) or on.
func (c *Conn) SetNoDelay(on bool) {}

// SetKeepAlive changes keep-alive probing from now on.
func (c *Conn) SetKeepAlive(now Instant, k KeepAlive) {}

// SetUserTimeout changes Config.UserTimeout; 0 means the default.
func (c *Conn) SetUserTimeout(d time.Duration) {}

// AckedNewData reports whether a segment acknowledged new data since the last
// call: evidence that the next hop forwards (RFC 4861 §7.3.1).
func (c *Conn) AckedNewData() bool { return false }

// Reopens reports whether syn may open a new incarnation of this connection in TIME-WAIT (RFC 6191 §2, RFC 9293
// §3.10.7.4): the owner then forgets this Conn and calls NewPassive with the returned ISS in its Config.
func (c *Conn) Reopens(syn *Segment) (iss Seq, ok bool) { return 0, false }

// Info is a snapshot of a connection for people and metrics.
type Info struct {
	State                        State
	SRTT, RTTVar, RTO            time.Duration
	Cwnd, Ssthresh               int
	SndMSS                       int
	SndWnd, RcvWnd               int
	SendQueue, RecvQueue, Flight int
	Retransmits                  uint64
}

// Info returns a snapshot.
func (c *Conn) Info() Info { return Info{} }

// CongestionControl decides the congestion window.
type CongestionControl interface{ Name() string }

// Pool lends buffers.
type Pool struct{}
