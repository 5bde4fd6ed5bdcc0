package packfile_test

import (
	"bytes"
	"testing"

	"arpeggio/vcs/packfile"
)

// BenchmarkIndex reads and checks a pack of some history; git index-pack
// --strict is what to compare it with.
func BenchmarkIndex(b *testing.B) {
	s, all := history(b, 1, 400)
	bytesOf := pack(b, pick(b, s, packfile.Selection{Wants: all}), packfile.Options{})
	n := 0
	b.SetBytes(int64(len(bytesOf)))
	b.ReportAllocs()
	for b.Loop() {
		p, err := packfile.Index(b.Context(), bytes.NewReader(bytesOf), packfile.Config{})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := p.Check(b.Context(), objects{}); err != nil {
			b.Fatal(err)
		}
		n += p.Len()
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "objects/s")
}
