package mergers

import (
	"fmt"

	"arpeggio/vcs"
)

// Join merges by a least upper bound. It must be commutative, associative and
// idempotent, up to equal encodings. Absent is below every value, and the base
// is not looked at.
func Join[K comparable, V any](join func(a, b V) V) vcs.MergeFunc[K, V] {
	return func(_ K, _, ours, theirs vcs.Opt[V]) (vcs.Opt[V], error) {
		switch {
		case !ours.Present:
			return theirs, nil
		case !theirs.Present:
			return ours, nil
		}
		return vcs.Some(join(ours.Value, theirs.Value)), nil
	}
}

// Max is the Join of a total order: the greater value wins. Values that compare
// as equal must have equal encodings, or nodes diverge. With a time in front of
// the order the last writer wins, if each writer's time is above that of the
// value it replaces; Register takes care of that.
func Max[K comparable, V any](compare func(a, b V) int) vcs.MergeFunc[K, V] {
	return Join[K](func(a, b V) V {
		if compare(b, a) > 0 {
			return b
		}
		return a
	})
}

// Conflict settles nothing: every key that both sides changed is a conflict.
func Conflict[K comparable, V any](_ K, _, _, _ vcs.Opt[V]) (vcs.Opt[V], error) {
	return vcs.Opt[V]{}, vcs.ErrConflict
}

// Seq asks merge functions in turn until one does not call it a conflict. The
// last one's conflict is the result.
func Seq[K comparable, V any](first vcs.MergeFunc[K, V], more ...vcs.MergeFunc[K, V]) vcs.MergeFunc[K, V] {
	return func(k K, base, ours, theirs vcs.Opt[V]) (vcs.Opt[V], error) {
		v, err := first(k, base, ours, theirs)
		for _, m := range more {
			if !isConflict(err) {
				break
			}
			v, err = m(k, base, ours, theirs)
		}
		return v, err
	}
}

// Like merges values of one type as if they were of another, by two functions
// that undo each other.
func Like[K comparable, V, W any](to func(V) W, from func(W) V, merge vcs.MergeFunc[K, W]) vcs.MergeFunc[K, V] {
	lift := func(o vcs.Opt[V]) vcs.Opt[W] {
		if !o.Present {
			return vcs.None[W]()
		}
		return vcs.Some(to(o.Value))
	}
	return func(k K, base, ours, theirs vcs.Opt[V]) (vcs.Opt[V], error) {
		w, err := merge(k, lift(base), lift(ours), lift(theirs))
		if err != nil || !w.Present {
			return vcs.None[V](), err
		}
		return vcs.Some(from(w.Value)), nil
	}
}

// By lets each key choose its merge function; nil makes the key a conflict.
func By[K comparable, V any](choose func(K) vcs.MergeFunc[K, V]) vcs.MergeFunc[K, V] {
	return func(k K, base, ours, theirs vcs.Opt[V]) (vcs.Opt[V], error) {
		if m := choose(k); m != nil {
			return m(k, base, ours, theirs)
		}
		return vcs.None[V](), fmt.Errorf("%w: no merge function for %v", vcs.ErrConflict, k)
	}
}

// ByPath chooses the merge function by where a key lies: of the folders and
// files named in rules, the deepest that is the key or contains it. The empty
// path contains all keys. The rules must not change afterwards.
func ByPath[V any](rules map[string]vcs.MergeFunc[string, V]) vcs.MergeFunc[string, V] {
	return By(func(k string) vcs.MergeFunc[string, V] {
		for {
			if m, ok := rules[k]; ok || k == "" {
				return m
			}
			k = parent(k)
		}
	})
}
