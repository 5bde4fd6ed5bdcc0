package vcs

import (
	"crypto/sha1"
	"math/rand/v2"
	"testing"
)

// Any number of messages of any lengths, the room used again.
func TestSHA1Lanes(t *testing.T) {
	if !haveLanes {
		return // nobody collects messages
	}
	rnd := rand.New(rand.NewPCG(9, 10))
	var l sha1Lanes
	for round := range 400 {
		var want []ID
		for range rnd.IntN(80) {
			p := randomBytes(rnd, rnd.IntN(1+rnd.IntN(maxLane-100)))
			if rnd.IntN(2) == 0 {
				l.padded(padded(p))
				want = append(want, sha1.Sum(p))
			} else {
				l.object(KindBlob, p)
				want = append(want, sha1.Sum(append(appendHeader(nil, KindBlob, len(p)), p...)))
			}
		}
		jobs := l.sum()
		if len(jobs) != len(want) {
			t.Fatalf("round %d: %d hashes of %d", round, len(jobs), len(want))
		}
		for i := range jobs {
			if jobs[i].id != want[i] {
				t.Fatalf("round %d: message %d of %d hashes to %v, want %v", round, i, len(want), jobs[i].id, want[i])
			}
		}
	}
}

func BenchmarkSHA1Lanes(b *testing.B) {
	if !haveLanes {
		b.Skip("no lanes")
	}
	p := padded(make([]byte, 620))
	var l sha1Lanes
	b.SetBytes(int64(len(p)))
	for range (b.N + 63) / 64 {
		for range 64 {
			l.padded(p)
		}
		l.sum()
	}
}
