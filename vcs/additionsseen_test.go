package vcs

import (
	"math/rand/v2"
	"testing"
)

// What was taken in is known again, however many there are; of what was not,
// nothing is while that is exact, and little where it is not.
func TestSeen(t *testing.T) {
	for _, c := range []struct{ room, n, wrong int }{
		{0, 3000, 0},
		{20_000, 15_000, 0},
		{20_000, 70_000, 0},
		{seenRoom / 8, 50_000, 0},
		{seenRoom / 8, seenRoom / 8, 2000},
	} {
		rnd := rand.New(rand.NewPCG(1, uint64(c.n)))
		s := newSeen(c.room)
		wrong := 0
		for range c.n {
			if s.add(rnd.Uint64()) {
				wrong++
			}
		}
		again := rand.New(rand.NewPCG(1, uint64(c.n)))
		for range c.n {
			if !s.add(again.Uint64()) {
				t.Fatalf("room for %d: one of %d is not known again", c.room, c.n)
			}
		}
		if wrong > c.wrong {
			t.Errorf("room for %d: %d of %d were known before they came", c.room, wrong, c.n)
		}
	}
}
