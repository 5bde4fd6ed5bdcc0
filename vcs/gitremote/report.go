package gitremote

import (
	"errors"
	"fmt"
	"strings"

	"arpeggio/vcs"
)

// Report says what a write into a directory changed.
type Report struct {
	// Objects is the number of objects added.
	Objects int
	// Packs is the number of pack files in the directory afterwards.
	Packs int
	// Changes lists the refs created (zero Old), moved and deleted (zero New),
	// sorted by name.
	Changes []vcs.RefUpdate
	// Forced lists those of Changes that moved a ref to something that does
	// not contain what the ref held before.
	Forced []vcs.RefUpdate
	// Head is the branch that the directory's HEAD names.
	Head string
}

// diffRefs compares two sorted lists of refs.
func diffRefs(before, after []vcs.Ref) []vcs.RefUpdate {
	var out []vcs.RefUpdate
	for len(before) > 0 || len(after) > 0 {
		switch {
		case len(after) == 0 || len(before) > 0 && before[0].Name < after[0].Name:
			out = append(out, vcs.RefUpdate{Name: before[0].Name, Old: before[0].Target})
			before = before[1:]
		case len(before) == 0 || after[0].Name < before[0].Name:
			out = append(out, vcs.RefUpdate{Name: after[0].Name, New: after[0].Target})
			after = after[1:]
		default:
			if before[0].Target != after[0].Target {
				out = append(out, vcs.RefUpdate{Name: before[0].Name, Old: before[0].Target, New: after[0].Target})
			}
			before, after = before[1:], after[1:]
		}
	}
	return out
}

// forced picks the moves that lose history. Objects must hold both sides. The root
// of an epoch that one of the refs replaces (git-replace(1)) goes on from what it
// stands for, as it does for git.
func forced(objects vcs.ObjectReader, changes []vcs.RefUpdate, refs []vcs.Ref) ([]vcs.RefUpdate, error) {
	instead := make(map[vcs.ID]vcs.ID)
	for _, r := range refs {
		name, ok := strings.CutPrefix(r.Name, "refs/replace/")
		if id, err := vcs.ParseID(name); ok && err == nil {
			instead[id] = r.Target
		}
	}
	objects = replacing{objects, instead}
	var out []vcs.RefUpdate
	for _, u := range changes {
		if u.Old.IsZero() || u.New.IsZero() || strings.HasPrefix(u.Name, "refs/replace/") {
			continue
		}
		ok, err := contains(objects, u.New, u.Old)
		if err != nil {
			return nil, err
		}
		if !ok {
			out = append(out, u)
		}
	}
	return out, nil
}

// replacing reads other objects in place of some.
type replacing struct {
	vcs.ObjectReader
	instead map[vcs.ID]vcs.ID
}

// ReadObject implements vcs.ObjectReader.
func (r replacing) ReadObject(id vcs.ID) (vcs.Kind, []byte, error) {
	if other, ok := r.instead[id]; ok {
		if kind, content, err := r.ObjectReader.ReadObject(other); err == nil {
			return kind, content, nil
		}
	}
	return r.ObjectReader.ReadObject(id)
}

// contains reports whether the history of tip holds the commit old.
func contains(objects vcs.ObjectReader, tip, old vcs.ID) (bool, error) {
	for _, id := range []vcs.ID{old, tip} {
		if _, err := readCommit(objects, id); errors.Is(err, vcs.ErrWrongKind) {
			return false, nil // a tag, a tree or a blob has no history to go on from
		}
	}
	return vcs.IsAncestor(commitReader{objects}, old, tip)
}

// commitReader reads the commits of any reader.
type commitReader struct{ vcs.ObjectReader }

func (r commitReader) ReadCommit(id vcs.ID) (*vcs.Commit, error) {
	return readCommit(r.ObjectReader, id)
}

func readCommit(objects vcs.ObjectReader, id vcs.ID) (*vcs.Commit, error) {
	kind, content, err := objects.ReadObject(id)
	if err != nil {
		return nil, err
	}
	if kind != vcs.KindCommit {
		return nil, vcs.ErrWrongKind
	}
	c, err := vcs.ParseCommit(content)
	if err != nil {
		return nil, fmt.Errorf("commit %s: %w", id, err)
	}
	c.ID = id
	return c, nil
}
