//go:build !purego

package vcs

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// The block function of processors without AVX-512 makes the same states from
// any state.
func TestSHA1BlockFunctionsAgree(t *testing.T) {
	if !haveSHA1 || !haveVL {
		return // there is one at most
	}
	rnd := rand.New(rand.NewPCG(7, 8))
	for range 500 {
		p := randomBytes(rnd, (1+rnd.IntN(12))*sha1Block)
		n := len(p) / sha1Block
		var a sha1State
		for i := range a {
			a[i] = rnd.Uint32()
		}
		b := a
		keepA, keepB := make([]sha1State, n+1), make([]sha1State, n+1)
		sha1BlocksNI(&a, &p[0], n, &keepA[0])
		sha1BlocksVL(&b, &p[0], n, &keepB[0])
		if a != b || !slices.Equal(keepA, keepB) {
			t.Fatalf("%d blocks: %x and %x", n, keepA, keepB)
		}
		if a != keepA[n-1] || keepA[n] != (sha1State{}) {
			t.Fatalf("%d blocks: %x, kept %x", n, a, keepA)
		}
	}
}
