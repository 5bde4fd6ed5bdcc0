package vcs

import (
	"errors"
	"time"
)

// HeldAt returns the commit that a branch was at: it goes back from a commit
// along first parents, over epochs too, to the newest one whose time is not after
// at. Ok is false when all are later; then it is the oldest one that is here.
// Times must not go backwards along the branch, else some that would do may be
// passed over. On an operation log it looks at few commits, on other backends at
// all that are later.
func (s *Store) HeldAt(from ID, at time.Time) (id ID, ok bool, err error) {
	p := s.Pin()
	defer p.Release()
	var logs []*oplog
	if s.log != nil {
		logs = p.logs()
	}
	t := at.Unix()
	for id = from; ; {
		for _, l := range logs {
			to, found, err := l.backTo(id, t, p.roots)
			if err != nil {
				return ID{}, false, err
			}
			if found {
				id = to
				break
			}
		}
		c, err := p.ReadJoined(id)
		if err != nil {
			return ID{}, false, err
		}
		if c.Committer.When.Unix() <= t {
			return id, true, nil
		}
		if len(c.Parents) == 0 {
			return id, false, nil
		}
		if _, err := p.ReadJoined(c.Parents[0]); errors.Is(err, ErrNotFound) {
			return id, false, nil // its epoch has left
		}
		id = c.Parents[0]
	}
}

// Logged reports whether the backend keeps an operation log, on which HeldAt is
// quick.
func (s *Store) Logged() bool { return s.log != nil }

// backTo goes back along first parents to the newest commit that is not after t,
// to one of the roots, or to where the log ends. Found is false when the commit is
// not in the log.
func (l *oplog) backTo(id ID, t int64, roots map[ID]*graftPoint) (to ID, found bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	num, ok, err := l.find(id)
	if err != nil || !ok {
		return id, ok, err
	}
	start := num
	for {
		s, ok := l.segmentOf(num)
		if ok && s.first > 0 && s.base > t && s.isLinear() {
			num = s.first - 1 // all of it came later
			continue
		}
		v, i, err := l.at(num)
		if err != nil {
			return ID{}, true, err
		}
		rec := v.rec(i)
		end := rec.time <= t || rec.parent == noParent || rec.based
		if !end {
			if end, err = l.isRoot(v, i, roots); err != nil {
				return ID{}, true, err
			}
		}
		if end {
			if num == start {
				return id, true, nil
			}
			to, err = l.idOf(v, i)
			if err == nil {
				l.remember(to, num)
			}
			return to, true, err
		}
		num = rec.parent
	}
}

// back goes back along first parents by so many commits at most, as far as one
// operation log tells, and returns where that is and how many they were.
func (p *Pin) back(id ID, steps int) (to ID, went int, err error) {
	for _, l := range p.logs() {
		if to, went, found, err := l.back(id, steps, p.roots); found || err != nil {
			return to, went, err
		}
	}
	return id, 0, nil
}

func (l *oplog) back(id ID, steps int, roots map[ID]*graftPoint) (to ID, went int, found bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	num, ok, err := l.find(id)
	if err != nil || !ok {
		return id, 0, ok, err
	}
	for left := steps; ; {
		if s, ok := l.segmentOf(num); ok && s.first > 0 && left > int(num-s.first) && s.isLinear() {
			num, left = s.first-1, left-int(num-s.first)-1
			continue
		}
		v, i, err := l.at(num)
		if err != nil {
			return ID{}, 0, true, err
		}
		rec := v.rec(i)
		end := left == 0 || rec.parent == noParent || rec.based
		if !end {
			if end, err = l.isRoot(v, i, roots); err != nil {
				return ID{}, 0, true, err
			}
		}
		if end {
			to, err = l.idOf(v, i)
			return to, steps - left, true, err
		}
		num, left = rec.parent, left-1
	}
}

// isRoot reports whether a commit is one of some roots: it may have another root
// as parent, and leads to the epoch before all the same.
func (l *oplog) isRoot(v *segView, i uint32, roots map[ID]*graftPoint) (bool, error) {
	if int(v.first+i) >= l.opened.commits || len(roots) == 0 {
		return false, nil
	}
	id, err := l.idOf(v, i)
	return roots[id] != nil, err
}

// isLinear reports whether each commit's only parent is the one before it.
func (s *segment) isLinear() bool {
	for _, flags := range s.raw[s.flags:s.keys] {
		if flags&parentsMask != parentsPrev {
			return false
		}
	}
	return true
}
