package vcs

import (
	"context"
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

// Settled waits until no epoch is about to leave and returns a number that
// changes when one does, for AddObjectsSettled.
func (s *Store) Settled(ctx context.Context) (int64, error) {
	for s.log != nil && s.log.pins.unsettled() {
		if err := s.Sync(ctx); err != nil {
			return 0, err
		}
	}
	return s.drops.Load(), nil
}

// AddObjectsSettled is AddObjects unless an epoch has left since Settled returned
// a number; then the error wraps ErrLeft. So somebody who has looked since whether
// all that the objects lead to is here knows that it is, and the trees and files
// that they need stay with them. Commits to which they lead may leave later, which
// UpdateRefs looks for.
func (s *Store) AddObjectsSettled(ctx context.Context, objs []Object, settled int64) error {
	checked, err := checkObjects(ctx, objs)
	if err != nil {
		return err
	}
	ok, err := s.publishUnless(ctx, settled, checked, nil, nil, true)
	if err == nil && !ok {
		err = ErrLeft
	}
	return err
}

// left reports whether an object has left with an epoch, or is about to, or leads
// through commits and tags that somebody else made to one that has.
func (s *Store) left(id ID) (bool, error) { return s.leadsToLeft(id, true) }

// commitLeft is left for what is a commit for certain. It takes no work tree:
// the caller may have one in hand.
func (s *Store) commitLeft(id ID) (bool, error) { return s.leadsToLeft(id, false) }

func (s *Store) leadsToLeft(id ID, search bool) (bool, error) {
	if s.log == nil || s.drops.Load() == 0 {
		return false, nil
	}
	var named map[ID]bool
	seen := map[ID]bool{id: true}
	for todo := []ID{id}; len(todo) > 0; {
		id, todo = todo[len(todo)-1], todo[:len(todo)-1]
		left, next, err := s.leftItself(id, search)
		if left || err != nil {
			return left, err
		}
		if len(next) > 0 && named == nil {
			named = s.targets()
		}
		if named[id] {
			continue // refs lead to nothing that has left
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

// leftItself reports whether an object has left. If not, and if somebody else
// made it or something below it, it also returns the commits to which it leads. With search it may be
// anything, else a commit.
func (s *Store) leftItself(id ID, search bool) (left bool, next []ID, err error) {
	if _, ok := s.unsavedCommit(id); ok {
		return false, nil, nil // that was seen to when it was made
	}
	if o, ok := s.queued(id); ok {
		next, err = commitLinks(o.Kind, o.Content)
		return false, next, err
	}
	in, err := s.log.epochOf(id)
	if err != nil || in > 0 && s.epochs.gone(in) {
		return err == nil, nil, err
	}
	if in > 0 {
		next, err = s.log.parentsAbove(in, id)
		return false, next, err
	}
	if _, ok := s.epochs.object(id); ok {
		return false, nil, nil
	}
	kind, content, err := s.log.native(id)
	if err == nil {
		next, err = commitLinks(kind, content)
		return false, next, err
	}
	if errors.Is(err, ErrNotFound) && search {
		_, _, err = s.ReadObject(id)
	}
	if errors.Is(err, ErrNotFound) {
		return true, nil, nil
	}
	return false, nil, err
}

// targets returns what refs point to.
func (s *Store) targets() map[ID]bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make(map[ID]bool, len(s.refs))
	for _, id := range s.refs {
		out[id] = true
	}
	return out
}

// parentsAbove returns the parents of a commit of an epoch's log through which
// that may lead out of the log: somebody else's commits come into it, too, on top
// of what is kept natively. There are none where nothing that is so old does.
func (ls *logs) parentsAbove(epoch int, id ID) ([]ID, error) {
	for _, l := range ls.newestFirst() {
		if l.epoch != epoch {
			continue
		}
		outside, err := l.outsideParents()
		if len(outside) == 0 || err != nil {
			return nil, err
		}
		return l.parentsFrom(id)
	}
	return nil, nil
}

// parentsFrom returns the parents of a commit of the log; none when no commit as
// old as it has one outside.
func (l *oplog) parentsFrom(id ID) ([]ID, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	num, ok, err := l.find(id)
	if err != nil || !ok || num < l.outsideAt {
		return nil, err
	}
	kind, content, err := l.commitObject(id, num)
	if err != nil {
		return nil, err
	}
	return commitLinks(kind, content)
}

// gone reports whether an epoch has left.
func (t *epochTable) gone(number int) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	i := slices.IndexFunc(t.list, func(e Epoch) bool { return e.Number <= number && number < e.Number+e.Count() })
	return i < 0 || t.list[i].State > EpochLive
}

// unsure returns the objects that a publication leads to and of which only left
// can tell: where a ref is to move from, it is, and refs lead to nothing that has
// left.
func unsure(objs []Object, n *note, updates []RefUpdate) (ids []ID) {
	add := func(id ID) {
		if !slices.ContainsFunc(updates, func(u RefUpdate) bool { return u.Old == id }) &&
			!slices.ContainsFunc(objs, func(o Object) bool { return o.ID == id }) {
			ids = append(ids, id)
		}
	}
	if n != nil {
		for _, p := range n.parents {
			add(p)
		}
	}
	for _, u := range updates {
		if !u.New.IsZero() && u.New != u.Old && (n == nil || u.New != n.id) {
			add(u.New)
		}
	}
	if len(updates) == 0 {
		return ids // of somebody else's objects it matters when a ref comes to lead there
	}
	for _, o := range objs {
		next, _ := commitLinks(o.Kind, o.Content) // they were made here
		for _, id := range next {
			add(id)
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
// saved, and how much was published until then. Writers are held.
func (s *Store) settledRefs() (refs map[string]ID, published uint64, err error) {
	for {
		if err := s.Sync(s.keepCtx); err != nil {
			return nil, 0, err
		}
		s.mu.RLock()
		quiet, refs, published := len(s.queue) == 0, maps.Clone(s.refs), s.published
		s.mu.RUnlock()
		if quiet {
			return refs, published, nil
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
	return commitLinks(kind, content)
}

// commitLinks returns the parents of a commit and the target of a tag; none for
// anything else.
func commitLinks(kind Kind, content []byte) ([]ID, error) {
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
