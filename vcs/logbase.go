package vcs

import (
	"errors"
	"fmt"
)

// saved reads an older object, of this epoch or of one before. The lock of the
// log that is written is held.
func (st *stager) saved(id ID) (Kind, []byte, error) {
	kind, content, err := st.known(id)
	if errors.Is(err, ErrNotFound) {
		kind, content, err = readEach(st.older, (*oplog).known, id)
	}
	if errors.Is(err, ErrNotFound) {
		kind, content, err = st.native(id)
	}
	if errors.Is(err, ErrNotFound) {
		kind, content, err = st.searched(id)
	}
	if errors.Is(err, ErrNotFound) {
		kind, content, err = readEach(st.older, (*oplog).searched, id)
	}
	return kind, content, err
}

// leaves reports whether a commit will leave the store before this epoch does.
func (st *stager) leaves(id ID) bool {
	for _, l := range st.older {
		if ok, err := l.has(id); ok && err == nil {
			return true
		}
	}
	return false
}

// baseFor gives a commit whose first parent leaves the store before it something
// else of which to tell the changes, so that an epoch can be read without those
// before it: a commit of this epoch, when the trees have something in common, or
// nothing. It returns the state of that, or else the parent's. A commit without
// parents may have such a base, too: all files of another branch would be said
// again. Stood, unless it is nil, is a state that may be the commit's own.
func (st *stager) baseFor(rec *logRecord, tree ID, stood, old *node) (*node, error) {
	outside := len(rec.parents) > 0
	if outside && (!rec.parents[0].native || !st.leaves(rec.parents[0].id)) {
		return old, nil
	}
	if n := st.n + uint32(len(st.recs)); n > 0 {
		load := objectSource(st.read).load
		now := stood
		if now == nil || now.id != tree {
			var err error
			if now, err = load(ModeDir, tree); err != nil {
				return nil, err
			}
		}
		if base, root, err := st.kin(n, now, load); base != nil || err != nil {
			rec.base = base
			return root, err
		}
	}
	if outside {
		rec.base = new(noParent)
	}
	return newFolder(nil), nil
}

// rebase is baseFor of a note, for which it returns the changes.
func (st *stager) rebase(rec *logRecord, n *note) ([]leafChange, error) {
	if len(rec.parents) == 0 || !rec.parents[0].native || !st.leaves(n.parents[0]) {
		return n.changes, nil
	}
	now, err := st.noteRoot(n)
	if err != nil {
		return nil, err
	}
	base, old, err := st.kin(st.n+uint32(len(st.recs)), now, st.native.load)
	if err != nil {
		return nil, err
	}
	if base == nil {
		base, old = new(noParent), newFolder(nil)
	}
	rec.base = base
	d := stateDiff{load: st.native.load}
	if err := d.compare("", old, now); err != nil {
		return nil, err
	}
	sortChanges(d.changes)
	return d.changes, nil
}

// noteRoot returns the state of a note on a commit of an epoch before.
func (st *stager) noteRoot(n *note) (*node, error) {
	if root := st.src.root(n.id); root != nil {
		return root, nil
	}
	w := workTree{own: new(owner), load: st.native.load}
	for _, l := range st.older {
		root, err := l.root(n.parents[0])
		if err == errNoState {
			continue
		}
		if err != nil {
			return nil, err
		}
		w.root = root
		for _, c := range n.changes {
			if err := w.edit(editTo(c.path, c.now)); err != nil {
				return nil, err
			}
		}
		if w.root.hash() != n.tree {
			return nil, fmt.Errorf("%w: the tree of commit %v hashes to %v, not to %v", ErrCorrupt, n.id, w.root.id, n.tree)
		}
		return w.root, nil
	}
	return nil, fmt.Errorf("%w: %v", ErrNotFound, n.parents[0])
}

// kin looks among the newest and the first of this epoch's n commits for one
// whose state has something in common with another one. It returns nil when
// neither has.
func (st *stager) kin(n uint32, now *node, load loader) (*uint32, *node, error) {
	for _, num := range []uint32{n - 1, 0} {
		if num >= n {
			break
		}
		state, err := st.stateOf(num)
		if err != nil {
			return nil, nil, err
		}
		if state == nil {
			continue
		}
		yes, err := share(now, state, load, 0)
		if err != nil {
			return nil, nil, err
		}
		if yes {
			return &num, state, nil
		}
	}
	return nil, nil, nil
}

// stateOf returns the state of a commit of this epoch, nil for one of the group
// whose state is not at hand.
func (st *stager) stateOf(num uint32) (*node, error) {
	if num < st.n {
		return st.state(num)
	}
	if root := st.roots[num]; root != nil {
		return root, nil
	}
	return st.src.root(st.out.ids[num-st.n]), nil
}

// share reports whether two folders have an entry in common.
func share(a, b *node, load loader, depth int) (bool, error) {
	if depth > maxDepth {
		return false, fmt.Errorf("%w: deeper than %d folders", errUnfit, maxDepth)
	}
	if a.id == b.id {
		return true, nil
	}
	type pair struct{ a, b int }
	var folders []pair
	for i := range a.dir.kids {
		x := a.dir.entryAt(i)
		j, ok := b.dir.lookup(x.name)
		if !ok {
			continue
		}
		y := b.dir.entryAt(j)
		if x.mode != y.mode {
			continue
		}
		if x.id == y.id {
			return true, nil
		}
		if x.mode.IsDir() {
			folders = append(folders, pair{i, j})
		}
	}
	for _, p := range folders {
		x, err := a.dir.kid(p.a, load)
		if err != nil {
			return false, err
		}
		y, err := b.dir.kid(p.b, load)
		if err != nil {
			return false, err
		}
		if yes, err := share(x, y, load, depth+1); yes || err != nil {
			return yes, err
		}
	}
	return false, nil
}
