package gitremote

import (
	"errors"
	"fmt"

	"arpeggio/vcs"
)

// verify walks everything that the refs reach in a staged pack: each object must
// be well-formed, and each object that it names must be in the pack or in base,
// which is complete already.
func (s *stagedPack) verify(base vcs.ObjectReader, refs []vcs.Ref) error {
	type edge struct {
		id   vcs.ID
		kind vcs.Kind // what the referrer says it is, 0: anything
		from vcs.ID
	}
	seen := make(map[vcs.ID]bool, s.count)
	var todo []edge
	for _, r := range refs {
		todo = append(todo, edge{id: r.Target})
	}
	for len(todo) > 0 {
		e := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[e.id] {
			continue
		}
		seen[e.id] = true
		kind, content, err := s.ReadObject(e.id)
		inPack := err == nil
		if errors.Is(err, vcs.ErrNotFound) {
			kind, _, err = base.ReadObject(e.id)
		}
		if errors.Is(err, vcs.ErrNotFound) {
			if e.from.IsZero() {
				return fmt.Errorf("%w: %s, which a ref names", ErrIncomplete, e.id)
			}
			return fmt.Errorf("%w: %s, which %s names", ErrIncomplete, e.id, e.from)
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrBadPack, err)
		}
		if e.kind != 0 && e.kind != kind {
			return fmt.Errorf("%w: %s calls %s a %s, but it is a %s", ErrBadPack, e.from, e.id, e.kind, kind)
		}
		if !inPack {
			continue
		}
		link := func(id vcs.ID, kind vcs.Kind) { todo = append(todo, edge{id, kind, e.id}) }
		if err := links(kind, content, link); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrBadPack, e.id, err)
		}
	}
	return nil
}

// links calls yield for each object that an object names, after checking the
// object's form.
func links(kind vcs.Kind, content []byte, yield func(vcs.ID, vcs.Kind)) error {
	switch kind {
	case vcs.KindCommit:
		c, err := vcs.ParseCommit(content)
		if err != nil {
			return err
		}
		yield(c.Tree, vcs.KindTree)
		for _, p := range c.Parents {
			yield(p, vcs.KindCommit)
		}
	case vcs.KindTree:
		t, err := vcs.ParseTree(content)
		if err != nil {
			return err
		}
		for i := range t.Len() {
			e := t.Entry(i)
			if k := e.Mode.Kind(); k != vcs.KindCommit { // a submodule is elsewhere
				yield(e.ID, k)
			}
		}
	case vcs.KindTag:
		t, err := vcs.ParseTag(content)
		if err != nil {
			return err
		}
		yield(t.Target, t.Kind)
	}
	return nil
}
