package badger_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/badger"
)

// BenchmarkDurable commits one entry at a time, durably: with one sync for
// each commit, and with the store's group commits, which wait at most 10 ms for
// their sync. Both rates count commits that a Sync has acknowledged; the third
// metric is their ratio, of one run on one disk. A virtual disk with a write
// cache acknowledges a sync in a tenth of a millisecond; "4ms" adds to each sync
// what a disk takes that has to write.
func BenchmarkDurable(b *testing.B) {
	for _, delay := range []time.Duration{0, 4 * time.Millisecond} {
		name := "disk"
		if delay > 0 {
			name = delay.String()
		}
		b.Run(name, func(b *testing.B) {
			each, group := durable{b: b, delay: delay}, durable{b: b, delay: delay}
			each.open()
			group.open()
			for b.Loop() {
				for range 4 { // by turns, so that noise hits both
					each.run(1, 250*time.Millisecond)
					group.run(0, 250*time.Millisecond)
				}
			}
			b.ReportMetric(each.rate(), "commits/s-synced-each")
			b.ReportMetric(group.rate(), "commits/s-group")
			b.ReportMetric(group.rate()/each.rate(), "ratio")
		})
	}
}

// durable is one side of BenchmarkDurable.
type durable struct {
	b       *testing.B
	delay   time.Duration
	repo    *vcs.Repo[string, string]
	commits int
	took    time.Duration
}

// slowSync is a backend on a disk whose syncs take longer.
type slowSync struct {
	*badger.Backend
	delay time.Duration
}

// Apply implements vcs.Backend.
func (s slowSync) Apply(ctx context.Context, b *vcs.Batch) error {
	defer time.Sleep(s.delay)
	return s.Backend.Apply(ctx, b)
}

func (d *durable) open() {
	backend, err := badger.Open(d.b.Context(), d.b.TempDir(), badger.Config{})
	if err != nil {
		d.b.Fatal(err)
	}
	if d.repo, err = vcs.Open(d.b.Context(), slowSync{backend, d.delay}, vcs.Config[string, string]{}); err != nil {
		d.b.Fatal(err)
	}
	d.b.Cleanup(func() {
		if err := d.repo.Close(); err != nil {
			d.b.Error(err)
		}
	})
}

// run commits until the time is over, and syncs after every so many commits and
// at the end.
func (d *durable) run(every int, limit time.Duration) {
	ctx := context.Background()
	start := time.Now()
	for time.Since(start) < limit {
		if _, err := d.repo.Set(ctx, "primary", key(d.commits%10_000), fmt.Sprint(d.commits), vcs.CommitInfo{Message: "set"}); err != nil {
			d.b.Fatal(err)
		}
		d.commits++
		if every > 0 && d.commits%every == 0 {
			if err := d.repo.Sync(ctx); err != nil {
				d.b.Fatal(err)
			}
		}
	}
	if err := d.repo.Sync(ctx); err != nil {
		d.b.Fatal(err)
	}
	d.took += time.Since(start)
}

func (d *durable) rate() float64 { return float64(d.commits) / d.took.Seconds() }

// key is a path in the tree of prefixes that ARP tables use.
func key(n int) string {
	return fmt.Sprintf("lan/v4/10.0.0.0_16/10.0.%d.0_20/10.0.%d.0_24/10.0.%d.%d_28/10.0.%d.%d",
		n>>8&^15, n>>8, n>>8, n&240, n>>8, n&255)
}
