package vnet

import (
	"time"

	"arpeggio/stack/link"
)

// queue holds what a port's station has yet to read: frames still on the cable,
// by arrival, and frames that have arrived. Arrival is worked out when somebody
// looks, which gives the same drops as a timer per frame would: only reading
// makes room.
type queue struct {
	flight  flight
	ready   []packet // ring
	head, n int
	bytes   int // in ready
	max     int // frames in ready
	maxB    int // octets in ready
	pool    pool
}

// put takes p, which arrives at p.at, and counts in c what arrived by now and
// what found no room.
func (q *queue) put(p packet, now time.Time, c *Counters) {
	q.arrive(now, c)
	if !p.at.After(now) {
		q.enqueue(p, c)
		return
	}
	if !q.flight.push(p) {
		c.Dropped[DropQueue]++
		q.pool.release(p.buf)
	}
}

// arrive moves what has arrived by now from the cable to the queue.
func (q *queue) arrive(now time.Time, c *Counters) {
	for q.flight.due(now) {
		q.enqueue(q.flight.pop(), c)
	}
}

func (q *queue) enqueue(p packet, c *Counters) {
	if q.n >= q.max || q.bytes+len(p.buf) > q.maxB {
		c.Dropped[DropQueue]++
		q.pool.release(p.buf)
		return
	}
	if q.n == len(q.ready) {
		q.grow()
	}
	q.ready[(q.head+q.n)%len(q.ready)] = p
	q.n++
	q.bytes += len(p.buf)
	c.passed(len(p.buf))
}

func (q *queue) grow() {
	r := make([]packet, max(16, 2*len(q.ready)))
	for i := range q.n {
		r[i] = q.ready[(q.head+i)%len(q.ready)]
	}
	q.ready, q.head = r, 0
}

// pop moves the oldest arrived frame into f.
func (q *queue) pop(f *link.Frame) bool {
	if q.n == 0 {
		return false
	}
	p := &q.ready[q.head]
	f.Reset()
	f.Head = append(f.Head, p.buf...)
	f.Csum, f.GSO, f.Time = p.csum, p.gso, p.at
	q.bytes -= len(p.buf)
	q.pool.release(p.buf)
	*p = packet{}
	q.head = (q.head + 1) % len(q.ready)
	q.n--
	return true
}
