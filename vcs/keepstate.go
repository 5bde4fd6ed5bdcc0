package vcs

import (
	"cmp"
	"slices"
)

// A state is kept for the next opening when that spares going through so many
// changes, and as many for each of its files: then it is quicker to read, and
// small beside the log.
const (
	minKept     = 4096
	keptPerFile = 8
)

// keepState hands the backend what makes the next opening short: what has changed
// when the store is closed, and when it was opened a state that it had to make.
func (s *Store) keepState(closing bool) error {
	k, ok := s.backend.(StateKeeper)
	if !ok || s.log == nil {
		return nil
	}
	var heads []Ref
	refs, _ := s.Refs() // a Store's own list cannot fail
	for _, r := range refs {
		if id, err := PeelCommit(s, r.Target); err == nil {
			heads = append(heads, Ref{r.Name, id})
		}
	}
	var state []byte
	if id, ok := s.Ref(s.Head()); ok {
		root := s.work.frozenAt(id)
		if root == nil {
			root = s.workRoot(id)
		}
		state = s.log.stateToKeep(id, root)
	}
	if state == nil && (!closing || len(heads) == 0) {
		return nil
	}
	return k.KeepState(heads, state)
}

// stateToKeep writes the state of a commit, which may be nil for one that the log
// has at hand, when that is worth while.
func (ls *logs) stateToKeep(id ID, root *node) []byte {
	l := ls.current()
	l.mu.Lock()
	defer l.mu.Unlock()
	num, ok := l.met(id)
	if !ok || num < ls.kept+max(minKept, keptPerFile*uint32(len(l.keys))) {
		return nil
	}
	if root == nil {
		root = l.states.get(num)
	}
	if root == nil {
		root = l.pooledState(num)
	}
	if root == nil {
		return nil
	}
	b, err := appendState(nil, l.epoch, num, root, l.native.load)
	if err != nil {
		return nil
	}
	ls.kept = num
	return b
}

// offer lets states be made from one that was written. It returns the number of
// its commit, and false when that is not here or is another one.
func (ls *logs) offer(b []byte) (uint32, bool) {
	epoch, s, err := parseState(b)
	if err != nil {
		return 0, false
	}
	l := ls.of(epoch)
	if l == nil {
		return 0, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	seg, ok := l.segmentOf(s.num)
	if !ok || seg.tree(s.num-seg.first) != s.tree {
		return 0, false
	}
	if i, known := slices.BinarySearch(l.offered, s.num); !known {
		l.offered = slices.Insert(l.offered, i, s.num)
	}
	if i, known := l.storedAt(s.num); !known {
		l.stored = slices.Insert(l.stored, i, s)
	}
	return s.num, true
}

// storedAt returns where the state of a commit is, or would be.
func (l *oplog) storedAt(num uint32) (int, bool) {
	return slices.BinarySearchFunc(l.stored, num, func(s storedState, num uint32) int { return cmp.Compare(s.num, num) })
}

// readStored returns the state of a commit, when it was offered and is what it
// should be. The lock is held.
func (l *oplog) readStored(num uint32) *node {
	i, ok := l.storedAt(num)
	if !ok {
		return nil
	}
	root, err := l.stored[i].root()
	l.stored = slices.Delete(l.stored, i, i+1)
	if err != nil {
		return nil
	}
	l.states.add(num, root, 1)
	return root
}
