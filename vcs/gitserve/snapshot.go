package gitserve

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"arpeggio/vcs"
)

// refSnapshot is the state of all refs that one request works on.
type refSnapshot struct {
	refs []vcs.Ref // sorted by name
	head string    // the branch that HEAD names, "" for none
	byID map[vcs.ID]bool
}

func takeSnapshot(repo Repository) (*refSnapshot, error) {
	refs, err := repo.Refs()
	if err != nil {
		return nil, fmt.Errorf("gitserve: list refs: %w", err)
	}
	s := &refSnapshot{refs: refs, head: repo.Head(), byID: make(map[vcs.ID]bool, len(refs))}
	for _, r := range refs {
		s.byID[r.Target] = true
	}
	return s, nil
}

// lookup returns what a ref name points to.
func (s *refSnapshot) lookup(name string) (vcs.ID, bool) {
	for _, r := range s.refs {
		if r.Name == name {
			return r.Target, true
		}
	}
	return vcs.ID{}, false
}

// maxTagDepth bounds chains of tags that tag tags.
const maxTagDepth = 32

// peel follows annotated tags to the object that they finally name. For a
// target that is no tag, ok is false. Branches cannot hold tags, so that they
// cost no read.
func peel(objects vcs.ObjectReader, r vcs.Ref) (target vcs.ID, ok bool, err error) {
	if strings.HasPrefix(r.Name, "refs/heads/") {
		return vcs.ID{}, false, nil
	}
	id, err := peelID(objects, r.Target)
	if err != nil {
		return vcs.ID{}, false, fmt.Errorf("gitserve: peel %s: %w", r.Name, err)
	}
	return id, id != r.Target, nil
}

func peelID(objects vcs.ObjectReader, id vcs.ID) (vcs.ID, error) {
	for range maxTagDepth {
		kind, content, err := objects.ReadObject(id)
		if err != nil {
			return vcs.ID{}, err
		}
		if kind != vcs.KindTag {
			return id, nil
		}
		if id, err = tagTarget(content); err != nil {
			return vcs.ID{}, err
		}
	}
	return vcs.ID{}, errors.New("tag chain is too long")
}

// tagTarget reads the object line that begins every annotated tag.
func tagTarget(content []byte) (vcs.ID, error) {
	line, _, _ := bytes.Cut(content, []byte("\n"))
	hex, ok := bytes.CutPrefix(line, []byte("object "))
	if !ok {
		return vcs.ID{}, fmt.Errorf("%w: tag without an object line", vcs.ErrCorrupt)
	}
	return vcs.ParseID(string(hex))
}
