package vcs

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// TestStepCut: the names of a path, wherever the slashes are.
func TestStepCut(t *testing.T) {
	rnd := rand.New(rand.NewPCG(15, 16))
	for range 5000 {
		b := make([]byte, rnd.IntN(120))
		for i := range b {
			b[i] = "/abcdefghijklm\x2e\xaf\x30\x00\xff"[rnd.IntN(2+rnd.IntN(17))]
		}
		x := step{edit: edit{path: string(b)}}
		want := strings.Split(x.path, "/")
		if ok := x.cut(); ok != (len(want) <= maxReplace) {
			t.Fatalf("%q of %d names: %v", x.path, len(want), ok)
		} else if !ok {
			continue
		}
		from := 0
		for i, name := range want {
			if have := x.path[from:x.ends[i]]; have != name || x.depth != len(want) {
				t.Fatalf("%q: name %d of %d is %q, want %q of %d", x.path, i, x.depth, have, name, len(want))
			}
			from += len(name) + 1
		}
	}
}
