package vcs

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// stagedLog is what one group of objects becomes in the log. It counts when
// the backend has taken it.
type stagedLog struct {
	records [][]byte // for Batch.Log
	fold    int      // for Batch.Fold
	natives []Object // for Batch.Objects

	segs   []stagedSegment // the last ones of the log afterwards
	folded int             // segments of the log that they take the place of
	keys   []string
	nums   map[ID]uint32
	states []stagedState
	made   []*node
}

type stagedSegment struct {
	raw   []byte
	parts int // log records that hold it
}

type stagedState struct {
	num  uint32
	root *node
}

// stager turns the objects of one group into records.
type stager struct {
	*oplog
	src     ObjectReader // reads the group's objects, and all older ones
	objs    []Object
	out     *stagedLog
	recs    []logRecord
	roots   map[uint32]*node
	keyNo   map[string]uint32 // of new keys
	covered map[ID]bool
}

// stage turns objects into records: those of commits whose first parent is
// known; what they do not cover and foreign vouches for is kept natively. Src
// reads the group's objects and older ones without asking the log for them
// while it is locked.
func (l *oplog) stage(objs []Object, foreign map[int]bool, src ObjectReader) (*stagedLog, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	st := &stager{oplog: l, src: src, objs: objs, out: &stagedLog{nums: make(map[ID]uint32)},
		roots: make(map[uint32]*node), keyNo: make(map[string]uint32), covered: make(map[ID]bool)}
	for i, o := range objs {
		if o.Kind != KindCommit {
			continue
		}
		if foreign[i] {
			if _, ok, err := l.find(o.ID); err != nil || ok {
				st.covered[o.ID] = true
				continue
			}
		}
		switch err := st.commit(o); {
		case err == nil:
			st.covered[o.ID] = true
		case errors.Is(err, errUnfit) || errors.Is(err, ErrNotFound):
			if err := st.keepNative(o); err != nil {
				return nil, err
			}
		default:
			return nil, err
		}
	}
	for i, o := range objs {
		if foreign[i] && !st.covered[o.ID] {
			st.out.natives = append(st.out.natives, o)
		}
	}
	st.finish()
	return st.out, nil
}

// read reads an object of the group or an older one.
func (st *stager) read(id ID) (Kind, []byte, error) {
	kind, content, err := st.src.ReadObject(id)
	if errors.Is(err, ErrNotFound) {
		return st.object(id)
	}
	return kind, content, err
}

func (st *stager) readTree(id ID) (*Tree, error) {
	if id == EmptyTree {
		return &Tree{}, nil
	}
	if r, ok := st.src.(TreeReader); ok {
		if t, err := r.ReadTree(id); err == nil {
			return t, nil
		}
	}
	_, content, err := st.read(id)
	if err != nil {
		return nil, err
	}
	return ParseTree(content)
}

// number returns where a commit is in the log.
func (st *stager) number(id ID) (uint32, bool, error) {
	if num, ok := st.out.nums[id]; ok {
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
	return lazyNode(ModeDir, c.Tree), nil
}

// commit makes the record of a commit.
func (st *stager) commit(o Object) error {
	c, err := ParseCommit(o.Content)
	if err != nil {
		return fmt.Errorf("%w: %w", errUnfit, err)
	}
	rec := logRecord{id: o.ID, tree: c.Tree, time: c.Committer.When.Unix()}
	old := &node{mode: ModeDir}
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
		case err == nil:
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
	d := stateDiff{read: st.read, tree: st.readTree}
	root, err := d.folder("", c.Tree, old, others, 0)
	if err != nil {
		return err
	}
	if err := st.texts(&rec, c, d.changes); err != nil {
		return err
	}
	num := st.n + uint32(len(st.recs))
	st.recs = append(st.recs, rec)
	st.out.nums[o.ID] = num
	st.roots[num] = root
	for _, n := range d.made {
		st.covered[n.id] = true
		n.lazy = false
	}
	st.out.made = append(st.out.made, d.made...)
	return nil
}

// texts writes message and values. Removals go first, so that a folder can take
// the place of a file.
func (st *stager) texts(rec *logRecord, c *Commit, changes []leafChange) error {
	slices.SortStableFunc(changes, func(a, b leafChange) int {
		switch {
		case (a.now == nil) == (b.now == nil):
			return 0
		case a.now == nil:
			return -1
		}
		return 1
	})
	ctx := textContext{time: rec.time, self: true}
	if len(changes) > 0 {
		ctx.leaf = leafName(changes[0].path)
	}
	if rec.raw == nil {
		rec.who = people(c)
		rec.message = st.write(&st.messages, ctx, c.Message)
		ctx.message = words(c.Message)
	}
	ctx.self = false
	rec.changes = make([]logChange, len(changes))
	for i, x := range changes {
		out := &rec.changes[i]
		out.key = st.keyOf(x.path)
		switch {
		case x.now == nil:
			out.kind = changeRemove
			continue
		case x.now.mode == ModeSubmodule:
			out.kind, out.link = changeLink, x.now.id
			continue
		case x.now.mode != ModeFile:
			out.kind, out.mode = changeMode, x.now.mode
		}
		ctx.leaf = leafName(x.path)
		ctx.setOld("")
		if x.old != nil {
			if err := x.old.load(st.read); err != nil {
				return err
			}
			ctx.setOld(string(x.old.file))
		}
		if err := x.now.load(st.read); err != nil {
			return err
		}
		out.text = st.write(&st.values, ctx, string(x.now.file))
	}
	return nil
}

// write is textDict.write, checked by reading it back.
func (st *stager) write(d *textDict, ctx textContext, text string) written {
	w, p := d.write(&ctx, text)
	back := byteReader{b: w.args}
	if ctx.self {
		ctx.message = nil
	}
	if got := ctx.render(make([]byte, 0, len(text)), p, &back); back.err == nil && string(got) == text {
		return w
	}
	return written{patchProgram, appendPatch(nil, ctx.old, text)}
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
