package vcs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// EndEpoch ends the current epoch, begins the next one and returns it. Every
// branch moves to a root, a commit that stands for its head: with the same tree,
// less what Retention.Keep refuses, and no parents but other roots, such that
// each two branches have the roots of their merge bases as merge bases. Readers
// go on through a root to the history before, while that is here. The branches
// under history/ are kept as they are.
//
// When nothing was committed since the current epoch began, there is nothing to
// end, and that is returned. Writers wait for the moment that it takes to make
// the roots, not for the backend. The epoch has begun when EndEpoch returns
// without an error, and it is durable.
func (s *Store) EndEpoch(ctx context.Context) (Epoch, error) {
	if err := s.keeping.take(ctx); err != nil {
		return Epoch{}, err
	}
	defer s.keeping.give()
	if _, err := s.endEpoch(ctx); err != nil {
		return Epoch{}, err
	}
	if err := s.Sync(ctx); err != nil {
		return Epoch{}, err
	}
	list := s.Epochs()
	return list[len(list)-1], nil
}

// endEpoch is EndEpoch without the wait for the backend; s.keeping is held. It
// reports whether there was something to end.
func (s *Store) endEpoch(ctx context.Context) (bool, error) {
	s.dropStrays()
	filter := (*treeFilter)(nil)
	if keep := s.cfg.Retention.Keep; keep != nil {
		filter = &treeFilter{keep: keep, work: newScratch(s), memo: make(map[filterKey]ID)}
	}
	carried, err := s.carry()
	if err != nil {
		return false, err
	}
	if filter != nil {
		// Once for all that is there, so that writers need not wait for it.
		if p, _, err := s.planEpoch(filter); err != nil || p == nil {
			return false, err
		}
	}
	release, err := s.hold()
	if err != nil {
		return false, err
	}
	defer release()
	for {
		p, refs, err := s.planEpoch(filter)
		if err != nil || p == nil {
			return false, err
		}
		// A writer that was through the gate already may come between.
		if err = s.beginEpoch(p, refs, carried); !errors.Is(err, ErrRefMoved) {
			return err == nil, err
		}
	}
}

// hold keeps writers waiting until release is called.
func (s *Store) hold() (release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	held := make(chan struct{})
	s.held = held
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.held = nil
		close(held)
	}, nil
}

// planEpoch makes the roots of the next epoch for the branches as they are. The
// plan is nil when there is nothing to end.
func (s *Store) planEpoch(filter *treeFilter) (*rootPlan, []Ref, error) {
	list := s.Epochs()
	cur := list[len(list)-1]
	isRoot := make(map[ID]bool)
	for _, r := range cur.Roots {
		isRoot[r.Root] = true
	}
	var branches []Ref
	changed := false
	for _, r := range cur.Heads {
		if strings.HasPrefix(r.Name, branchPrefix) && !strings.HasPrefix(r.Name, historyPrefix) {
			branches = append(branches, r)
			changed = changed || !isRoot[r.Target]
		}
	}
	if !changed {
		return nil, nil, nil
	}
	p := &rootPlan{number: cur.Number + 1, author: epochAuthor(s.cfg.Retention.Author, time.Time{}), filter: filter, work: newScratch(s)}
	return p, cur.Heads, s.plan(p, branches)
}

// beginEpoch enters a plan. Writers are held.
func (s *Store) beginEpoch(p *rootPlan, refs []Ref, carried *carriedRefs) error {
	now := time.Now().UTC().Truncate(time.Second)
	list, _ := s.epochs.snapshot()
	ended := &list[len(list)-1]
	ended.State, ended.Ended, ended.Heads = EpochLive, now, refs
	ended.Commits = p.ended
	if s.log != nil {
		ended.Commits, ended.LogBytes = s.log.current().size()
	}
	next := Epoch{Number: p.number, Roots: append(p.roots, carried.roots...)}
	for _, r := range p.roots {
		if c, err := ParseCommit(mustContent(p.work, r.Root)); err == nil && c.Time().After(next.Began) {
			next.Began = c.Time()
		}
	}
	if len(list) == 1 {
		if ended.Began.IsZero() {
			ended.Began = s.firstTime()
		}
		if first, ok := s.firstCommit(); ok {
			ended.Roots = []EpochRoot{{Ref: s.Head(), Root: first}}
		}
	}
	message := fmt.Sprintf("epoch %d begins\n", next.Number)
	w := newScratch(s)
	ledger, err := s.record(w, carried.ledger, message, []*Epoch{ended, &next}, nil, nil)
	if err != nil {
		return err
	}
	moves := append(p.moves, carried.moves...)
	old, _ := s.Ref(ledgerRef)
	moves = append(moves, RefUpdate{ledgerRef, old, ledger})
	list = append(list, next)

	objs := slices.Concat(p.work.objs, carried.objs, w.objs)
	if p.filter != nil {
		objs = slices.Concat(p.filter.work.objs, objs)
	}
	if s.log == nil {
		for _, r := range next.Roots {
			objs = append(objs, Object{r.Replacement, KindCommit, r.ReplacementBytes})
		}
		moves = append(moves, s.keptRefs(list)...)
	}
	states := s.rootStates(p)
	return s.enterEpochs(list, objs, moves, nil, func(g *group) {
		g.epoch = &epochHead{number: next.Number, began: now}
		s.work.handOver(p.roots, states, g.seq)
	})
}

// rootStates returns the states of the roots of a plan that have the trees of
// the commits that they stand for.
func (s *Store) rootStates(p *rootPlan) map[ID]*node {
	states, settled := make(map[ID]*node), make(map[*node]*node)
	if s.log == nil {
		return states
	}
	for _, r := range p.roots {
		root, err := s.rootOf(r.Old)
		if err == nil && s.natives.any.Load() {
			root, err = root.settled(s.log.native.load, settled)
		}
		if err != nil {
			continue // it is made from objects then
		}
		if c, err := ParseCommit(mustContent(p.work, r.Root)); err == nil && c.Tree == root.id {
			states[r.Root] = root
		}
	}
	return states
}

// firstTime returns when the first epoch began: the time of its oldest commit,
// as far as that can be told at once.
func (s *Store) firstTime() time.Time {
	if s.log == nil {
		return time.Time{}
	}
	l := s.log.newestFirst()
	first := l[len(l)-1]
	first.mu.Lock()
	defer first.mu.Unlock()
	v, i, err := first.at(0)
	if err != nil {
		return time.Time{}
	}
	return time.Unix(v.rec(i).time, 0).UTC()
}

// firstCommit returns the oldest commit of the first epoch's log, by which clones
// of that epoch are known when it is long gone.
func (s *Store) firstCommit() (ID, bool) {
	if s.log == nil {
		return ID{}, false
	}
	l := s.log.newestFirst()
	first := l[len(l)-1]
	first.mu.Lock()
	defer first.mu.Unlock()
	v, i, err := first.at(0)
	if err != nil || v.rec(i).parent != noParent {
		return ID{}, false
	}
	id, err := first.idOf(v, i)
	return id, err == nil
}

// mustContent returns the content of an object that is in a scratch.
func mustContent(w *scratch, id ID) []byte {
	_, content, _ := w.ReadObject(id)
	return content
}
