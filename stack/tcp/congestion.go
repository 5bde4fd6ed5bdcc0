package tcp

import "time"

// CongestionControl decides the congestion window of one connection. Conn
// detects losses, retransmits and counts what is in flight; the algorithm only
// changes Cwnd and Ssthresh. Its methods are called from the connection's own
// calls and return without blocking.
type CongestionControl interface {
	// Name is the algorithm's name in lower case, such as "cubic".
	Name() string
	// Acked is called when data are acknowledged outside fast recovery.
	Acked(w *Window, a Ack)
	// Lost is called when fast recovery begins: it sets Ssthresh, and Cwnd to
	// the window that recovery uses. flight is what was in flight, in octets.
	Lost(w *Window, now Instant, flight int)
	// TimedOut is called for the first retransmission timeout of a flight: it
	// sets Ssthresh. Conn sets Cwnd to one segment (RFC 5681 §3.1).
	TimedOut(w *Window, now Instant, flight int)
}

// Window is the congestion state of a connection in octets.
type Window struct {
	MSS      int // payload of a full segment at present
	Cwnd     int // congestion window
	Ssthresh int // slow start threshold
}

// shrink has the window let out as many segments of m octets as of old ones before.
func (w *Window) shrink(old, m int) {
	w.Cwnd = w.Cwnd / old * m
	if w.Ssthresh < maxWindow {
		w.Ssthresh = w.Ssthresh / old * m
	}
}

// SlowStart reports whether the window grows by slow start.
func (w *Window) SlowStart() bool { return w.Cwnd < w.Ssthresh }

// Ack tells a CongestionControl about an acknowledgment.
type Ack struct {
	Now     Instant
	Acked   int           // octets newly acknowledged
	SRTT    time.Duration // smoothed round-trip time, 0 while unknown
	RTT     time.Duration // of the newest segment that arrived, 0 when it was not timed by itself
	Una     Seq           // SND.UNA after the acknowledgment
	Nxt     Seq           // SND.NXT
	Limited bool          // the window kept the sender from sending more (RFC 9438 §4.2, RFC 2861)
}

const maxWindow = 1 << 30 // RFC 7323 §2.3: the largest window there is

// initialWindow is that of RFC 6928 §2.
func initialWindow(mss int) int { return min(10*mss, max(2*mss, 14600)) }

// slowStart grows the window by the octets acknowledged (RFC 5681 §3.1). The
// bound of one SMSS per acknowledgment is left out: peers acknowledge
// super-segments of 64 KiB at once, and as octets are counted nobody gains by
// splitting acknowledgments. It returns the octets left when the threshold is
// reached.
func (w *Window) slowStart(acked int) int {
	grow := min(acked, w.Ssthresh-w.Cwnd)
	w.Cwnd = min(w.Cwnd+grow, maxWindow)
	return acked - grow
}

// Reno is the congestion control of RFC 5681. The zero value is ready.
type Reno struct {
	acked int // octets acknowledged since Cwnd last grew in congestion avoidance
}

// Name returns "reno".
func (r *Reno) Name() string { return "reno" }

// Acked grows the window: by what is acknowledged in slow start, by one segment
// per round trip in congestion avoidance (RFC 5681 §3.1).
func (r *Reno) Acked(w *Window, a Ack) {
	if !a.Limited {
		return
	}
	n := a.Acked
	if w.SlowStart() {
		n = w.slowStart(n)
	}
	r.acked += n
	if n > 0 && r.acked >= w.Cwnd {
		r.acked -= w.Cwnd
		w.Cwnd = min(w.Cwnd+w.MSS, maxWindow)
	}
}

// Lost halves the window (RFC 5681 §3.1, equation 4).
func (r *Reno) Lost(w *Window, now Instant, flight int) {
	w.Ssthresh = max(flight/2, 2*w.MSS)
	w.Cwnd = w.Ssthresh
	r.acked = 0
}

// TimedOut halves the threshold (RFC 5681 §3.1, equation 4).
func (r *Reno) TimedOut(w *Window, now Instant, flight int) {
	w.Ssthresh = max(flight/2, 2*w.MSS)
	r.acked = 0
}
