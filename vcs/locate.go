package vcs

import (
	"slices"
	"sort"
	"time"
)

// Locate tells the store when a commit was made, for a reader that asks for it
// next. An operation log is in the order of time and finds a commit by that at
// once, but by its id alone only after a look into several of its parts. What is
// said is checked, and what is wrong is forgotten.
func (s *Store) Locate(id ID, at time.Time) {
	if s.log == nil {
		return
	}
	if _, ok := s.cache.commit(id); ok {
		return
	}
	for _, l := range s.log.newestFirst() {
		if l.locate(id, at.Unix()) {
			return
		}
	}
}

// maxLocated bounds the segments that one commit is looked for in.
const maxLocated = 4

// locate remembers the number of a commit of a time. It reports whether it is here.
func (l *oplog) locate(id ID, unix int64) bool {
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
			if i, ok := l.locatedIn(s, id, unix); ok {
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
func (l *oplog) locatedIn(s *segment, id ID, unix int64) (uint32, bool) {
	v, err := l.view(s)
	if err != nil {
		return 0, false // who reads it hears of that
	}
	for i := range v.n {
		if v.recs[i].time != unix {
			continue
		}
		if have, err := l.idOf(v, i); err == nil && have == id {
			return i, true
		}
	}
	return 0, false
}
