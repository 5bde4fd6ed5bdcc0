package vcs

import (
	"context"
	"fmt"
)

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
	if err := ctx.Err(); err != nil {
		return ID{}, err
	}
	ref := BranchRef(branch)
	if err := CheckRefName(ref); err != nil {
		return ID{}, err
	}
	if have, _ := r.s.Ref(ref); have != head {
		return ID{}, fmt.Errorf("%w: %s is at %v, not at %v", ErrRefMoved, ref, have, head)
	}
	w, id, err := r.prepare(head, changes, info)
	if err != nil || id == head {
		return id, err
	}
	return id, r.s.publishWork(ctx, w, []RefUpdate{{ref, head, id}})
}

// prepare makes the commit of some changes, unpublished. The id is head when
// there is nothing to commit.
func (r *Repo[K, V]) prepare(head ID, changes []Change[K, V], info CommitInfo) (*scratch, ID, error) {
	base, err := r.AtCommit(head)
	if err != nil {
		return nil, ID{}, err
	}
	edits := make([]edit, len(changes))
	for i, c := range changes {
		edits[i].path = r.cfg.Layout.Path(c.Key)
		if !c.Value.Present {
			continue
		}
		if edits[i].content, err = r.encode(edits[i].path, c.Value.Value); err != nil {
			return nil, ID{}, err
		}
		edits[i].id = HashObject(KindBlob, edits[i].content)
	}
	w := newScratch(r.s)
	tree, err := w.editTree(base.tree, edits)
	if err != nil {
		return nil, ID{}, err
	}
	if tree == base.tree && !info.AllowEmpty {
		return w, head, nil
	}
	var parents []ID
	if !head.IsZero() {
		parents = []ID{head}
	}
	id, err := r.putCommit(w, tree, parents, info)
	return w, id, err
}

func (r *Repo[K, V]) encode(path string, v V) ([]byte, error) {
	b, err := r.cfg.Codec.Encode(v)
	if err != nil {
		return nil, fmt.Errorf("%s: encode: %w", path, err)
	}
	if len(b) > MaxObject {
		return nil, fmt.Errorf("%s: %w: value of %d bytes (at most %d)", path, ErrTooLarge, len(b), MaxObject)
	}
	return b, nil
}

// putCommit adds a commit object to the work. Its time is not before its
// parents'.
func (r *Repo[K, V]) putCommit(w *scratch, tree ID, parents []ID, info CommitInfo) (ID, error) {
	c := Commit{Tree: tree, Parents: parents}
	c.Author, c.Committer, c.Message = r.sign(info)
	for _, p := range parents {
		pc, err := r.s.ReadCommit(p)
		if err != nil {
			return ID{}, err
		}
		if t := pc.Time().UTC(); t.After(c.Committer.When) {
			c.Author.When, c.Committer.When = t, t
		}
	}
	if tree == EmptyTree {
		w.putTree(&Tree{})
	}
	content := c.Encode(make([]byte, 0, 320+len(c.Message)))
	if len(content) > MaxObject {
		return ID{}, fmt.Errorf("%w: commit of %d bytes (at most %d)", ErrTooLarge, len(content), MaxObject)
	}
	return w.put(KindCommit, content), nil
}

// publishWork publishes a scratch's objects with ref updates and keeps its
// trees in the cache, where the next commit looks for them.
func (s *Store) publishWork(ctx context.Context, w *scratch, updates []RefUpdate) error {
	if err := s.publish(ctx, w.objs, updates, false); err != nil {
		return err
	}
	for id, t := range w.trees {
		s.cache.addTree(id, t)
	}
	return nil
}
