package vcs

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// oplog keeps the commits of one epoch as records of what they changed, and
// makes the objects again when somebody reads them. It is safe for concurrent
// use.
type oplog struct {
	native  objectSource // objects that are kept as they are
	natives *natives     // those of a store, which knows more of them; nil for a reader
	epoch   int
	began   time.Time // zero for the first epoch

	mu       sync.Mutex
	records  int // of the backend's log
	segs     []*segment
	tail     []int       // log records of each segment that is not sealed yet, the newest segments
	rest     []logRecord // of those segments; nil when nobody has needed them yet
	n        uint32
	most     uint32 // newest commits that scan looks at
	bytes    int64  // of all segments
	opened   extent // what the roots took, and what was carried over
	keys     []string
	keyNo    map[string]uint32
	asleep   bool // keys, and all that follows, is to be made again
	awoke    bool // somebody has read since sleep was considered
	outside  []ID // parents that are in no log of this epoch, of commits below lookedAt
	lookedAt uint32
	// outsideAt is the first commit that has one of them.
	outsideAt uint32
	damage    error // of the first segment that could not be read

	recent, older map[ID]uint32 // numbers of new commits and of some that were met
	states        stateCache
	stored        []storedState // states that can be read, ascending; each until it is
	offered       []uint32      // commits of which there was one, ascending
	lately        []uint32      // commits whose states came with groups
	heads         map[string]ID // what refs point to, as far as it is saved
	pool          nodePool      // trees and blobs of the heads, and some that were
	recall        nodeCache     // trees and blobs of history that were read
	hints         hintTable     // commits in which objects of history are
	scanned       uint32        // commits below have been hinted
	views         []*segView    // last used first
	viewed        int           // their records that are taken apart
	touches       touchIndex
	lastChain     fileChain

	messages, values textDict
	room             logRoom
}

// Bounds of the segments that are kept taken apart: some in any case, and as many
// as have few records that are.
const (
	minViews  = 6
	maxViews  = 64
	maxViewed = 8 << 10 // records
)

func newOplog(native objectSource) *oplog {
	return &oplog{
		most:   maxScan,
		native: native,
		keyNo:  make(map[string]uint32),
		recent: make(map[ID]uint32),
		heads:  make(map[string]ID),
	}
}

// load takes one more segment in, as the backend remembers it.
func (l *oplog) load(raw []byte, records int) error {
	s, keys, err := parseSegment(raw)
	if err != nil {
		return err
	}
	if s.first < l.n || s.firstKey < uint32(len(l.keys)) {
		return fmt.Errorf("%w: log: commits %d to %d come after %d", ErrCorrupt, s.first, s.first+s.n, l.n)
	}
	if s.first > l.n || s.firstKey > uint32(len(l.keys)) {
		if l.damage == nil {
			l.damage = fmt.Errorf("%w: log: commits %d to %d are missing", ErrCorrupt, l.n, s.first)
		}
		if s.firstKey-uint32(len(l.keys)) > s.first+s.n+1<<20 {
			return fmt.Errorf("%w: log: key numbers leap", ErrCorrupt)
		}
	}
	l.add(s, keys, records)
	return nil
}

// add appends a segment.
func (l *oplog) add(s *segment, keys []string, records int) {
	l.addKeys(s.firstKey, keys)
	l.segs = append(l.segs, s)
	l.n = s.first + s.n
	l.bytes += int64(len(s.raw))
	if s.raw[0]&segmentSealed != 0 {
		l.tail = nil
	} else {
		l.tail = append(l.tail, records)
	}
}

// keyCount returns how many keys the epoch has seen.
func (l *oplog) keyCount() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.keys)
}

// segmentOf returns the segment of a commit.
func (l *oplog) segmentOf(num uint32) (*segment, bool) {
	i, ok := slices.BinarySearchFunc(l.segs, num, func(s *segment, num uint32) int {
		switch {
		case s.first+s.n <= num:
			return -1
		case s.first > num:
			return 1
		}
		return 0
	})
	if !ok {
		return nil, false
	}
	return l.segs[i], true
}

// view returns a segment taken apart.
func (l *oplog) view(s *segment) (*segView, error) {
	v, err := l.partView(s)
	if err == nil {
		err = l.need(v, s.n-1, true)
	}
	if err != nil {
		return nil, err
	}
	return v, nil
}

// need takes a record of a view apart, or all of them.
func (l *oplog) need(v *segView, i uint32, all bool) (err error) {
	before := v.taken
	if all {
		err = v.needAll()
	} else {
		err = v.need(i)
	}
	if v.taken > before {
		marks := slices.Clip(v.marks) // nobody else appends to these
		v.segment.marks.Store(&marks)
		l.viewed += v.taken - before
	}
	return err
}

// partView returns a segment of which the records are taken apart that somebody
// has needed.
func (l *oplog) partView(s *segment) (*segView, error) {
	l.wake()
	for i, v := range l.views {
		if v.segment == s {
			copy(l.views[1:i+1], l.views[:i])
			l.views[0] = v
			return v, nil
		}
	}
	v, err := s.open()
	if err != nil {
		return nil, err
	}
	if marks := s.marks.Load(); marks != nil {
		v.marks = *marks
	}
	l.views = slices.Insert(l.views, 0, v)
	for n := len(l.views); n > minViews && (n > maxViews || l.viewed > maxViewed); n-- {
		l.viewed -= l.views[n-1].taken
		l.views[n-1] = nil
		l.views = l.views[:n-1]
	}
	return v, nil
}

// at returns where a commit is. Of the view its own record may be used, and what
// needs others takes them apart.
func (l *oplog) at(num uint32) (*segView, uint32, error) {
	s, ok := l.segmentOf(num)
	if !ok {
		return nil, 0, fmt.Errorf("%w: log: commit %d is missing", ErrCorrupt, num)
	}
	v, err := l.partView(s)
	if err == nil {
		err = l.need(v, num-s.first, false)
	}
	if err != nil {
		return nil, 0, err
	}
	return v, num - s.first, nil
}
