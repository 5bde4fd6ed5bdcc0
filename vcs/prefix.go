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
// has the ability. Objects that are not saved yet are not found.
func (s *Store) FindPrefix(prefix string) ([]ID, bool, error) {
	if f, ok := s.objects.(PrefixFinder); ok && s.log == nil {
		return f.FindPrefix(prefix)
	}
	return nil, false, nil
}
