package vcs

import (
	"context"
	"errors"
	"iter"
)

func (r *Repo[K, V]) commit(ctx context.Context, branch string, head ID, changes []Change[K, V], info CommitInfo) (ID, error) {
	return ID{}, errors.ErrUnsupported
}
func (r *Repo[K, V]) update(ctx context.Context, branch string, opt TxOptions, fn func(*Tx[K, V]) error) (ID, error) {
	return ID{}, errors.ErrUnsupported
}
func (r *Repo[K, V]) testAndSet(ctx context.Context, branch string, k K, expect, value Opt[V], info CommitInfo) (ID, error) {
	return ID{}, errors.ErrUnsupported
}
func (r *Repo[K, V]) merge(ctx context.Context, branch string, from ID, opt MergeOptions) (MergeResult[K, V], error) {
	return MergeResult[K, V]{}, errors.ErrUnsupported
}
func (r *Repo[K, V]) revert(ctx context.Context, branch string, commit ID, opt MergeOptions) (MergeResult[K, V], error) {
	return MergeResult[K, V]{}, errors.ErrUnsupported
}
func (r *Repo[K, V]) diff(a, b ID) iter.Seq2[Delta[K, V], error] {
	return func(yield func(Delta[K, V], error) bool) { yield(Delta[K, V]{}, errors.ErrUnsupported) }
}
func (s *Store) Log(from ...ID) iter.Seq2[*Commit, error] {
	return func(yield func(*Commit, error) bool) { yield(nil, errors.ErrUnsupported) }
}
func (s *Store) LogPath(path string, from ID) iter.Seq2[*Commit, error] { return s.Log(from) }
func (r *Repo[K, V]) lastModified(k K, from ID) (*Commit, error) {
	return nil, errors.ErrUnsupported
}
func IsAncestor(r CommitReader, a, b ID) (bool, error)   { return false, errors.ErrUnsupported }
func MergeBases(r CommitReader, a, b []ID) ([]ID, error) { return nil, errors.ErrUnsupported }
