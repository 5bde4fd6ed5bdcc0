package mergers

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"

	"arpeggio/vcs"
)

// Set is a set of texts that many writers add to and remove from at a time. For
// each element it holds how often the element came or went: at odd counts it is
// in the set. Merging takes the larger count (Yu and Rostad's causal-length
// set), so that a removal holds against all additions that it has seen, and an
// addition against all removals that it has seen. Two nodes that both remove an
// element, or both add it, did one thing.
//
// Elements that were removed stay as a line of the file, which has for each
// element `COUNT TEXT`, sorted by text. Where that grows too much, give each
// element a key of its own.
type Set map[string]uint64

// Has reports whether an element is in the set.
func (s Set) Has(elem string) bool { return s[elem]%2 == 1 }

// Add returns the set with elements in it. The receiver is not changed.
func (s Set) Add(elems ...string) Set { return s.flip(elems, 0) }

// Remove returns the set without elements. The receiver is not changed.
func (s Set) Remove(elems ...string) Set { return s.flip(elems, 1) }

// flip steps the count of those elements whose count has that parity.
func (s Set) flip(elems []string, parity uint64) Set {
	s = maps.Clone(s)
	if s == nil {
		s = Set{}
	}
	for _, e := range elems {
		if s[e]%2 == parity {
			s[e]++
		}
	}
	return s
}

// Len returns the number of elements in the set.
func (s Set) Len() int {
	n := 0
	for _, c := range s {
		n += int(c % 2)
	}
	return n
}

// All yields the elements in the set in ascending order.
func (s Set) All() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, e := range slices.Sorted(maps.Keys(s)) {
			if s.Has(e) && !yield(e) {
				return
			}
		}
	}
}

// JoinSets takes the larger count of each element.
func JoinSets(a, b Set) Set {
	out := maps.Clone(a)
	if out == nil {
		out = Set{}
	}
	for e, n := range b {
		out[e] = max(out[e], n)
	}
	return out
}

// Sets is the merge function of sets.
func Sets[K comparable]() vcs.MergeFunc[K, Set] { return Join[K](JoinSets) }

// SetCodec is the Codec of sets.
type SetCodec struct{}

// Encode implements vcs.Codec. It refuses an element that does not fit on one
// line or that has outer spaces.
func (SetCodec) Encode(s Set) ([]byte, error) {
	var b []byte
	for _, e := range slices.Sorted(maps.Keys(s)) {
		if err := checkLine(e); err != nil {
			return nil, fmt.Errorf("element: %w", err)
		}
		if s[e] == 0 { // as good as never heard of
			continue
		}
		b = append(strconv.AppendUint(b, s[e], 10), ' ')
		b = append(append(b, e...), '\n')
	}
	return b, nil
}

// Decode implements vcs.Codec. It takes exactly what Encode writes.
func (SetCodec) Decode(b []byte) (Set, error) {
	s := Set{}
	err := eachLine(b, func(line string) (string, error) {
		count, elem, ok := strings.Cut(line, " ")
		n, err := parseUint(count)
		if !ok || err != nil || n == 0 {
			return "", fmt.Errorf("want `COUNT TEXT`, not %.80q", line)
		}
		s[elem] = n
		return elem, checkLine(elem)
	})
	return s, err
}
