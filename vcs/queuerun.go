package vcs

import (
	"errors"
	"fmt"
	"time"
)

// queueRun commits what a queue took. It is for the committer's goroutine.
type queueRun[K comparable, V any] struct {
	*Queue[K, V]
	changes []Change[K, V]
	head    ID // of the branch, as it was last
}

// commit commits changes, at most batch in one commit.
func (b *queueRun[K, V]) commit(slots []queueSlot[K, V], batch int) {
	for len(slots) > 0 {
		n := min(len(slots), batch)
		c := Queued[K, V]{Changes: b.changes[:0], Time: time.Unix(0, slots[n-1].when)}
		for i := range slots[:n] {
			c.Changes = append(c.Changes, slots[i].change)
			c.Folded += slots[i].folded
		}
		b.changes = c.Changes[:0]
		made, err := b.one(c)
		if err != nil && n > 1 {
			b.commit(slots[:n], 1) // the others are not to suffer
		} else {
			b.count(c, made, err)
		}
		slots = slots[n:]
	}
	clear(b.changes[:cap(b.changes)])
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
		b.cfg.Failed(c, err)
	}
}

// one makes one commit. While the store takes no more it waits.
func (b *queueRun[K, V]) one(c Queued[K, V]) (made bool, err error) {
	info := b.cfg.Describe(c)
	if info.Time.IsZero() {
		info.Time = c.Time
	}
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
