package vcs

import (
	"fmt"
	"slices"
	"strings"
)

// leaf implements leafChanger: it does the current edit.
func (w *workTree) leaf(old *node) (*node, error) {
	e := &w.cur
	if e.mode == 0 {
		if old != nil {
			w.changes = append(w.changes, leafChange{path: e.path, old: old})
		}
		return nil, nil
	}
	if old != nil && old.id == e.id && old.mode == e.mode {
		return old, nil
	}
	if old == nil {
		// Where there is a file its path was looked at before.
		if err := checkPath(e.path); err != nil {
			return nil, err
		}
	}
	n := newFile(e.mode, e.content, w.own)
	n.id, n.known = e.id, true
	w.changes = append(w.changes, leafChange{e.path, old, n})
	return n, nil
}

// apply makes edits, removals first, and returns what they changed. After an
// error nothing is changed.
func (w *workTree) apply(edits []edit) ([]leafChange, error) {
	if cap(w.leaves)-len(w.leaves) < len(edits) {
		w.leaves = make([]leafChange, 0, max(64, len(edits)))
	}
	n := len(w.leaves)
	w.changes = w.leaves[n:n]
	if len(edits) == 1 && w.replace(&edits[0]) {
		w.leaves = w.leaves[: n+len(w.changes) : cap(w.leaves)]
		return w.changes[:len(w.changes):len(w.changes)], nil
	}
	for _, remove := range []bool{true, false} {
		for i := range edits {
			if e := &edits[i]; (e.mode == 0) == remove {
				if err := w.edit(*e); err != nil {
					w.undo(w.changes)
					return nil, err
				}
			}
		}
	}
	w.leaves = w.leaves[: n+len(w.changes) : cap(w.leaves)]
	w.root.hash()
	return w.changes[:len(w.changes):len(w.changes)], nil
}

// maxReplace is how many folders deep files are for replace.
const maxReplace = 16

// replace makes the edit that is most of all: one file of which the content
// changes, and nothing else since the tree was hashed. It hashes the folders on
// the way up. It reports false when it is another edit, and then did nothing.
func (w *workTree) replace(e *edit) bool {
	var folders [maxReplace]*node
	var at [maxReplace]int
	n, rest := w.root, e.path
	var old *node
	depth := 0
	for more := true; more; depth++ {
		var name string
		if name, rest, more = strings.Cut(rest, "/"); depth == maxReplace {
			return false
		}
		if !more {
			n.dir.prefetch() // the folders above are more likely to be at hand
		}
		i, ok := n.dir.entry(name, more)
		if !ok || n.dir.kids[i] == nil {
			return false
		}
		folders[depth], at[depth] = n, i
		old = n.dir.kids[i]
		n = old
	}
	if old.mode != e.mode {
		return false
	}
	if old.id == e.id {
		return true
	}
	now := newFile(e.mode, e.content, w.own)
	now.id, now.known = e.id, true
	w.changes = append(w.changes, leafChange{e.path, old, now})
	below := now
	for depth--; depth >= 0; depth-- {
		again := folders[depth].owner == w.own // what changes once needs no marks
		n := folders[depth].own(w.own)
		n.dir.put(at[depth], below)
		n.id, n.known = n.dir.sum(n.owner, again), true
		below = n
	}
	w.root = below
	return true
}

func (w *workTree) edit(e edit) error {
	w.cur = e
	root, err := w.root.with(e.path, w.own, w.load, w)
	switch err {
	case nil:
		w.root = root
	case errIsFile:
		err = fmt.Errorf("%w: %q would be a file and a folder", ErrBadPath, e.path)
	case errIsFolder:
		err = fmt.Errorf("%w: %q is a folder", ErrBadPath, e.path)
	}
	return err
}

// undo takes changes back.
func (w *workTree) undo(changes []leafChange) {
	back := make([]edit, 0, len(changes))
	for _, c := range slices.Backward(changes) {
		back = append(back, editTo(c.path, c.old))
	}
	for _, e := range back {
		// It was so before: it cannot fail.
		_ = w.edit(e)
	}
	w.root.hash()
}
