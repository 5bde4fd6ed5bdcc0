package observe

// queue is a first-in first-out queue that reuses its memory.
type queue[T any] struct {
	items []T
	head  int
}

func (q *queue[T]) len() int { return len(q.items) - q.head }

func (q *queue[T]) push(v T) {
	if q.head > 32 && q.head > len(q.items)/2 {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	q.items = append(q.items, v)
}

// pop removes the oldest; there must be one.
func (q *queue[T]) pop() T {
	var zero T
	v := q.items[q.head]
	q.items[q.head] = zero
	q.head++
	return v
}

// timer is something that falls due.
type timer struct {
	due int64
	seq uint64 // of two that fall due at once the earlier made comes first
	ep  *episode
	en  *entry
}

// timers is a binary heap of timers.
type timers []timer

func (h timers) less(i, j int) bool {
	return h[i].due < h[j].due || h[i].due == h[j].due && h[i].seq < h[j].seq
}

func (h *timers) push(t timer) {
	*h = append(*h, t)
	q := *h
	for i := len(q) - 1; i > 0; {
		up := (i - 1) / 2
		if !q.less(i, up) {
			return
		}
		q[i], q[up] = q[up], q[i]
		i = up
	}
}

// pop removes the first to fall due; there must be one.
func (h *timers) pop() timer {
	q := *h
	t := q[0]
	n := len(q) - 1
	q[0], q[n] = q[n], timer{}
	*h = q[:n]
	for i := 0; ; {
		c := 2*i + 1
		if c >= n {
			return t
		}
		if c+1 < n && q.less(c+1, c) {
			c++
		}
		if !q.less(c, i) {
			return t
		}
		q[i], q[c] = q[c], q[i]
		i = c
	}
}
