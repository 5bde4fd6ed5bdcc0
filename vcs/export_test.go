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

// CommitSeries makes commits of one change each, as many as go into a series.
func CommitSeries[K comparable, V any](r *Repo[K, V], branch string, head ID, changes []Change[K, V], info CommitInfo) (at ID, done, made int) {
	var c series
	for i, x := range changes {
		s := &c.steps[i]
		s.info, s.path, s.mode = info, r.cfg.Layout.Path(x.Key), ModeFile
		var err error
		s.content, err = r.encode(s.path, x.Value.Value)
		s.fit = err == nil && x.Value.Present
	}
	return r.commitSeries(context.Background(), &c, branch, head, c.steps[:len(changes)])
}

// MoveRef moves a ref without a look at what it points to.
func MoveRef(s *Store, name string, old, new ID) error {
	return s.publish(context.Background(), nil, nil, []RefUpdate{{name, old, new}}, false)
}
