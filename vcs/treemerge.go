package vcs

import (
	"bytes"
	"fmt"
)

// merger merges trees three ways. It looks only into folders that differ on all
// sides.
type merger struct {
	w *scratch // reads all trees, takes the new ones
	// leaf settles a file that both sides changed, each in its own way.
	leaf func(path string, base, ours, theirs TreeEntry) (TreeEntry, error)
	// clash hears of a path that would be a file and a folder at once; unless
	// it returns an error the folder stays.
	clash func(path string) error
	path  []byte // of the folder at hand, with a slash behind it
}

// trees merges folders; a zero ID is an absent one. The result is EmptyTree
// when nothing is left.
func (m *merger) trees(base, ours, theirs ID, depth int) (ID, error) {
	ids := sides{{id: orEmpty(base)}, {id: orEmpty(ours)}, {id: orEmpty(theirs)}}
	if now, ok := ids.threeWay(); ok {
		return now.id, nil
	}
	if depth > maxDepth {
		return ID{}, fmt.Errorf("%w: %.120q is deeper than %d folders", ErrBadPath, m.folder(), maxDepth)
	}
	var t [3]*Tree
	for i := range t {
		var err error
		if t[i], err = readTreeOrNone(m.w, ids[i].id); err != nil {
			return ID{}, fmt.Errorf("folder %q: %w", m.folder(), err)
		}
	}
	var w mergeWalk
	w.open(&t)
	out := treeBuilder{old: t[1]}
	for w.next() {
		now, err := m.name(&w, depth)
		if err != nil {
			return ID{}, err
		}
		if now != w.has[1] {
			out.set(w.at[1].start(), w.ours, w.name, now.mode, now.id)
		}
	}
	if !out.changed() {
		return ids[1].id, nil
	}
	merged := out.tree()
	if merged.Len() == 0 {
		return EmptyTree, nil
	}
	return m.w.putTree(merged), nil
}

func orEmpty(id ID) ID {
	if id.IsZero() {
		return EmptyTree
	}
	return id
}

// folder returns the path of the folder at hand.
func (m *merger) folder() []byte { return bytes.TrimSuffix(m.path, []byte("/")) }

// name merges the files, or the folders, of the name at hand. When both are
// there it merges both as soon as the files come.
func (m *merger) name(w *mergeWalk, depth int) (treeRef, error) {
	if w.folder {
		if now, ok := w.settled(); ok {
			return now, nil
		}
		return m.folders(w.name, &w.has, depth)
	}
	file, err := m.files(w.name, &w.has)
	if err != nil {
		return treeRef{}, err
	}
	ahead, found := w.folders()
	if !found {
		return file, nil
	}
	folder, err := m.folders(w.name, &ahead, depth)
	if err != nil {
		return treeRef{}, err
	}
	w.settle(folder)
	if file.id.IsZero() || folder.id.IsZero() {
		return file, nil
	}
	return treeRef{}, m.clash(string(m.path) + string(w.name))
}

func (m *merger) folders(name []byte, s *sides, depth int) (treeRef, error) {
	if now, ok := s.threeWay(); ok {
		return now, nil
	}
	n := len(m.path)
	m.path = append(append(m.path, name...), '/')
	id, err := m.trees(s[0].id, s[1].id, s[2].id, depth+1)
	m.path = m.path[:n]
	if err != nil || id == EmptyTree {
		return treeRef{}, err
	}
	return treeRef{ModeDir, id}, nil
}

func (m *merger) files(name []byte, s *sides) (treeRef, error) {
	if now, ok := s.threeWay(); ok {
		return now, nil
	}
	path := string(m.path) + string(name)
	leaf := path[len(m.path):]
	now, err := m.leaf(path, s[0].entry(leaf), s[1].entry(leaf), s[2].entry(leaf))
	return treeRef{now.Mode, now.ID}, err
}
