package history

import (
	"iter"
	"slices"

	"arpeggio/vcs"
)

// Changes yields the files that differ between two commits, in the order of their
// paths; old may be nil, for the empty state. Where new came after old, and the
// store knows what was touched between them, which is little, no tree is read.
func Changes(s *vcs.Store, old, new *vcs.Commit) iter.Seq2[vcs.TreeChange, error] {
	if old == nil {
		return vcs.DiffTrees(s, vcs.ID{}, new.Tree)
	}
	return func(yield func(vcs.TreeChange, error) bool) {
		paths, ok, err := s.PathsBetween(old.ID, new.ID)
		if err != nil {
			yield(vcs.TreeChange{}, err)
			return
		}
		if !ok {
			vcs.DiffTrees(s, old.Tree, new.Tree)(yield)
			return
		}
		slices.Sort(paths)
		for _, p := range paths {
			ch := vcs.TreeChange{Path: p}
			if ch.Old, _, err = s.FileAt(old.ID, p); err == nil {
				ch.New, _, err = s.FileAt(new.ID, p)
			}
			if err != nil {
				yield(vcs.TreeChange{}, err)
				return
			}
			if ch.Old.ID == ch.New.ID && ch.Old.Mode == ch.New.Mode {
				continue // it was changed back
			}
			if !yield(ch, nil) {
				return
			}
		}
	}
}
