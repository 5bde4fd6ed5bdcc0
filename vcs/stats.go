package vcs

// Stats are figures for metrics.
type Stats struct {
	LogBytes int64 // bytes of all epochs that are here; 0 for a backend of objects
	Commits  int   // commits in them
	Epochs   int   // epochs that are here, the current one included
	Archived int   // epochs that have left for their archives
	Lost     int   // epochs that no archive has
	// ArchivedCommits and LostCommits are those epochs' commits.
	ArchivedCommits, LostCommits int
}

// Stats returns the store's figures. It is cheap enough to be asked often.
func (s *Store) Stats() (out Stats) {
	for _, e := range s.Epochs() {
		switch e.State {
		case EpochCurrent, EpochLive:
			out.Epochs++
			out.Commits += e.Commits
			out.LogBytes += e.LogBytes
		case EpochArchived:
			out.Archived++
			out.ArchivedCommits += e.Commits
		default:
			out.Lost++
			out.LostCommits += e.Commits
		}
	}
	return out
}
