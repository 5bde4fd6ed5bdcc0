package arp

import (
	"slices"
	"time"
)

// durationBounds are the upper bounds of the buckets of Durations: a commit in
// memory takes microseconds, an answer on a LAN less than a millisecond, and
// RFC 1122's requests come a second apart.
var durationBounds = [...]time.Duration{
	100 * time.Microsecond, time.Millisecond, 10 * time.Millisecond, 100 * time.Millisecond,
	time.Second, 2 * time.Second, 3 * time.Second, 10 * time.Second,
}

// Durations is a distribution of durations. It is a plain value; the zero one is
// empty.
type Durations struct {
	Count   uint64
	Sum     time.Duration
	buckets [len(durationBounds)]uint64
}

// Add counts a duration; a negative one counts as none.
func (d *Durations) Add(t time.Duration) {
	t = max(t, 0)
	d.Count++
	d.Sum += t
	if i, _ := slices.BinarySearch(durationBounds[:], t); i < len(d.buckets) {
		d.buckets[i]++
	}
}

// Buckets yields upper bounds, the smallest first, each with how many durations
// were no longer: Prometheus's cumulative form, without that of infinity.
func (d *Durations) Buckets(yield func(bound time.Duration, n uint64) bool) {
	n := uint64(0)
	for i, b := range durationBounds {
		n += d.buckets[i]
		if !yield(b, n) {
			return
		}
	}
}
