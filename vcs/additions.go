package vcs

import (
	"context"
	"errors"
	"fmt"
)

// Addition is an object that a history holds from one of its commits on, with
// the object that stood at the same path until then.
type Addition struct {
	// Object's content is valid until the visit ends.
	Object
	// Base is the version before, of the same kind, zero when there was none
	// that is worth referring to. BaseContent is valid until the visit ends.
	Base        ID
	BaseContent []byte
	// BaseMark is what the visit of the base returned. It is nil for a base that
	// is not among the additions: somebody who has the known commits has it.
	BaseMark any
}

// AdditionReader is the ability of a repository that can tell what commits added
// to it without comparing their trees; a Store whose backend keeps a log has it.
type AdditionReader interface {
	// Additions finds the commits that some tips, commits themselves, lead to
	// and known commits do not; known ones that the repository lacks are
	// ignored. The error wraps errors.ErrUnsupported when the repository cannot
	// tell, as of tips in several epochs, ErrNotFound when it lacks a tip. Progress, when not nil, hears now
	// and then how many commits were gone through.
	Additions(ctx context.Context, tips, known []ID, progress func(commits int)) (*Additions, error)
}

var _ AdditionReader = (*Store)(nil)

// Additions are what some commits add to a history: themselves, and each tree
// and blob that appears in them, once. An object that an older commit held, but
// not at the same path in the commit's first parent, may be among them.
//
// They are made again by going forward through the log, without the store's
// lock. That takes memory for one state of the tree, for two bits a commit, and
// while the objects are counted for ten bytes an object, at most 16 MiB, or two
// bytes where that is more. It is for one goroutine at a time.
type Additions struct {
	log      *oplog // a private view
	read     objectSource
	progress func(int)
	selected bitset // commits, by number
	branched bitset // those of which not only the next commit is a child
	commits  int
	objects  int
	most     int     // about how many objects there are
	twins    bool    // some commits may be equal
	twice    seenMap // objects that are made more than once, or look like it
}

// Additions implements AdditionReader.
func (s *Store) Additions(ctx context.Context, tips, known []ID, progress func(commits int)) (*Additions, error) {
	if s.log == nil {
		return nil, fmt.Errorf("vcs: additions: %w by a backend of objects", errors.ErrUnsupported)
	}
	if progress == nil {
		progress = func(int) {}
	}
	l, err := s.log.having(tips)
	if err != nil {
		return nil, err
	}
	if l == nil {
		// Perhaps some are not saved yet.
		if err := s.Sync(ctx); err != nil {
			return nil, fmt.Errorf("vcs: additions: %w: %w", errors.ErrUnsupported, err)
		}
		if l, err = s.log.having(tips); err != nil {
			return nil, err
		}
	}
	if l == nil {
		l = s.log.current()
	}
	a := &Additions{log: l.frozen(), read: s.ReadObject, progress: progress}
	if err := a.choose(ctx, tips, known); err != nil {
		return nil, err
	}
	return a, a.count(ctx)
}

// Commits returns the number of commits.
func (a *Additions) Commits() int { return a.commits }

// Len returns the number of objects, commits included.
func (a *Additions) Len() int { return a.objects }

// Has reports whether a commit is among the additions.
func (a *Additions) Has(commit ID) bool {
	num, ok, err := a.log.find(commit)
	return err == nil && ok && a.selected.has(num)
}

// Each visits the commits, roughly newest first, then trees and blobs, oldest
// first and parts before wholes: Len objects. What visit returns is the mark of
// the object for its role as a base, not nil; a commit's is not used.
func (a *Additions) Each(ctx context.Context, visit func(*Addition) (mark any, err error)) error {
	seen := a.twice.fresh()
	if err := a.eachCommit(ctx, func(o Object) error {
		if a.twins && seen.again(o.ID) {
			return nil
		}
		_, err := visit(&Addition{Object: o})
		return err
	}); err != nil {
		return err
	}
	r := &replay{Additions: a, visit: func(add *Addition) (any, error) {
		if seen.again(add.ID) {
			return unplaced{}, nil
		}
		return visit(add)
	}}
	return r.run(ctx)
}

// count finds out how many objects there are, in one pass when all of them are
// different, in two otherwise.
func (a *Additions) count(ctx context.Context) error {
	seen := newSeen(a.most)
	a.twice = newSeenMap(seen.seed)
	if !a.twins {
		a.objects = a.commits
	}
	err := a.eachID(ctx, func(id ID) {
		a.objects++
		if seen.add(id) {
			a.twice.note(id)
		}
	})
	if err != nil || a.twice.empty() {
		return err
	}
	twice := a.twice.fresh()
	return a.eachID(ctx, func(id ID) {
		if twice.again(id) {
			a.objects--
		}
	})
}

// eachID visits the ids of all objects, as often as they are made.
func (a *Additions) eachID(ctx context.Context, visit func(ID)) error {
	if a.twins {
		err := a.eachCommit(ctx, func(o Object) error {
			visit(o.ID)
			return nil
		})
		if err != nil {
			return err
		}
	}
	r := &replay{Additions: a, visit: func(add *Addition) (any, error) {
		visit(add.ID)
		return unplaced{}, nil
	}}
	return r.run(ctx)
}
