package history

import (
	"slices"

	"arpeggio/vcs"
)

// Follower tells new commits from those that were seen. It is for one
// goroutine.
type Follower struct {
	s    *vcs.Store
	seen map[vcs.ID]bool
}

// NewFollower returns a Follower that has seen nothing.
func NewFollower(s *vcs.Store) *Follower { return &Follower{s, make(map[vcs.ID]bool)} }

// News returns the commits that refs lead to and that no earlier call returned,
// oldest first.
func (f *Follower) News(refs []vcs.Ref) ([]*vcs.Commit, error) {
	var tips []vcs.ID
	for _, r := range refs {
		id, err := vcs.PeelCommit(f.s, r.Target)
		if err != nil {
			continue // a tag of a tree or a file
		}
		if !f.seen[id] && !slices.Contains(tips, id) {
			tips = append(tips, id)
		}
	}
	var news []*vcs.Commit
	w := walker{s: f.s, commits: f.s.Joined(), opt: LogOptions{From: tips}, skip: f.seen}
	for st, err := range w.walk() {
		if err != nil {
			return nil, err
		}
		news = append(news, st.c)
	}
	for _, c := range news {
		f.seen[c.ID] = true
	}
	slices.Reverse(news)
	return news, nil
}
