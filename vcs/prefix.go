package vcs

// PrefixFinder is the ability of an ObjectReader to find objects by how their
// names begin, without a walk over the history.
type PrefixFinder interface {
	// FindPrefix returns the objects, of any kind, whose hexadecimal names begin
	// with a prefix of four digits or more, in ascending order: all of them, or
	// enough to show that there are many. Ok is false when it cannot tell.
	FindPrefix(prefix string) (ids []ID, ok bool, err error)
}

// FindPrefix implements PrefixFinder where the backend stores all objects and
// has the ability; then objects that are not saved yet are not found. Of a
// backend that keeps a log it finds commits alone, all of them, also those that no
// ref leads to any more.
func (s *Store) FindPrefix(prefix string) ([]ID, bool, error) {
	if s.log != nil {
		return s.findLogged(prefix)
	}
	if f, ok := s.objects.(PrefixFinder); ok {
		return f.FindPrefix(prefix)
	}
	return nil, false, nil
}
