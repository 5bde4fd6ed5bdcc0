package vcs

import "slices"

// FileAt returns a file as it is in a commit, and its content; a zero entry says
// that there is none. An operation log makes it of the changes of the file alone,
// which for a commit of long ago is much quicker than to make the trees. A folder
// or a submodule comes without content.
func (s *Store) FileAt(commit ID, path string) (e TreeEntry, content []byte, err error) {
	if f, ok, err := s.loggedFile(commit, path); err != nil {
		return e, nil, err
	} else if ok {
		if f.mode == 0 {
			return e, nil, nil
		}
		return TreeEntry{Name: leafName(path), Mode: f.mode, ID: HashObject(KindBlob, f.content)}, f.content, nil
	}
	c, err := s.links(commit)
	if err != nil {
		return e, nil, err
	}
	e, ok, err := statPath(s, c.Tree, path)
	if err != nil || !ok {
		return TreeEntry{}, nil, err
	}
	if e.Mode.Kind() == KindBlob {
		content, err = readKind(s, e.ID, KindBlob)
	}
	return e, content, err
}

// loggedFile is FileAt where the operation log tells it without trees.
func (s *Store) loggedFile(commit ID, path string) (f fileVersion, ok bool, err error) {
	if s.log == nil {
		return f, false, nil
	}
	if _, queued := s.queued(commit); queued {
		return f, false, nil
	}
	for _, l := range s.log.newestFirst() {
		l.mu.Lock()
		num, found, err := l.find(commit)
		if found && err == nil {
			f, ok, err = l.fileAt(num, path)
		}
		l.mu.Unlock()
		if found || err != nil {
			return f, ok, err
		}
	}
	return f, false, nil
}

// KnownPaths returns the paths of all files that an operation log has ever held
// and that match, sorted. Ok is false without such a log.
func (s *Store) KnownPaths(match func(path string) bool) (paths []string, ok bool) {
	if s.log == nil {
		return nil, false
	}
	for _, l := range s.log.newestFirst() {
		l.mu.Lock()
		l.wake()
		for _, k := range l.keys {
			if match(k) {
				paths = append(paths, k)
			}
		}
		l.mu.Unlock()
	}
	slices.Sort(paths)
	return slices.Compact(paths), true
}
