package vcs

import (
	"cmp"
	"fmt"
	"slices"
)

// The log has numbers for its commits, and keeps the ids of few: others are found
// by a segment's filter and computed from an anchor on.

// met returns the number of a commit that is new or was met lately.
func (l *oplog) met(id ID) (uint32, bool) {
	if num, ok := l.recent[id]; ok {
		return num, true
	}
	if num, ok := l.older[id]; ok {
		l.remember(id, num) // or heads are forgotten for what is read once
		return num, true
	}
	for _, v := range l.views {
		if i, ok := v.index[id]; ok {
			l.remember(id, v.first+i)
			return v.first + i, true
		}
	}
	return 0, false
}

// find returns the number of a commit.
func (l *oplog) find(id ID) (uint32, bool, error) {
	if num, ok := l.met(id); ok {
		return num, true, nil
	}
	// Whoever walks goes on behind the segment where he was last.
	from := len(l.segs)
	if len(l.views) > 0 {
		i, _ := slices.BinarySearchFunc(l.segs, l.views[0].first, func(s *segment, num uint32) int { return cmp.Compare(s.first, num) })
		from = min(i, from)
	}
	for k := range l.segs {
		i := from - 1 - k
		if i < 0 {
			i += len(l.segs)
		}
		s := l.segs[i]
		if !filterHas(s.raw[s.filter:], id) {
			continue
		}
		v, err := l.view(s)
		if err == nil {
			err = l.allIDs(v)
		}
		if err != nil {
			return 0, false, err
		}
		if i, ok := v.index[id]; ok {
			l.remember(id, s.first+i) // it took long to find
			return s.first + i, true, nil
		}
	}
	return 0, false, nil
}

// remember keeps the number of a commit that will be asked for.
func (l *oplog) remember(id ID, num uint32) {
	if len(l.recent) > maxRecent {
		l.older, l.recent = l.recent, make(map[ID]uint32)
	}
	l.recent[id] = num
}

const maxRecent = 4 << 10

// allIDs computes the ids of a segment's commits and checks them.
func (l *oplog) allIDs(v *segView) error {
	if v.index != nil {
		return nil
	}
	if err := v.needAll(); err != nil {
		return err
	}
	for i := range v.n {
		v.rec(i).id = ID{}
	}
	var content []byte
	for i := range v.n {
		var err error
		if content, err = l.appendCommit(content[:0], v, i); err != nil {
			return err
		}
		id := HashObject(KindCommit, content)
		v.rec(i).id = id
		if i%anchorEvery == 0 && id != v.anchor(i) {
			return fmt.Errorf("%w: log: commit %d hashes to %v, not to %v", ErrCorrupt, v.first+i, id, v.anchor(i))
		}
	}
	v.index = make(map[ID]uint32, v.n)
	for i := range v.n {
		v.index[v.rec(i).id] = i
	}
	return nil
}

// idOf returns the id of a segment's i-th commit. It follows from those of its
// parents, back to the anchor or to one that is known.
func (l *oplog) idOf(v *segView, i uint32) (ID, error) {
	if err := l.need(v, i, false); err != nil {
		return ID{}, err
	}
	k := i
	for v.rec(k).id.IsZero() && k%anchorEvery != 0 && v.rec(k).flags&parentsMask == parentsPrev {
		k--
	}
	if rec := v.rec(k); rec.id.IsZero() && k%anchorEvery == 0 {
		rec.id = v.anchor(k)
	} else if rec.id.IsZero() {
		id, err := l.computeID(v, k)
		if err != nil {
			return ID{}, err
		}
		rec.id = id
	}
	var content []byte
	for ; k < i; k++ {
		var err error
		if content, err = v.appendContent(content[:0], k+1, l.keys, []ID{v.rec(k).id}); err != nil {
			return ID{}, err
		}
		v.rec(k + 1).id = HashObject(KindCommit, content)
	}
	return v.rec(i).id, nil
}

func (l *oplog) computeID(v *segView, i uint32) (ID, error) {
	content, err := l.commitContent(v, i)
	if err != nil {
		return ID{}, err
	}
	return HashObject(KindCommit, content), nil
}

// commitContent makes a commit object.
func (l *oplog) commitContent(v *segView, i uint32) ([]byte, error) {
	return l.appendCommit(make([]byte, 0, 512), v, i)
}

// appendCommit appends a commit object's content.
func (l *oplog) appendCommit(b []byte, v *segView, i uint32) ([]byte, error) {
	ids, err := l.parentIDs(v, i)
	if err != nil {
		return b, err
	}
	return v.appendContent(b, i, l.keys, ids)
}

// parentIDs returns the ids of a commit's parents.
func (l *oplog) parentIDs(v *segView, i uint32) ([]ID, error) {
	parents, err := v.parentsOf(i)
	if err != nil {
		return nil, err
	}
	ids := make([]ID, len(parents))
	for k, p := range parents {
		ids[k] = p.id
		if !p.native && p.num >= v.first {
			if ids[k], err = l.idOf(v, p.num-v.first); err != nil {
				return nil, err
			}
		}
	}
	return ids, nil
}
