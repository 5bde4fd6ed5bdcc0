package badger_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/badger"
)

// BenchmarkOpen opens a directory of many commits that were verified before:
// the backend, which checks its files and its heads, and the store on it, which
// takes over what the backend has read of the log.
func BenchmarkOpen(b *testing.B) {
	sizes := []int{100_000}
	if os.Getenv("SOAK") != "" {
		sizes = append(sizes, 1_000_000)
	}
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			dir := b.TempDir()
			open := func() (*vcs.Repo[string, string], [2]time.Duration) {
				start := time.Now()
				backend, err := badger.Open(b.Context(), dir, badger.Config{})
				if err != nil {
					b.Fatal(err)
				}
				mid := time.Now()
				r, err := vcs.Open(b.Context(), backend, vcs.Config[string, string]{})
				if err != nil {
					b.Fatal(err)
				}
				return r, [2]time.Duration{mid.Sub(start), time.Since(mid)}
			}
			r, _ := open()
			for i := range n {
				if _, err := r.Set(b.Context(), "primary", key(i%10_000), fmt.Sprint(i), vcs.CommitInfo{Message: "set"}); err != nil {
					b.Fatal(err)
				}
			}
			if err := r.Close(); err != nil {
				b.Fatal(err)
			}
			r, first := open() // verifies what is new
			b.ReportMetric(first[0].Seconds()*1e3, "ms-first-backend")
			if err := r.Close(); err != nil {
				b.Fatal(err)
			}
			var sum [2]time.Duration
			opens := 0
			for b.Loop() {
				r, took := open()
				sum[0] += took[0]
				sum[1] += took[1]
				opens++
				b.StopTimer()
				if err := r.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
			b.ReportMetric(sum[0].Seconds()*1e3/float64(opens), "ms-backend")
			b.ReportMetric(sum[1].Seconds()*1e3/float64(opens), "ms-store")
		})
	}
}
