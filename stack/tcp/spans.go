package tcp

// maxSpans bounds a spanSet: what a receiver holds out of order and what a
// sender remembers of the other's reports (RFC 2018 leaves both open).
const maxSpans = 512

// maxIdleSpans is how many of them an idle connection keeps memory for.
const maxIdleSpans = 16

// span is the range [start, end) of sequence numbers.
type span struct {
	start, end Seq
	stamp      uint32 // when it last grew, for the order of SACK blocks
}

// spanSet is a sorted set of sequence numbers as disjoint, non-adjacent spans.
// It takes memory with the first span only.
type spanSet struct {
	s      []span
	octets int32 // in all spans
	clock  uint32
}

func (t *spanSet) empty() bool { return len(t.s) == 0 }

// clear forgets all spans and their memory.
func (t *spanSet) clear() { t.s, t.octets = nil, 0 }

// max returns the end of the last span; the set is not empty.
func (t *spanSet) max() Seq { return t.s[len(t.s)-1].end }

// search returns the index of the first span that ends at or behind seq.
func (t *spanSet) search(seq Seq) int {
	lo, hi := 0, len(t.s)
	for lo < hi {
		m := (lo + hi) / 2
		if t.s[m].end.Before(seq) {
			lo = m + 1
		} else {
			hi = m
		}
	}
	return lo
}

// add inserts [start, end), merging what it touches. It returns how many
// octets were new, and ok false when the set is full and nothing was added.
func (t *spanSet) add(start, end Seq) (fresh int, ok bool) {
	i := t.search(start)
	j, fresh := i, end.Sub(start)
	merged := span{start: start, end: end}
	for j < len(t.s) && t.s[j].start.BeforeEq(end) {
		o := t.s[j]
		fresh -= max(0, minSeq(o.end, end).Sub(maxSeq(o.start, start)))
		merged.start, merged.end = minSeq(merged.start, o.start), maxSeq(merged.end, o.end)
		j++
	}
	if i == j && len(t.s) >= maxSpans {
		return 0, false
	}
	t.clock++
	merged.stamp = t.clock
	if i == j {
		t.s = append(t.s, span{})
		copy(t.s[i+1:], t.s[i:])
	} else {
		t.s = append(t.s[:i+1], t.s[j:]...)
	}
	t.s[i] = merged
	t.octets += int32(fresh)
	return fresh, true
}

// remove takes [start, end) out. A span that would have to be divided in a full
// set loses its rear part too.
func (t *spanSet) remove(start, end Seq) {
	i := t.search(start.Add(1))
	for i < len(t.s) && t.s[i].start.Before(end) {
		o := &t.s[i]
		from, to := maxSeq(o.start, start), minSeq(o.end, end)
		front, rear := from.Sub(o.start), o.end.Sub(to)
		t.octets -= int32(to.Sub(from))
		switch {
		case front == 0 && rear == 0:
			t.s = append(t.s[:i], t.s[i+1:]...)
			continue
		case front == 0:
			o.start = to
		case rear == 0 || len(t.s) >= maxSpans:
			t.octets -= int32(rear)
			o.end = from
		default:
			right := span{start: to, end: o.end, stamp: o.stamp}
			o.end = from
			t.s = append(t.s, span{})
			copy(t.s[i+2:], t.s[i+1:])
			t.s[i+1] = right
		}
		i++
	}
	if len(t.s) == 0 && cap(t.s) > maxIdleSpans {
		t.s = nil
	}
}

// trim forgets what lies before seq, and the memory when nothing remains.
func (t *spanSet) trim(seq Seq) {
	i := 0
	for i < len(t.s) && t.s[i].end.BeforeEq(seq) {
		t.octets -= int32(t.s[i].end.Sub(t.s[i].start))
		i++
	}
	if i == len(t.s) {
		t.s = t.s[:0]
		if cap(t.s) > maxIdleSpans {
			t.s = nil
		}
		return
	}
	if i > 0 {
		t.s = append(t.s[:0], t.s[i:]...)
	}
	if cut := seq.Sub(t.s[0].start); cut > 0 {
		t.s[0].start = seq
		t.octets -= int32(cut)
	}
}

// covered returns how many octets of [start, end) are in the set.
func (t *spanSet) covered(start, end Seq) int {
	n := 0
	for i := t.search(start); i < len(t.s) && t.s[i].start.Before(end); i++ {
		n += max(0, minSeq(t.s[i].end, end).Sub(maxSeq(t.s[i].start, start)))
	}
	return n
}

// gap returns the first range within [start, end) that is not in the set; ok is
// false when there is none.
func (t *spanSet) gap(start, end Seq) (from, to Seq, ok bool) {
	for i := t.search(start); i < len(t.s) && t.s[i].start.BeforeEq(start); i++ {
		start = maxSeq(start, t.s[i].end)
	}
	if start.AfterEq(end) {
		return 0, 0, false
	}
	to = end
	if i := t.search(start.Add(1)); i < len(t.s) {
		to = minSeq(to, t.s[i].start)
	}
	return start, to, true
}

// containing returns the span that holds seq.
func (t *spanSet) containing(seq Seq) (span, bool) {
	if i := t.search(seq.Add(1)); i < len(t.s) && t.s[i].start.BeforeEq(seq) {
		return t.s[i], true
	}
	return span{}, false
}
