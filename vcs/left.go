package vcs

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// What leaves with an epoch must not be led to afterwards: a ref or a commit that
// did would be broken. Two sides see to that. Whoever drops an epoch holds the
// writers, looks at all refs, and drops it only while those are as he saw them.
// Whoever publishes looks whether what his refs and commits lead to has left, and
// again if an epoch was dropped meanwhile.

// left reports whether a commit has left with an epoch, or is about to.
func (s *Store) left(id ID) (bool, error) {
	left, err := s.commitLeft(id)
	if !left || err != nil {
		return left, err
	}
	if in, err := s.log.epochOf(id); in > 0 || err != nil {
		return left, err
	}
	_, _, err = s.ReadObject(id) // not a commit, perhaps
	if errors.Is(err, ErrNotFound) {
		return true, nil
	}
	return false, err
}

// commitLeft is left for what is a commit for certain. It takes no work tree:
// the caller may have one in hand.
func (s *Store) commitLeft(id ID) (bool, error) {
	if s.log == nil || s.drops.Load() == 0 || s.isUnsaved(id) {
		return false, nil
	}
	in, err := s.log.epochOf(id)
	if err != nil {
		return false, err
	}
	if in > 0 {
		return s.epochs.gone(in), nil
	}
	if _, ok := s.epochs.object(id); ok {
		return false, nil
	}
	_, _, err = s.log.known(id) // it is kept natively
	if errors.Is(err, ErrNotFound) {
		return true, nil
	}
	return false, err
}

// gone reports whether an epoch has left.
func (t *epochTable) gone(number int) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	i := slices.IndexFunc(t.list, func(e Epoch) bool { return e.Number <= number && number < e.Number+e.Count() })
	return i < 0 || t.list[i].State > EpochLive
}

// unsure returns the commits that a publication leads to and of which only left
// can tell: where a ref is to move from, it is, and refs lead to nothing that has
// left.
func unsure(objs []Object, n *note, updates []RefUpdate) (ids []ID) {
	if n != nil {
		for _, p := range n.parents {
			if !slices.ContainsFunc(updates, func(u RefUpdate) bool { return u.Old == p }) {
				ids = append(ids, p)
			}
		}
	}
	for _, u := range updates {
		if u.New.IsZero() || u.New == u.Old || n != nil && u.New == n.id {
			continue
		}
		if !slices.ContainsFunc(objs, func(o Object) bool { return o.ID == u.New }) {
			ids = append(ids, u.New)
		}
	}
	return ids
}

// noneLeft returns an error that wraps ErrNotFound when one of some objects has
// left, as left or commitLeft says.
func noneLeft(ids []ID, left func(ID) (bool, error)) error {
	for _, id := range ids {
		gone, err := left(id)
		if err != nil {
			return err
		}
		if gone {
			return fmt.Errorf("%w: %v has left with its epoch", ErrNotFound, id)
		}
	}
	return nil
}

// settledRefs returns the refs at a moment at which all that they lead to is
// saved. Writers are held.
func (s *Store) settledRefs() (map[string]ID, error) {
	for {
		if err := s.Sync(s.keepCtx); err != nil {
			return nil, err
		}
		s.mu.RLock()
		quiet, refs := len(s.queue) == 0, maps.Clone(s.refs)
		s.mu.RUnlock()
		if quiet {
			return refs, nil
		}
	}
}

// leadsInto reports whether an object is a commit of some logs, or leads to one
// through commits and tags that are kept natively.
func (ls *logs) leadsInto(id ID, some []*oplog) (bool, error) {
	seen := map[ID]bool{id: true}
	for todo := []ID{id}; len(todo) > 0; {
		id, todo = todo[len(todo)-1], todo[:len(todo)-1]
		for _, l := range some {
			if in, err := l.has(id); in || err != nil {
				return in, err
			}
		}
		if in, err := ls.epochOf(id); err != nil {
			return false, err
		} else if in > 0 {
			continue // what that one leads to is known
		}
		next, err := ls.nativeLinks(id)
		if err != nil {
			return false, err
		}
		for _, p := range next {
			if !seen[p] {
				seen[p] = true
				todo = append(todo, p)
			}
		}
	}
	return false, nil
}

// nativeLinks returns the commits that a commit or tag which is kept natively
// leads to; none for anything else.
func (ls *logs) nativeLinks(id ID) ([]ID, error) {
	kind, content, err := ls.native(id)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	switch kind {
	case KindCommit:
		c, err := ParseCommit(content)
		if err != nil {
			return nil, err
		}
		return c.Parents, nil
	case KindTag:
		t, err := ParseTag(content)
		if err != nil {
			return nil, err
		}
		return []ID{t.Target}, nil
	}
	return nil, nil
}
