package vcs

import (
	"bytes"
	"crypto/sha1"
	"math/rand/v2"
	"testing"
)

func randomBytes(rnd *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return b
}

// On this processor, that is: elsewhere both are crypto/sha1.
func TestSHA1IsCryptoSHA1(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	text := randomBytes(rnd, 1100)
	for n := range 1001 {
		p := text[n%17 : n%17+n] // at any alignment
		if have, want := sha1Sum(p), ID(sha1.Sum(p)); have != want {
			t.Fatalf("%d bytes hash to %v, want %v", n, have, want)
		}
	}
	for _, n := range []int{1 << 16, MaxObject, MaxObject + 9} {
		p := randomBytes(rnd, n)
		if have, want := sha1Sum(p), ID(sha1.Sum(p)); have != want {
			t.Fatalf("%d bytes hash to %v, want %v", n, have, want)
		}
	}
}

func TestHashObjectIsHashOfHeaderAndContent(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for n := range 700 {
		p := randomBytes(rnd, n)
		for _, k := range []Kind{KindCommit, KindTree, KindBlob, KindTag} {
			want := ID(sha1.Sum(append(appendHeader(nil, k, n), p...)))
			if have := HashObject(k, p); have != want {
				t.Fatalf("%v of %d bytes hashes to %v, want %v", k, n, have, want)
			}
		}
	}
}

// padded returns a copy of a message with its padding.
func padded(p []byte) []byte {
	b := append(make([]byte, 0, sha1Padded(len(p))), p...)
	b = b[:cap(b)]
	sha1Pad(b, len(p))
	return b
}

// A message that changes here and there, grows and shrinks.
func TestSHA1Marks(t *testing.T) {
	if !haveSHA1 {
		return // nobody has marks
	}
	rnd := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		p := randomBytes(rnd, rnd.IntN(900))
		var m sha1Marks
		for step := range 40 {
			at := 0
			switch k := rnd.IntN(12); {
			case k == 0:
				at = rnd.IntN(len(p) + 1)
				p = append(p[:at:at], randomBytes(rnd, rnd.IntN(100))...)
				m.changed(at)
			case k == 1:
				at = rnd.IntN(len(p) + 1) // earlier than need be
				p = append(p, randomBytes(rnd, rnd.IntN(300))...)
				m.changed(at)
			case len(p) > 0:
				for range rnd.IntN(3) {
					at = rnd.IntN(len(p))
					p[at]++
					m.changed(at)
				}
			}
			if have, want := m.sum(padded(p)), ID(sha1.Sum(p)); have != want {
				t.Fatalf("step %d: %d bytes, changed at %d: %v, want %v", step, len(p), at, have, want)
			}
		}
	}
}

func FuzzSHA1(f *testing.F) {
	f.Add([]byte("tree 0\x00"), uint16(0), uint16(0))
	f.Add(bytes.Repeat([]byte("100644 a\x00"), 40), uint16(100), uint16(300))
	f.Fuzz(func(t *testing.T, p []byte, at, end uint16) {
		var m sha1Marks
		check := func() {
			want := ID(sha1.Sum(p))
			if !haveSHA1 {
				// nobody has marks
			} else if have := m.sum(padded(p)); have != want {
				t.Errorf("marks: %d bytes hash to %v, want %v", len(p), have, want)
			}
			if have := sha1Sum(p); have != want {
				t.Errorf("%d bytes hash to %v, want %v", len(p), have, want)
			}
		}
		check()
		if int(at) < len(p) {
			p[at]++
			m.changed(int(at))
			check()
		}
		if int(end) < len(p) {
			p = p[:end]
			m.changed(int(end))
			check()
		}
	})
}

func BenchmarkHashObject(b *testing.B) {
	for _, n := range []int{112, 230, 640} {
		p := make([]byte, n)
		b.Run(string(appendInt(nil, int64(n))), func(b *testing.B) {
			b.SetBytes(int64(n))
			for b.Loop() {
				HashObject(KindBlob, p)
			}
		})
	}
}
