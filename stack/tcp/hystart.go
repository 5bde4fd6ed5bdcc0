package tcp

import "time"

// Constants of RFC 9406 §4.3.
const (
	hyMinThresh = 4 * time.Millisecond  // MIN_RTT_THRESH
	hyMaxThresh = 16 * time.Millisecond // MAX_RTT_THRESH
	hyDivisor   = 8                     // MIN_RTT_DIVISOR
	hySamples   = 8                     // N_RTT_SAMPLE
	hyGrowth    = 4                     // CSS_GROWTH_DIVISOR
	hyRounds    = 5                     // CSS_ROUNDS
)

// hyStart is HyStart++ (RFC 9406), the slow start that RFC 9438 §4.10 asks of
// CUBIC: when the round-trip time of a round has risen, the bottleneck's queue
// is filling, and the window grows more slowly until that is certain
// (conservative slow start) or was only jitter. It works in the initial slow
// start, while the threshold is not known, and where acknowledgments are timed
// one by one, which takes SACK. The zero value is ready.
//
// L, the most segments that one acknowledgment may add, is without bound as in
// Window.slowStart.
type hyStart struct {
	last     time.Duration // least round trip of the round before; 0 when unknown
	current  time.Duration // of this round
	baseline time.Duration // of the round that began conservative slow start; 0 outside of it
	end      Seq           // the round ends when this is acknowledged
	samples  uint8         // of this round, up to hySamples
	rounds   uint8         // 1, and those of conservative slow start that are over; 0 before the first acknowledgment
}

// slowStart grows w as Window.slowStart does, less in conservative slow start,
// and sets the threshold when that has lasted for hyRounds rounds. It returns
// the octets left when the threshold is reached.
func (h *hyStart) slowStart(w *Window, a Ack) int {
	if w.Ssthresh < maxWindow || a.RTT == 0 {
		return w.slowStart(a.Acked)
	}
	if h.rounds == 0 {
		h.rounds, h.end = 1, a.Nxt
	}
	acked := a.Acked
	if h.baseline != 0 {
		acked /= hyGrowth
	}
	left := w.slowStart(acked)
	h.sample(a.RTT)
	if a.Una.AfterEq(h.end) && h.nextRound(a.Nxt) {
		w.Ssthresh = w.Cwnd
	}
	return left
}

// nextRound begins a round that ends when end is acknowledged, and reports
// whether slow start is over.
func (h *hyStart) nextRound(end Seq) bool {
	if h.baseline != 0 {
		h.rounds++ // that in which it began counts
	}
	h.last, h.current, h.samples, h.end = h.current, 0, 0, end
	return h.rounds > hyRounds
}

// sample takes the round-trip time of an acknowledgment, and judges the round
// once it has had enough of them.
func (h *hyStart) sample(rtt time.Duration) {
	if h.current == 0 || rtt < h.current {
		h.current = rtt
	}
	if h.samples < hySamples {
		h.samples++
	}
	if h.samples < hySamples {
		return
	}
	switch {
	case h.baseline != 0:
		if h.current < h.baseline { // it was jitter
			h.baseline, h.rounds = 0, 1
		}
	case h.last != 0 && h.current >= h.last+min(max(h.last/hyDivisor, hyMinThresh), hyMaxThresh):
		h.baseline = h.current
	}
}
