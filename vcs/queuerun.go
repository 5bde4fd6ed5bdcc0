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
	series  series
}

// commit commits changes, at most batch in one commit.
func (b *queueRun[K, V]) commit(slots []queueSlot[K, V], batch int) {
	for len(slots) > 0 {
		if batch == 1 {
			slots = slots[b.each(slots[:min(len(slots), maxSeries)]):]
			continue
		}
		n := min(len(slots), batch)
		c := b.gather(slots[:n])
		made, err := b.one(c, b.info(c))
		if err != nil && n > 1 {
			b.commit(slots[:n], 1) // the others are not to suffer
		} else {
			b.count(c, made, err)
		}
		slots = slots[n:]
	}
	clear(b.changes[:cap(b.changes)])
}

// each commits changes, at most maxSeries, in a commit each, and returns how many
// there were.
func (b *queueRun[K, V]) each(slots []queueSlot[K, V]) int {
	steps := b.series.steps[:len(slots)]
	for i := range slots {
		b.step(&steps[i], slots[i:i+1])
	}
	for i := 0; i < len(slots); {
		if len(slots)-i > 1 {
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
		c := b.gather(slots[i : i+1])
		made, err := b.one(c, steps[i].info)
		b.count(c, made, err)
		i++
	}
	clear(steps)
	return len(slots)
}

// step describes the commit of one change.
func (b *queueRun[K, V]) step(x *step, slot []queueSlot[K, V]) {
	x.info = b.info(b.gather(slot))
	change := &slot[0].change
	if !change.Value.Present || x.info.AllowEmpty {
		return
	}
	x.path, x.mode = b.r.cfg.Layout.Path(change.Key), ModeFile
	var err error
	x.content, err = b.r.encode(x.path, change.Value.Value)
	x.fit = err == nil // a Commit will say what is wrong
}

// gather returns what is committed at once.
func (b *queueRun[K, V]) gather(slots []queueSlot[K, V]) Queued[K, V] {
	c := Queued[K, V]{Changes: b.changes[:0], Time: time.Unix(0, slots[len(slots)-1].when)}
	for i := range slots {
		c.Changes = append(c.Changes, slots[i].change)
		c.Folded += slots[i].folded
	}
	b.changes = c.Changes[:0]
	return c
}

// info describes a commit.
func (b *queueRun[K, V]) info(c Queued[K, V]) CommitInfo {
	info := b.cfg.Describe(c)
	if info.Time.IsZero() {
		info.Time = c.Time
	}
	return info
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
