package vcs

import (
	"errors"
	"fmt"
	"iter"
	"slices"
)

// Delta is one key that differs between two commits.
type Delta[K comparable, V any] struct {
	Key      K
	Path     string
	Old, New Opt[V]
}

// Diff yields the keys that differ between two commits (a zero ID is the empty
// map), in the tree's order. Subtrees with equal ids are not looked at, so the
// cost follows the differences. Files that are no key's are skipped. The error
// of a value that does not decode comes with its key, and the iteration may go
// on.
func (r *Repo[K, V]) Diff(a, b ID) iter.Seq2[Delta[K, V], error] { return r.DiffFolder("", a, b) }

// value decodes what a tree entry holds; a zero entry, and one that is no file,
// is an absent value.
func (r *Repo[K, V]) value(src ObjectReader, path string, e TreeEntry) (Opt[V], error) {
	if e.ID.IsZero() || e.Mode.Kind() != KindBlob {
		return None[V](), nil
	}
	v, err := r.decode(src, path, e.ID)
	if err != nil {
		return None[V](), err
	}
	return Some(v), nil
}

// Log is Store.Log.
func (r *Repo[K, V]) Log(from ...ID) iter.Seq2[*Commit, error] { return r.s.Log(from...) }

// LogKey is Store.LogPath of the key's path.
func (r *Repo[K, V]) LogKey(k K, from ...ID) iter.Seq2[*Commit, error] {
	return r.s.LogPath(r.cfg.Layout.Path(k), from...)
}

// LastModified returns the newest commit that changed a key. The error wraps
// ErrNotFound when none did.
func (r *Repo[K, V]) LastModified(k K, from ID) (*Commit, error) {
	for c, err := range r.LogKey(k, from) {
		return c, err
	}
	return nil, fmt.Errorf("%w: no commit changed %s", ErrNotFound, r.cfg.Layout.Path(k))
}

// Log yields the commits reachable from some commits, newest commit time first,
// in the order of plain git log: a commit comes after the child through which it
// was first met. It goes on from the root of an epoch to the commit that it stands
// for, which then is the root's first parent, as after git replace --graft. The
// commits must not be modified.
func (s *Store) Log(from ...ID) iter.Seq2[*Commit, error] {
	return s.pinned(func(p *Pin) iter.Seq2[*Commit, error] {
		return p.walk(from, nil, func(c *Commit) (bool, []ID, error) { return true, c.Parents, nil })
	})
}

// LogPath yields the commits that changed a file or folder, newest first, as
// git log -- PATH does: from a merge it follows only a parent in which the path
// is the same, if there is one.
func (s *Store) LogPath(path string, from ...ID) iter.Seq2[*Commit, error] {
	return s.pinned(func(p *Pin) iter.Seq2[*Commit, error] {
		if s.log == nil {
			return p.logPathIndexed(path, from)
		}
		slow, index := p.comparePath(path, nil), s.log.pathIndex(path)
		return p.walk(from, index.skip, func(c *Commit) (bool, []ID, error) {
			if p.roots[c.ID] != nil {
				return slow(c)
			}
			switch yes, known, err := index.changed(c.ID); {
			case err != nil:
				return false, nil, err
			case !known:
				return slow(c)
			case yes:
				return true, c.Parents, nil
			}
			return false, c.Parents[:min(len(c.Parents), 1)], nil
		})
	})
}

// pinned holds a pin while a history is gone through.
func (s *Store) pinned(history func(*Pin) iter.Seq2[*Commit, error]) iter.Seq2[*Commit, error] {
	return func(yield func(*Commit, error) bool) {
		p := s.Pin()
		defer p.Release()
		history(p)(yield)
	}
}

// comparePath returns a function that compares a commit with its parents: whether
// the path is another one, and which parents to go on with. Same, when not nil,
// goes from a parent to an ancestor that has the same at the path.
func (p *Pin) comparePath(path string, same func(ID) (ID, error)) func(*Commit) (show bool, next []ID, err error) {
	known := make(map[ID]TreeEntry) // of trees: a parent's turn comes later
	at := func(tree ID) (TreeEntry, error) {
		if e, ok := known[tree]; ok {
			return e, nil
		}
		e, ok, err := statPath(p, tree, path)
		if err != nil || !ok {
			e = TreeEntry{}
		}
		if len(known) >= maxKnown {
			clear(known)
		}
		if err == nil {
			known[tree] = e
		}
		return e, err
	}
	return func(c *Commit) (bool, []ID, error) {
		mine, err := at(c.Tree)
		if err != nil {
			return false, nil, err
		}
		for _, parent := range c.Parents {
			like := parent
			if same != nil {
				if like, err = same(parent); err != nil {
					return false, nil, err
				}
			}
			pc, err := p.ReadCommit(like)
			if err != nil {
				return false, nil, err
			}
			if pc.Tree == c.Tree {
				return false, []ID{parent}, nil
			}
			theirs, err := at(pc.Tree)
			if err != nil {
				return false, nil, err
			}
			if theirs.ID == mine.ID && theirs.Mode == mine.Mode {
				return false, []ID{parent}, nil
			}
		}
		return len(c.Parents) > 0 || !mine.ID.IsZero(), c.Parents, nil
	}
}

// maxKnown bounds the trees of which one log of a path remembers what is there.
const maxKnown = 256

// walk visits commits newest first. Skip, when not nil, goes on from a commit to
// an ancestor before the commit is read. Visit says whether to yield one and
// which parents to go on with.
func (p *Pin) walk(from []ID, skip func(ID) (ID, error), visit func(*Commit) (show bool, next []ID, err error)) iter.Seq2[*Commit, error] {
	from = slices.Clone(from)
	return func(yield func(*Commit, error) bool) {
		seen := make(map[ID]bool)
		var q commitQueue
		steps := p.s.leaving()
		add := func(ids []ID) error {
			for _, id := range ids {
				if skip != nil && len(ids) == 1 && q.empty() { // else it would change the order
					var err error
					if id, err = skip(id); err != nil {
						return err
					}
				}
				if seen[id] {
					continue
				}
				seen[id] = true
				c, err := p.ReadJoined(id)
				if errors.Is(err, ErrNotFound) && steps != p.s.leaving() {
					continue // its epoch has left meanwhile: the history ends before
				}
				if err != nil {
					return err
				}
				q.push(c)
			}
			return nil
		}
		err := add(from)
		for err == nil && !q.empty() {
			c := q.pop()
			var show bool
			var next []ID
			if show, next, err = visit(c); err != nil {
				break
			}
			if show && !yield(c, nil) {
				return
			}
			err = add(next)
		}
		if err != nil {
			yield(nil, err)
		}
	}
}
