package vcs

import "context"

// MergeOptions describes a merge. The zero value works.
type MergeOptions struct {
	CommitInfo // of the merge commit; the default subject names both sides
	// NoFastForward makes a merge commit also where the branch could simply
	// move to the other commit.
	NoFastForward bool
	// Retries bounds how often a merge starts again because the branch moved.
	// Default 100.
	Retries int
}

// MergeKind is what a merge did.
type MergeKind int

const (
	UpToDate      MergeKind = iota // the branch already contains the commit
	FastForwarded                  // the branch moved to the commit
	Merged                         // a merge commit was made
	Conflicted                     // nothing was changed
)

// String returns the kind in words.
func (k MergeKind) String() string {
	return [...]string{"up to date", "fast-forward", "merged", "conflict"}[k]
}

// Conflict is one key that a merge function did not settle. Key is only valid
// when IsKey: files that are no key's conflict too.
type Conflict[K comparable, V any] struct {
	Path               string
	Key                K
	IsKey              bool
	Base, Ours, Theirs Opt[V]
	Err                error // what the merge function said
}

// MergeResult is the outcome of a merge.
type MergeResult[K comparable, V any] struct {
	Kind      MergeKind
	Head      ID // of the branch afterwards
	Bases     []ID
	Conflicts []Conflict[K, V]
}

// Merge merges a commit into a branch, which is created there when it does not
// exist: nothing when the branch contains the commit, a fast-forward when the
// commit contains the branch's head, else a three-way merge of the trees, key
// by key, and a commit with two parents. Several lowest common ancestors are
// merged first, recursively, into a virtual base, in which keys that conflict
// count as absent. Without a common ancestor the base is empty. The merge starts
// again when the branch moves meanwhile.
//
// With conflicts the error wraps ErrConflict, the result lists them, and
// nothing is changed.
func (r *Repo[K, V]) Merge(ctx context.Context, branch string, from ID, opt MergeOptions) (MergeResult[K, V], error) {
	return r.merge(ctx, branch, from, opt)
}

// Revert undoes the change that a commit made against its first parent, on top
// of a branch, by a three-way merge whose base is the commit and whose other
// side is its parent. A key changed since goes to the merge function. Nothing to
// undo makes no commit. The default subject is `Revert "…"`.
func (r *Repo[K, V]) Revert(ctx context.Context, branch string, commit ID, opt MergeOptions) (MergeResult[K, V], error) {
	return r.revert(ctx, branch, commit, opt)
}
