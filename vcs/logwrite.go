package vcs

import "slices"

// stagedLog is what one group becomes in the log. It counts when the backend
// has taken it.
type stagedLog struct {
	records [][]byte // for Batch.Log
	fold    int      // for Batch.Fold
	natives []Object // for Batch.Objects
	holes   []hole   // what natives lead to and could not be had
	whole   []ID     // trees that are there with all below them, once natives are
	opens   *oplog   // not nil: the log of the epoch that begins with this

	segs   []stagedSegment // the last ones of the log afterwards
	folded int             // segments of the log that they take the place of
	rest   []logRecord     // those of the segments that are not sealed
	moved  bool            // rest is not where the log's is
	keys   []string
	ids    []ID // of the commits
	states []stagedState
	made   []*node
}

type stagedSegment struct {
	raw   []byte
	parts int // log records that hold it
}

type stagedState struct {
	id   ID
	num  uint32
	root *node
	cost int
}

// groupSource reads what is not in the log yet, for the group that is staged,
// without asking the log for it.
type groupSource interface {
	ObjectReader
	TreeReader
	root(commit ID) *node // nil when it is not at hand
}

// stager turns one group into records.
type stager struct {
	*oplog
	older   []*oplog // of epochs before, newest first
	src     groupSource
	out     *stagedLog
	recs    []logRecord
	roots   map[uint32]*node
	keyNo   map[string]uint32 // of new keys
	nums    map[ID]uint32     // of the group's commits; catches up with out.ids
	covered map[ID]bool
	settled map[*node]*node

	ctx     textContext // of the text that is being written
	text    []byte      // room for a text that is read back
	parents []logParent // room for records
	changes []logChange
	likely  int // the group's notes, about as many as things of each kind
}

// stage turns a group into records: notes, and commits whose first parent is
// known; what they do not cover and somebody else vouches for is kept natively.
// Older are the logs of the epochs before, newest first.
func (l *oplog) stage(g *group, frozen []stagedState, src groupSource, older []*oplog) (*stagedLog, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	st := &stager{oplog: l, older: older, src: src, out: &stagedLog{ids: make([]ID, 0, len(g.notes))},
		recs:  slices.Grow(l.room.recs[:0], len(g.notes)),
		roots: make(map[uint32]*node), keyNo: make(map[string]uint32), nums: make(map[ID]uint32), covered: make(map[ID]bool), settled: make(map[*node]*node)}
	notes := g.notes
	st.likely = len(notes)
	for i := range g.objs {
		for ; len(notes) > 0 && notes[0].at <= i; notes = notes[1:] {
			if err := st.note(&notes[0]); err != nil {
				return nil, err
			}
		}
		if err := st.object(g.objs[i], g.foreign[i]); err != nil {
			return nil, err
		}
	}
	for i := range notes {
		if err := st.note(&notes[i]); err != nil {
			return nil, err
		}
	}
	for i, o := range g.objs {
		if g.foreign[i] && !st.covered[o.ID] {
			st.out.natives = append(st.out.natives, o)
		}
	}
	for _, x := range frozen {
		num, ok, err := st.number(x.id)
		if err != nil {
			return nil, err
		}
		if ok {
			x.num = num
			st.out.states = append(st.out.states, x)
		}
	}
	st.finish()
	l.room.recs = st.recs
	clear(st.recs) // as far as they are kept, in another place
	return st.out, nil
}

// number returns where a commit is in the log.
func (st *stager) number(id ID) (uint32, bool, error) {
	ids := st.out.ids
	for i := len(ids) - 1; i >= max(0, len(ids)-4); i-- {
		if ids[i] == id {
			return st.n + uint32(i), true, nil
		}
	}
	for i := len(st.nums); i < len(ids); i++ {
		st.nums[ids[i]] = st.n + uint32(i)
	}
	if num, ok := st.nums[id]; ok {
		return num, true, nil
	}
	return st.find(id)
}

// note makes the record of a commit that was made here.
func (st *stager) note(n *note) error {
	rec := logRecord{id: n.id, tree: n.tree, time: n.time, who: n.who, parents: room(&st.parents, len(n.parents), st.likely)}
	for i, p := range n.parents {
		num, ok, err := st.number(p)
		if err != nil {
			return err
		}
		rec.parents[i] = logParent{num: num, native: !ok, id: p}
	}
	changes, err := st.rebase(&rec, n)
	if err != nil {
		return err
	}
	st.record(rec, n.message, changes)
	return nil
}

// room takes n zero values off a slice. When that is too short it is made anew,
// with room for as many as are likely to follow, 256 at most: what is taken stays
// in memory with all of it.
func room[T any](free *[]T, n, follow int) []T {
	if len(*free) < n {
		*free = make([]T, max(n, min(follow, 256)))
	}
	out := (*free)[:n:n]
	*free = (*free)[n:]
	return out
}

// record adds a commit to the group's records and returns its number.
func (st *stager) record(rec logRecord, message string, changes []leafChange) uint32 {
	st.recs = append(st.recs, rec)
	st.texts(&st.recs[len(st.recs)-1], message, changes)
	st.out.ids = append(st.out.ids, rec.id)
	return st.n + uint32(len(st.recs)-1)
}
