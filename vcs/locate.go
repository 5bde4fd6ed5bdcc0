package vcs

import (
	"slices"
	"sort"
	"time"
)

// Locate tells the store when a commit was made, for a reader that asks for it
// next. An operation log is in the order of time and finds a commit by that at
// once, but by its id alone only after a look into several of its parts. Parent,
// which may be zero, is its first parent, whose id else has to be computed. What
// is said is checked, and what is wrong is forgotten.
func (s *Store) Locate(id ID, at time.Time, parent ID) {
	if s.log == nil {
		return
	}
	if _, ok := s.cache.commit(id); ok {
		return
	}
	for _, l := range s.log.newestFirst() {
		if l.locate(id, at.Unix(), parent) {
			return
		}
	}
}

// maxLocated bounds the segments that one commit is looked for in.
const maxLocated = 4

// locate remembers the number of a commit of a time. It reports whether it is here.
func (l *oplog) locate(id ID, unix int64, parent ID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.segs) == 0 || unix < l.segs[0].base {
		return false
	}
	if _, ok := l.met(id); ok {
		return true
	}
	// The last segment that begins by then, and those before it of the same second.
	last := sort.Search(len(l.segs), func(i int) bool { return l.segs[i].base > unix }) - 1
	for n, s := range slices.Backward(l.segs[:last+1]) {
		if n <= last-maxLocated {
			return false
		}
		if filterHas(s.raw[s.filter:], id) {
			if i, ok := l.locatedIn(s, id, unix, parent); ok {
				l.remember(id, s.first+i)
				return true
			}
		}
		if s.base < unix {
			return false
		}
	}
	return false
}

// locatedIn returns where in a segment a commit of a time is.
func (l *oplog) locatedIn(s *segment, id ID, unix int64, parent ID) (uint32, bool) {
	v, err := l.partView(s)
	if err != nil {
		return 0, false // who reads it hears of that
	}
	for run := range v.runs {
		if run+1 < len(v.marks) && v.marks[run+1].last < unix {
			continue // all of it came before
		}
		first := uint32(run) * anchorEvery
		if err := l.need(v, first, false); err != nil {
			return 0, false
		}
		for i := first; i < min(first+anchorEvery, v.n); i++ {
			switch {
			case v.rec(i).time != unix:
			case v.rec(i).id.IsZero() && l.follows(v, i, id, parent):
				return i, true
			default:
				if have, err := l.idOf(v, i); err == nil && have == id {
					return i, true
				}
			}
		}
		if v.marks[run+1].last > unix {
			break
		}
	}
	return 0, false
}

// follows reports whether a commit that follows the one before has an id when that
// one has the id parent. Then both are what they are said to be, for the one is a
// hash of the other.
func (l *oplog) follows(v *segView, i uint32, id, parent ID) bool {
	if parent.IsZero() || i == 0 || v.rec(i).flags&parentsMask != parentsPrev {
		return false
	}
	content, err := v.appendContent(make([]byte, 0, 512), i, l.keys, []ID{parent})
	if err != nil || HashObject(KindCommit, content) != id {
		return false
	}
	v.rec(i).id = id
	if v.has(i - 1) {
		v.rec(i - 1).id = parent
	}
	return true
}
