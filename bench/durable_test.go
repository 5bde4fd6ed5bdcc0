package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/badger"
)

// slowSync is how long a sync of an ordinary disk takes.
const slowSync = 4 * time.Millisecond

// durable: commits that survive a power cut, many to a sync and one.
func durable(ctx context.Context, b *board) {
	b.section("Durable commits on one disk, 10,000 entries")
	dir, err := os.MkdirTemp("", "bench-durable-")
	if err != nil {
		b.fail("disk", err)
		return
	}
	defer os.RemoveAll(dir)
	const many = 50_000
	sides := []func(context.Context, string) (float64, error){
		fileSynced,
		func(ctx context.Context, dir string) (float64, error) { return onDisk(ctx, dir, many, alone, 0) },
		func(ctx context.Context, dir string) (float64, error) { return onDisk(ctx, dir, many, throughQueue, 0) },
		func(ctx context.Context, dir string) (float64, error) { return onDisk(ctx, dir, 500, syncEach, 0) },
		func(ctx context.Context, dir string) (float64, error) {
			return onDisk(ctx, dir, many, alone, slowSync)
		},
		func(ctx context.Context, dir string) (float64, error) {
			return onDisk(ctx, dir, many, throughQueue, slowSync)
		},
		func(ctx context.Context, dir string) (float64, error) {
			return onDisk(ctx, dir, 250, syncEach, slowSync)
		},
	}
	rates := make([][]float64, len(sides))
	for round := range 3 {
		for i, side := range sides {
			rate, err := side(ctx, filepath.Join(dir, fmt.Sprint(round, i)))
			if err != nil {
				b.fail("commits", err)
				return
			}
			rates[i] = append(rates[i], rate)
		}
	}
	r := func(i int) float64 { return median(rates[i]) }
	note := ""
	if r(0) > 2000 {
		note = "syncs here cost next to nothing: see the next section"
	}
	rows := func(alone, queue, each float64) {
		b.add(Row{Name: "group commit on vcs/badger, one by one", Value: alone, Unit: "commits/s", Note: "all durable at the end; reopened, head compared"})
		b.add(Row{Name: "group commit on vcs/badger, a vcs.Queue", Value: queue, Unit: "commits/s"})
		b.add(Row{Name: "one sync a commit on vcs/badger", Value: each, Unit: "commits/s", Ratio: max(alone, queue) / each, Bar: AtLeast(100),
			Note: fmt.Sprintf("one by one %.1f×", alone/each)})
	}
	b.add(Row{Name: "100 bytes appended to a file and synced", Value: r(0), Unit: "syncs/s", Note: note})
	rows(r(1), r(2), r(3))
	b.section(fmt.Sprintf("The same where each sync takes %v longer", slowSync))
	rows(r(4), r(5), r(6))
}

// slowDisk is a backend whose syncs take longer.
type slowDisk struct {
	*badger.Backend
	by time.Duration
}

func (d slowDisk) Apply(ctx context.Context, b *vcs.Batch) error {
	time.Sleep(d.by)
	return d.Backend.Apply(ctx, b)
}

// How commits are made.
const (
	alone        = iota // one after the other, and one Sync behind the last
	throughQueue        // put into a queue, and one Flush behind the last
	syncEach            // with a Sync behind each
)

// onDisk returns how many commits a second became durable.
func onDisk(ctx context.Context, dir string, n, how int, slower time.Duration) (rate float64, err error) {
	open := func() (vcs.Backend, error) {
		back, err := badger.Open(ctx, dir, badger.Config{})
		return slowDisk{back, slower}, err
	}
	back, err := open()
	if err != nil {
		return 0, err
	}
	const entries = 10_000
	q, err := newQueuedOn(ctx, entries, false, back)
	if err != nil {
		return 0, err
	}
	o := q.o
	if o.head, err = o.Head(branch); err != nil {
		return 0, errors.Join(err, q.close())
	}
	start := time.Now()
	switch how {
	case throughQueue:
		if err = q.steps(ctx, n); err == nil {
			o.head, err = o.Head(branch)
		}
	case alone:
		err = o.steps(ctx, n)
	case syncEach:
		for i := 0; err == nil && i < n; i++ {
			if err = o.step(ctx); err == nil {
				err = o.Sync(ctx)
			}
		}
	}
	rate = float64(n) / time.Since(start).Seconds()
	head := o.head
	if err = errors.Join(err, q.close()); err != nil {
		return 0, err
	}
	if back, err = open(); err != nil {
		return 0, err
	}
	if o, err = openOurs(ctx, back); err != nil {
		return 0, err
	}
	if o.head != head {
		err = fmt.Errorf("head is %v after reopening, was %v", o.head, head)
	}
	return rate, errors.Join(err, o.Close())
}

// fileSynced is what the disk can do.
func fileSynced(_ context.Context, name string) (float64, error) {
	f, err := os.Create(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	const n = 200
	start := time.Now()
	for range n {
		if _, err := f.Write(make([]byte, 100)); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
	}
	return n / time.Since(start).Seconds(), nil
}
