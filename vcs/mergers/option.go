package mergers

import (
	"errors"
	"fmt"
	"strings"

	"arpeggio/vcs"
)

// Removal says what becomes of a value that one side removed and the other
// changed.
type Removal int

const (
	RemovalConflicts Removal = iota // nobody decides: a conflict
	RemovalWins                     // the value is gone
	RemovalLoses                    // the changed value stays
)

// Values merges two present values. The base may be absent.
type Values[K comparable, V any] func(key K, base vcs.Opt[V], ours, theirs V) (V, error)

// Option makes a merge function of one for present values. It is asked about
// values that one side removed only when the other side changed them: a value
// that one side added, and the other never had, is taken.
func Option[K comparable, V any](removed Removal, merge Values[K, V]) vcs.MergeFunc[K, V] {
	return func(k K, base, ours, theirs vcs.Opt[V]) (vcs.Opt[V], error) {
		if ours.Present && theirs.Present {
			v, err := merge(k, base, ours.Value, theirs.Value)
			if err != nil {
				return vcs.None[V](), err
			}
			return vcs.Some(v), nil
		}
		left := ours
		if theirs.Present {
			left = theirs
		}
		switch {
		case !base.Present || !left.Present || removed == RemovalLoses:
			return left, nil
		case removed == RemovalWins:
			return vcs.None[V](), nil
		}
		return vcs.None[V](), fmt.Errorf("%w: removed on one side, changed on the other", vcs.ErrConflict)
	}
}

// Changed takes the side that differs from the base when only one does, or what
// both agree on, and asks next only where both changed differently; a nil next
// makes that a conflict. A repository does this by itself for whole values: it
// is of use below Struct and Map, for parts.
func Changed[K comparable, V any](equal func(a, b V) bool, next vcs.MergeFunc[K, V]) vcs.MergeFunc[K, V] {
	if next == nil {
		next = Conflict[K, V]
	}
	same := func(a, b vcs.Opt[V]) bool {
		return a.Present == b.Present && (!a.Present || equal(a.Value, b.Value))
	}
	return func(k K, base, ours, theirs vcs.Opt[V]) (vcs.Opt[V], error) {
		switch {
		case same(ours, theirs), same(base, theirs):
			return ours, nil
		case same(base, ours):
			return theirs, nil
		}
		return next(k, base, ours, theirs)
	}
}

// Part merges a part of a value into a result, see Field.
type Part[K comparable, V any] func(k K, base vcs.Opt[V], ours, theirs, result *V) error

// Field is the part of a value that at points to, merged by a function of its
// own. Where that says absent, the part becomes its zero value.
func Field[K comparable, V, F any](at func(*V) *F, merge vcs.MergeFunc[K, F]) Part[K, V] {
	return func(k K, base vcs.Opt[V], ours, theirs, result *V) error {
		b := vcs.None[F]()
		if base.Present {
			b = vcs.Some(*at(&base.Value))
		}
		f, err := merge(k, b, vcs.Some(*at(ours)), vcs.Some(*at(theirs)))
		if err != nil {
			return err
		}
		*at(result) = f.Value
		return nil
	}
}

// Struct merges values part by part. What is no part is taken from ours, so all
// that differs between nodes must be one. With parts that are joins the whole is
// a join when lifted by Option with RemovalLoses.
func Struct[K comparable, V any](parts ...Part[K, V]) Values[K, V] {
	return func(k K, base vcs.Opt[V], ours, theirs V) (V, error) {
		result := ours
		for _, p := range parts {
			if err := p(k, base, &ours, &theirs, &result); err != nil {
				return ours, err
			}
		}
		return result, nil
	}
}

// Map merges Go maps entry by entry. The merge function is asked about every
// entry that is present on a side, even where the sides agree: see Changed. What
// it says is absent is left out.
func Map[K, F comparable, V any](merge vcs.MergeFunc[F, V]) Values[K, map[F]V] {
	return func(_ K, base vcs.Opt[map[F]V], ours, theirs map[F]V) (map[F]V, error) {
		at := func(m map[F]V, f F) vcs.Opt[V] {
			v, ok := m[f]
			return vcs.Opt[V]{Value: v, Present: ok}
		}
		result := make(map[F]V, max(len(ours), len(theirs)))
		one := func(f F) error {
			v, err := merge(f, at(base.Value, f), at(ours, f), at(theirs, f))
			if err != nil {
				return fmt.Errorf("entry %v: %w", f, err)
			}
			if v.Present {
				result[f] = v.Value
			}
			return nil
		}
		for f := range ours {
			if err := one(f); err != nil {
				return nil, err
			}
		}
		for f := range theirs {
			if _, done := ours[f]; done {
				continue
			}
			if err := one(f); err != nil {
				return nil, err
			}
		}
		return result, nil
	}
}

func isConflict(err error) bool { return errors.Is(err, vcs.ErrConflict) }

// parent returns the folder of a path, the empty path for one without a slash.
func parent(path string) string { return path[:max(0, strings.LastIndexByte(path, '/'))] }
