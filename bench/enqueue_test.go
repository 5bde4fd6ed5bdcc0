package bench

import (
	"context"
	"errors"
	"math"
	"runtime"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// queueSide makes the workload's commits behind a queue: what is timed is from
// the first Put to the last commit's durability.
func queueSide(ctx context.Context, entries, commits int) (cost, vcs.ID, error) {
	q, err := newQueued(ctx, entries, false)
	if err != nil {
		return cost{}, vcs.ID{}, err
	}
	defer q.close()
	runtime.GC()
	stop := stopwatch()
	if err := q.steps(ctx, commits); err != nil {
		return cost{}, vcs.ID{}, err
	}
	took := stop()
	head, err := q.o.Head(branch)
	return took, head, err
}

// steps makes commits, which are durable when it returns. A full queue would fold
// changes of one key: before half of it is filled again, what filled it the time
// before has to be committed.
func (q *queued) steps(ctx context.Context, n int) error {
	before := make(chan error, 1)
	before <- nil
	for i := range n {
		k := q.w.next()
		if err := q.Put(addr(k), q.w.value(k)); err != nil {
			return err
		}
		if i%(queueSize/2) == queueSize/2-1 {
			flushed := make(chan error, 1)
			go func() { flushed <- q.Flush(ctx) }()
			if err := <-before; err != nil {
				return errors.Join(err, <-flushed)
			}
			before = flushed
		}
	}
	return errors.Join(<-before, q.Flush(ctx))
}

const queueSize = 16384

// queued is the workload's store with a queue in front.
type queued struct {
	*vcs.Queue[uint32, string]
	o       *ours
	w       *workload
	subject []byte
	gate    chan struct{} // when not nil, commits wait for it
}

// newQueued has the workload's time or, when live, the system's.
func newQueued(ctx context.Context, entries int, live bool) (*queued, error) {
	return newQueuedOn(ctx, entries, live, mem.New())
}

func newQueuedOn(ctx context.Context, entries int, live bool, back vcs.Backend) (*queued, error) {
	q := &queued{w: newWorkload(entries)}
	clock := func() time.Time { return time.Unix(q.w.now, 0) }
	if live {
		clock = nil
	}
	r, err := vcs.Open(ctx, back, vcs.Config[uint32, string]{Layout: newPathTable(entries), Merge: larger,
		Author: vcs.Signature{Name: authorName, Email: authorEmail}, StoreConfig: vcs.StoreConfig{CacheBytes: 64 << 20},
		Clock: clock})
	if err != nil {
		return nil, err
	}
	q.o = &ours{Repo: r, w: q.w}
	if err := q.o.create(ctx); err != nil {
		r.Close()
		return nil, err
	}
	if q.Queue, err = vcs.NewQueue(r, branch, vcs.QueueConfig[uint32, string]{Size: queueSize, Describe: q.describe}); err != nil {
		r.Close()
		return nil, err
	}
	return q, nil
}

func (q *queued) close() error { return errors.Join(q.Queue.Close(), q.o.Close()) }

// describe makes the message from the value, as a program would.
func (q *queued) describe(c vcs.Queued[uint32, string]) vcs.CommitInfo {
	if q.gate != nil {
		<-q.gate
	}
	const mac = len("state reachable\nmac ")
	change := c.Changes[0]
	q.subject = append(q.subject[:0], "arp: "...)
	q.subject = appendAddr(q.subject, change.Key)
	q.subject = append(q.subject, " -> "...)
	q.subject = append(q.subject, change.Value.Value[mac:mac+17]...)
	return vcs.CommitInfo{Message: string(q.subject), Time: c.Time}
}

// enqueue: what a change costs the one who makes it.
func enqueue(ctx context.Context, b *board) {
	b.section("Cost on the caller's path: vcs.Queue.Put, 10,000 entries")
	idle, allocs, err := enqueueCost(ctx, true)
	if err != nil {
		b.fail("enqueue", err)
		return
	}
	busy, _, err := enqueueCost(ctx, false)
	if err != nil {
		b.fail("enqueue", err)
		return
	}
	b.add(Row{Name: "enqueue, commits being made meanwhile", Value: busy, Unit: "ns", Bar: AtMost(150), Note: "mean of 1,000 in a row; median of 200 such bursts"})
	b.add(Row{Name: "enqueue, the committer at rest", Value: idle, Unit: "ns", Bar: AtMost(150)})
	b.add(Row{Name: "allocations of an enqueue", Value: allocs, Unit: "", Bar: AtMost(0), Note: "the committer at rest"})
}

// enqueueCost returns the median of the mean costs of bursts, in nanoseconds,
// and the allocations of a call. At rest the committer waits in its first commit,
// so that nothing else allocates.
func enqueueCost(ctx context.Context, rest bool) (nanos, allocs float64, err error) {
	const burst = 1000
	bursts := 200
	q, err := newQueued(ctx, 10_000, true)
	if err != nil {
		return 0, 0, err
	}
	defer q.close()
	var keys [burst]uint32
	var values [burst]string
	if rest {
		bursts = queueSize/burst - 1
		q.gate = make(chan struct{})
		defer close(q.gate)
		if err := q.Put(addr(1), q.w.value(q.w.next())); err != nil {
			return 0, 0, err
		}
		time.Sleep(10 * time.Millisecond) // until the committer waits
	}
	var took []float64
	var mallocs uint64
	for range bursts {
		for i := range keys {
			k := q.w.next()
			keys[i], values[i] = addr(k), q.w.value(k)
		}
		var before, after runtime.MemStats
		if rest {
			runtime.ReadMemStats(&before)
		}
		start := time.Now()
		for i := range keys {
			if err := q.Put(keys[i], values[i]); err != nil {
				return 0, 0, err
			}
		}
		took = append(took, float64(time.Since(start).Nanoseconds())/burst)
		if rest {
			runtime.ReadMemStats(&after)
			mallocs += after.Mallocs - before.Mallocs
		} else if q.Stats().Queued > queueSize/2 {
			if err := q.Flush(ctx); err != nil {
				return 0, 0, err
			}
		}
	}
	// In whole ones, as testing.AllocsPerRun: the runtime makes one now and then.
	return median(took), math.Floor(float64(mallocs) / float64(bursts*burst)), nil
}
