package vcs

import (
	"bytes"
	"context"
	"fmt"
	"strings"
)

// Subtree returns the id of the tree at a folder, EmptyTree when there is no
// such folder. Equal ids hold equal keys and values below it, whatever commit
// they are of.
func (v *Snapshot[K, V]) Subtree(dir string) (ID, error) {
	e, ok, err := v.Stat(dir)
	if err != nil || !ok || !e.Mode.IsDir() {
		return EmptyTree, err
	}
	return e.ID, nil
}

// Graft puts a tree of the store, one that Snapshot.Subtree returned, say, in
// the place of a folder, and commits that, as Update does. What the folder held
// is gone from the new head; the zero ID or EmptyTree removes it, and the empty
// path is the root. The cost follows the depth of the folder alone: nothing
// below it is read. The keys of the tree depend on where it is put.
//
// The error wraps ErrNotFound or ErrWrongKind when the store has no such tree,
// and ErrBadPath when a file is in the way or the path cannot stand in a tree.
func (r *Repo[K, V]) Graft(ctx context.Context, branch, dir string, tree ID, info CommitInfo) (ID, error) {
	return r.graftTree(ctx, branch, dir, nil, tree, info)
}

// TestAndGraft is Graft if the folder has the expected tree, EmptyTree or zero
// for none; otherwise the error wraps ErrTestFailed.
func (r *Repo[K, V]) TestAndGraft(ctx context.Context, branch, dir string, expect, tree ID, info CommitInfo) (ID, error) {
	expect = orEmpty(expect)
	return r.graftTree(ctx, branch, dir, &expect, tree, info)
}

func (r *Repo[K, V]) graftTree(ctx context.Context, branch, dir string, expect *ID, tree ID, info CommitInfo) (ID, error) {
	tree = orEmpty(tree)
	if _, err := r.s.ReadTree(tree); err != nil {
		return ID{}, fmt.Errorf("graft: %w", err)
	}
	res, err := r.retryMerge(ctx, branch, MergeOptions{}, func(head ID) (res MergeResult[K, V], w *scratch, err error) {
		res.Head = head
		base, err := r.AtCommit(head)
		if err != nil {
			return res, nil, err
		}
		if expect != nil {
			if have, err := base.Subtree(dir); err != nil {
				return res, nil, err
			} else if have != *expect {
				return res, nil, fmt.Errorf("%w: %s on %s is %v", ErrTestFailed, dir, branch, have)
			}
		}
		w = newScratch(r.s)
		root, err := w.graftAt(base.tree, dir, tree)
		if err != nil || root == base.tree && !info.AllowEmpty {
			return res, nil, err
		}
		res.Head, err = r.putOnTop(w, root, head, info)
		return res, w, err
	})
	return res.Head, err
}

// putOnTop adds a commit whose parent, unless zero, is head.
func (r *Repo[K, V]) putOnTop(w *scratch, root, head ID, info CommitInfo) (ID, error) {
	if head.IsZero() {
		return r.putCommit(w, root, nil, info)
	}
	return r.putCommit(w, root, []ID{head}, info)
}

// graftAt returns a root in which a tree stands at a folder's path.
func (w *scratch) graftAt(root ID, dir string, tree ID) (ID, error) {
	if dir = strings.Trim(dir, "/"); dir == "" {
		return tree, nil
	}
	if err := checkPath(dir); err != nil {
		return ID{}, err
	}
	return w.graft(root, dir, tree)
}

// graft returns a folder in which a tree stands at a path. Folders that become
// empty vanish.
func (w *scratch) graft(folder ID, path string, tree ID) (ID, error) {
	t, err := w.ReadTree(folder)
	if err != nil {
		return ID{}, err
	}
	name, rest, deeper := strings.Cut(path, "/")
	e, ok := t.Find(name)
	switch {
	case ok && !e.Mode.IsDir():
		return ID{}, fmt.Errorf("%w: %q is a file", ErrBadPath, name)
	case deeper:
		if tree, err = w.graft(orEmpty(e.ID), rest, tree); err != nil {
			return ID{}, err
		}
	}
	change := TreeEntry{Name: name, Mode: ModeDir, ID: tree}
	switch {
	case tree == orEmpty(e.ID):
		return folder, nil
	case tree == EmptyTree:
		change = TreeEntry{Name: name}
	}
	return w.putTree(t.changed([]TreeEntry{change})), nil
}

// Graft puts a tree of the store in the place of a folder, as Repo.Graft does,
// within a transaction: its later reads see it, and later changes go on top. Only
// what differs from the folder is read. Each file must be a key's where it comes
// to stand, or the error wraps ErrBadPath, with a value that the codec accepts,
// or it wraps ErrDecode; then nothing of the graft was done.
func (tx *Tx[K, V]) Graft(dir string, tree ID) error {
	dir = strings.Trim(dir, "/")
	if e, ok, err := tx.base.Stat(dir); err != nil {
		return err
	} else if ok && !e.Mode.IsDir() {
		return fmt.Errorf("%w: %q is a file", ErrBadPath, dir)
	}
	old, err := tx.base.Subtree(dir)
	if err != nil {
		return err
	}
	var changes []Change[K, V]
	differs := make(map[K]bool)
	for ch, err := range DiffTrees(tx.base.src, old, tree) {
		if err != nil {
			return err
		}
		c, err := tx.graftFile(join(dir, ch.Path), ch.New)
		if err != nil {
			return err
		}
		differs[c.Key] = true
		changes = append(changes, c)
	}
	// What the transaction changed there before becomes what the tree has.
	for _, c := range tx.changes {
		path := tx.r.cfg.Layout.Path(c.Key)
		below, ok := strings.CutPrefix(path, dir+"/")
		if dir == "" {
			below, ok = path, true
		}
		if !ok || differs[c.Key] {
			continue
		}
		e, _, err := statPath(tx.base.src, orEmpty(tree), below)
		if err != nil {
			return err
		}
		if e.Mode.IsDir() { // in the place of the key that was set
			e = TreeEntry{}
		}
		if c, err = tx.graftFile(path, e); err != nil {
			return err
		}
		changes = append(changes, c)
	}
	for _, c := range changes {
		tx.put(c.Key, c.Value)
	}
	return nil
}

// graftFile returns the change that makes a path what an entry, zero for none,
// holds.
func (tx *Tx[K, V]) graftFile(path string, e TreeEntry) (Change[K, V], error) {
	var c Change[K, V]
	k, ok := tx.r.cfg.Layout.Key(path)
	if !ok || !e.ID.IsZero() && e.Mode != ModeFile {
		return c, fmt.Errorf("%w: %q is no key's file", ErrBadPath, path)
	}
	c.Key = k
	if e.ID.IsZero() {
		return c, nil
	}
	content, err := readKind(tx.base.src, e.ID, KindBlob)
	if err != nil {
		return c, fmt.Errorf("%s: %w", path, err)
	}
	if c.Value, err = tx.r.value(tx.base.src, path, e); err != nil {
		return c, err
	}
	if again, err := tx.r.encode(path, c.Value.Value); err != nil || !bytes.Equal(again, content) {
		return c, fmt.Errorf("%w: %s is not as the codec writes it", ErrDecode, path)
	}
	return c, nil
}
