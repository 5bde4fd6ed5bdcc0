package vcs

import "context"

// DropEpoch drops an epoch, as the policy does.
func DropEpoch(s *Store, number int, reason string) error {
	s.keeping.Lock()
	defer s.keeping.Unlock()
	if err := s.drop(number, reason); err != nil {
		return err
	}
	return s.Sync(context.Background())
}

// WorkTrees returns at how many commits a store is ready to go on.
func WorkTrees(s *Store) int { return len(s.work.all()) }
