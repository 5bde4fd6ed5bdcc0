package vcs

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// stagedLog is what one group becomes in the log. It counts when the backend
// has taken it.
type stagedLog struct {
	records [][]byte // for Batch.Log
	fold    int      // for Batch.Fold
	natives []Object // for Batch.Objects
	opens   *oplog   // not nil: the log of the epoch that begins with this

	segs   []stagedSegment // the last ones of the log afterwards
	folded int             // segments of the log that they take the place of
	rest   []logRecord     // those of the segments that are not sealed
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

	ctx     textContext // of the text that is being written
	own     []word      // room for the words of a message that is read back
	text    []byte      // room for that
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
	st := &stager{oplog: l, older: older, src: src, out: new(stagedLog), recs: make([]logRecord, 0, len(g.notes)),
		roots: make(map[uint32]*node), keyNo: make(map[string]uint32), nums: make(map[ID]uint32), covered: make(map[ID]bool)}
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
	return st.out, nil
}

// object makes a record of a commit that came as objects.
func (st *stager) object(o Object, foreign bool) error {
	if o.Kind != KindCommit {
		return nil
	}
	if foreign {
		if _, ok, err := st.find(o.ID); err != nil || ok {
			st.covered[o.ID] = true
			return nil
		}
	}
	err := st.commit(o)
	if errors.Is(err, errUnfit) || errors.Is(err, ErrNotFound) {
		return st.keepNative(o)
	}
	st.covered[o.ID] = true
	return err
}

// read reads an object of the group or an older one.
func (st *stager) read(id ID) (Kind, []byte, error) {
	kind, content, err := st.src.ReadObject(id)
	if errors.Is(err, ErrNotFound) {
		return st.saved(id)
	}
	return kind, content, err
}

func (st *stager) readTree(id ID) (*Tree, error) {
	if id == EmptyTree {
		return &Tree{}, nil
	}
	if t, err := st.src.ReadTree(id); err == nil {
		return t, nil
	}
	_, content, err := st.read(id)
	if err != nil {
		return nil, err
	}
	return ParseTree(content)
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

// rootOf returns the state of a parent.
func (st *stager) rootOf(p logParent) (*node, error) {
	if !p.native {
		if root := st.roots[p.num]; root != nil {
			return root, nil
		}
		if root := st.src.root(p.id); root != nil {
			return root, nil
		}
		return st.state(p.num)
	}
	kind, content, err := st.read(p.id)
	if err != nil {
		return nil, err
	}
	c, err := ParseCommit(content)
	if err != nil || kind != KindCommit {
		return nil, fmt.Errorf("%w: parent %v", errUnfit, p.id)
	}
	return objectSource(st.read).load(ModeDir, c.Tree)
}

// commit makes the record of a commit.
func (st *stager) commit(o Object) error {
	c, err := ParseCommit(o.Content)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnfit, err)
	}
	rec := logRecord{id: o.ID, tree: c.Tree, time: c.Committer.When.Unix()}
	old := newFolder(nil)
	var others []*node
	for i, p := range c.Parents {
		x := logParent{id: p}
		var ok bool
		if x.num, ok, err = st.number(p); err != nil {
			return err
		}
		x.native = !ok
		rec.parents = append(rec.parents, x)
		root, err := st.rootOf(x)
		switch {
		case i == 0 && err != nil:
			return err
		case i == 0:
			old = root
		case err == nil && !(x.native && st.leaves(p)):
			others = append(others, root)
		}
	}
	if head := appendCommitHead(nil, c.Tree, c.Parents); !plainHead(c, o.Content) {
		raw, ok := bytes.CutPrefix(o.Content, head)
		if !ok {
			return errUnfit
		}
		rec.raw = append([]byte{}, raw...)
	}
	if old, err = st.baseFor(&rec, c.Tree, old); err != nil {
		return err
	}
	d := stateDiff{load: objectSource(st.read).load, tree: st.readTree}
	root, err := d.folder("", c.Tree, old, others, 0)
	if err != nil {
		return err
	}
	sortChanges(d.changes)
	if rec.raw == nil {
		rec.who = people(c)
	}
	num := st.record(rec, c.Message, d.changes)
	st.roots[num] = root
	for _, n := range d.made {
		st.covered[n.id] = true
	}
	st.out.made = append(st.out.made, d.made...)
	return nil
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

// sortChanges puts removals first, so that a folder can take the place of a
// file.
func sortChanges(changes []leafChange) {
	slices.SortStableFunc(changes, func(a, b leafChange) int {
		switch {
		case (a.now.mode == 0) == (b.now.mode == 0):
			return 0
		case a.now.mode == 0:
			return -1
		}
		return 1
	})
}

// texts writes message and values.
func (st *stager) texts(rec *logRecord, message string, changes []leafChange) {
	ctx := &st.ctx
	*ctx = textContext{time: rec.time, self: true, room: ctx.room}
	if len(changes) > 0 {
		ctx.leaf = leafName(changes[0].path)
	}
	if rec.raw == nil {
		rec.message = st.write(&st.messages, message)
		ctx.message = st.messages.prev
	}
	ctx.self = false
	rec.changes = room(&st.changes, len(changes), st.likely)
	for i := range changes {
		x, out := &changes[i], &rec.changes[i]
		out.key = st.keyOf(x.path)
		switch x.now.mode {
		case 0:
			out.kind = changeRemove
			continue
		case ModeSubmodule:
			out.kind, out.link = changeLink, x.now.id
			continue
		case ModeFile:
		default:
			out.kind, out.mode = changeMode, x.now.mode
		}
		ctx.leaf = leafName(x.path)
		ctx.setOld(string(x.old.content))
		out.text = st.write(&st.values, string(x.now.content))
	}
}

// write is textDict.write, checked by reading it back.
func (st *stager) write(d *textDict, text string) written {
	w, p := d.write(&st.ctx, text)
	back, ctx := byteReader{b: w.args}, st.ctx
	if ctx.self {
		ctx.message = st.own[:0]
	}
	st.text = ctx.render(st.text[:0], p, &back)
	if ctx.self {
		st.own = ctx.message
	}
	if back.err == nil && string(st.text) == text {
		return w
	}
	return written{patchProgram, appendPatch(nil, st.ctx.old, text)}
}

func (st *stager) keyOf(path string) uint32 {
	if k, ok := st.oplog.keyNo[path]; ok {
		return k
	}
	k, ok := st.keyNo[path]
	if !ok {
		k = uint32(len(st.keys) + len(st.out.keys))
		st.keyNo[path] = k
		st.out.keys = append(st.out.keys, path)
	}
	return k
}

// keepNative keeps a commit as objects: itself, and all of its tree that is not
// kept so already.
func (st *stager) keepNative(o Object) error {
	st.covered[o.ID] = true
	c, err := ParseCommit(o.Content)
	if err != nil {
		return err
	}
	seen := make(map[ID]bool)
	var walk func(id ID, k Kind) error
	walk = func(id ID, k Kind) error {
		if seen[id] || id == EmptyTree {
			return nil
		}
		seen[id] = true
		if _, _, err := st.native(id); err == nil {
			return nil // with all below
		}
		kind, content, err := st.read(id)
		if errors.Is(err, ErrNotFound) {
			return nil // an incomplete commit, as somebody gave it to us
		}
		if err != nil || kind != k {
			return err
		}
		if k == KindTree {
			t, err := ParseTree(content)
			if err != nil {
				return err
			}
			for i := range t.Len() {
				if x := t.Entry(i); x.Mode != ModeSubmodule {
					if err := walk(x.ID, x.Mode.Kind()); err != nil {
						return err
					}
				}
			}
		}
		st.covered[id] = true
		st.out.natives = append(st.out.natives, Object{id, kind, content})
		return nil
	}
	if err := walk(c.Tree, KindTree); err != nil {
		return err
	}
	st.out.natives = append(st.out.natives, o)
	return nil
}
