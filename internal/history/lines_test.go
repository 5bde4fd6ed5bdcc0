package history

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// applies reports whether the lines outside a comparison's marks are equal.
func applies(a, b [][]byte, c comparison) (ok bool, kept int) {
	ok = true
	c.pairs(func(i, j int) {
		if i >= len(a) || j >= len(b) || !bytes.Equal(a[i], b[j]) {
			ok = false
		}
		kept++
	})
	return ok, kept
}

// longestCommon is the textbook's length of the longest common subsequence.
func longestCommon(a, b [][]byte) int {
	row := make([]int, len(b)+1)
	for i := range a {
		diagonal := 0
		for j := range b {
			up := row[j+1]
			if bytes.Equal(a[i], b[j]) {
				row[j+1] = diagonal + 1
			} else {
				row[j+1] = max(up, row[j])
			}
			diagonal = up
		}
	}
	return row[len(b)]
}

func TestComparisonsAreShortest(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for n := range 20000 {
		file := func() (lines [][]byte) {
			for range rng.IntN(12) {
				lines = append(lines, []byte{byte('a' + rng.IntN(4)), '\n'})
			}
			return lines
		}
		a, b := file(), file()
		c := compareLines(a, b)
		ok, kept := applies(a, b, c)
		if want := longestCommon(a, b); !ok || kept != want {
			t.Fatalf("case %d: %q and %q: %v, kept %d lines of %d", n, a, b, c, kept, want)
		}
	}
}

func FuzzCompareLines(f *testing.F) {
	f.Add([]byte("a\nb\nc\n"), []byte("b\nc\nd"))
	f.Fuzz(func(t *testing.T, x, y []byte) {
		if len(x)+len(y) > 2000 {
			return
		}
		a, b := splitLines(x), splitLines(y)
		if ok, _ := applies(a, b, compareLines(a, b)); !ok {
			t.Fatalf("%q and %q do not fit", x, y)
		}
	})
}
