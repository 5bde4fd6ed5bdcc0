package vcs

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

// Chains are carried from epoch to epoch, so that each epoch has them once. All
// of them together take at most a quarter of an epoch, and so of the bound. A
// coarse chain comes before a finer one, and leaves it half of what there is,
// unless that is too little for a few states.
const (
	chainShare  = 4       // chains take at most one part in so many of an epoch
	chainFloor  = 1 << 20 // what they may take in any case where bytes are not bounded
	chainStates = 4       // a chain may take as much as so many full states
)

// chainBranch is a branch under history/ that keeps states, with the branch that
// keeps its older half.
type chainBranch struct {
	Chain               // Period 0 for one that is no longer configured
	ref          string // full name
	head, before ID     // zero where there is none
	size, old    chainSize
}

// chainSize is what one half of a chain takes in the log of the current epoch. A
// backend of objects has only the number of commits.
type chainSize struct {
	commits      int
	bytes, added int64 // added since the epoch began
}

// chainBranches returns the chains, coarse ones first and those last that are no
// longer configured.
func (s *Store) chainBranches() ([]chainBranch, error) {
	var list []chainBranch
	for _, c := range s.cfg.Retention.Chains {
		list = append(list, chainBranch{Chain: c, ref: BranchRef(c.Branch)})
	}
	slices.SortStableFunc(list, func(a, b chainBranch) int { return cmp.Compare(b.Period, a.Period) })
	refs, _ := s.Refs() // a Store's own list cannot fail
	for _, r := range refs {
		name, before := strings.CutSuffix(r.Name, beforeSuffix)
		if !strings.HasPrefix(name, historyPrefix) || name == ledgerRef {
			continue
		}
		i := slices.IndexFunc(list, func(c chainBranch) bool { return c.ref == name })
		if i < 0 {
			i = len(list)
			list = append(list, chainBranch{Chain: Chain{Branch: strings.TrimPrefix(name, branchPrefix), Limit: math.MaxInt}, ref: name})
		}
		size, err := s.chainSize(r.Target)
		if err != nil {
			return nil, err
		}
		if before {
			list[i].before, list[i].old = r.Target, size
		} else {
			list[i].head, list[i].size = r.Target, size
		}
	}
	return list, nil
}

// chainSize measures the commits behind a head of a chain.
func (s *Store) chainSize(head ID) (chainSize, error) {
	if s.log == nil {
		objs, err := s.chain(head)
		return chainSize{commits: len(objs)}, err
	}
	return s.log.current().chainSize(head)
}

// chainSize goes back along first parents as far as the log has them.
func (l *oplog) chainSize(head ID) (size chainSize, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	num, ok, err := l.find(head)
	counted := make(map[uint32]bool)
	for ok && err == nil {
		var v *segView
		var i uint32
		if v, i, err = l.at(num); err != nil {
			break
		}
		var n int64
		if n, err = l.recordSize(v, i, counted); err != nil {
			break
		}
		size.commits++
		size.bytes += n
		if int(num) >= l.opened.commits {
			size.added += n
		}
		rec := v.rec(i)
		num = rec.parent
		ok = num != noParent && !rec.based
	}
	return size, err
}

// recordSize returns about how many bytes of the log are a commit's: its record,
// and the keys that came with its segment and are not counted yet.
func (l *oplog) recordSize(v *segView, i uint32, counted map[uint32]bool) (int64, error) {
	if err := l.need(v, min(i+1, v.n-1), false); err != nil {
		return 0, err
	}
	size := chainCommitBytes
	size += int64(v.recordEnd(i)-v.rec(i).start) + int64(v.keysEnd(i)-v.rec(i).keys)
	err := v.eachChange(i, func(c viewChange) error {
		if c.key < v.firstKey || counted[c.key] || c.key >= uint32(len(l.keys)) {
			return nil
		}
		counted[c.key] = true
		prev := ""
		if c.key > v.firstKey {
			prev = l.keys[c.key-1]
		}
		size += int64(len(appendPatch(nil, prev, l.keys[c.key])))
		return nil
	})
	return size, err
}

// chainCommitBytes is what a commit takes beside its operands: flags, the tree's
// id, its part of the filter and of the anchors.
const chainCommitBytes = int64(1 + len(ID{}) + 2)

// recordEnd returns where a commit's operands end. The next one is taken apart.
func (v *segView) recordEnd(i uint32) uint32 {
	if i+1 < v.n {
		return v.rec(i + 1).start
	}
	return v.trees
}

// keysEnd returns where a commit's keys end.
func (v *segView) keysEnd(i uint32) uint32 {
	if i+1 < v.n {
		return v.rec(i + 1).keys
	}
	return v.segment.ops
}

// chainRoom returns how many bytes of an epoch all chains may take.
func (s *Store) chainRoom() int64 {
	if s.log == nil {
		return math.MaxInt64 // nobody knows what a state takes
	}
	if s.cfg.Retention.MaxBytes > 0 {
		return s.cfg.Retention.share().bytes / chainShare
	}
	cur, ended, _, _ := s.extents()
	return max(chainFloor, cur.plus(ended).bytes/int64(len(s.log.newestFirst()))/chainShare)
}

// chainPart returns how much of what is left one chain may take; state is what
// the whole state of the head branch takes.
func chainPart(left, state int64, last bool) int64 {
	if last {
		return left
	}
	return min(left, max(left/2, chainStates*state))
}

// stateSize returns about how many bytes the whole state of the head branch takes
// in the log: that of the commit with which the current epoch begins.
func (s *Store) stateSize() (int64, error) {
	if s.log == nil {
		return 0, nil
	}
	l := s.log.current()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.n == 0 {
		return 0, nil
	}
	v, i, err := l.at(0)
	if err != nil {
		return 0, err
	}
	return l.recordSize(v, i, make(map[uint32]bool))
}
