package bench

import (
	"context"
	"runtime"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// retained: what a commit leaves behind, in the log and in memory.
func retained(ctx context.Context, b *board) {
	const n = 2_000_000
	b.section("Retained history, the same workload, bytes a commit")
	back := mem.New()
	o, err := newOurs(ctx, 10_000, back)
	if err != nil {
		b.fail("workload", err)
		return
	}
	defer o.Close()
	// The caches fill first, also that of the numbers of some commits of each group.
	if err = o.steps(ctx, 200_000); err != nil {
		b.fail("workload", err)
		return
	}
	heap, err := o.heapFloor(ctx)
	log := 0
	if err == nil {
		log, err = logBytes(ctx, back)
	}
	if err == nil {
		err = o.steps(ctx, n-heapSteps*heapReadings)
	}
	var floor int64
	if err == nil {
		floor, err = o.heapFloor(ctx)
	}
	if err != nil {
		b.fail("workload", err)
		return
	}
	heap = floor - heap
	after, err := logBytes(ctx, back)
	if err != nil {
		b.fail("workload", err)
		return
	}
	each := func(bytes int64) float64 { return float64(bytes) / float64(n) }
	b.add(Row{Name: "log records", Value: each(int64(after - log)), Unit: "bytes", Bar: AtMost(32)})
	b.add(Row{Name: "all memory, by growth of the heap", Value: each(heap), Unit: "bytes", Bar: AtMost(32),
		Note: Number(float64(n)) + " commits; least of ten readings, after and before"})
	runtime.KeepAlive(back)
	retainedTable(ctx, b)
}

// A head that is committed to is copied every some thousand commits: two
// megabytes that come and go.
const heapSteps, heapReadings = 2_300, 10

// heapFloor makes heapSteps*heapReadings commits and returns the bytes of live
// objects when they were fewest.
func (o *ours) heapFloor(ctx context.Context) (least int64, err error) {
	for i := range heapReadings {
		if err := o.steps(ctx, heapSteps); err != nil {
			return 0, err
		}
		if now := heapBytes(); i == 0 || now < least {
			least = now
		}
	}
	return least, nil
}

// logBytes returns the size of a backend's log.
func logBytes(ctx context.Context, b vcs.Backend) (n int, err error) {
	st, err := b.Load(ctx)
	if err != nil {
		return 0, err
	}
	for rec, err := range st.Log {
		if err != nil {
			return 0, err
		}
		n += len(rec)
	}
	return n, nil
}

// heapBytes returns the bytes of live objects.
func heapBytes() int64 {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
