package vcs

import "context"

// Change sets a key, or removes it when Value is absent.
type Change[K comparable, V any] struct {
	Key   K
	Value Opt[V]
}

// Commit applies changes on top of a branch whose head is expected to be head
// (zero: the branch does not exist yet and is created with a parentless commit)
// and moves the branch there. Later changes of one key win over earlier ones.
// It returns the new head, or the old one when nothing changed and the info does
// not allow empty commits. The error wraps ErrRefMoved when the branch is not at
// head: then nothing happened.
//
// The commit is visible at once and durable after a Sync.
func (r *Repo[K, V]) Commit(ctx context.Context, branch string, head ID, changes []Change[K, V], info CommitInfo) (ID, error) {
	return r.commit(ctx, branch, head, changes, info)
}
