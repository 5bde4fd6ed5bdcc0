package vcs

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// Conflict is one key that a merge function did not settle. Key is only valid
// when IsKey: files that are no key's conflict too.
type Conflict[K comparable, V any] struct {
	Path               string
	Key                K
	IsKey              bool
	Base, Ours, Theirs Opt[V]
	Err                error // what the merge function said
}

// keyMerger merges trees whose files are keys.
type keyMerger[K comparable, V any] struct {
	r         *Repo[K, V]
	w         *scratch // objects of the result
	bases     *scratch // objects of virtual bases, never published
	conflicts []Conflict[K, V]
	memo      map[string]ID // virtual bases by the commits they stand for
}

func (r *Repo[K, V]) newMerger() *keyMerger[K, V] {
	bases := newScratch(r.s)
	return &keyMerger[K, V]{r: r, w: newScratch(bases), bases: bases, memo: make(map[string]ID)}
}

// merge merges trees for good and collects conflicts.
func (m *keyMerger[K, V]) merge(base, ours, theirs ID) (ID, error) {
	t := merger{w: m.w}
	t.leaf = func(path string, b, o, th TreeEntry) (TreeEntry, error) {
		e, c, err := m.file(m.w, path, b, o, th)
		if c != nil {
			m.conflicts = append(m.conflicts, *c)
			return o, nil
		}
		return e, err
	}
	t.clash = func(path string) error {
		m.conflicts = append(m.conflicts, Conflict[K, V]{
			Path: path, Err: fmt.Errorf("%w: a file on one side, a folder on the other", ErrConflict),
		})
		return nil
	}
	return t.trees(base, ours, theirs, 0)
}

// virtual merges trees into a virtual base, in which a conflict is absent.
func (m *keyMerger[K, V]) virtual(base, ours, theirs ID) (ID, error) {
	t := merger{w: m.bases}
	t.leaf = func(path string, b, o, th TreeEntry) (TreeEntry, error) {
		e, c, err := m.file(m.bases, path, b, o, th)
		if c != nil {
			return TreeEntry{}, nil
		}
		return e, err
	}
	t.clash = func(string) error { return nil }
	return t.trees(base, ours, theirs, 0)
}

// file settles one file that both sides changed.
func (m *keyMerger[K, V]) file(w *scratch, path string, base, ours, theirs TreeEntry) (TreeEntry, *Conflict[K, V], error) {
	k, isKey := m.r.cfg.Layout.Key(path)
	for _, x := range []TreeEntry{base, ours, theirs} {
		isKey = isKey && (x.ID.IsZero() || x.Mode == ModeFile || x.Mode == ModeExecutable)
	}
	c := &Conflict[K, V]{Path: path, Key: k, IsKey: isKey}
	if !isKey {
		c.Err = fmt.Errorf("%w: both sides changed the file", ErrConflict)
		return TreeEntry{}, c, nil
	}
	for _, x := range []struct {
		o *Opt[V]
		e TreeEntry
	}{{&c.Base, base}, {&c.Ours, ours}, {&c.Theirs, theirs}} {
		var err error
		if *x.o, err = m.r.value(w, path, x.e); errors.Is(err, ErrDecode) {
			c.Err = err
			return TreeEntry{}, c, nil
		} else if err != nil {
			return TreeEntry{}, nil, err
		}
	}
	v, err := m.r.cfg.Merge(k, c.Base, c.Ours, c.Theirs)
	switch {
	case isConflict(err):
		c.Err = err
		return TreeEntry{}, c, nil
	case err != nil:
		return TreeEntry{}, nil, fmt.Errorf("merge %s: %w", path, err)
	case !v.Present:
		return TreeEntry{}, nil, nil
	}
	content, err := m.r.encode(path, v.Value)
	if err != nil {
		return TreeEntry{}, nil, err
	}
	id := HashObject(KindBlob, content)
	for _, x := range []TreeEntry{ours, theirs} {
		if x.ID == id {
			return x, nil, nil
		}
	}
	w.putAs(id, KindBlob, content)
	return TreeEntry{ours.Name, ModeFile, id}, nil, nil
}

// base returns the tree of the merge base that some lowest common ancestors
// stand for: one commit's own tree, or the merge of several of them, made the
// same way. They are taken in the order of their trees, which stays the same when
// roots of a new epoch stand for them.
func (m *keyMerger[K, V]) base(lcas []ID) (ID, error) {
	if len(lcas) == 0 {
		return EmptyTree, nil
	}
	name := ""
	commits := make([]*Commit, len(lcas))
	for i, id := range lcas {
		name += string(id[:])
		var err error
		if commits[i], err = m.r.s.links(id); err != nil {
			return ID{}, err
		}
	}
	if tree, ok := m.memo[name]; ok {
		return tree, nil
	}
	slices.SortStableFunc(commits, func(a, b *Commit) int { return bytes.Compare(a.Tree[:], b.Tree[:]) })
	lcas = make([]ID, len(commits))
	for i, c := range commits {
		lcas[i] = c.ID
	}
	tree := commits[0].Tree
	for i, next := range lcas[1:] {
		below, err := MergeBases(grafted{m.r.s, true}, lcas[:i+1], []ID{next})
		if err != nil {
			return ID{}, err
		}
		b, err := m.base(below)
		if err != nil {
			return ID{}, err
		}
		if tree, err = m.virtual(b, tree, commits[i+1].Tree); err != nil {
			return ID{}, err
		}
	}
	m.memo[name] = tree
	return tree, nil
}
