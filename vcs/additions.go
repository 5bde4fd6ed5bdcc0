package vcs

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
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
	// tell, ErrNotFound when it lacks a tip. Progress, when not nil, hears now
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
// while the objects are counted for ten bytes a changed file (for each of its
// folders, too, if there are known commits), at most 16 MiB, or two bytes where
// that is more. It is for one goroutine at a time.
type Additions struct {
	stretches []*stretch // oldest first
	joints    []Object   // commits that join epochs
	partial   bool       // some of what the commits have was made before them
	objects   int
	digest    digester
	twice     seenMap // objects that are made more than once, or look like it
}

// Additions implements AdditionReader.
func (s *Store) Additions(ctx context.Context, tips, known []ID, progress func(commits int)) (*Additions, error) {
	p := s.Pin()
	defer p.Release()
	return p.Additions(ctx, tips, known, progress)
}

// Additions implements AdditionReader. What the result needs of epochs that are
// dropped afterwards it has itself.
func (p *Pin) Additions(ctx context.Context, tips, known []ID, progress func(commits int)) (*Additions, error) {
	s := p.s
	if s.log == nil {
		return nil, fmt.Errorf("vcs: additions: %w by a backend of objects", errors.ErrUnsupported)
	}
	if progress == nil {
		progress = func(int) {}
	}
	a := new(Additions)
	tips, known = a.joinEpochs(p.roots, tips, known)
	saved, err := haveAll(p.logs(), tips)
	if err != nil {
		return nil, err
	}
	// Of the known commits only those count that a log has.
	if !saved || slices.ContainsFunc(known, s.isUnsaved) {
		if err := s.Sync(ctx); err != nil {
			return nil, fmt.Errorf("vcs: additions: %w: %w", errors.ErrUnsupported, err)
		}
	}
	var frozen []*oplog
	for _, l := range p.logs() {
		frozen = append(frozen, l.frozen())
	}
	steps := s.leaving()
	read := func(id ID) (Kind, []byte, error) {
		gone := steps != s.leaving()
		if gone { // the store would look through all of its history first
			if kind, content, err := readEach(frozen, (*oplog).known, id); !errors.Is(err, ErrNotFound) {
				return kind, content, err
			}
		}
		kind, content, err := s.ReadObject(id)
		if gone && errors.Is(err, ErrNotFound) {
			kind, content, err = readEach(frozen, (*oplog).searched, id)
		}
		return kind, content, err
	}
	for _, l := range frozen {
		x := &stretch{log: l, read: read, progress: progress}
		rest, err := x.choose(ctx, tips, known)
		if err != nil {
			return nil, err
		}
		a.partial = a.partial || x.partial
		if tips = rest; x.commits > 0 {
			a.stretches = append(a.stretches, x)
		}
		if len(tips) == 0 {
			break
		}
	}
	if len(tips) > 0 {
		return nil, lacking(p, tips[0])
	}
	slices.Reverse(a.stretches)
	return a, a.count(ctx)
}

// joinEpochs replaces the commits that join epochs, which no log has, by what
// they lead to, and by the roots whose trees they have.
func (a *Additions) joinEpochs(grafts map[ID]*graftPoint, tips, known []ID) (allTips, allKnown []ID) {
	if len(grafts) == 0 {
		return tips, known
	}
	joints := make(map[ID]*graftPoint, len(grafts))
	for _, g := range grafts {
		joints[g.Replacement] = g
	}
	had := make(map[ID]bool)
	for _, id := range known {
		if g := joints[id]; g != nil {
			had[id] = true
			allKnown = append(allKnown, g.parents...)
		} else {
			allKnown = append(allKnown, id)
		}
	}
	for _, id := range tips {
		g := joints[id]
		switch {
		case g == nil:
			allTips = append(allTips, id)
		case !had[id]:
			had[id] = true
			a.joints = append(a.joints, Object{id, KindCommit, g.ReplacementBytes})
			allTips = append(append(allTips, g.parents...), g.Root)
		}
	}
	return allTips, allKnown
}

// lacking says what is wrong with a tip that is in no log.
func lacking(r ObjectReader, id ID) error {
	kind, _, err := r.ReadObject(id)
	switch {
	case err != nil:
		return err
	case kind != KindCommit:
		return fmt.Errorf("%w: %v is a %v, not a commit", ErrWrongKind, id, kind)
	}
	return fmt.Errorf("vcs: additions: %w of commit %v, which is not in the log", errors.ErrUnsupported, id)
}

// Commits returns the number of commits.
func (a *Additions) Commits() int {
	n := len(a.joints)
	for _, x := range a.stretches {
		n += x.commits
	}
	return n
}

// Len returns the number of objects, commits included.
func (a *Additions) Len() int { return a.objects }

// Has reports whether a commit is among the additions.
func (a *Additions) Has(commit ID) bool {
	for _, x := range a.stretches {
		if num, ok, err := x.log.find(commit); err == nil && ok && x.selected.has(num) {
			return true
		}
	}
	return slices.ContainsFunc(a.joints, func(o Object) bool { return o.ID == commit })
}

// Each visits the commits, roughly newest first, then trees and blobs, oldest
// first and parts before wholes: Len objects. What visit returns is the mark of
// the object for its role as a base, not nil; a commit's is not used.
func (a *Additions) Each(ctx context.Context, visit func(*Addition) (mark any, err error)) error {
	seen, twins := a.twice.fresh(), a.twins()
	err := a.eachCommit(ctx, func(o Object) error {
		if twins && seen.again(a.digest.id(o.ID)) {
			return nil
		}
		_, err := visit(&Addition{Object: o})
		return err
	})
	digest := a.digest
	if len(seen) == 0 {
		digest.mode = digestNone
	}
	for _, x := range a.stretches {
		if err != nil {
			break
		}
		r := &replay{stretch: x, digest: digest, visit: func(add *Addition, sum uint64, _ bool) (any, bool, error) {
			if seen.again(sum) {
				return unplaced{}, false, nil
			}
			mark, err := visit(add)
			return mark, false, err
		}}
		err = r.run(ctx)
	}
	return err
}

// eachCommit visits the commits, as often as they are made.
func (a *Additions) eachCommit(ctx context.Context, visit func(Object) error) error {
	for _, o := range a.joints {
		if err := visit(o); err != nil {
			return err
		}
	}
	for k := len(a.stretches) - 1; k >= 0; k-- {
		if err := a.stretches[k].eachCommit(ctx, visit); err != nil {
			return err
		}
	}
	return nil
}

// twins reports whether some commits may be equal: an epoch carries some over
// from the one before.
func (a *Additions) twins() bool {
	return len(a.stretches) > 1 || len(a.stretches) == 1 && a.stretches[0].twins
}

// count finds out how many objects there are: without making them, if the log
// tells all of it.
func (a *Additions) count(ctx context.Context) error {
	a.digest = digester{seed: maphash.MakeSeed(), mode: digestTold, only: true}
	if a.partial {
		a.digest = digester{seed: a.digest.seed}
		return a.countDigests(ctx)
	}
	err := a.countDigests(ctx)
	if err == errNotTold {
		a.digest = digester{seed: a.digest.seed}
		return a.countDigests(ctx)
	}
	a.digest.only = false
	return err
}

// countDigests counts in one pass when all objects are different, in two
// otherwise.
//
// A tree that has a part which never was cannot have been either. So as long as
// the commits are all that there ever was, only files are remembered, and trees
// without a new part may have come before.
func (a *Additions) countDigests(ctx context.Context) error {
	n := 0
	if a.twins() {
		n = a.Commits()
	}
	for _, x := range a.stretches {
		n += x.changes
	}
	if a.partial {
		const depth = 8 // of a file, about
		n *= depth
	}
	seen := newSeen(n)
	a.objects, a.twice = 0, make(seenMap)
	if !a.twins() {
		a.objects = a.Commits()
	}
	err := a.eachDigest(ctx, func(sum uint64, k Kind, newPart bool) bool {
		a.objects++
		if k == KindTree && !a.partial {
			if !newPart {
				a.twice[sum] = false
			}
			return newPart
		}
		again := seen.add(sum)
		if again {
			a.twice[sum] = false
		}
		return !again
	})
	if err != nil || len(a.twice) == 0 {
		return err
	}
	twice := a.twice.fresh()
	return a.eachDigest(ctx, func(sum uint64, _ Kind, _ bool) bool {
		if twice.again(sum) {
			a.objects--
		}
		return false
	})
}

// eachDigest visits all objects, as often as they are made. Commits are left out
// when all of them are different.
func (a *Additions) eachDigest(ctx context.Context, visit func(sum uint64, k Kind, newPart bool) bool) error {
	if a.twins() {
		err := a.eachCommit(ctx, func(o Object) error {
			visit(a.digest.id(o.ID), o.Kind, false)
			return nil
		})
		if err != nil {
			return err
		}
	}
	for _, x := range a.stretches {
		r := &replay{stretch: x, digest: a.digest, visit: func(add *Addition, sum uint64, newPart bool) (any, bool, error) {
			return unplaced{}, visit(sum, add.Kind, newPart), nil
		}}
		if err := r.run(ctx); err != nil {
			return err
		}
	}
	return nil
}
