package vcs

import "fmt"

// merger merges trees three ways. Files on which the sides differ go to leaf,
// which settles them.
type merger struct {
	w    *scratch // reads all trees, takes the new ones
	leaf func(path string, base, ours, theirs TreeEntry) (TreeEntry, error)
	// clash hears of a path that would be a file and a folder at once; unless
	// it returns an error the folder stays.
	clash func(path string) error
}

// sides holds what the base, ours and theirs have; absent ones are zero.
type sides [3]TreeEntry

func (s sides) folder() bool {
	return s[0].Mode.IsDir() || s[1].Mode.IsDir() || s[2].Mode.IsDir()
}

// trees merges folders; a zero ID is an absent one. The result is EmptyTree
// when nothing is left.
func (m *merger) trees(dir string, base, ours, theirs ID, depth int) (ID, error) {
	base, ours, theirs = orEmpty(base), orEmpty(ours), orEmpty(theirs)
	switch {
	case ours == theirs:
		return ours, nil
	case base == ours:
		return theirs, nil
	case base == theirs:
		return ours, nil
	case depth > maxDepth:
		return ID{}, fmt.Errorf("%w: %.120q is deeper than %d folders", ErrBadPath, dir, maxDepth)
	}
	var t [3]*Tree
	for i, id := range []ID{base, ours, theirs} {
		var err error
		if t[i], err = m.w.ReadTree(id); err != nil {
			return ID{}, fmt.Errorf("folder %q: %w", dir, err)
		}
	}
	var changes []TreeEntry
	var at [3]int
	for {
		name, e, ok := nextName(t, &at)
		if !ok {
			break
		}
		other := opposite(t, name, e.folder())
		if other != (sides{}) && e.folder() {
			continue // done together with the file of this name
		}
		now, err := m.name(join(dir, name), e, other, depth)
		if err != nil {
			return ID{}, err
		}
		have := e[1]
		if have.ID.IsZero() {
			have = other[1]
		}
		if now.Mode != have.Mode || now.ID != have.ID {
			now.Name = name
			changes = append(changes, now)
		}
	}
	if len(changes) == 0 {
		return ours, nil
	}
	return m.w.putTree(t[1].changed(changes)), nil
}

func orEmpty(id ID) ID {
	if id.IsZero() {
		return EmptyTree
	}
	return id
}

// nextName takes the next name, as a file or as a folder, off three trees.
func nextName(t [3]*Tree, at *[3]int) (name string, e sides, ok bool) {
	first := -1
	for i := range t {
		if at[i] < t[i].Len() && (first < 0 || compareAt(t[i], at[i], t[first], at[first]) < 0) {
			first = i
		}
	}
	if first < 0 {
		return "", e, false
	}
	least := at[first]
	for i := range t {
		if at[i] < t[i].Len() && compareAt(t[i], at[i], t[first], least) == 0 {
			e[i] = t[i].Entry(at[i])
			name = e[i].Name
			at[i]++
		}
	}
	return name, e, true
}

// opposite returns the entries of a name that are of the other sort.
func opposite(t [3]*Tree, name string, folder bool) (e sides) {
	class := ModeDir
	if folder {
		class = ModeFile
	}
	for i := range t {
		if j, ok := t[i].search([]byte(name), class); ok {
			e[i] = t[i].Entry(j)
		}
	}
	return e
}

// name merges what one path is as a folder or as a file, or as both on
// different sides.
func (m *merger) name(path string, e, other sides, depth int) (TreeEntry, error) {
	if e.folder() {
		id, err := m.trees(path, e[0].ID, e[1].ID, e[2].ID, depth+1)
		if err != nil || id == EmptyTree {
			return TreeEntry{}, err
		}
		return TreeEntry{Mode: ModeDir, ID: id}, nil
	}
	file := e[1]
	if e[1] != e[2] {
		var err error
		if file, err = m.leaf(path, e[0], e[1], e[2]); err != nil {
			return TreeEntry{}, err
		}
	}
	if other == (sides{}) {
		return file, nil
	}
	folder, err := m.name(path, other, sides{}, depth)
	switch {
	case err != nil:
		return TreeEntry{}, err
	case folder.ID.IsZero():
		return file, nil
	case file.ID.IsZero():
		return folder, nil
	}
	return folder, m.clash(path)
}

// threeWay settles a file without looking into it; ok is false when both sides
// changed it differently.
func threeWay(base, ours, theirs TreeEntry) (e TreeEntry, ok bool) {
	switch {
	case ours == theirs, base == theirs:
		return ours, true
	case base == ours:
		return theirs, true
	}
	return TreeEntry{}, false
}
