package vcs

import "iter"

// Delta is one key that differs between two commits.
type Delta[K comparable, V any] struct {
	Key      K
	Path     string
	Old, New Opt[V]
}

// Diff yields the keys that differ between two commits (a zero ID is the empty
// map), in the tree's order. Subtrees with equal ids are not looked at, so the
// cost follows the differences. Files that are no key's are skipped.
func (r *Repo[K, V]) Diff(a, b ID) iter.Seq2[Delta[K, V], error] { return r.diff(a, b) }

// Log yields the commits reachable from some commits, newest commit time first
// and no parent before all its children, as git log --date-order does.
func (r *Repo[K, V]) Log(from ...ID) iter.Seq2[*Commit, error] { return r.s.Log(from...) }

// LogKey yields the commits that changed a key, newest first, as git log --
// PATH does: through a merge it follows only a parent that has the same value.
func (r *Repo[K, V]) LogKey(k K, from ID) iter.Seq2[*Commit, error] {
	return r.s.LogPath(r.cfg.Layout.Path(k), from)
}

// LastModified returns the newest commit that changed a key. The error wraps
// ErrNotFound when none did.
func (r *Repo[K, V]) LastModified(k K, from ID) (*Commit, error) { return r.lastModified(k, from) }
