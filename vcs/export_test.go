package vcs

// DropEpoch drops an epoch, as the policy does.
func DropEpoch(s *Store, number int, reason string) error {
	s.keeping.Lock()
	defer s.keeping.Unlock()
	return s.drop(number, reason)
}
