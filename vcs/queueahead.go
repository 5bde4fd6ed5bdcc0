package vcs

import "time"

// The commits of a queue's changes are described, and the changes encoded and
// hashed, while those before are committed.

// queuePart is changes that were taken from a queue, one for each commit, with
// what was made ready for those.
type queuePart[K comparable, V any] struct {
	free  chan<- *queuePart[K, V] // takes it back
	n     int
	slots [maxSeries]queueSlot[K, V]
	steps [maxSeries]step
}

// prepared starts to make changes ready, one part ahead of who ranges over them. It
// ends after Close, when nothing is left.
func (q *Queue[K, V]) prepared() <-chan *queuePart[K, V] {
	const parts = 2
	free, ready := make(chan *queuePart[K, V], parts), make(chan *queuePart[K, V])
	for range parts {
		free <- &queuePart[K, V]{free: free}
	}
	go func() {
		defer close(ready)
		w := queuePreparer[K, V]{Queue: q}
		for p := range free {
			if p.n = q.take(p.slots[:], true); p.n == 0 {
				return
			}
			w.prepare(p, 0)
			w.hand(p, ready)
		}
	}()
	return ready
}

// queuePreparer makes changes ready. It is for one goroutine.
type queuePreparer[K comparable, V any] struct {
	*Queue[K, V]
	room queueRoom[K, V]
	hash series
}

// hand gives a part to the committer. While that is busy and there are more
// changes, they become a part of it.
func (w *queuePreparer[K, V]) hand(p *queuePart[K, V], ready chan<- *queuePart[K, V]) {
	for p.n < len(p.slots) {
		select {
		case ready <- p:
			return
		default:
		}
		n := w.take(p.slots[p.n:], false)
		if n == 0 {
			break
		}
		p.n += n
		w.prepare(p, p.n-n)
	}
	ready <- p
}

// prepare makes the changes of a part from one on ready.
func (w *queuePreparer[K, V]) prepare(p *queuePart[K, V], from int) {
	steps := p.steps[from:p.n]
	w.calls.Lock()
	for i := range steps {
		steps[i].info = w.info(w.room.gather(p.slots[from+i:][:1]))
	}
	w.calls.Unlock()
	w.room.clear()
	for i := range steps {
		w.step(&steps[i], &p.slots[from+i].change)
	}
	w.hash.contents(steps)
}

// step encodes what one change puts into a file.
func (w *queuePreparer[K, V]) step(x *step, c *Change[K, V]) {
	if !c.Value.Present || x.info.AllowEmpty {
		return
	}
	x.path, x.mode = w.r.cfg.Layout.Path(c.Key), ModeFile
	var err error
	x.content, err = w.r.encode(x.path, c.Value.Value)
	x.fit = err == nil // a Commit will say what is wrong
}

// queueRoom is room for changes that go into one commit.
type queueRoom[K comparable, V any] struct{ changes []Change[K, V] }

// gather returns what is committed at once, which is good until the next call.
func (r *queueRoom[K, V]) gather(slots []queueSlot[K, V]) Queued[K, V] {
	c := Queued[K, V]{Changes: r.changes[:0], Time: time.Unix(0, slots[len(slots)-1].when)}
	for i := range slots {
		c.Changes = append(c.Changes, slots[i].change)
		c.Folded += slots[i].folded
	}
	r.changes = c.Changes[:0]
	return c
}

// clear lets go of the changes.
func (r *queueRoom[K, V]) clear() { clear(r.changes[:cap(r.changes)]) }

// info describes a commit. Calls is held.
func (q *Queue[K, V]) info(c Queued[K, V]) CommitInfo {
	info := q.cfg.Describe(c)
	if info.Time.IsZero() {
		info.Time = c.Time
	}
	return info
}
