package vcs

import (
	"cmp"
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

// nodeCache keeps nodes that were read, in two generations of at most maxRecall.
type nodeCache struct{ young, old map[ID]*node }

const maxRecall = 16 << 10

func (c *nodeCache) add(n *node) {
	if c.young == nil || len(c.young) >= maxRecall {
		c.old, c.young = c.young, make(map[ID]*node)
	}
	c.young[n.id] = n
}

func (c *nodeCache) get(id ID) *node {
	if n := c.young[id]; n != nil {
		return n
	}
	n := c.old[id]
	if n != nil {
		c.add(n)
	}
	return n
}

// stateCache keeps states of commits, the least recently used go first. A state
// costs as many units as commits lie between it and the state that it was made
// from.
type stateCache struct {
	m     map[uint32]*cachedState
	used  uint64
	total int
}

type cachedState struct {
	root *node
	cost int
	used uint64
}

const maxStates, maxStateCost = 96, 48 << 10

func (c *stateCache) get(num uint32) *node {
	s := c.m[num]
	if s == nil {
		return nil
	}
	c.used++
	s.used = c.used
	return s.root
}

func (c *stateCache) add(num uint32, root *node, cost int) {
	if c.m == nil {
		c.m = make(map[uint32]*cachedState)
	}
	c.used++
	if s := c.m[num]; s != nil {
		s.used = c.used
		return
	}
	c.m[num] = &cachedState{root, cost, c.used}
	c.total += cost
	for len(c.m) > 1 && (len(c.m) > maxStates || c.total > maxStateCost) {
		var victim uint32
		oldest := c.used
		for k, s := range c.m {
			if s.used < oldest {
				oldest, victim = s.used, k
			}
		}
		c.drop(victim)
	}
}

func (c *stateCache) drop(num uint32) {
	if s := c.m[num]; s != nil {
		c.total -= s.cost
		delete(c.m, num)
	}
}
