package vcs

import (
	"context"
	"fmt"
)

// MergeKey merges a value into one key of a branch, as if it stood on another
// branch that started where the key was base: a client's edit of what it read
// some time ago. It commits the result with one parent. Absent removes. A value
// that the merge function does not settle is an error that wraps ErrConflict.
func (r *Repo[K, V]) MergeKey(ctx context.Context, branch string, k K, base, theirs Opt[V], info CommitInfo) (ID, error) {
	path := r.cfg.Layout.Path(k)
	return r.Update(ctx, branch, TxOptions{CommitInfo: info}, func(tx *Tx[K, V]) error {
		m := r.newMerger()
		var s sides
		for i, o := range []Opt[V]{base, theirs} {
			if !o.Present {
				continue
			}
			content, err := r.encode(path, o.Value)
			if err != nil {
				return err
			}
			s[i*2] = treeRef{ModeFile, m.w.put(KindBlob, content)}
		}
		ours, ok, err := tx.base.Stat(path)
		if err != nil {
			return err
		}
		if ok {
			s[1] = treeRef{ours.Mode, ours.ID}
		}
		e, conflict, err := m.settle(m.w, path, &s)
		switch {
		case err != nil:
			return err
		case conflict != nil && isConflict(conflict.Err):
			return fmt.Errorf("%s on %s: %w", path, branch, conflict.Err)
		case conflict != nil:
			return fmt.Errorf("%s on %s: %w: %w", path, branch, ErrConflict, conflict.Err)
		case e == s[1].entry(path):
			return nil
		}
		o, err := r.value(m.w, path, e)
		tx.put(k, o)
		return err
	})
}

// settle is file for what a side may have left alone.
func (m *keyMerger[K, V]) settle(w *scratch, path string, s *sides) (TreeEntry, *Conflict[K, V], error) {
	if now, ok := s.threeWay(); ok {
		return now.entry(path), nil, nil
	}
	return m.file(w, path, s[0].entry(path), s[1].entry(path), s[2].entry(path))
}

// MergeTree merges a tree into a folder of a branch, three ways and key by key:
// base is the tree from which theirs was made, EmptyTree or zero for none. The
// empty path is the root. It commits the result with one parent, when there is
// something to commit. What may be put where is as with Graft; what is merged is
// read. With conflicts it is as Merge.
func (r *Repo[K, V]) MergeTree(ctx context.Context, branch, dir string, base, theirs ID, opt MergeOptions) (MergeResult[K, V], error) {
	if opt.Message == "" {
		opt.Message = fmt.Sprintf("Merge tree '%s' into %s", orEmpty(theirs).Short(), branch)
	}
	return r.retryMerge(ctx, branch, opt, func(head ID) (res MergeResult[K, V], w *scratch, err error) {
		res.Head = head
		snap, err := r.AtCommit(head)
		if err != nil {
			return res, nil, err
		}
		// Roots that differ below the folder only.
		m := r.newMerger()
		from, err := m.bases.graftRead(snap.tree, dir, base)
		if err != nil {
			return res, nil, fmt.Errorf("merge tree: base: %w", err)
		}
		to, err := m.w.graftRead(snap.tree, dir, theirs)
		if err != nil {
			return res, nil, fmt.Errorf("merge tree: %w", err)
		}
		root, err := m.merge(from, snap.tree, to)
		if err != nil {
			return res, nil, err
		}
		if len(m.conflicts) > 0 {
			res.Kind, res.Conflicts = Conflicted, m.conflicts
			return res, nil, conflictError(m.conflicts)
		}
		if root == snap.tree && !opt.AllowEmpty {
			return res, nil, nil
		}
		res.Kind = Merged
		res.Head, err = r.putOnTop(m.w, root, head, opt.CommitInfo)
		return res, m.w, err
	})
}

// graftRead is graftAt of a tree that must be there.
func (w *scratch) graftRead(root ID, dir string, tree ID) (ID, error) {
	tree = orEmpty(tree)
	if _, err := w.ReadTree(tree); err != nil {
		return ID{}, err
	}
	return w.graftAt(root, dir, tree)
}
