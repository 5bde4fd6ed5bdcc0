package observe

import (
	"math/rand/v2"
	"testing"
)

// TestIndexIsAMap compares an index with a map.
func TestIndexIsAMap(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	x := newIndex(func(v *[2]int) int { return v[0] })
	want := make(map[int]*[2]int)
	for i := range 200_000 {
		k := rng.IntN(3_000)
		if i%40_000 > 30_000 {
			k %= 50 // nearly all of them go
		}
		switch have := x.get(k); {
		case have != want[k]:
			t.Fatalf("step %d: %d is %v, want %v", i, k, have, want[k])
		case have == nil && rng.IntN(2) == 0:
			v := &[2]int{k, i}
			x.put(v)
			want[k] = v
		case rng.IntN(2) == 0:
			x.drop(k)
			delete(want, k)
		}
		if x.len() != len(want) {
			t.Fatalf("step %d: %d, want %d", i, x.len(), len(want))
		}
	}
}
