package vcs

import (
	"context"
	"errors"
)

// ObjectFinder is the ability of a repository to find objects by their ids alone,
// however old they are; a Store and a Pin have it.
type ObjectFinder interface {
	// FindObjects makes those of some objects readable by ReadObject that are in
	// the history and that it does not find by itself. The error is the context's,
	// or that a part of the history cannot be read; not to find one is none.
	FindObjects(ctx context.Context, ids ...ID) error
}

var (
	_ ObjectFinder = (*Store)(nil)
	_ ObjectFinder = (*Pin)(nil)
)

// FindObjects implements ObjectFinder. An operation log knows commits by their
// ids, but which of them made a tree or a file is known only of those that somebody
// has seen: ReadObject goes through the newest 150,000 for it. FindObjects goes
// through all of them, once for all of the ids, about 100,000 commits a second,
// holding up nobody, and remembers where the objects are. One call does so at a
// time; others wait. It takes memory for one state of the tree.
func (s *Store) FindObjects(ctx context.Context, ids ...ID) error {
	p := s.Pin()
	defer p.Release()
	return p.FindObjects(ctx, ids...)
}

// FindObjects implements ObjectFinder.
func (p *Pin) FindObjects(ctx context.Context, ids ...ID) error {
	if p.s.log == nil {
		return nil // the backend knows them all
	}
	lacks := make(map[ID]bool)
	for _, id := range ids {
		_, _, err := p.ReadObject(id)
		if errors.Is(err, ErrNotFound) {
			lacks[id] = true
		} else if err != nil {
			return err
		}
	}
	if len(lacks) == 0 {
		return nil
	}
	if err := p.s.finding.take(ctx); err != nil {
		return err
	}
	defer p.s.finding.give()
	for _, l := range p.logs() {
		if err := l.findObjects(ctx, p.ReadObject, lacks); err != nil || len(lacks) == 0 {
			return err
		}
	}
	return nil
}

// errAllFound ends a search.
var errAllFound = errors.New("vcs: all found")

// findObjects goes through a log for objects, remembers where those are that it
// has, and takes them off.
func (l *oplog) findObjects(ctx context.Context, read objectSource, lacks map[ID]bool) error {
	l.mu.Lock()
	looked := l.n <= l.most && l.scanned == l.n && len(l.hints.slots) < maxHints // or some are forgotten
	l.mu.Unlock()
	if looked {
		return nil // by ReadObject
	}
	x := &stretch{log: l.frozen(), read: read, progress: func(int) {}}
	if err := x.chooseAll(ctx); err != nil {
		return err
	}
	r := &replay{stretch: x, digest: digester{mode: digestNone}}
	r.visit = func(add *Addition, _ uint64, _ bool) (any, bool, error) {
		if lacks[add.ID] {
			delete(lacks, add.ID)
			l.mu.Lock()
			l.hint(add.ID, r.num)
			l.mu.Unlock()
			if len(lacks) == 0 {
				return nil, false, errAllFound
			}
		}
		return unplaced{}, false, nil
	}
	if err := r.run(ctx); err != errAllFound {
		return err
	}
	return nil
}
