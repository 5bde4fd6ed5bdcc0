package vcs

import (
	"hash/maphash"
	"math/bits"
)

// bitset is a set of small numbers.
type bitset []uint64

func newBitset(n uint32) bitset { return make(bitset, (n+63)/64) }

func (b bitset) has(i uint32) bool { return b[i/64]>>(i%64)&1 != 0 }
func (b bitset) set(i uint32)      { b[i/64] |= 1 << (i % 64) }

func (b bitset) len() (n int) {
	for _, w := range b {
		n += bits.OnesCount64(w)
	}
	return n
}

// seenFilter is a Bloom filter of ids under a hash that nobody can foresee, so
// that no history can be made to fill it badly.
type seenFilter struct {
	seed maphash.Seed
	bits []uint64
}

// Eight bytes an object make a wrong answer rare among a million objects; where
// that would be too much memory, two make them few.
const (
	filterBest  = 8
	filterLeast = 2
	filterRoom  = 16 << 20
	seenProbes  = 8
)

func newSeenFilter(n int) *seenFilter {
	size := max(min(filterBest*n, filterRoom), filterLeast*n, 1<<10)
	return &seenFilter{seed: maphash.MakeSeed(), bits: make([]uint64, size/8)}
}

// add puts an id in and reports whether it seemed to be there already.
func (f *seenFilter) add(id ID) bool {
	h := maphash.Bytes(f.seed, id[:])
	n, step := uint64(len(f.bits)*64), h<<32|h>>32|1
	was := true
	for range seenProbes {
		at, _ := bits.Mul64(h, n)
		w, bit := &f.bits[at/64], uint64(1)<<(at%64)
		was = was && *w&bit != 0
		*w |= bit
		h += step
	}
	return was
}

// seenMap holds ids that may come more than once, by a hash of 64 bits, and
// whether they came.
type seenMap struct {
	seed maphash.Seed
	came map[uint64]bool
}

func newSeenMap(seed maphash.Seed) seenMap { return seenMap{seed, make(map[uint64]bool)} }

func (s *seenMap) empty() bool { return len(s.came) == 0 }
func (s *seenMap) note(id ID)  { s.came[maphash.Bytes(s.seed, id[:])] = false }

// fresh returns the map with nothing come yet.
func (s *seenMap) fresh() *seenMap {
	for h := range s.came {
		s.came[h] = false
	}
	return s
}

// again reports whether an id has come before.
func (s *seenMap) again(id ID) bool {
	if len(s.came) == 0 {
		return false
	}
	h := maphash.Bytes(s.seed, id[:])
	came, ok := s.came[h]
	if ok && !came {
		s.came[h] = true
	}
	return came
}
