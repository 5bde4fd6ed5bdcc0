package vcs

import (
	"fmt"
	"slices"
	"strings"
)

// scratch collects the objects of a change before it is published, and reads
// them as if they were. It is for one goroutine.
type scratch struct {
	base  source
	objs  []Object
	trees map[ID]*Tree
	other map[ID]int // index in objs of what is not a tree
	note  *note      // the commit, when there is one
	// merged is the state of the commit, where it was merged as one.
	merged mergedState
}

func newScratch(base source) *scratch { return &scratch{base: base} }

// ReadObject implements ObjectReader.
func (w *scratch) ReadObject(id ID) (Kind, []byte, error) {
	if t, ok := w.trees[id]; ok {
		return KindTree, t.raw, nil
	}
	if i, ok := w.other[id]; ok {
		return w.objs[i].Kind, w.objs[i].Content, nil
	}
	return w.base.ReadObject(id)
}

// ReadTree implements source.
func (w *scratch) ReadTree(id ID) (*Tree, error) {
	if t, ok := w.trees[id]; ok {
		return t, nil
	}
	return w.base.ReadTree(id)
}

func (w *scratch) putTree(t *Tree) ID {
	id := HashObject(KindTree, t.raw)
	if w.trees == nil {
		w.trees = make(map[ID]*Tree)
	}
	if _, ok := w.trees[id]; !ok {
		w.trees[id] = t
		w.objs = append(w.objs, Object{id, KindTree, t.raw})
	}
	return id
}

// adopt makes a folder that is stored known by its id.
func (w *scratch) adopt(n *node) {
	if w.trees == nil {
		w.trees = make(map[ID]*Tree)
	}
	w.trees[n.id] = &n.dir.Tree
}

func (w *scratch) put(k Kind, content []byte) ID {
	id := HashObject(k, content)
	w.putAs(id, k, content)
	return id
}

func (w *scratch) putAs(id ID, k Kind, content []byte) {
	if _, ok := w.other[id]; ok {
		return
	}
	if w.other == nil {
		w.other = make(map[ID]int)
	}
	w.other[id] = len(w.objs)
	w.objs = append(w.objs, Object{id, k, content})
}

// edit sets the file at a path to a blob, or removes it when mode and id are
// zero.
type edit struct {
	path    string
	mode    Mode
	id      ID
	content []byte // of the blob
}

// checkPath refuses paths that cannot stand in a tree.
func checkPath(path string) error {
	depth := 0
	for name := range strings.SplitSeq(path, "/") {
		if err := CheckName(name); err != nil {
			return fmt.Errorf("%w in %.120q", err, path)
		}
		if depth++; depth > maxDepth {
			return fmt.Errorf("%w: %.120q is deeper than %d folders", ErrBadPath, path, maxDepth)
		}
	}
	return nil
}

// maxDepth bounds recursion over trees.
const maxDepth = 256

// lastEdits sorts edits and leaves the last one of each path.
func lastEdits(edits []edit) []edit {
	if len(edits) < 2 {
		return edits
	}
	slices.SortStableFunc(edits, func(a, b edit) int { return comparePaths(a.path, b.path) })
	kept := edits[:0]
	for i, e := range edits {
		if i+1 == len(edits) || edits[i+1].path != e.path {
			kept = append(kept, e)
		}
	}
	return kept
}

// editTree applies edits to a tree and returns the new root: the same id when
// nothing changed. Only the folders on the edited paths are rebuilt. Of several
// edits of one path the last one counts. Folders that become empty vanish.
func (w *scratch) editTree(root ID, edits []edit) (ID, error) {
	return w.editFolder(root, lastEdits(edits), 0)
}

// editFolder applies sorted edits whose paths start, from byte skip on, in the
// folder.
func (w *scratch) editFolder(folder ID, edits []edit, skip int) (ID, error) {
	t, err := w.ReadTree(folder)
	if err != nil {
		return ID{}, err
	}
	var changes []TreeEntry
	for len(edits) > 0 {
		name, _, _ := strings.Cut(edits[0].path[skip:], "/")
		n := 1
		for n < len(edits) && firstName(edits[n].path[skip:]) == name {
			n++
		}
		old, had := t.Find(name)
		now, has, err := w.editName(name, old, had, edits[:n], skip)
		if err != nil {
			return ID{}, err
		}
		switch {
		case has && (!had || now != old):
			changes = append(changes, now)
		case !has && had:
			changes = append(changes, TreeEntry{Name: name})
		}
		edits = edits[n:]
	}
	if len(changes) == 0 {
		return folder, nil
	}
	return w.putTree(t.changed(changes)), nil
}

func firstName(path string) string {
	name, _, _ := strings.Cut(path, "/")
	return name
}

// editName applies the edits that concern one name of a folder. When the first
// of them is of the name itself, the others lie below it. A file takes the place
// of a folder, or a folder that of a file, when the edits remove what was there.
func (w *scratch) editName(name string, e TreeEntry, has bool, edits []edit, skip int) (TreeEntry, bool, error) {
	path := edits[0].path[:skip+len(name)]
	file, below := edit{}, edits
	self := len(edits[0].path) == len(path)
	if self {
		file, below = edits[0], edits[1:]
	}
	if self && has && !e.Mode.IsDir() && file.id.IsZero() {
		e, has = TreeEntry{}, false
	}
	sets := slices.ContainsFunc(below, func(x edit) bool { return !x.id.IsZero() })
	if has && !e.Mode.IsDir() && sets || self && !file.id.IsZero() && sets {
		return e, has, fmt.Errorf("%w: %q would be a file and a folder", ErrBadPath, path)
	}
	if sets && !has {
		e, has = TreeEntry{name, ModeDir, EmptyTree}, true
	}
	if has && e.Mode.IsDir() && len(below) > 0 {
		id, err := w.editFolder(e.ID, below, skip+len(name)+1)
		if err != nil {
			return e, has, err
		}
		e.ID, has = id, id != EmptyTree
	}
	if !self || file.id.IsZero() {
		return e, has, nil
	}
	if has && e.Mode.IsDir() {
		return e, has, fmt.Errorf("%w: %q is a folder", ErrBadPath, path)
	}
	if !has || e.ID != file.id || e.Mode != ModeFile {
		w.putAs(file.id, KindBlob, file.content)
	}
	return TreeEntry{name, ModeFile, file.id}, true, nil
}

// comparePaths sorts what lies in a folder right behind a file of the folder's
// name.
func comparePaths(a, b string) int {
	for i := range min(len(a), len(b)) {
		switch {
		case a[i] == b[i]:
		case a[i] == '/':
			return -1
		case b[i] == '/':
			return 1
		default:
			return int(a[i]) - int(b[i])
		}
	}
	return len(a) - len(b)
}
