package vcs

import "iter"

// PathIndexer is the ability of an ObjectReader that knows, without reading
// them, which of its commits may have changed a path: from the commit-graph of a
// Git directory, say.
type PathIndexer interface {
	// PathIndex returns an index for some paths of files or folders, for one
	// goroutine; nil when there is none.
	PathIndex(paths ...string) PathIndex
}

// PathIndex finds commits that may have changed one of some paths, compared with
// their first parents.
type PathIndex interface {
	// Skip goes from a commit along first parents to the nearest one, itself
	// included, that may have changed one of the paths, or else to where the
	// index ends. A commit that it does not know is returned as it is.
	Skip(id ID) (ID, error)
	// MayChange reports whether a commit may have changed one of the paths;
	// false is certain.
	MayChange(id ID) (bool, error)
}

// PathIndex implements PathIndexer with what the operation log or the backend
// knows; nil when neither knows anything.
func (s *Store) PathIndex(paths ...string) PathIndex {
	if s.log != nil {
		return &logPaths{s, s.log.pathIndex(paths...)}
	}
	if ix, ok := s.objects.(PathIndexer); ok {
		return ix.PathIndex(paths...)
	}
	return nil
}

// PathIndexFunc is PathIndex for all files whose paths match, which an operation
// log knows, whenever they were there; nil without one.
func (s *Store) PathIndexFunc(match func(path string) bool) PathIndex {
	if s.log == nil {
		return nil
	}
	return &logPaths{s, s.log.pathIndexFunc(match)}
}

// logPaths is the operation log as a PathIndex.
type logPaths struct {
	s  *Store
	in pathIndexes
}

// Skip implements PathIndex.
func (p *logPaths) Skip(id ID) (ID, error) { return p.in.skip(id) }

// MayChange implements PathIndex.
func (p *logPaths) MayChange(id ID) (bool, error) {
	if _, ok := p.s.epochs.graft(id); ok {
		return true, nil
	}
	yes, known, err := p.in.changed(id)
	return yes || !known, err
}

// logPathIndexed is LogPath on a backend that stores objects.
func (p *Pin) logPathIndexed(path string, from []ID) iter.Seq2[*Commit, error] {
	return func(yield func(*Commit, error) bool) {
		index := p.s.PathIndex(path)
		if index == nil {
			p.walk(from, nil, p.comparePath(path, nil))(yield)
			return
		}
		// Of a way that was gone to compare a commit with its parent, the walk
		// asks next.
		var last, to ID
		skip := func(id ID) (ID, error) {
			if id == last {
				return to, nil
			}
			found, err := index.Skip(id)
			last, to = id, found
			return found, err
		}
		compare := p.comparePath(path, skip)
		p.walk(from, skip, func(c *Commit) (bool, []ID, error) {
			may, err := index.MayChange(c.ID)
			if err == nil && !may {
				return false, c.Parents[:min(len(c.Parents), 1)], nil
			}
			if err != nil {
				return false, nil, err
			}
			return compare(c)
		})(yield)
	}
}
