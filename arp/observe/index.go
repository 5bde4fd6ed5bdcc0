package observe

import "hash/maphash"

// index finds things by a key that they hold themselves: a pointer for each and
// as much room again at most, a third of what a map takes. A slot that is taken is
// where the key's hash says or behind it, without a gap. The zero value is not
// usable: key and seed must be set.
type index[K comparable, T any] struct {
	key   func(*T) K
	seed  maphash.Seed
	slots []*T // a power of two of them, or none
	n     int
}

func newIndex[K comparable, T any](key func(*T) K) index[K, T] {
	return index[K, T]{key: key, seed: maphash.MakeSeed()}
}

func (x *index[K, T]) len() int { return x.n }

// slot returns where a key is, or would be.
func (x *index[K, T]) slot(k K) int {
	mask := len(x.slots) - 1
	for i := x.home(k); ; i = (i + 1) & mask {
		if v := x.slots[i]; v == nil || x.key(v) == k {
			return i
		}
	}
}

func (x *index[K, T]) home(k K) int { return int(maphash.Comparable(x.seed, k)) & (len(x.slots) - 1) }

// get returns what has a key, nil when nothing has.
func (x *index[K, T]) get(k K) *T {
	if len(x.slots) == 0 {
		return nil
	}
	return x.slots[x.slot(k)]
}

// put adds something that nothing in the index has the key of.
func (x *index[K, T]) put(v *T) {
	if 4*(x.n+1) > 3*len(x.slots) {
		old := x.slots
		x.slots = make([]*T, max(64, 2*len(old)))
		for _, o := range old {
			if o != nil {
				x.slots[x.slot(x.key(o))] = o
			}
		}
	}
	x.slots[x.slot(x.key(v))] = v
	x.n++
}

// drop removes what has a key, and closes the gap.
func (x *index[K, T]) drop(k K) {
	if x.get(k) == nil {
		return
	}
	mask := len(x.slots) - 1
	gap := x.slot(k)
	for i := (gap + 1) & mask; x.slots[i] != nil; i = (i + 1) & mask {
		if home := x.home(x.key(x.slots[i])); (i-home)&mask >= (i-gap)&mask {
			x.slots[gap], gap = x.slots[i], i
		}
	}
	x.slots[gap] = nil
	x.n--
}
