package vcs

import (
	"errors"
	"fmt"
	"time"
)

// queueRun commits what a queue took. It is for the committer's goroutine.
type queueRun[K comparable, V any] struct {
	*Queue[K, V]
	room   queueRoom[K, V]
	head   ID // of the branch, as it was last
	series series
}

// takeChunk is how many changes are taken from the queue at once.
const takeChunk = maxSeries

// run is the committer.
func (q *Queue[K, V]) run() {
	defer close(q.done)
	b := &queueRun[K, V]{Queue: q}
	if q.cfg.Batch == 1 {
		for p := range q.prepared() {
			b.each(p)
			clear(p.slots[:p.n])
			clear(p.steps[:p.n])
			q.settle(p.n)
			p.free <- p
		}
		return
	}
	slots := make([]queueSlot[K, V], max(takeChunk, q.cfg.Batch))
	for {
		n := q.take(slots, true)
		if n == 0 {
			return
		}
		b.commit(slots[:n])
		clear(slots[:n])
		q.settle(n)
	}
}

// commit commits changes, at most as many as a batch in one commit.
func (b *queueRun[K, V]) commit(slots []queueSlot[K, V]) {
	for len(slots) > 0 {
		n := min(len(slots), b.cfg.Batch)
		c, made, err := b.described(slots[:n])
		if err == nil || n == 1 {
			b.count(c, made, err)
		} else {
			for i := range slots[:n] { // the others are not to suffer
				b.count(b.described(slots[i : i+1]))
			}
		}
		slots = slots[n:]
	}
	b.room.clear()
}

// described makes one commit of some changes.
func (b *queueRun[K, V]) described(slots []queueSlot[K, V]) (c Queued[K, V], made bool, err error) {
	c = b.room.gather(slots)
	b.calls.Lock()
	info := b.info(c)
	b.calls.Unlock()
	made, err = b.one(c, info)
	return c, made, err
}

// each commits changes in a commit each.
func (b *queueRun[K, V]) each(p *queuePart[K, V]) {
	steps := p.steps[:p.n]
	for i := 0; i < len(steps); {
		if len(steps)-i > 1 {
			head, done, made := b.r.commitSeries(b.ctx, &b.series, b.branch, b.head, steps[i:])
			if done > 0 {
				b.head = head
				b.mu.Lock()
				b.stats.Changes += uint64(done)
				b.stats.Commits += uint64(made)
				b.mu.Unlock()
				i += done
				continue
			}
		}
		c := b.room.gather(p.slots[i : i+1])
		made, err := b.one(c, steps[i].info)
		b.count(c, made, err)
		i++
	}
	b.room.clear()
}

// count counts changes that are done with.
func (b *queueRun[K, V]) count(c Queued[K, V], made bool, err error) {
	b.mu.Lock()
	n := uint64(len(c.Changes))
	switch {
	case err != nil:
		b.stats.Failed += n
		if b.err == nil {
			b.err = err
		}
	case made:
		b.stats.Commits++
		fallthrough
	default:
		b.stats.Changes += n
	}
	b.mu.Unlock()
	if err != nil {
		b.calls.Lock()
		b.cfg.Failed(c, err)
		b.calls.Unlock()
	}
}

// one makes one commit. While the store takes no more it waits.
func (b *queueRun[K, V]) one(c Queued[K, V], info CommitInfo) (made bool, err error) {
	for {
		id, err := b.r.Commit(b.ctx, b.branch, b.head, c.Changes, info)
		switch {
		case err == nil:
			made = id != b.head
			b.head = id
			return made, nil
		case errors.Is(err, ErrRefMoved):
			b.head, _ = b.r.s.Ref(BranchRef(b.branch))
		case errors.Is(err, ErrBacklog):
			select {
			case <-time.After(retryDelay):
			case <-b.ctx.Done():
				return false, fmt.Errorf("vcs: queue: %w", err)
			}
		default:
			return false, fmt.Errorf("vcs: queue: %w", err)
		}
	}
}
