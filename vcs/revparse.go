package vcs

import (
	"fmt"
	"strconv"
	"strings"
)

// Resolve returns the commit that a revision names: a branch, a tag (peeled), a
// full ref name, HEAD or a full commit id, each followed by any number of ~N
// (N-th first parent) and ^N (N-th parent; ^0 is the commit itself). The error
// wraps ErrNotFound.
func (s *Store) Resolve(rev string) (ID, error) {
	base := rev
	if i := strings.IndexAny(rev, "~^"); i >= 0 {
		base = rev[:i]
	}
	id, ok := s.baseRev(base)
	if !ok {
		return ID{}, fmt.Errorf("%w: revision %q", ErrNotFound, rev)
	}
	id, err := PeelCommit(s, id)
	if err != nil {
		return ID{}, fmt.Errorf("revision %q: %w", rev, err)
	}
	for rest := rev[len(base):]; rest != ""; {
		op := rest[0]
		n := 1
		end := 1
		for end < len(rest) && rest[end] >= '0' && rest[end] <= '9' {
			end++
		}
		if end > 1 {
			if n, err = strconv.Atoi(rest[1:end]); err != nil {
				return ID{}, fmt.Errorf("%w: revision %q", ErrNotFound, rev)
			}
		}
		rest = rest[end:]
		if rest != "" && rest[0] != '~' && rest[0] != '^' {
			return ID{}, fmt.Errorf("%w: revision %q", ErrNotFound, rev)
		}
		if id, err = s.ancestor(id, op, n); err != nil {
			return ID{}, fmt.Errorf("revision %q: %w", rev, err)
		}
	}
	return id, nil
}

// Resolve is Store.Resolve.
func (r *Repo[K, V]) Resolve(rev string) (ID, error) { return r.s.Resolve(rev) }

func (s *Store) baseRev(base string) (ID, bool) {
	if base == "HEAD" {
		base = s.Head()
	}
	for _, name := range []string{base, tagPrefix + base, branchPrefix + base, "refs/" + base} {
		if id, ok := s.Ref(name); ok {
			return id, true
		}
	}
	id, err := ParseID(base)
	return id, err == nil
}

func (s *Store) ancestor(id ID, op byte, n int) (ID, error) {
	steps, which := n, 1
	if op == '^' {
		steps, which = min(n, 1), n
	}
	p := s.Pin()
	defer p.Release()
	for ; steps > 0; steps-- {
		if which == 1 && steps > 1 && s.log != nil {
			to, went, err := p.back(id, steps-1)
			if err != nil {
				return ID{}, err
			}
			id, steps = to, steps-went
		}
		c, err := p.ReadJoined(id)
		if err != nil {
			return ID{}, err
		}
		if len(c.Parents) < which {
			return ID{}, fmt.Errorf("%w: %v has no parent %d", ErrNotFound, id.Short(), which)
		}
		id = c.Parents[which-1]
	}
	return id, nil
}

// PeelCommit follows annotated tags from id to a commit. The error wraps
// ErrNotFound or ErrWrongKind.
func PeelCommit(r ObjectReader, id ID) (ID, error) {
	for range 16 {
		kind, content, err := r.ReadObject(id)
		if err != nil {
			return ID{}, err
		}
		switch kind {
		case KindCommit:
			return id, nil
		case KindTag:
			t, err := ParseTag(content)
			if err != nil {
				return ID{}, fmt.Errorf("tag %v: %w", id, err)
			}
			id = t.Target
		default:
			return ID{}, fmt.Errorf("%w: %v is a %v, not a commit", ErrWrongKind, id, kind)
		}
	}
	return ID{}, fmt.Errorf("%w: tags of tags deeper than 16", ErrBadObject)
}
