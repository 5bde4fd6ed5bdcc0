package vcs

import (
	"fmt"
	"iter"
)

// TreeReader reads decoded trees; a Store is one.
type TreeReader interface {
	ReadTree(id ID) (*Tree, error)
}

// TreeChange is one file that differs between two trees. The entry on a side
// where the file is absent is zero. A file that became a folder of files, or the
// other way round, is reported as removals and additions.
type TreeChange struct {
	Path     string
	Old, New TreeEntry
}

// DiffTrees yields the files that differ between two trees, in the order of
// their paths, as git diff-tree -r does. A zero ID is the empty tree. Subtrees
// with equal ids are not read.
func DiffTrees(r TreeReader, a, b ID) iter.Seq2[TreeChange, error] {
	return func(yield func(TreeChange, error) bool) {
		diffFolders(r, "", a, b, 0, yield)
	}
}

// readTreeOrNone is ReadTree for ids that may be zero.
func readTreeOrNone(r TreeReader, id ID) (*Tree, error) {
	if id.IsZero() || id == EmptyTree {
		return &Tree{}, nil
	}
	return r.ReadTree(id)
}

func diffFolders(r TreeReader, dir string, a, b ID, depth int, yield func(TreeChange, error) bool) bool {
	if a == b {
		return true
	}
	fail := func(err error) bool {
		yield(TreeChange{Path: dir}, fmt.Errorf("folder %q: %w", dir, err))
		return false
	}
	if depth > maxDepth {
		return fail(fmt.Errorf("%w: deeper than %d folders", ErrBadPath, maxDepth))
	}
	ta, err := readTreeOrNone(r, a)
	if err != nil {
		return fail(err)
	}
	tb, err := readTreeOrNone(r, b)
	if err != nil {
		return fail(err)
	}
	for i, j := 0, 0; i < ta.Len() || j < tb.Len(); {
		var x, y rawEntry
		switch c := compareAt(ta, i, tb, j); {
		case c < 0:
			x = ta.entryAt(i)
			i++
		case c > 0:
			y = tb.entryAt(j)
			j++
		default:
			x, y = ta.entryAt(i), tb.entryAt(j)
			i++
			j++
		}
		if x.id == y.id && x.mode == y.mode {
			continue
		}
		if !diffEntries(r, dir, x, y, depth, yield) {
			return false
		}
	}
	return true
}

// compareAt compares entries of two trees; one past the end is the largest.
func compareAt(a *Tree, i int, b *Tree, j int) int {
	switch {
	case i >= a.Len():
		return 1
	case j >= b.Len():
		return -1
	}
	x, y := a.entryAt(i), b.entryAt(j)
	return compareNames(x.name, x.mode, y.name, y.mode)
}

func diffEntries(r TreeReader, dir string, x, y rawEntry, depth int, yield func(TreeChange, error) bool) bool {
	name := string(x.name)
	if x.mode == 0 {
		name = string(y.name)
	}
	path := join(dir, name)
	if x.mode == ModeDir || y.mode == ModeDir {
		return diffFolders(r, path, x.id, y.id, depth+1, yield)
	}
	ch := TreeChange{Path: path}
	if x.mode != 0 {
		ch.Old = TreeEntry{name, x.mode, x.id}
	}
	if y.mode != 0 {
		ch.New = TreeEntry{name, y.mode, y.id}
	}
	return yield(ch, nil)
}
