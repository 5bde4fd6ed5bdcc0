package vcs

import (
	"bytes"
	"container/heap"
	"errors"
	"slices"
)

// CommitReader reads decoded commits; a Store is one.
type CommitReader interface {
	ReadCommit(id ID) (*Commit, error)
}

// IsAncestor reports whether a is b or an ancestor of b, also through the roots
// of epochs.
func (s *Store) IsAncestor(a, b ID) (is bool, err error) {
	err = s.undropped(func() error {
		is, err = IsAncestor(grafted{s, true}, a, b)
		return err
	})
	return is, err
}

// MergeBases is the function MergeBases over the store, for two commits. A root
// counts as child of the commit that it stands for, while that is here.
func (s *Store) MergeBases(a, b ID) (bases []ID, err error) {
	err = s.undropped(func() error {
		bases, err = MergeBases(grafted{s, true}, []ID{a}, []ID{b})
		return err
	})
	return bases, err
}

// undropped does something again that did not find an object because an epoch
// left meanwhile.
func (s *Store) undropped(do func() error) error {
	for {
		steps := s.leaving()
		if err := do(); !errors.Is(err, ErrNotFound) || steps == s.leaving() {
			return err
		}
	}
}

// leaving changes with every step in which epochs leave: when it is settled,
// before they are no longer found, and when they are not. So whoever did not find
// an object may have met that if it has changed since he began.
func (s *Store) leaving() int64 {
	if s.log == nil {
		return s.drops.Load()
	}
	return s.log.pins.steps.Load()
}

// MergeBases returns all lowest common ancestors of two commits, as git
// merge-base --all, sorted by id.
func (r *Repo[K, V]) MergeBases(a, b ID) ([]ID, error) { return r.s.MergeBases(a, b) }

// IsAncestor reports whether a is b or an ancestor of b. It looks at the
// commits that only one of the two contains, not at their common history.
func IsAncestor(r CommitReader, a, b ID) (bool, error) {
	if a == b {
		return true, nil
	}
	found := false
	_, err := paint(r, []ID{a}, []ID{b}, func(id ID) bool {
		found = id == a
		return found
	})
	return found, err
}

// MergeBases returns the lowest common ancestors of two groups of commits, each
// standing for the merge of its members: common ancestors that are not ancestors
// of another common ancestor. They are sorted by id.
func MergeBases(r CommitReader, a, b []ID) ([]ID, error) {
	found, err := paint(r, a, b, nil)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(found, func(x, y ID) int { return bytes.Compare(x[:], y[:]) })
	if len(found) < 2 {
		return found, nil
	}
	// Commit times that run backwards can leave an ancestor of another one.
	var best []ID
	for i, x := range found {
		redundant := false
		for j, y := range found {
			if i == j {
				continue
			}
			if redundant, err = IsAncestor(r, x, y); err != nil {
				return nil, err
			} else if redundant {
				break
			}
		}
		if !redundant {
			best = append(best, x)
		}
	}
	return best, nil
}

// Marks of a commit during paint.
const (
	fromA uint8 = 1 << iota
	fromB
	stale // an ancestor of a common ancestor
	common
)

type mark struct {
	flags  uint8
	queued bool
}

// paint walks from both groups, newest first, until only ancestors of common
// ancestors are left to visit, and returns the common ancestors met that are not
// known to be ancestors of others. It ends early when stop says so of a common
// ancestor.
func paint(r CommitReader, a, b []ID, stop func(ID) bool) ([]ID, error) {
	marks := make(map[ID]*mark)
	var q commitQueue
	live := 0 // queued commits that are not stale
	touch := func(id ID, flags uint8) error {
		m := marks[id]
		if m == nil {
			m = &mark{}
			marks[id] = m
		}
		if m.flags&flags == flags {
			return nil
		}
		wasLive := m.queued && m.flags&stale == 0
		m.flags |= flags
		if !m.queued {
			c, err := r.ReadCommit(id)
			if err != nil {
				return err
			}
			m.queued = true
			q.push(c)
		}
		isLive := m.flags&stale == 0
		switch {
		case isLive && !wasLive:
			live++
		case wasLive && !isLive:
			live--
		}
		return nil
	}
	for _, id := range a {
		if err := touch(id, fromA); err != nil {
			return nil, err
		}
	}
	for _, id := range b {
		if err := touch(id, fromB); err != nil {
			return nil, err
		}
	}
	var met []ID
	for live > 0 {
		c := q.pop()
		m := marks[c.ID]
		m.queued = false
		if m.flags&stale == 0 {
			live--
		}
		flags := m.flags & (fromA | fromB | stale)
		if flags == fromA|fromB {
			if m.flags&common == 0 {
				m.flags |= common
				met = append(met, c.ID)
				if stop != nil && stop(c.ID) {
					return met, nil
				}
			}
			flags |= stale
		}
		for _, p := range c.Parents {
			if err := touch(p, flags); err != nil {
				return nil, err
			}
		}
	}
	return slices.DeleteFunc(met, func(id ID) bool { return marks[id].flags&stale != 0 }), nil
}

// commitQueue is a priority queue: newest commit time first, equal times in the
// order of arrival.
type commitQueue struct {
	items []queued
	n     int
}

type queued struct {
	c   *Commit
	t   int64
	seq int
}

func (q *commitQueue) push(c *Commit) {
	q.n++
	heap.Push((*commitHeap)(&q.items), queued{c, c.Committer.When.Unix(), q.n})
}

func (q *commitQueue) pop() *Commit { return heap.Pop((*commitHeap)(&q.items)).(queued).c }

func (q *commitQueue) empty() bool { return len(q.items) == 0 }

type commitHeap []queued

func (h commitHeap) Len() int { return len(h) }
func (h commitHeap) Less(i, j int) bool {
	return h[i].t > h[j].t || h[i].t == h[j].t && h[i].seq < h[j].seq
}
func (h commitHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *commitHeap) Push(x any)   { *h = append(*h, x.(queued)) }
func (h *commitHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	old[len(old)-1] = queued{}
	*h = old[:len(old)-1]
	return x
}
