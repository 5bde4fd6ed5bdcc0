package vcs

import (
	"bytes"
	"errors"
	"fmt"
)

// stateMerger merges states of the log three ways, as merger does trees, where
// theirs has the names of the base in every folder that it changed and ours has
// those, too. Then our folders are patched, and what that changes is known as
// soon as it is done: there are no trees to compare for the commit's record.
type stateMerger struct {
	stateDiff // notes what becomes of our files
	own       *owner
	// leaf settles a file that both sides changed, each in its own way.
	leaf func(path string, s *[3]*node) (*node, error)
}

// errNames says that a merge has to go through the trees: names come or go.
var errNames = errors.New("vcs: names differ")

// folder merges the folders of the base, ours and theirs at a path.
func (m *stateMerger) folder(path string, s *[3]*node) (*node, error) {
	base, ours, theirs := s[0].dir, s[1].dir, s[2].dir
	if len(base.off) != len(theirs.off) {
		return nil, errNames
	}
	out := s[1]
	for i := range base.off {
		b, t := base.entryBytes(i), theirs.entryBytes(i)
		if bytes.Equal(b, t) {
			continue
		}
		name := entryName(b)
		j, ok := ours.lookupNear(i, name)
		if !ok || !bytes.Equal(name, entryName(t)) {
			return nil, errNames
		}
		o := ours.entryBytes(j)
		if bytes.Equal(o, t) {
			continue
		}
		if entryIsFolder(b) != entryIsFolder(t) || entryIsFolder(b) != entryIsFolder(o) {
			return nil, errNames
		}
		var kids [3]*node
		for side, f := range [3]*folder{base, ours, theirs} {
			at := i
			if side == 1 {
				at = j
			}
			var err error
			if kids[side], err = f.kid(at, m.load); err != nil {
				return nil, err
			}
		}
		now, err := m.name(join(path, string(name)), &kids)
		if err != nil {
			return nil, err
		}
		if now != kids[1] {
			out = out.own(m.own)
			out.dir.set(j, now)
		}
	}
	out.hash()
	return out, nil
}

// name merges the files or folders of a name that theirs changed.
func (m *stateMerger) name(path string, s *[3]*node) (*node, error) {
	base, ours, theirs := s[0], s[1], s[2]
	switch {
	case ours.id == base.id && ours.mode == base.mode:
		return theirs, m.compare(path, ours, theirs)
	case ours.mode.IsDir():
		return m.folder(path, s)
	}
	now, err := m.leaf(path, s)
	if err == nil && now != ours {
		m.note(path, ours, now)
	}
	return now, err
}

// mergeStates merges two commits of the log with one common ancestor. After an
// error, errNames for one, their trees have to be merged.
func (m *keyMerger[K, V]) mergeStates(base, ours, theirs ID) (ID, error) {
	s := m.r.s
	var roots [3]*node
	for i, id := range [3]ID{base, ours, theirs} {
		var err error
		if roots[i], err = s.rootOf(id); err != nil {
			return ID{}, err
		}
	}
	t := stateMerger{own: &owner{collect: true, marks: true}}
	t.load = s.log.native.load
	t.leaf = func(path string, s *[3]*node) (*node, error) { return m.fileNode(path, s, t.own) }
	root, err := t.folder("", &roots)
	if err != nil {
		return ID{}, err
	}
	sortChanges(t.changes)
	m.w.merged = mergedState{root, t.own, t.changes}
	return root.id, nil
}

// mergedState is the state that a merge made.
type mergedState struct {
	root    *node // nil for none
	own     *owner
	changes []leafChange // of ours
}

// fileNode is file for the nodes of the three sides.
func (m *keyMerger[K, V]) fileNode(path string, s *[3]*node, own *owner) (*node, error) {
	var e [3]TreeEntry
	for i, n := range s {
		e[i] = TreeEntry{leafName(path), n.mode, n.id}
	}
	now, c, err := m.file(m.w, path, e[0], e[1], e[2])
	switch {
	case err != nil:
		return nil, err
	case c != nil:
		m.conflicts = append(m.conflicts, *c)
		return s[1], nil
	case now.ID.IsZero():
		return nil, errNames
	case now == e[1]:
		return s[1], nil
	case now == e[2]:
		return s[2], nil
	}
	_, content, err := m.w.ReadObject(now.ID)
	if err != nil {
		return nil, fmt.Errorf("merge %s: %w", path, err)
	}
	n := newFile(now.Mode, content, own)
	n.id, n.known = now.ID, true
	return n, nil
}
