package versioned

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"arpeggio/arp"
	"arpeggio/vcs"
)

// maxBatch and maxHold bound how many learned changes reach the primary branch
// in one merge, and how long the first of them waits for it.
const (
	maxBatch = 512
	maxHold  = 100 * time.Millisecond
)

// retryDelay is the pause before a commit is tried again while the store takes
// no more.
const retryDelay = time.Second

// closeGrace is how long Close lets writers try when the store takes no more:
// a backend that is only busy has caught up by then.
const closeGrace = 5 * time.Second

// start starts the writers.
func (t *Table) start() {
	learn := make(chan item, maxBatch)
	t.ended.Go(func() { t.dispatch(learn) })
	t.ended.Go(func() { t.learner(learn) })
	go t.follower()
}

// dispatch takes the queue apart and hands each item to its writer, until Close
// and the end of the queue.
func (t *Table) dispatch(learn chan<- item) {
	defer close(learn)
	units := make(map[workKey]*unit)
	slots := make(chan struct{}, max(t.cfg.MaxWork, 0))
	for {
		t.mu.Lock()
		it, ok := t.queue.pop()
		closed := t.closed
		t.mu.Unlock()
		switch {
		case ok:
			t.route(it, units, slots, learn)
		case closed:
			for _, u := range units {
				close(u.in)
			}
			return
		default:
			<-t.wake
		}
	}
}

type workKey struct {
	id  uint64
	key arp.Key
}

func (t *Table) route(it item, units map[workKey]*unit, slots chan struct{}, learn chan<- item) {
	switch {
	case it.kind == itemBegin:
		select {
		case slots <- struct{}{}:
			u, err := t.open(kindOf(it.work.Kind), it.work.Key, it.work.Time)
			if err != nil {
				<-slots
				t.failed("open a branch", err)
				break
			}
			units[workKey{it.work.ID, it.work.Key}] = u
			t.ended.Go(func() {
				u.run()
				<-slots
			})
		default: // its outcome goes with what is learned
		}
		t.settle(it.gen)
	case it.kind == itemEnd:
		k := workKey{it.work.ID, it.work.Key}
		if u := units[k]; u != nil {
			delete(units, k)
			close(u.in)
		}
		t.settle(it.gen)
	case it.change.Op == arp.OpPinned || it.change.Op == arp.OpUnpinned:
		u, err := t.open(kindPin, it.change.Key, it.change.Time)
		if err != nil {
			t.failed("open a branch", err)
			learn <- it
			return
		}
		u.in <- it
		close(u.in)
		t.ended.Go(u.run)
	default:
		if u := units[workKey{it.change.Work, it.change.Key}]; u != nil {
			u.in <- it
			return
		}
		learn <- it
	}
}

// learner commits what is learned on a branch of its own, one commit a change,
// and merges it into the primary branch.
func (t *Table) learner(in <-chan item) {
	name := t.branchName(Learn)
	for it := range in {
		base, err := t.reopen(name)
		head, start := base, time.Now()
		var gens []uint64
		for more := true; more; {
			gens = append(gens, it.gen)
			if err == nil {
				head, err = t.commit(name, head, &it)
			}
			for try := 0; err != nil && try < 20 && errors.Is(err, vcs.ErrRefMoved); try++ {
				// somebody else has moved our branch: go on from there
				if base, err = t.reopen(name); err == nil {
					head, err = t.commit(name, base, &it)
				}
			}
			if err != nil {
				t.failed(it.title(), err)
				base, err = t.reopen(name)
				head = base
			}
			if more = len(gens) < maxBatch && time.Since(start) < maxHold; more {
				select {
				case next, ok := <-in:
					if more = ok; ok {
						it = next
					}
				default:
					more = false
				}
			}
		}
		if err == nil {
			what := fmt.Sprintf("%d learned changes", len(gens))
			if len(gens) == 1 && it.kind != itemFlood {
				what = "what was learned about " + Clean(it.change.Key.String())
			}
			t.merge(Learn, name, base, head, what, it.change.Time)
		}
		t.settle(gens...)
	}
}

// reopen moves the learning branch to the primary head, unless it still holds
// what a failed merge has left there, and returns its head.
func (t *Table) reopen(name string) (vcs.ID, error) {
	to, err := t.repo.Head(t.cfg.Branch)
	if err != nil {
		return vcs.ID{}, err
	}
	old, err := t.repo.Head(name)
	if err != nil && !errors.Is(err, vcs.ErrNotFound) {
		return vcs.ID{}, err
	}
	if !old.IsZero() {
		if done, err := t.repo.Store().IsAncestor(old, to); err != nil || !done {
			return old, err
		}
	}
	return to, t.repo.SetBranch(t.ctx, name, old, to)
}

// commit puts one item on a branch and returns the new head. While the store
// takes no more it waits, unless the Table is being closed.
//
// The branch may hold a later entry already, when another writer was faster
// and its work was merged before this branch was opened: that entry stays, and
// the commit only tells what happened.
func (t *Table) commit(branch string, head vcs.ID, it *item) (vcs.ID, error) {
	var changes []vcs.Change[arp.Key, Entry]
	writes := it.batch
	if it.kind == itemWrite {
		writes = []batched{{it.change.Key, it.entry}}
	}
	if len(writes) > 0 {
		snap, err := t.repo.AtCommit(head)
		if err != nil {
			return head, err
		}
		for _, w := range writes {
			have, ok, err := snap.Get(w.key)
			switch {
			case err != nil && !errors.Is(err, vcs.ErrDecode): // what is no entry is overwritten
				return head, err
			case ok:
				w.entry = Join(have, w.entry)
			}
			changes = append(changes, vcs.Change[arp.Key, Entry]{Key: w.key, Value: vcs.Some(w.entry)})
		}
	}
	info := t.info(t.message(it), it.change.Time, true)
	for {
		t.pause("commit")
		id, err := t.repo.Commit(t.ctx, branch, head, changes, info)
		if err == nil {
			t.mu.Lock()
			t.stats.Commits++
			t.stats.Delay.Add(time.Since(it.queued))
			t.mu.Unlock()
			if f := t.cfg.Committed; f != nil && it.change.Evidence.Len > 0 {
				f(id, &it.change)
			}
			return id, nil
		}
		if !errors.Is(err, vcs.ErrBacklog) || !t.later() {
			return head, err
		}
	}
}

// merge brings a branch of that kind, opened at base, into the primary one: by
// moving that when nobody else has, else by a three-way merge.
func (t *Table) merge(kind, branch string, base, head vcs.ID, what string, at time.Time) bool {
	opt := vcs.MergeOptions{CommitInfo: t.info(t.mergeMessage(kind, what, branch), at, true)}
	t.pause("merge")
	if t.repo.SetBranch(t.ctx, t.cfg.Branch, base, head) == nil {
		t.count(&t.stats.Forward)
		return true
	}
	for {
		res, err := t.repo.Merge(t.ctx, t.cfg.Branch, head, opt)
		switch {
		case err == nil && res.Kind == vcs.Merged:
			t.count(&t.stats.Merges)
			return true
		case err == nil:
			t.count(&t.stats.Forward)
			return true
		case errors.Is(err, vcs.ErrRefMoved):
		case !errors.Is(err, vcs.ErrBacklog) || !t.later():
			t.failed("merge "+branch, err)
			return false
		}
	}
}

// later waits before another attempt; false means that there is no time left.
func (t *Table) later() bool {
	select {
	case <-time.After(retryDelay):
		return true
	case <-t.stop:
	}
	if time.Since(t.closing) > closeGrace {
		return false
	}
	time.Sleep(retryDelay / 10)
	return true
}

func (t *Table) count(n *uint64) {
	t.mu.Lock()
	*n++
	t.mu.Unlock()
}

func (t *Table) failed(what string, err error) {
	t.count(&t.stats.Failed)
	t.cfg.Logger.Error("versioned: not committed", "what", what, "err", err)
}

// barrier is a Sync that waits for everything queued up to a generation.
type barrier struct {
	gen  uint64
	done chan struct{}
}

// settle notes that items of these generations need no more attention.
func (t *Table) settle(gens ...uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, g := range gens {
		if t.busy[g]--; t.busy[g] == 0 {
			delete(t.busy, g)
		}
	}
	t.syncs = slices.DeleteFunc(t.syncs, func(b barrier) bool {
		for g := range t.busy {
			if g <= b.gen {
				return false
			}
		}
		close(b.done)
		return true
	})
}

// Sync returns when everything that the Table was told before is committed,
// merged and durable. Neither work under way nor what comes meanwhile is waited
// for.
func (t *Table) Sync(ctx context.Context) error {
	t.mu.Lock()
	t.tellFolded(time.Now(), true)
	var wait chan struct{}
	if len(t.busy) > 0 {
		wait = make(chan struct{})
		t.syncs = append(t.syncs, barrier{t.gen, wait})
		t.gen++
	}
	t.mu.Unlock()
	if wait != nil {
		select {
		case <-wait:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return t.repo.Sync(ctx)
}

// Close commits and merges what is queued, makes it durable and ends the
// writers. Afterwards the Table still answers, but records no more. It is
// idempotent.
func (t *Table) Close() error {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return nil
	}
	t.tellFolded(time.Now(), true)
	t.closed = true
	if t.timer != nil {
		t.timer.Stop()
	}
	t.mu.Unlock()
	t.closing = time.Now()
	close(t.stop)
	select {
	case t.wake <- struct{}{}:
	default:
	}
	t.ended.Wait()
	t.follow.Close()
	<-t.followed
	t.cancel()
	return t.repo.Sync(context.Background())
}
