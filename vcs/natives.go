package vcs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// natives reads the objects that a backend keeps beside the log, those that
// somebody else made and that the log cannot tell, and finds out which of them
// nothing leads to any more.
//
// Who publishes something that leads to such an object has read it before, or
// written it. So an object may go that nothing led to at one time, that nobody
// has read or written since, and that nothing leads to now; in between lies the
// time for which a reader may go on with what he has (MaxHeldFor), or everything
// since the store was opened. It is safe for concurrent use.
type natives struct {
	read objectSource
	list ObjectLister // nil: they stay for ever
	any  atomic.Bool  // some are, or were, there

	watching  atomic.Bool // reads are noted
	mu        sync.Mutex
	all       bool            // all of them are, since the store was opened
	condemned map[ID]struct{} // nothing led to them at that time
	since     time.Time
	touched   map[ID]struct{} // of condemned, or of all
	going     map[ID]struct{} // are being deleted
	looked    int64           // how often epochs had been dropped then; -1: look again
	whole     map[ID]struct{} // trees that are here with all below them, as far as that is known
}

// maxNoted bounds the objects that are noted, and condemned, at a time.
const maxNoted = 1 << 16

func newNatives(objects ObjectReader) *natives {
	n := &natives{read: objects.ReadObject, looked: -1}
	if n.list, _ = objects.(ObjectLister); n.list == nil {
		return n
	}
	for range n.list.Objects() { // an error counts as one
		n.any.Store(true)
		break
	}
	if n.any.Load() {
		n.all, n.touched = true, make(map[ID]struct{})
		n.watching.Store(true)
	}
	return n
}

// ReadObject implements ObjectReader.
func (n *natives) ReadObject(id ID) (Kind, []byte, error) {
	if n.watching.Load() && !n.touch(id) {
		return 0, nil, fmt.Errorf("%w: %v", ErrNotFound, id)
	}
	return n.read(id)
}

// touch notes that an object is read or written; false says that it is going.
func (n *natives) touch(id ID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, ok := n.going[id]; ok {
		return false
	}
	if _, ok := n.condemned[id]; ok || n.all {
		n.touched[id] = struct{}{}
	}
	if n.all && len(n.touched) > maxNoted {
		n.all, n.touched = false, nil
		n.watching.Store(len(n.condemned)+len(n.going) > 0)
	}
	return true
}

// wrote notes objects that are about to be written.
func (n *natives) wrote(objs []Object) {
	if n.list == nil || len(objs) == 0 {
		return
	}
	n.any.Store(true)
	for _, o := range objs {
		n.touch(o.ID)
	}
}

// isWhole reports whether a tree is known to be here with all below it.
func (n *natives) isWhole(id ID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, ok := n.whole[id]
	return ok
}

func (n *natives) setWhole(ids []ID) {
	if len(ids) == 0 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.whole == nil || len(n.whole) >= maxNoted {
		n.whole = make(map[ID]struct{})
	}
	for _, id := range ids {
		n.whole[id] = struct{}{}
	}
}

// collectNatives lets objects go that nothing leads to: it looks for them when
// an epoch has left, and deletes them at a later time. S.keeping is held.
func (s *Store) collectNatives(ctx context.Context) error {
	if s.natives == nil || s.natives.list == nil || !s.natives.any.Load() {
		return nil
	}
	n := s.natives
	n.mu.Lock()
	all, waiting, since, looked := n.all, n.condemned != nil, n.since, n.looked
	n.mu.Unlock()
	drops := s.drops.Load()
	switch {
	case all:
	case !waiting && looked == drops, waiting && time.Since(since) < MaxHeldFor:
		return nil
	}
	m := &nativeMark{n: n, reached: make(map[ID]struct{})}
	if err := s.markNatives(ctx, m); err != nil {
		return fmt.Errorf("vcs: look for objects that nothing leads to: %w", err)
	}
	if all || waiting {
		return s.sweepNatives(ctx, m, drops)
	}
	dead, more, err := m.unreached()
	if err != nil {
		return err
	}
	s.cache.clear() // what is read from now on is noted
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.looked = drops; len(dead) > 0 {
		n.condemned, n.touched, n.since = dead, make(map[ID]struct{}), time.Now()
		if more {
			n.looked = -1
		}
		n.watching.Store(true)
	}
	return nil
}

// markNatives marks what refs, epochs and commits of the logs lead to.
func (s *Store) markNatives(ctx context.Context, m *nativeMark) error {
	refs, _ := s.Refs() // a Store's own list cannot fail
	for _, e := range s.Epochs() {
		if e.State > EpochLive {
			continue
		}
		refs = append(refs, e.Heads...)
		for _, r := range e.Roots {
			refs = append(refs, Ref{Target: r.Root}, Ref{Target: r.Old})
		}
	}
	for _, r := range refs {
		if err := m.from(ctx, r.Target); err != nil {
			return err
		}
	}
	if err := s.Sync(ctx); err != nil {
		return err
	}
	for _, l := range s.log.newestFirst() {
		outside, err := l.outsideParents()
		if err != nil {
			return err
		}
		for _, id := range outside {
			if err := m.from(ctx, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// sweepNatives deletes what is condemned and was not marked. What was read, or
// written, or is waiting to be written, counts as led to.
func (s *Store) sweepNatives(ctx context.Context, m *nativeMark, drops int64) error {
	n := m.n
	for {
		n.mu.Lock()
		touched, condemned := make([]ID, 0, len(n.touched)), n.condemned
		for id := range n.touched {
			touched = append(touched, id)
		}
		n.mu.Unlock()
		for _, id := range touched {
			if err := m.from(ctx, id); err != nil {
				return err
			}
		}
		if condemned == nil {
			var err error
			if condemned, _, err = m.unreached(); err != nil {
				return err
			}
		}
		if s.forget(m, condemned, len(touched), drops) {
			return s.Sync(ctx)
		}
	}
}

// forget has those of some objects deleted that are not marked, unless more
// have been touched than were seen.
func (s *Store) forget(m *nativeMark, condemned map[ID]struct{}, seen int, drops int64) bool {
	n := m.n
	s.mu.Lock()
	defer s.mu.Unlock()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.condemned == nil && !n.all { // too much was read since the store was opened
		return true
	}
	if len(n.touched) != seen {
		return false
	}
	var dead []ID
	for id := range condemned {
		if _, ok := m.reached[id]; !ok {
			dead = append(dead, id)
		}
	}
	for _, id := range dead {
		for _, g := range s.queue {
			if _, ok := g.object(id); ok {
				n.touched[id] = struct{}{} // it is written again
			}
		}
	}
	if len(n.touched) != seen {
		return false
	}
	more := n.looked < 0 && n.condemned != nil
	n.all, n.condemned, n.touched, n.whole = false, nil, nil, nil
	if n.looked = drops; more {
		n.looked = -1
	}
	n.watching.Store(len(dead) > 0)
	if len(dead) == 0 || s.closed {
		return true
	}
	n.going = make(map[ID]struct{}, len(dead))
	for _, id := range dead {
		n.going[id] = struct{}{}
	}
	s.seal()
	s.openGroup().forget = dead
	s.seal()
	signal(s.wake) // and whoever called waits for it
	s.cfg.Logger.Info("vcs: objects that nothing leads to are deleted", "objects", len(dead))
	return true
}

// forgotten is told when that is done.
func (n *natives) forgotten() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.going = nil
	n.watching.Store(n.all || n.condemned != nil)
}

// nativeMark marks objects that something leads to.
type nativeMark struct {
	n       *natives
	reached map[ID]struct{}
}

// from marks an object that is kept natively, with all that it leads to.
func (m *nativeMark) from(ctx context.Context, id ID) error {
	for todo := []ID{id}; len(todo) > 0; {
		id, todo = todo[len(todo)-1], todo[:len(todo)-1]
		if _, ok := m.reached[id]; ok || id.IsZero() {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		kind, content, err := m.n.read(id)
		if errors.Is(err, ErrNotFound) {
			continue // the log tells it
		}
		if err != nil && !errors.Is(err, ErrCorrupt) {
			return err
		}
		m.reached[id] = struct{}{}
		if err == nil {
			todo = append(todo, linksOf(kind, content)...)
		}
	}
	return nil
}

// lacks reports whether a tag, tree or file, or something that it leads to, is
// not kept by itself.
func (n *natives) lacks(id ID) (bool, error) {
	seen := map[ID]bool{id: true, EmptyTree: true}
	for todo := []ID{id}; len(todo) > 0; {
		id, todo = todo[len(todo)-1], todo[:len(todo)-1]
		kind, content, err := n.read(id)
		if errors.Is(err, ErrNotFound) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		for _, x := range linksOf(kind, content) {
			if !seen[x] {
				seen[x] = true
				todo = append(todo, x)
			}
		}
	}
	return false, nil
}

// linksOf returns what an object names.
func linksOf(kind Kind, content []byte) (ids []ID) {
	switch kind {
	case KindCommit:
		if c, err := ParseCommit(content); err == nil {
			ids = append(append(ids, c.Tree), c.Parents...)
		}
	case KindTag:
		if t, err := ParseTag(content); err == nil {
			ids = append(ids, t.Target)
		}
	case KindTree:
		if t, err := ParseTree(content); err == nil {
			for i := range t.Len() {
				if e := t.Entry(i); e.Mode != ModeSubmodule {
					ids = append(ids, e.ID)
				}
			}
		}
	}
	return ids
}

// unreached returns objects that are not marked, maxNoted at most.
func (m *nativeMark) unreached() (ids map[ID]struct{}, more bool, err error) {
	ids = make(map[ID]struct{})
	for id, err := range m.n.list.Objects() {
		if err != nil {
			return nil, false, err
		}
		if _, ok := m.reached[id]; ok {
			continue
		}
		if len(ids) == maxNoted {
			return ids, true, nil
		}
		ids[id] = struct{}{}
	}
	return ids, false, nil
}
