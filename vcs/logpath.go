package vcs

import (
	"encoding/binary"
	"slices"
	"strings"
)

// pathIndexes are those of all epochs that are here, newest first.
type pathIndexes []*pathIndex

func (ls *logs) pathIndex(paths ...string) (out pathIndexes) {
	for _, l := range ls.newestFirst() {
		out = append(out, l.pathIndex(func(x *pathIndex) { x.addPaths(paths) }))
	}
	return out
}

// pathIndexFunc is pathIndex of all files whose paths match.
func (ls *logs) pathIndexFunc(match func(path string) bool) (out pathIndexes) {
	for _, l := range ls.newestFirst() {
		out = append(out, l.pathIndex(func(x *pathIndex) {
			for i, k := range l.keys {
				if match(k) {
					x.keys[uint32(i)] = true
				}
			}
		}))
	}
	return out
}

// skip is pathIndex.skip in the epoch that has the commit.
func (xs pathIndexes) skip(id ID) (ID, error) {
	for _, x := range xs {
		if to, found, err := x.skip(id); found || err != nil {
			return to, err
		}
	}
	return id, nil
}

// changed is pathIndex.changed in the epoch that has the commit.
func (xs pathIndexes) changed(id ID) (yes, known bool, err error) {
	for _, x := range xs {
		yes, known, found, err := x.changed(id)
		if found || err != nil {
			return yes, known, err
		}
	}
	return false, false, nil
}

// pathIndex finds the commits of one log that changed one of some paths, by the
// keys that they name, without making any of them.
type pathIndex struct {
	l       *oplog
	n       uint32 // commits from here on came later, perhaps with keys that are not known here
	single  int64  // the key, when there is only one; -1
	keys    map[uint32]bool
	touched map[*segment]map[uint32]bool // commits, by their place in the segment
	linear  map[*segment]bool            // every commit follows the one before it
	few     bool                         // nums holds all commits that touched one of the keys,
	nums    []uint32                     // ascending, and these two maps nothing
	breaks  []uint32                     // then: commits that do not simply follow the one before
}

// pathIndex makes an index of the keys that add says. The lock is held meanwhile.
func (l *oplog) pathIndex(add func(*pathIndex)) *pathIndex {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wake()
	x := &pathIndex{l: l, n: l.n, single: -1, keys: make(map[uint32]bool), touched: make(map[*segment]map[uint32]bool), linear: make(map[*segment]bool)}
	add(x)
	if len(x.keys) == 1 {
		for k := range x.keys {
			x.single = int64(k)
		}
	}
	x.few = len(x.keys) <= maxFew
	if t := &l.touches; x.few {
		x.breaks = l.touch().breaks
		for k := range x.keys {
			if int(k) < len(t.keys) {
				x.nums = append(x.nums, t.keys[k]...)
			}
		}
		if len(x.keys) > 1 {
			slices.Sort(x.nums)
		}
	}
	return x
}

// maxFew is how many keys are few: their changes are looked up, those of more are
// found as they come.
const maxFew = 64

// addPaths adds files, and those in folders.
func (x *pathIndex) addPaths(paths []string) {
	for _, path := range paths {
		path = strings.Trim(path, "/")
		if k, ok := x.l.keyNo[path]; ok {
			x.keys[k] = true
		}
		folder := path + "/"
		for i, k := range x.l.keys {
			if path == "" || strings.HasPrefix(k, folder) {
				x.keys[uint32(i)] = true
			}
		}
	}
}

// skip goes from a commit along first parents to one that changed the path, or
// at which the log ends or has a gap, and returns its id. Found is false when the
// commit is not in the log.
func (x *pathIndex) skip(id ID) (to ID, found bool, err error) {
	l := x.l
	l.mu.Lock()
	defer l.mu.Unlock()
	num, ok, err := l.find(id)
	if err != nil || !ok || num >= x.n {
		return id, ok, err
	}
	start := num
	for x.few {
		touched, ok := atMost(x.nums, num)
		broken, any := atMost(x.breaks, num)
		if ok && (!any || touched >= broken) {
			num = touched
			break
		}
		if !any {
			num = l.segs[0].first
			break
		}
		num = broken
		v, i, err := l.at(num)
		if err != nil {
			return ID{}, true, err
		}
		if v.rec(i).parent == noParent || v.rec(i).based {
			break
		}
		num = v.rec(i).parent
	}
	for !x.few {
		s, ok := l.segmentOf(num)
		if !ok {
			break
		}
		x.scan(s)
		i := num - s.first
		if x.linear[s] {
			// Down to the newest change of the path, or out of the segment.
			for ; !x.touched[s][i] && i > 0; i-- {
			}
			num = s.first + i
		}
		if x.touched[s][i] {
			break
		}
		if x.linear[s] && num > 0 {
			num--
			continue
		}
		v, err := l.view(s)
		if err != nil {
			return ID{}, true, err
		}
		if v.rec(i).parent == noParent || v.rec(i).based {
			break
		}
		num = v.rec(i).parent
	}
	v, i, err := l.at(num)
	if err != nil {
		return ID{}, true, err
	}
	// The walk asks for this commit next, and then for its parent.
	if p := v.rec(i).parent; p != noParent && !v.rec(i).based {
		above, ok := v.outside[p]
		if !ok {
			if above, err = l.idOf(v, p-v.first); err != nil {
				return ID{}, true, err
			}
		}
		l.remember(above, p)
	}
	if num == start {
		return id, true, nil
	}
	if to, err = l.idOf(v, i); err == nil {
		l.remember(to, num)
	}
	return to, true, err
}

// scan reads a segment's columns of flags and keys.
func (x *pathIndex) scan(s *segment) {
	if x.touched[s] != nil {
		return
	}
	touched, linear := make(map[uint32]bool), true
	keys := s.raw[s.keys:s.ops]
	number := func() uint64 {
		if len(keys) > 0 && keys[0] < 0x80 {
			u := keys[0]
			keys = keys[1:]
			return uint64(u)
		}
		u, n := binary.Uvarint(keys)
		keys = keys[max(n, 0):]
		return u
	}
	for i, flags := range s.raw[s.flags:s.keys] {
		if flags&parentsMask != parentsPrev {
			linear = false
		}
		if flags&flagList == 0 {
			if u := number(); int64(u) == x.single || x.single < 0 && x.keys[uint32(u)] {
				touched[uint32(i)] = true
			}
			continue
		}
		key := int64(0)
		for n := number(); n > 0 && len(keys) > 0; n-- {
			u := number() >> 2
			if key += int64(u>>1) ^ -int64(u&1); x.keys[uint32(key)] {
				touched[uint32(i)] = true
			}
		}
	}
	x.touched[s], x.linear[s] = touched, linear
}

// changed reports whether a commit changed the path, for one that the log can
// tell it of: not for merges, of which it knows only the first parent.
func (x *pathIndex) changed(id ID) (yes, known, found bool, err error) {
	l := x.l
	l.mu.Lock()
	defer l.mu.Unlock()
	num, ok, err := l.find(id)
	if err != nil || !ok || num >= x.n {
		return false, false, ok, err
	}
	v, i, err := l.at(num)
	if err != nil {
		return false, false, true, err
	}
	if v.rec(i).based {
		return false, false, true, nil
	}
	if x.few {
		_, yes = slices.BinarySearch(x.nums, num)
	} else {
		x.scan(v.segment)
		yes = x.touched[v.segment][i]
	}
	if !yes {
		return false, true, true, nil
	}
	return true, v.rec(i).flags&parentsMask != parentsList, true, nil
}
