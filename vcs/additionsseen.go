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
// filter of two bytes an object, which takes some for others. It lies in many
// small pieces of memory: a collector that is to keep within a limit hears of a
// large one too late.
type seen struct {
	exact []seenShard // by the highest bits of a hash; as many as a power of two
	shift uint8       // what leaves those bits
	bloom [][]uint64  // pieces of seenPiece words
}

// seenShard is a table with open addressing.
type seenShard struct {
	slots []uint64 // 0 is free
	n     int      // of them taken
}

const (
	seenRoom   = 16 << 20
	seenPiece  = 4 << 10 // words
	bloomBytes = 2
	bloomBits  = 8
)

// newSeen returns one for about so many objects.
func newSeen(n int) *seen {
	s := new(seen)
	if size := n + n/3 + 64; 8*size <= seenRoom {
		high := bits.Len(uint(size / seenPiece))
		s.exact, s.shift = make([]seenShard, 1<<high), uint8(64-high)
		for i := range s.exact {
			s.exact[i].slots = make([]uint64, size>>high+1)
		}
		return s
	}
	s.bloom = make([][]uint64, bloomBytes*n/8/seenPiece+1)
	for i := range s.bloom {
		s.bloom[i] = make([]uint64, seenPiece)
	}
	return s
}

// add takes an object in and reports whether it was there already, or seems to
// be.
func (s *seen) add(h uint64) bool {
	if s.exact == nil {
		return s.addBloom(h)
	}
	h |= 1 // not free
	return s.exact[h>>s.shift].add(h, 64-s.shift)
}

// add takes a hash in, of which the highest bits are those of all others.
func (t *seenShard) add(h uint64, high uint8) bool {
	if 8*(t.n+1) > 7*len(t.slots) {
		old := t.slots
		t.slots = make([]uint64, 2*len(old))
		for _, h := range old {
			if h != 0 {
				*t.slot(h, high) = h
			}
		}
	}
	at := t.slot(h, high)
	if *at == h {
		return true
	}
	*at = h
	t.n++
	return false
}

// slot returns where a hash is, or would be.
func (t *seenShard) slot(h uint64, high uint8) *uint64 {
	i, _ := bits.Mul64(h<<high, uint64(len(t.slots)))
	for t.slots[i] != 0 && t.slots[i] != h {
		if i++; i == uint64(len(t.slots)) {
			i = 0
		}
	}
	return &t.slots[i]
}

func (s *seen) addBloom(h uint64) bool {
	n, step := uint64(len(s.bloom)*seenPiece*64), h<<32|h>>32|1
	was := true
	for range bloomBits {
		at, _ := bits.Mul64(h, n)
		w, bit := &s.bloom[at/(64*seenPiece)][at/64%seenPiece], uint64(1)<<(at%64)
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
