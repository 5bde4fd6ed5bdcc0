package tcp

// maxSent bounds the pieces of a sentList. A sender of tiny segments that would
// exceed it has the last ones share their time, the later one: they are taken
// for lost a little late, never early.
const maxSent = 2048

// sent is a piece of the sequence space that was last transmitted at one time.
type sent struct {
	end   Seq     // it begins where the piece before it ends
	segs  uint32  // segments that it left as; all are of one size, but the last
	at    Instant // of the last transmission (RFC 8985 §5.2, Segment.xmit_ts)
	again bool    // it was retransmitted
}

// sentList tells when each octet between SND.UNA and SND.NXT was last
// transmitted. It takes memory, of the pool's, while something is in flight.
type sentList struct {
	start Seq // of the first piece
	first int32
	list  []sent // those before first are over
	// clock is the time of the last transmission. The order in which segments
	// left says what is lost, so retransmissions have times of their own where
	// the owner's clock does not tell them apart; new text has the higher numbers.
	clock Instant
}

// end returns the number behind the last piece.
func (l *sentList) end() Seq {
	if n := len(l.list); n > 0 {
		return l.list[n-1].end
	}
	return l.start
}

// add notes that [from, to) was transmitted for the first time, as segs segments.
// Pieces come in order.
func (l *sentList) add(p *Pool, from, to Seq, segs uint32, now Instant) {
	l.clock = max(l.clock, now)
	now = l.clock
	if len(l.list) == 0 {
		l.list, l.start = p.getSent(), from
	}
	if n := len(l.list); n > 0 {
		if last := &l.list[n-1]; !last.again && last.at == now || n-int(l.first) >= maxSent {
			last.end, last.at = to, now
			last.segs += segs
			return
		}
	}
	l.list = append(l.list, sent{end: to, segs: segs, at: now})
}

// search returns the index of the piece that holds seq, or len(l.list).
func (l *sentList) search(seq Seq) int {
	lo, hi := int(l.first), len(l.list)
	for lo < hi {
		if m := (lo + hi) / 2; l.list[m].end.After(seq) {
			hi = m
		} else {
			lo = m + 1
		}
	}
	return lo
}

// begin returns where piece i begins.
func (l *sentList) begin(i int) Seq {
	if i == int(l.first) {
		return l.start
	}
	return l.list[i-1].end
}

// cut makes a piece begin at seq, which lies within the list, and returns its
// index.
func (l *sentList) cut(seq Seq) int {
	i := l.search(seq)
	if i == len(l.list) || l.begin(i) == seq {
		return i
	}
	n := l.segsBefore(i, seq)
	l.list = append(l.list, sent{})
	copy(l.list[i+1:], l.list[i:])
	l.list[i].end, l.list[i].segs = seq, n
	l.list[i+1].segs -= n
	return i + 1
}

// segsBefore returns how many segments of piece i end at or before seq, which lies
// within it.
func (l *sentList) segsBefore(i int, seq Seq) uint32 {
	from, p := l.begin(i), &l.list[i]
	return uint32(uint64(p.segs) * uint64(seq.Sub(from)) / uint64(p.end.Sub(from)))
}

// segsIn returns how many segments end in [from, to).
func (l *sentList) segsIn(from, to Seq) (n uint32) {
	for i := l.search(from); i < len(l.list) && l.begin(i).Before(to); i++ {
		n += l.segsBefore(i, minSeq(to, l.list[i].end)) - l.segsBefore(i, maxSeq(from, l.begin(i)))
	}
	return n
}

// lastSegment returns where the last segment begins, of those of mss octets that
// the last piece left as.
func (l *sentList) lastSegment(mss int) Seq {
	if len(l.list) == 0 {
		return l.start
	}
	i := len(l.list) - 1
	from, p := l.begin(i), &l.list[i]
	if at := from.Add(int(p.segs-1) * mss); p.segs > 0 && at.Before(p.end) {
		return at
	}
	return from
}

// resent notes that [from, to) was transmitted once more, as segs segments.
func (l *sentList) resent(from, to Seq, segs uint32, now Instant) {
	l.clock = max(l.clock, now) + 1
	now = l.clock
	from, to = maxSeq(from, l.start), minSeq(to, l.end())
	if !from.Before(to) {
		return
	}
	i := l.cut(from)
	j := l.cut(to)
	l.list[i] = sent{end: to, segs: segs, at: now, again: true}
	l.list = append(l.list[:i+1], l.list[j:]...)
}

// resentOctets returns how many octets were transmitted more than once and are
// neither reported by the peer nor taken for lost again.
func (c *Conn) resentOctets() (n int) {
	l := &c.sent
	for i := int(l.first); i < len(l.list); i++ {
		if from, end := l.begin(i), l.list[i].end; l.list[i].again {
			n += end.Sub(from) - c.board.covered(from, end) - c.lost.covered(from, end)
		}
	}
	return n
}

// trim forgets what lies before seq and, when nothing remains, the memory.
func (l *sentList) trim(p *Pool, seq Seq) {
	if !seq.After(l.start) {
		return
	}
	i := l.search(seq)
	if i == len(l.list) {
		l.clear(p)
		l.start = seq
		return
	}
	l.list[i].segs -= l.segsBefore(i, seq)
	l.first, l.start = int32(i), seq
	if 2*i > len(l.list) {
		l.list, l.first = append(l.list[:0], l.list[i:]...), 0
	}
}

// clear forgets everything.
func (l *sentList) clear(p *Pool) {
	if l.list != nil {
		p.putSent(l.list)
		l.list, l.first = nil, 0
	}
}
