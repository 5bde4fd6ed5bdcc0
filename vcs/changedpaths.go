package vcs

// ChangedPaths returns the files in which a commit with one parent differs from
// it, in no particular order, without reading a tree. Ok is false where nobody can
// tell: of a commit with several parents or none, of the root of an epoch, and on
// a backend that keeps no operation log. DiffTrees can.
func (s *Store) ChangedPaths(id ID) (paths []string, ok bool, err error) {
	if s.log == nil {
		return nil, false, nil
	}
	if _, grafted := s.epochs.graft(id); grafted {
		return nil, false, nil
	}
	for _, l := range s.log.newestFirst() {
		paths, ok, found, err := l.changedPaths(id)
		if found || err != nil {
			return paths, ok, err
		}
	}
	return nil, false, nil
}

func (l *oplog) changedPaths(id ID) (paths []string, ok, found bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	num, ok, err := l.find(id)
	if err != nil || !ok {
		return nil, false, false, err
	}
	v, i, err := l.at(num)
	if err != nil {
		return nil, false, true, err
	}
	rec := v.rec(i)
	if kind := rec.flags & parentsMask; rec.based || kind != parentsPrev && kind != parentsOne {
		return nil, false, true, nil
	}
	err = v.eachChange(i, func(c viewChange) error {
		path, err := l.key(c.key)
		paths = append(paths, path)
		return err
	})
	return paths, err == nil, true, err
}

// Limits of PathsBetween, beyond which trees are quicker.
const (
	maxBetween      = 1 << 16 // commits
	maxPathsBetween = 512
)

// PathsBetween returns the files that commits touched which came after old and up
// to new, in no particular order, without reading a tree; in all others the two
// are the same. Ok is false where nobody can tell: where first parents do not lead
// from new to old, where that is far or much was touched, and on a backend that
// keeps no operation log. DiffTrees can.
func (s *Store) PathsBetween(old, new ID) (paths []string, ok bool, err error) {
	if s.log == nil {
		return nil, false, nil
	}
	for _, l := range s.log.newestFirst() {
		paths, ok, found, err := l.pathsBetween(old, new)
		if found || err != nil {
			return paths, ok, err
		}
	}
	return nil, false, nil
}

func (l *oplog) pathsBetween(old, new ID) (paths []string, ok, found bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	num, found, err := l.find(new)
	if err != nil || !found {
		return nil, false, false, err
	}
	end, ok, err := l.find(old)
	if err != nil || !ok {
		return nil, false, true, err
	}
	seen := make(map[uint32]bool)
	for range maxBetween {
		if num == end {
			for k := range seen {
				path, err := l.key(k)
				if err != nil {
					return nil, false, true, err
				}
				paths = append(paths, path)
			}
			return paths, true, true, nil
		}
		v, i, err := l.at(num)
		if err != nil {
			return nil, false, true, err
		}
		rec := v.rec(i)
		if rec.based || rec.parent == noParent || num < end {
			break
		}
		err = v.eachChange(i, func(c viewChange) error {
			seen[c.key] = true
			return nil
		})
		if err != nil || len(seen) > maxPathsBetween {
			return nil, false, true, err
		}
		num = rec.parent
	}
	return nil, false, true, nil
}
