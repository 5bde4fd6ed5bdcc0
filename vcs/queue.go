package vcs

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// QueueConfig configures a Queue. The zero value works.
type QueueConfig[K comparable, V any] struct {
	// Size is how many changes wait in order before changes of one key are
	// folded into one. Default 16384. Their room is made by NewQueue.
	Size int
	// Batch is how many changes go into one commit at most: those that are
	// waiting, it never waits for more. Default 1.
	Batch int
	// Describe describes the commit of some changes; it is called by one
	// goroutine at a time, once for each commit and in their order, perhaps before
	// earlier ones are made, and must not keep Changes. A zero CommitInfo.Time is
	// that of the newest change. Nil: "set PATH" or "remove PATH", or how many
	// changes there are, and a trailer Folded when there is something to say.
	Describe func(Queued[K, V]) CommitInfo
	// Failed hears of changes that cannot be committed, such as a value that the
	// codec refuses or a path that cannot stand in a tree; they are left out. It
	// is called like Describe, and never at the same time. Nil logs to the store's
	// Logger.
	Failed func(Queued[K, V], error)
}

// Queued is what a Queue commits at once.
type Queued[K comparable, V any] struct {
	Changes []Change[K, V] // oldest first
	// Folded is how many further changes these stand for: earlier ones of the
	// same keys that were given up because the queue was full.
	Folded int
	Time   time.Time // of the newest change
}

// QueueStats counts what became of changes.
type QueueStats struct {
	Queued  int    // changes that wait now
	Changes uint64 // changes that were committed, or found to change nothing
	Commits uint64
	Folded  uint64 // changes that a later one of the same key has replaced
	Failed  uint64 // changes that could not be committed
}

// Queue takes changes of a branch without waiting for anything, and commits
// them in the background in the order in which they came: a packet path, say,
// that must not hash or wait calls Put. Its cost is a lock, the clock and a copy
// of key and value; it allocates nothing, except while the queue is full.
//
// A full queue does not block and loses no key: of each key that is changed
// meanwhile it keeps the newest value, which takes its turn behind those that
// wait, and counts the others; the next commit of that key can say so. So its
// memory is bounded by Size and the number of keys.
//
// The branch may have other writers: a change is made on top of theirs. A Queue
// is safe for concurrent use.
type Queue[K comparable, V any] struct {
	r      *Repo[K, V]
	branch string
	cfg    QueueConfig[K, V]
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}

	calls sync.Mutex // Describe or Failed is called

	mu     sync.Mutex
	more   sync.Cond         // something is queued, or closed
	ring   []queueSlot[K, V] // circular: n from first on
	first  int
	n      int
	spill  map[K]queueSlot[K, V] // what did not fit
	order  []K                   // of spill
	put    uint64                // changes that were ever queued, less those folded
	taken  uint64                // of those, the ones that were settled
	flush  []queueFlush
	err    error // of the first that failed since the last Flush
	closed bool
	stats  QueueStats
}

type queueSlot[K comparable, V any] struct {
	change Change[K, V]
	when   int64 // Unix nanoseconds
	folded int
}

// queueFlush waits until so many changes are settled.
type queueFlush struct {
	upTo uint64
	ch   chan error
}

// closeGrace is how long Close goes on trying when the store takes no more.
const closeGrace = 5 * time.Second

// NewQueue starts a queue in front of a branch, which need not exist yet. Close
// it before the store. The error wraps ErrBadRefName.
func NewQueue[K comparable, V any](r *Repo[K, V], branch string, cfg QueueConfig[K, V]) (*Queue[K, V], error) {
	if err := CheckRefName(BranchRef(branch)); err != nil {
		return nil, err
	}
	if cfg.Size <= 0 {
		cfg.Size = 16384
	}
	cfg.Batch = max(cfg.Batch, 1)
	q := &Queue[K, V]{r: r, branch: branch, cfg: cfg, done: make(chan struct{}), ring: make([]queueSlot[K, V], cfg.Size)}
	if q.cfg.Describe == nil {
		q.cfg.Describe = q.describe
	}
	if q.cfg.Failed == nil {
		q.cfg.Failed = func(c Queued[K, V], err error) {
			r.s.cfg.Logger.Error("vcs: queued changes are left out", "changes", len(c.Changes), "err", err)
		}
	}
	q.more.L = &q.mu
	q.ctx, q.cancel = context.WithCancel(context.Background())
	go q.run()
	return q, nil
}

// Put queues a new value of a key. After Close it returns ErrClosed.
func (q *Queue[K, V]) Put(k K, v V) error { return q.add(Change[K, V]{k, Opt[V]{v, true}}) }

// Remove queues that a key becomes absent. After Close it returns ErrClosed.
func (q *Queue[K, V]) Remove(k K) error { return q.add(Change[K, V]{Key: k}) }

func (q *Queue[K, V]) add(c Change[K, V]) error {
	when := q.r.cfg.Clock().UnixNano()
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return ErrClosed
	}
	if len(q.order) > 0 || q.n == len(q.ring) {
		q.fold(c, when)
		return nil
	}
	at := q.first + q.n
	if at >= len(q.ring) {
		at -= len(q.ring)
	}
	s := &q.ring[at]
	s.change, s.when = c, when
	q.put++
	if q.n++; q.n == 1 {
		q.more.Signal()
	}
	return nil
}

// fold queues a change that does not fit.
func (q *Queue[K, V]) fold(c Change[K, V], when int64) {
	old, ok := q.spill[c.Key]
	if !ok {
		if q.spill == nil {
			q.spill = make(map[K]queueSlot[K, V])
		}
		q.order = append(q.order, c.Key)
		q.put++
	} else {
		old.folded++
		q.stats.Folded++
	}
	q.spill[c.Key] = queueSlot[K, V]{c, when, old.folded}
}

// Flush returns when everything that was queued before the call is committed
// and durable. The error joins that of the first change that failed since the
// last Flush and that of Store.Sync, or is the context's.
func (q *Queue[K, V]) Flush(ctx context.Context) error {
	q.mu.Lock()
	if q.taken == q.put {
		err := q.err
		q.err = nil
		q.mu.Unlock()
		return errors.Join(err, q.r.Sync(ctx))
	}
	f := queueFlush{q.put, make(chan error, 1)}
	q.flush = append(q.flush, f)
	q.mu.Unlock()
	select {
	case err := <-f.ch:
		return errors.Join(err, q.r.Sync(ctx))
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close takes no more changes and waits until those that wait are committed;
// when the store takes no more it gives up after some seconds. It does not close
// the store. The error is that of the first change that failed since the last
// Flush.
func (q *Queue[K, V]) Close() error {
	q.mu.Lock()
	first := !q.closed
	q.closed = true
	q.more.Broadcast()
	q.mu.Unlock()
	if !first {
		<-q.done
		return nil
	}
	timer := time.AfterFunc(closeGrace, q.cancel)
	<-q.done
	timer.Stop()
	q.cancel()
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.err
}

// Stats returns counts so far.
func (q *Queue[K, V]) Stats() QueueStats {
	q.mu.Lock()
	defer q.mu.Unlock()
	st := q.stats
	st.Queued = q.n + len(q.order)
	return st
}

// take moves waiting changes to slots. When asked to wait it waits for the first,
// and returns 0 after Close, when nothing is left.
func (q *Queue[K, V]) take(slots []queueSlot[K, V], wait bool) (n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for wait && q.n+len(q.order) == 0 {
		if q.closed {
			return 0
		}
		q.more.Wait()
	}
	for ; n < len(slots) && q.n > 0; n++ {
		s := &q.ring[q.first]
		slots[n], *s = *s, queueSlot[K, V]{}
		if q.first++; q.first == len(q.ring) {
			q.first = 0
		}
		q.n--
	}
	for q.n == 0 && n < len(slots) && len(q.order) > 0 {
		k := q.order[0]
		slots[n] = q.spill[k]
		delete(q.spill, k)
		if q.order = q.order[1:]; len(q.order) == 0 {
			q.order, q.spill = nil, nil
		}
		n++
	}
	return n
}

// settle answers those who wait for changes that are done.
func (q *Queue[K, V]) settle(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.taken += uint64(n)
	left := q.flush[:0]
	for _, f := range q.flush {
		if f.upTo > q.taken {
			left = append(left, f)
			continue
		}
		f.ch <- q.err
		q.err = nil
	}
	q.flush = left
}

// describe is the default Describe.
func (q *Queue[K, V]) describe(c Queued[K, V]) CommitInfo {
	var b strings.Builder
	if len(c.Changes) == 1 {
		verb := "set "
		if !c.Changes[0].Value.Present {
			verb = "remove "
		}
		b.WriteString(verb)
		b.WriteString(q.r.cfg.Layout.Path(c.Changes[0].Key))
	} else {
		fmt.Fprintf(&b, "change %d keys", len(c.Changes))
	}
	if c.Folded > 0 {
		fmt.Fprintf(&b, "\n\nFolded: %d", c.Folded)
	}
	return CommitInfo{Message: b.String()}
}
