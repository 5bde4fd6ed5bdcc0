package vcs

import "math/bits"

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

// seen notices objects that come again by hashes of 64 bits that nobody can
// foresee: exactly while that takes less than seenRoom, beyond it with a Bloom
// filter of two bytes an object, which takes some for others.
type seen struct {
	exact []uint64 // open addressing; 0 is free
	n     int      // of them taken
	bloom []uint64
}

const (
	seenRoom   = 16 << 20
	bloomBytes = 2
	bloomBits  = 8
)

// newSeen returns one for about so many objects.
func newSeen(n int) *seen {
	s := new(seen)
	if size := n + n/3 + 64; 8*size <= seenRoom {
		s.exact = make([]uint64, size)
	} else {
		s.bloom = make([]uint64, bloomBytes*n/8)
	}
	return s
}

// add takes an object in and reports whether it was there already, or seems to
// be.
func (s *seen) add(h uint64) bool {
	if s.exact == nil {
		return s.addBloom(h)
	}
	if 8*(s.n+1) > 7*len(s.exact) {
		old := s.exact
		s.exact = make([]uint64, 2*len(old))
		for _, h := range old {
			if h != 0 {
				*s.slot(h) = h
			}
		}
	}
	h |= 1 // not free
	at := s.slot(h)
	if *at == h {
		return true
	}
	*at = h
	s.n++
	return false
}

// slot returns where a hash is, or would be.
func (s *seen) slot(h uint64) *uint64 {
	i, _ := bits.Mul64(h, uint64(len(s.exact)))
	for s.exact[i] != 0 && s.exact[i] != h {
		if i++; i == uint64(len(s.exact)) {
			i = 0
		}
	}
	return &s.exact[i]
}

func (s *seen) addBloom(h uint64) bool {
	n, step := uint64(len(s.bloom)*64), h<<32|h>>32|1
	was := true
	for range bloomBits {
		at, _ := bits.Mul64(h, n)
		w, bit := &s.bloom[at/64], uint64(1)<<(at%64)
		was = was && *w&bit != 0
		*w |= bit
		h += step
	}
	return was
}

// seenMap holds objects that may come more than once, by a hash of 64 bits, and
// whether they came.
type seenMap map[uint64]bool

// fresh returns the map with nothing come yet.
func (s seenMap) fresh() seenMap {
	for h := range s {
		s[h] = false
	}
	return s
}

// again reports whether an object has come before.
func (s seenMap) again(h uint64) bool {
	came, ok := s[h]
	if ok && !came {
		s[h] = true
	}
	return came
}
