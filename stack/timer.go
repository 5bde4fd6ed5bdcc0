package stack

import (
	"container/heap"
	"time"

	"arpeggio/stack/link"
	"arpeggio/stack/tcp"
)

// timerHeap orders connections by when they are next looked at. It is lazy: a
// deadline that moves back or vanishes leaves its entry where it is, and the
// look in vain is cheaper than moving the entry with every acknowledgment.
type timerHeap []*TCPConn

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(a, b int) bool { return h[a].timerAt < h[b].timerAt }
func (h timerHeap) Swap(a, b int) {
	h[a], h[b] = h[b], h[a]
	h[a].timerIndex, h[b].timerIndex = a, b
}

// Push implements heap.Interface.
func (h *timerHeap) Push(x any) {
	c := x.(*TCPConn)
	c.timerIndex = len(*h)
	*h = append(*h, c)
}

// Pop implements heap.Interface.
func (h *timerHeap) Pop() any {
	old := *h
	c := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	c.timerIndex = -1
	return c
}

// minTimer keeps a deadline in the past from making a run loop spin.
const minTimer = 100 * time.Microsecond

// arm sees to it that c is looked at by its deadline.
func (s *Stack) arm(c *TCPConn, now tcp.Instant) {
	d := c.m.Deadline()
	if d == 0 {
		return
	}
	d = max(d, now.Add(minTimer))
	switch {
	case c.timerIndex < 0:
		c.timerAt = d
		heap.Push(&s.timers, c)
	case d < c.timerAt:
		c.timerAt = d
		heap.Fix(&s.timers, c.timerIndex)
	}
}

// disarm forgets c.
func (s *Stack) disarm(c *TCPConn) {
	if c.timerIndex >= 0 {
		heap.Remove(&s.timers, c.timerIndex)
	}
}

// runTimers marks the connections whose time has come expires fragments and
// reports groups.
func (s *Stack) runTimers(now tcp.Instant) {
	for len(s.timers) > 0 && s.timers[0].timerAt <= now {
		heap.Pop(&s.timers).(*TCPConn).changed()
	}
	if d := s.reasm.Deadline(); !d.IsZero() && s.instant(d) <= now {
		s.expireFragments(now)
	}
	s.runIGMP(now)
}

// nextTimer returns when runTimers is next due, zero when nothing waits.
func (s *Stack) nextTimer() (t tcp.Instant) {
	if len(s.timers) > 0 {
		t = s.timers[0].timerAt
	}
	if d := s.reasm.Deadline(); !d.IsZero() {
		if r := s.instant(d); t == 0 || r < t {
			t = r
		}
	}
	if d := s.igmpDue(); d > 0 && (t == 0 || d < t) {
		t = d
	}
	return t
}

// deadline returns how long p's loop may wait. The first port's loop runs the
// timers of all.
func (s *Stack) deadline(p *port) tcp.Instant {
	if len(s.ports) == 0 || s.ports[0] != p {
		return 0
	}
	return s.nextTimer()
}

// wakeFor returns the device to wake because its loop waits for longer than
// the next timer, nil when there is none. The caller calls Wake after
// releasing mu.
func (s *Stack) wakeFor() link.Device {
	if len(s.ports) == 0 || !s.ports[0].idle {
		return nil
	}
	p, t := s.ports[0], s.nextTimer()
	if t == 0 || t >= p.waiting {
		return nil
	}
	p.waiting = t
	return p.dev
}
