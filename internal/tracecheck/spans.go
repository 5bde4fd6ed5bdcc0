package tracecheck

import "slices"

// span is [from, to) of numbers relative to an initial sequence number.
type span struct{ from, to int64 }

// spans is a sorted set of numbers, in spans that neither overlap nor touch.
type spans []span

// add inserts [from, to).
func (s *spans) add(from, to int64) {
	if from >= to {
		return
	}
	i, _ := slices.BinarySearchFunc(*s, from, func(a span, n int64) int {
		if a.to < n {
			return -1
		}
		return 1
	})
	j := i
	for ; j < len(*s) && (*s)[j].from <= to; j++ {
		from, to = min(from, (*s)[j].from), max(to, (*s)[j].to)
	}
	*s = slices.Replace(*s, i, j, span{from, to})
}

// holding returns the span that holds all of [from, to).
func (s spans) holding(from, to int64) (span, bool) {
	for _, a := range s {
		if a.from <= from && to <= a.to {
			return a, true
		}
	}
	return span{}, false
}

// common calls f for each part of [from, to) that is in s.
func (s spans) common(from, to int64, f func(from, to int64)) {
	for _, a := range s {
		if lo, hi := max(a.from, from), min(a.to, to); lo < hi {
			f(lo, hi)
		}
	}
}

// trim forgets what lies before n.
func (s *spans) trim(n int64) {
	for len(*s) > 0 && (*s)[0].to <= n {
		*s = (*s)[1:]
	}
	if len(*s) > 0 {
		(*s)[0].from = max((*s)[0].from, n)
	}
}
