package vcs

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

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
	stood := st.stoodFor(c, o.ID)
	if old, err = st.baseFor(&rec, c.Tree, stood, old); err != nil {
		return err
	}
	if root := stood; root != nil {
		if st.natives != nil && st.natives.any.Load() {
			if root, err = root.settled(st.native.load, st.settled); err != nil {
				return err
			}
		}
		others = append(others, root)
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

// sortChanges puts removals first, so that a folder can take the place of a
// file.
func sortChanges(changes []leafChange) {
	slices.SortStableFunc(changes, func(a, b leafChange) int {
		switch {
		case (a.now == nil) == (b.now == nil):
			return 0
		case a.now == nil:
			return -1
		}
		return 1
	})
}

// keepNative keeps a commit as objects: itself, and all of its tree that is not
// kept so already. What is neither here nor among what came with it is a hole:
// it may come later, from the same somebody, or never.
func (st *stager) keepNative(o Object) error {
	st.covered[o.ID] = true
	c, err := ParseCommit(o.Content)
	if err != nil {
		return err
	}
	if err := st.keepTree(o.ID, c.Tree, KindTree); err != nil {
		return err
	}
	st.out.natives = append(st.out.natives, o)
	return nil
}

// hole is an object that a commit which is kept natively leads to, and that
// could not be had when it was saved.
type hole struct {
	commit, object ID
	err            error
}

// keepTree keeps an object of a commit's tree natively, with all below it, also
// below what is kept already: that may have come alone, while the log told the
// rest.
func (st *stager) keepTree(commit, root ID, kind Kind) error {
	seen := make(map[ID]bool)
	var walk func(id ID, k Kind) error
	walk = func(id ID, k Kind) error {
		if seen[id] || id == EmptyTree || k == KindTree && st.natives != nil && st.natives.isWhole(id) {
			return nil
		}
		seen[id] = true
		before := len(st.out.holes)
		kind, content, err := st.native(id)
		kept := err == nil
		if !kept {
			kind, content, err = st.read(id)
		}
		if err == nil && kind != k {
			err = fmt.Errorf("%w: %v is a %v, not a %v", ErrWrongKind, id, kind, k)
		}
		if errors.Is(err, ErrNotFound) || errors.Is(err, ErrCorrupt) || errors.Is(err, ErrWrongKind) {
			st.out.holes = append(st.out.holes, hole{commit, id, err})
			return nil
		}
		if err != nil {
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
		if !kept {
			st.out.natives = append(st.out.natives, Object{id, kind, content})
		}
		if k == KindTree && len(st.out.holes) == before {
			st.out.whole = append(st.out.whole, id)
		}
		return nil
	}
	return walk(root, kind)
}

// stoodFor returns the state that a commit of the store's own has, or nearly has:
// that of the commit itself, which is carried over from the epoch before, or of
// the one for which the root of an epoch stands, or whose state a chain keeps. It
// is nil for others, and when the state is not at hand. So nothing has to be
// looked for by its id, among all that the epochs hold.
func (st *stager) stoodFor(c *Commit, id ID) *node {
	if root := st.src.root(id); root != nil {
		return root
	}
	if st.n == 0 && len(st.older) > 0 {
		if root, err := st.older[0].root(id); err == nil {
			return root
		}
	}
	for _, trailer := range []string{TrailerPrevious, TrailerCommit} {
		old, err := ParseID(c.Trailer(trailer))
		if err != nil {
			continue
		}
		if root := st.src.root(old); root != nil {
			return root
		}
		for _, l := range st.older {
			if root, err := l.root(old); err == nil {
				return root
			}
		}
	}
	return nil
}
