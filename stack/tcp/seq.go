package tcp

import "time"

// Instant is a point in time in nanoseconds on the owner's monotonic clock. Zero
// means never or none, so a clock must start above zero.
type Instant int64

// Add returns the instant d later.
func (t Instant) Add(d time.Duration) Instant { return t + Instant(d) }

// Sub returns the time from u to t.
func (t Instant) Sub(u Instant) time.Duration { return time.Duration(t - u) }

// earlier returns the earlier of two deadlines, where zero is none.
func earlier(a, b Instant) Instant {
	if a == 0 || (b != 0 && b < a) {
		return b
	}
	return a
}

// Seq is a sequence number. Comparisons are modular (RFC 9293 §3.4): they hold
// for numbers less than 2^31 apart, across the wrap at 2^32.
type Seq uint32

// Add returns the sequence number n octets after s; n may be negative.
func (s Seq) Add(n int) Seq { return s + Seq(n) }

// Sub returns the signed distance from t to s in octets.
func (s Seq) Sub(t Seq) int { return int(int32(s - t)) }

// Before reports s < t.
func (s Seq) Before(t Seq) bool { return int32(s-t) < 0 }

// BeforeEq reports s <= t.
func (s Seq) BeforeEq(t Seq) bool { return int32(s-t) <= 0 }

// After reports s > t.
func (s Seq) After(t Seq) bool { return int32(s-t) > 0 }

// AfterEq reports s >= t.
func (s Seq) AfterEq(t Seq) bool { return int32(s-t) >= 0 }

// In reports whether s lies in the n octets that begin at start.
func (s Seq) In(start Seq, n int) bool { return uint32(s-start) < uint32(n) }

func maxSeq(a, b Seq) Seq {
	if a.After(b) {
		return a
	}
	return b
}

func minSeq(a, b Seq) Seq {
	if a.Before(b) {
		return a
	}
	return b
}
