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
