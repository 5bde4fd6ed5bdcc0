package vcs

import (
	"context"
	"errors"
	"fmt"
)

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
	UpToDate      MergeKind = iota // nothing to do
	FastForwarded                  // the branch moved to the commit
	Merged                         // a commit was made
	Conflicted                     // nothing was changed
)

// String returns the kind in words.
func (k MergeKind) String() string {
	switch k {
	case UpToDate:
		return "up to date"
	case FastForwarded:
		return "fast-forward"
	case Merged:
		return "merged"
	}
	return "conflict"
}

// MergeResult is the outcome of a merge.
type MergeResult[K comparable, V any] struct {
	Kind      MergeKind
	Head      ID   // of the branch afterwards
	Bases     []ID // the lowest common ancestors
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
	if opt.Message == "" {
		opt.Message = fmt.Sprintf("Merge commit '%s' into %s", from.Short(), branch)
	}
	return r.retryMerge(ctx, branch, opt, func(head ID) (MergeResult[K, V], *scratch, error) {
		// A commit of an epoch that has ended is merged as the root that stands
		// for it, or the branch would go back into that epoch.
		if root, ok := r.s.epochs.rootOf(from); ok {
			from = root
		}
		return r.mergeHead(head, from, opt)
	})
}

// retryMerge computes a new head from a branch's head and moves it there, again
// when it moved meanwhile. The head is zero when there is no branch.
func (r *Repo[K, V]) retryMerge(ctx context.Context, branch string, opt MergeOptions,
	merge func(head ID) (MergeResult[K, V], *scratch, error)) (MergeResult[K, V], error) {
	ref := BranchRef(branch)
	if err := CheckRefName(ref); err != nil {
		return MergeResult[K, V]{}, err
	}
	for try := 0; ; try++ {
		if err := ctx.Err(); err != nil {
			return MergeResult[K, V]{}, err
		}
		head, _ := r.s.Ref(ref)
		var res MergeResult[K, V]
		var w *scratch
		err := r.s.undropped(func() (err error) {
			res, w, err = merge(head)
			return err
		})
		if r.s.leftBehind(err, ref, head) && try < retries(opt.Retries) {
			continue
		}
		if err != nil || res.Head == head {
			return res, err
		}
		err = r.s.publishWork(ctx, w, []RefUpdate{{ref, head, res.Head}})
		switch {
		case err == nil:
			return res, nil
		case !errors.Is(err, ErrRefMoved):
			return MergeResult[K, V]{}, err
		case try >= retries(opt.Retries):
			return MergeResult[K, V]{}, fmt.Errorf("%w, %d times during one merge", err, try+1)
		}
	}
}

// mergeHead merges a commit into a head, unpublished.
func (r *Repo[K, V]) mergeHead(head, from ID, opt MergeOptions) (res MergeResult[K, V], w *scratch, err error) {
	theirs, err := r.s.links(from)
	if err != nil {
		return res, nil, err
	}
	if head.IsZero() {
		return MergeResult[K, V]{Kind: FastForwarded, Head: from}, newScratch(r.s), nil
	}
	ours, err := r.s.links(head)
	if err != nil {
		return res, nil, err
	}
	bases, err := r.s.MergeBases(head, from)
	if err != nil {
		return res, nil, err
	}
	res = MergeResult[K, V]{Head: head, Bases: bases}
	if len(bases) == 1 && bases[0] == from {
		return res, nil, nil
	}
	if len(bases) == 1 && bases[0] == head && !opt.NoFastForward {
		res.Kind, res.Head = FastForwarded, from
		return res, newScratch(r.s), nil
	}
	m := r.newMerger()
	tree, err := m.mergeCommits(bases, ours, theirs)
	if err != nil {
		return res, nil, err
	}
	if len(m.conflicts) > 0 {
		res.Kind, res.Conflicts = Conflicted, m.conflicts
		return res, nil, conflictError(m.conflicts)
	}
	res.Kind = Merged
	after := max(ours.Time().Unix(), theirs.Time().Unix())
	res.Head, err = r.putCommitAfter(m.w, tree, []ID{head, from}, opt.CommitInfo, after)
	return res, m.w, err
}

// mergeCommits merges the trees of two commits.
func (m *keyMerger[K, V]) mergeCommits(bases []ID, ours, theirs *Commit) (ID, error) {
	if len(bases) == 1 && m.r.s.log != nil {
		if tree, err := m.mergeStates(bases[0], ours.ID, theirs.ID); err == nil {
			return tree, nil
		}
		m.conflicts = nil
	}
	base, err := m.base(bases)
	if err != nil {
		return ID{}, err
	}
	return m.merge(base, ours.Tree, theirs.Tree)
}

func conflictError[K comparable, V any](cs []Conflict[K, V]) error {
	if n := len(cs) - 1; n > 0 {
		return fmt.Errorf("%w: %s and %d more", ErrConflict, cs[0].Path, n)
	}
	return fmt.Errorf("%w: %s", ErrConflict, cs[0].Path)
}

// Revert undoes the change that a commit made against its first parent, on top
// of a branch, by a three-way merge whose base is the commit and whose other
// side is its parent. A key changed since goes to the merge function. Nothing to
// undo makes no commit. The default message names the commit as git revert does.
func (r *Repo[K, V]) Revert(ctx context.Context, branch string, commit ID, opt MergeOptions) (MergeResult[K, V], error) {
	c, err := r.s.ReadCommit(commit)
	if err != nil {
		return MergeResult[K, V]{}, err
	}
	parent := EmptyTree
	if len(c.Parents) > 0 {
		p, err := r.s.ReadCommit(c.Parents[0])
		if err != nil {
			return MergeResult[K, V]{}, err
		}
		parent = p.Tree
	}
	if opt.Message == "" {
		opt.Message = fmt.Sprintf("Revert %q\n\nThis reverts commit %v.", c.Subject(), commit)
	}
	return r.retryMerge(ctx, branch, opt, func(head ID) (res MergeResult[K, V], w *scratch, err error) {
		if head.IsZero() {
			return res, nil, fmt.Errorf("%w: branch %s", ErrNotFound, branch)
		}
		ours, err := r.s.links(head)
		if err != nil {
			return res, nil, err
		}
		res = MergeResult[K, V]{Head: head, Bases: []ID{commit}}
		m := r.newMerger()
		tree, err := m.merge(c.Tree, ours.Tree, parent)
		if err != nil {
			return res, nil, err
		}
		if len(m.conflicts) > 0 {
			res.Kind, res.Conflicts = Conflicted, m.conflicts
			return res, nil, conflictError(m.conflicts)
		}
		if tree == ours.Tree && !opt.AllowEmpty {
			return res, nil, nil
		}
		res.Kind = Merged
		res.Head, err = r.putCommit(m.w, tree, []ID{head}, opt.CommitInfo)
		return res, m.w, err
	})
}
