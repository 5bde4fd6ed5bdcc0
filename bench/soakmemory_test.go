package bench

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"runtime/pprof"
	"testing"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/archive"
	"arpeggio/vcs/mem"
)

const (
	// flat is by how much resident memory may differ from the middle.
	flat = 2 << 20
	// creep is by how much what is live at rest may differ: caches that are full or
	// have just been given back.
	creep = 8 << 20
	// beside is what the long run may take in all beside the bound of its log, as
	// GOMEMLIMIT counts it: a guest sets its limit from the machine's memory in the
	// same way. Nothing else makes the collector run, so that the resident memory
	// of a run that stays within the limit is the limit, and one that does not goes
	// beyond.
	beside = 128 << 20
)

// A store that is bounded in memory keeps within it however long it runs, and
// its archives and what it still has make up the history, id by id.
//
// Memory is looked at in two ways. The peak of each epoch is the kernel's own
// (VmHWM, set back at each look), and must be flat. What the store holds at rest
// is looked at whenever an epoch has been archived, when all is saved and nothing
// else is going on: the live heap after a collection without the log's own bytes,
// which go up and down by a whole epoch. It must not creep up below the limit,
// where the peak would not tell.
func TestFlatMemory(t *testing.T) {
	n := soakCommits(4_000)
	r, every := vcs.Retention{MaxCommits: 1000}, 250
	if soak() { // 64 MiB for ten million
		r, every = vcs.Retention{MaxBytes: max(64<<20*int64(n)/10_000_000, 16<<20), Chains: []vcs.Chain{}}, 2_000
		defer debug.SetMemoryLimit(debug.SetMemoryLimit(r.MaxBytes + beside))
		defer debug.SetGCPercent(debug.SetGCPercent(-1))
	}
	l := newLongRun(t, t.TempDir(), mem.New(), r, archive.Config{})
	var peaks, rest residency
	rested := 0
	start := time.Now()
	err := l.run(t.Context(), n, every, func() error {
		hwm, err := statusBytes("VmHWM:")
		if err != nil {
			return err
		}
		if l.archived() > rested {
			if err := errors.Join(l.Sync(t.Context()), l.collect(t.Context())); err != nil {
				return err
			}
			rested = l.archived()
			if err := heapProfile(fmt.Sprintf("%s.%d", os.Getenv("SOAK_HEAP"), rested)); err != nil {
				return err
			}
			live, log := heapBytes(), l.logBytes()
			debug.FreeOSMemory()
			rss, err := statusBytes("VmRSS:")
			if err != nil {
				return err
			}
			rest.add(rested, live-log)
			t.Logf("%v: %s commits; epoch %d is archived; at rest %.1f MiB, of it live %.1f and of that the log %.1f; at most before %.1f", time.Since(start).Round(time.Second),
				Number(float64(l.acked)), rested, float64(rss)/(1<<20), float64(live)/(1<<20), float64(log)/(1<<20), float64(max(hwm, peaks.peak()))/(1<<20))
		}
		peaks.add(rested, hwm)
		_, err = restMemory()
		return err
	})
	took := time.Since(start)
	if err != nil {
		t.Fatal(err)
	}
	t.Log("peaks, by the epoch that was archived last:")
	peaks.log(t)
	t.Logf("%s commits in %v, %.0f a second; %d met a new epoch", Number(float64(l.acked)), took.Round(time.Second), float64(l.acked)/took.Seconds(), l.retried)
	l.logEpochs(t)
	compared, joined, err := l.rejoin(t.Context())
	if err != nil {
		t.Error(err)
	}
	t.Logf("%s ids compared with git's log of the joined epochs, %v", Number(float64(compared)), time.Since(start).Round(time.Second))
	if compared != l.acked {
		t.Errorf("%d of %d ids are in the history", compared, l.acked)
	}
	if !soak() {
		if _, err := git(t.Context(), joined, "fsck", "--strict", "--no-dangling"); err != nil {
			t.Error(err)
		}
		return
	}
	lo, hi, ok := peaks.settled(5)
	if !ok {
		t.Fatalf("only %d epochs: too few to say what memory settles at", len(peaks.epochs))
	}
	t.Logf("resident memory at most, from the sixth epoch on: %.1f to %.1f MiB", float64(lo)/(1<<20), float64(hi)/(1<<20))
	if hi-lo > 2*flat {
		t.Errorf("resident memory is not flat: %d to %d bytes", lo, hi)
	}
	lo, hi, _ = rest.settled(5)
	t.Logf("live at rest, without the log, from the sixth epoch on: %.1f to %.1f MiB", float64(lo)/(1<<20), float64(hi)/(1<<20))
	if hi-lo > creep {
		t.Errorf("live memory grows: %d to %d bytes", lo, hi)
	}
}

// logBytes is what the log takes.
func (l *longRun) logBytes() (n int64) {
	for _, e := range l.Store().Epochs() {
		if e.State == vcs.EpochLive || e.State == vcs.EpochCurrent {
			n += e.LogBytes
		}
	}
	return n
}

// heapProfile writes a profile of what was live at the last collection, if
// SOAK_HEAP names a file.
func heapProfile(path string) error {
	if os.Getenv("SOAK_HEAP") == "" {
		return nil
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(pprof.WriteHeapProfile(f), f.Close())
}

// archived is the last epoch that is in the archive.
func (l *longRun) archived() (last int) {
	for _, e := range l.Store().Epochs() {
		if e.Archive.Name != "" {
			last = e.Number
		}
	}
	return last
}
