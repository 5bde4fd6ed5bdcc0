package sink

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"arpeggio/arp/observe"
)

// Counts says what became of the events that a sink was told of.
type Counts struct {
	Delivered uint64
	Failed    uint64 // given up: refused, no answer, or a command that did not exit with 0
	Dropped   uint64 // the queue was full, or the run was over
}

// Missing returns how many did not arrive.
func (c Counts) Missing() uint64 { return c.Failed + c.Dropped }

// Sink takes events. Tell and Counts may be called by several goroutines.
type Sink interface {
	// Name says what it is and where it leads, for people.
	Name() string
	// Tell takes an event, which nobody may change any more. It does not wait,
	// unless the sink was made with Wait.
	Tell(*observe.Line)
	// Counts returns the counts so far.
	Counts() Counts
	// Close delivers what is queued until ctx ends, and counts the rest as
	// dropped. Tell must not be called any more.
	Close(ctx context.Context)
}

// Defaults of Options.
const (
	DefaultQueue    = 1000
	DefaultPatience = time.Minute
)

// The pause before a delivery is tried for the second time, which doubles each
// time, up to the longest.
const (
	firstPause = 250 * time.Millisecond
	maxPause   = 10 * time.Second
)

// Options are common to the sinks that have a queue. The zero value works.
type Options struct {
	// Queue is how many events may wait, DefaultQueue when 0.
	Queue int
	// Wait, when it is not nil, has Tell wait for room in the queue until Wait is
	// closed: for captures, which do not run away.
	Wait <-chan struct{}
	// Patience is how long a delivery is tried again, DefaultPatience when 0. With
	// Wait, once a delivery was given up, later ones are tried once.
	Patience time.Duration
	// Logger hears when a receiver fails and when it works again; nil discards.
	Logger *slog.Logger
}

// queue stands between those who tell and the goroutines that deliver. Deliver
// gets the events one after the other, of one goroutine in their order.
type queue struct {
	name    string
	lines   chan *observe.Line
	wait    <-chan struct{}
	log     *slog.Logger
	ctx     context.Context // of the deliveries
	cancel  context.CancelFunc
	workers sync.WaitGroup

	delivered, failed, dropped atomic.Uint64
	failing                    atomic.Bool // the last try failed
	gaveUp                     atomic.Bool // the last delivery failed

	patience time.Duration
	finish   func()
}

// newQueue returns a queue that start sets to work.
func newQueue(name string, o Options) *queue {
	if o.Queue <= 0 {
		o.Queue = DefaultQueue
	}
	if o.Patience <= 0 {
		o.Patience = DefaultPatience
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	q := &queue{name: name, lines: make(chan *observe.Line, o.Queue), wait: o.Wait, log: o.Logger, patience: o.Patience}
	q.ctx, q.cancel = context.WithCancel(context.Background())
	return q
}

// start has some goroutines deliver. Finish is called once after the last
// delivery; it may be nil.
func (q *queue) start(workers int, deliver func(context.Context, *observe.Line) error, finish func()) *queue {
	q.finish = finish
	for range workers {
		q.workers.Go(func() { q.work(deliver) })
	}
	return q
}

func (q *queue) work(deliver func(context.Context, *observe.Line) error) {
	for l := range q.lines {
		if q.ctx.Err() != nil {
			q.dropped.Add(1)
			continue
		}
		err := deliver(q.ctx, l)
		q.gaveUp.Store(err != nil)
		switch {
		case err == nil:
			q.delivered.Add(1)
			if q.failing.CompareAndSwap(true, false) {
				q.log.Warn("events are delivered again", "to", q.name)
			}
		case q.ctx.Err() != nil:
			q.dropped.Add(1)
		default:
			q.failed.Add(1)
			q.fails(err)
		}
	}
}

// errPermanent is wrapped by errors that trying again does not mend.
var errPermanent = errors.New("refused")

// retry calls try until it succeeds, with growing pauses, for as long as the
// queue's patience lasts.
func (q *queue) retry(ctx context.Context, try func(context.Context) error) error {
	once := q.wait != nil && q.gaveUp.Load()
	start := time.Now()
	for wait := firstPause; ; wait = min(2*wait, maxPause) {
		err := try(ctx)
		if err == nil || errors.Is(err, errPermanent) || once {
			return err
		}
		q.fails(err)
		if time.Since(start)+wait > q.patience || !pause(ctx, wait) {
			return err
		}
	}
}

// fails says once that a receiver does not work.
func (q *queue) fails(err error) {
	if q.failing.CompareAndSwap(false, true) {
		q.log.Warn("an event could not be delivered", "to", q.name, "err", err)
	}
}

// Name implements Sink.
func (q *queue) Name() string { return q.name }

// Tell implements Sink.
func (q *queue) Tell(l *observe.Line) {
	select {
	case q.lines <- l:
		return
	default:
	}
	if q.wait != nil {
		select {
		case q.lines <- l:
			return
		case <-q.wait:
		}
	}
	q.dropped.Add(1)
}

// Counts implements Sink.
func (q *queue) Counts() Counts {
	return Counts{Delivered: q.delivered.Load(), Failed: q.failed.Load(), Dropped: q.dropped.Load()}
}

// Close implements Sink.
func (q *queue) Close(ctx context.Context) {
	close(q.lines)
	stop := context.AfterFunc(ctx, q.cancel)
	q.workers.Wait()
	stop()
	q.cancel()
	if q.finish != nil {
		q.finish()
	}
}

// pause waits; it reports whether ctx has not ended.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
