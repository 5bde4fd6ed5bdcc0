package bench

import (
	"testing"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/archive"
	"arpeggio/vcs/mem"
)

// flat is by how much resident memory may differ from the middle.
const flat = 2 << 20

// A store that is bounded in memory keeps within it however long it runs, and
// its archives and what it still has make up the history, id by id.
func TestFlatMemory(t *testing.T) {
	n := soakCommits(4_000)
	r, every := vcs.Retention{MaxCommits: 1000}, 250
	if soak() { // 64 MiB for ten million
		r, every = vcs.Retention{MaxBytes: 64 << 20 * int64(n) / 10_000_000, Chains: []vcs.Chain{}}, n/1000
	}
	l := newLongRun(t, t.TempDir(), mem.New(), r, archive.Config{})
	var m residency
	start := time.Now()
	err := l.run(t.Context(), n, every, func() error {
		rss, err := statusBytes("VmRSS:")
		m.add(l.epoch(), rss)
		return err
	})
	took := time.Since(start)
	if err != nil {
		t.Fatal(err)
	}
	m.log(t)
	t.Logf("%s commits in %v, %.0f a second; %d met a new epoch", Number(float64(l.acked)), took.Round(time.Second), float64(l.acked)/took.Seconds(), l.retried)
	l.logEpochs(t)
	compared, joined, err := l.rejoin(t.Context())
	if err != nil {
		t.Error(err)
	}
	t.Logf("%s ids compared with git's log of the joined epochs", Number(float64(compared)))
	if compared != l.acked {
		t.Errorf("%d of %d ids are in the history", compared, l.acked)
	}
	if !soak() {
		if _, err := git(t.Context(), joined, "fsck", "--strict", "--no-dangling"); err != nil {
			t.Error(err)
		}
	}
	lo, hi, ok := m.settled(5)
	if soak() && !ok {
		t.Errorf("only %d epochs: too few to say what memory settles at", len(m.epochs))
	}
	t.Logf("peaks of the epochs from the sixth on: %.1f to %.1f MiB", float64(lo)/(1<<20), float64(hi)/(1<<20))
	if soak() && hi-lo > 2*flat {
		t.Errorf("resident memory is not flat: %d to %d bytes", lo, hi)
	}
}
