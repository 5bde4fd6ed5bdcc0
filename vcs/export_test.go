package vcs

import (
	"context"
	"errors"
	"fmt"
)

// DropEpoch drops an epoch, as the policy does.
func DropEpoch(s *Store, number int, reason string) error {
	s.keeping <- struct{}{}
	defer s.keeping.give()
	if err := s.drop(number, reason); err != nil {
		return err
	}
	return s.Sync(context.Background())
}

// DropMeanwhile is DropEpoch with something that happens once it is settled what
// the epoch takes with it.
func DropMeanwhile(s *Store, number int, meanwhile func()) error {
	s.keeping <- struct{}{}
	defer s.keeping.give()
	p, err := s.planDrop(number, "test")
	if err != nil {
		return err
	}
	meanwhile()
	if err := s.enterDrop(p); !errors.Is(err, ErrRefMoved) {
		return errors.Join(err, s.Sync(context.Background()))
	}
	if err := s.drop(number, "test"); err != nil && !errors.Is(err, errNeedsEpoch) {
		return err
	}
	return s.Sync(context.Background())
}

// HoldBytes bounds what readers hold of epochs that have left, beyond
// MaxHeldEpochs.
func HoldBytes(s *Store, bytes int64) { s.log.pins.room = bytes }

// KeepCommit commits without a ref, as a transaction does that is going to merge.
func KeepCommit[K comparable, V any](r *Repo[K, V], head ID, changes []Change[K, V]) (ID, error) {
	d, err := r.prepare(context.Background(), head, "", changes, &CommitInfo{})
	if err != nil {
		return ID{}, err
	}
	defer r.s.release(&d)
	return d.id, r.s.publishDraft(context.Background(), &d, nil)
}

// TryCommit makes a commit that does not come about.
func TryCommit[K comparable, V any](r *Repo[K, V], head ID, changes []Change[K, V]) error {
	d, err := r.prepare(context.Background(), head, "", changes, &CommitInfo{})
	if err == nil {
		r.s.release(&d)
	}
	return err
}

// WorkTrees returns at how many commits a store is ready to go on.
func WorkTrees(s *Store) int { return len(s.work.all()) }

// CommitSeries makes commits of one change each, as many as go into a series.
func CommitSeries[K comparable, V any](r *Repo[K, V], branch string, head ID, changes []Change[K, V], info CommitInfo) (at ID, done, made int) {
	var c series
	var steps [maxSeries]step
	for i, x := range changes {
		s := &steps[i]
		s.info, s.path, s.mode = info, r.cfg.Layout.Path(x.Key), ModeFile
		var err error
		s.content, err = r.encode(s.path, x.Value.Value)
		s.fit = err == nil && x.Value.Present
	}
	c.contents(steps[:len(changes)])
	return r.commitSeries(context.Background(), &c, branch, head, steps[:len(changes)])
}

// MoveRef moves a ref without a look at what it points to.
func MoveRef(s *Store, name string, old, new ID) error {
	return s.publish(context.Background(), nil, nil, []RefUpdate{{name, old, new}}, false)
}

// MergeBothWays merges two commits as states and as trees, unpublished. Plain is
// false when the first cannot be done.
func MergeBothWays[K comparable, V any](r *Repo[K, V], base, ours, theirs ID) (trees [2]ID, conflicts [2][]Conflict[K, V], plain bool, err error) {
	m := r.newMerger()
	trees[0], err = m.mergeStates(base, ours, theirs)
	conflicts[0] = m.conflicts
	plain = err == nil
	if plain && m.w.merged.root.hash() != trees[0] {
		err = ErrCorrupt
		return
	}
	m = r.newMerger()
	var c [3]*Commit
	for i, id := range []ID{base, ours, theirs} {
		if c[i], err = r.s.ReadCommit(id); err != nil {
			return
		}
	}
	trees[1], err = m.merge(c[0].Tree, c[1].Tree, c[2].Tree)
	conflicts[1] = m.conflicts
	return
}

// LetGo drops an epoch as the policy does when the bound is reached.
func LetGo(s *Store, number int) error {
	s.keeping <- struct{}{}
	defer s.keeping.give()
	return s.letGo(context.Background(), number, "of a test", new(CollectReport))
}

// StateAtHand reports whether a commit's state is there and has not to be made.
func StateAtHand(s *Store, id ID) bool {
	if s.work.frozenAt(id) != nil || s.workRoot(id) != nil {
		return true
	}
	l := s.log.current()
	l.mu.Lock()
	defer l.mu.Unlock()
	num, ok := l.met(id)
	return ok && (l.states.get(num) != nil || l.pooledState(num) != nil)
}

// LimitScan bounds the commits in which an object of history is looked for.
func LimitScan(s *Store, most uint32) {
	for _, l := range s.log.newestFirst() {
		l.mu.Lock()
		l.most = most
		l.mu.Unlock()
	}
}

// ReadAnywhere takes commits of the operation log apart in some order, and returns
// their ids as they were found and as a whole segment gives them.
func ReadAnywhere(s *Store, pick func(n int) int, times int) (found, want []ID, err error) {
	l := s.log.current()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.views, l.viewed = nil, 0
	for range times {
		v, i, err := l.at(uint32(pick(int(l.n))))
		if err != nil {
			return nil, nil, err
		}
		id, err := l.idOf(v, i)
		if err != nil {
			return nil, nil, err
		}
		whole, err := v.segment.view()
		if err == nil {
			err = l.allIDs(whole)
		}
		if err != nil {
			return nil, nil, err
		}
		a, b := *v.rec(i), *whole.rec(i)
		if a != b {
			return nil, nil, fmt.Errorf("record %d of a segment is %+v, not %+v", i, a, b)
		}
		found, want = append(found, id), append(want, b.id)
	}
	return found, want, nil
}

// ChainBytes returns what the chains take in the log of the current epoch, and
// what they may.
func ChainBytes(s *Store) (bytes, room int64, err error) {
	s.keeping <- struct{}{}
	defer s.keeping.give()
	chains, err := s.chainBranches()
	for _, c := range chains {
		bytes += c.size.bytes + c.old.bytes
	}
	return bytes, s.chainRoom(), err
}

// ForgetReach has a store forget where trees and blobs are, as the limits of its
// memory do in time, and look for them in the newest commits only.
func ForgetReach(s *Store, most uint32) {
	l := s.log.current()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pool, l.states, l.recall, l.hints, l.most, l.scanned = nodePool{}, stateCache{}, nodeCache{}, hintTable{}, most, 0
}
