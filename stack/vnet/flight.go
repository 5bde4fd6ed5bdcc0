package vnet

import (
	"time"

	"arpeggio/stack/link"
)

// packet is a frame on a cable or in a queue, in a buffer of the pool beside it.
type packet struct {
	at   time.Time // arrival
	seq  uint64    // keeps the order of equal arrivals
	from *Port     // on the way into the switch: where it came from
	tail int       // trailing octets in buf
	buf  []byte
	csum link.Csum
	gso  link.GSO
}

// maxFlight bounds the frames on one cable.
const maxFlight = 1 << 16

// flight holds frames on a cable: a binary heap by arrival.
type flight struct {
	heap []packet
	seq  uint64
}

func less(a, b *packet) bool {
	if a.at.Equal(b.at) {
		return a.seq < b.seq
	}
	return a.at.Before(b.at)
}

// push takes p and reports whether there was room.
func (f *flight) push(p packet) bool {
	if len(f.heap) >= maxFlight {
		return false
	}
	f.seq++
	p.seq = f.seq
	f.heap = append(f.heap, p)
	h := f.heap
	for i := len(h) - 1; i > 0; {
		up := (i - 1) / 2
		if !less(&h[i], &h[up]) {
			break
		}
		h[i], h[up] = h[up], h[i]
		i = up
	}
	return true
}

// pop removes the packet that arrives first; there must be one.
func (f *flight) pop() packet {
	h := f.heap
	first, last := h[0], len(h)-1
	h[0], h[last] = h[last], packet{}
	h = h[:last]
	f.heap = h
	for i := 0; ; {
		c := 2*i + 1
		if c+1 < len(h) && less(&h[c+1], &h[c]) {
			c++
		}
		if c >= len(h) || !less(&h[c], &h[i]) {
			return first
		}
		h[i], h[c] = h[c], h[i]
		i = c
	}
}

// due reports whether a packet has arrived by now.
func (f *flight) due(now time.Time) bool { return len(f.heap) > 0 && !f.heap[0].at.After(now) }

// next returns when the first packet arrives; zero when there is none.
func (f *flight) next() time.Time {
	if len(f.heap) == 0 {
		return time.Time{}
	}
	return f.heap[0].at
}

// pool keeps a bounded number of buffers of two sizes.
type pool struct{ small, big [][]byte }

const (
	smallBuf, smallKeep = 2 << 10, 512
	bigBuf, bigKeep     = 66 << 10, 8
)

// get returns an empty buffer for n octets.
func (p *pool) get(n int) []byte {
	list, size := &p.small, smallBuf
	if n > smallBuf {
		list, size = &p.big, bigBuf
	}
	if k := len(*list); k > 0 {
		b := (*list)[k-1]
		*list = (*list)[:k-1]
		return b[:0]
	}
	return make([]byte, 0, max(size, n))
}

func (p *pool) release(b []byte) {
	switch {
	case cap(b) == smallBuf && len(p.small) < smallKeep:
		p.small = append(p.small, b)
	case cap(b) == bigBuf && len(p.big) < bigKeep:
		p.big = append(p.big, b)
	}
}
