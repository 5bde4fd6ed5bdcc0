package vcs

import "time"

// links returns a commit without its people and message, which walks of the graph
// do not ask for: its id, tree and parents, and the time of its committer. The
// object is not made when the log is at hand.
func (s *Store) links(id ID) (*Commit, error) {
	if c, ok := s.cache.commit(id); ok {
		return c, nil
	}
	if s.log == nil {
		return s.ReadCommit(id)
	}
	if n, ok := s.unsavedCommit(id); ok {
		return linked(id, n.tree, n.parents, n.time), nil
	}
	if c, err := s.log.current().links(id); c != nil || err != nil {
		return c, err
	}
	return s.ReadCommit(id)
}

func linked(id, tree ID, parents []ID, seconds int64) *Commit {
	return &Commit{ID: id, Tree: tree, Parents: parents, Committer: Signature{When: time.Unix(seconds, 0).UTC()}}
}

// links is Store.links of a commit that is new or was met lately, nil of others.
func (l *oplog) links(id ID) (*Commit, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	num, ok := l.met(id)
	if !ok {
		return nil, nil
	}
	v, i, err := l.at(num)
	if err != nil {
		return nil, err
	}
	parents, err := l.parentIDs(v, i)
	if err != nil {
		return nil, err
	}
	l.hint(v.tree(i), num)
	return linked(id, v.tree(i), parents, v.rec(i).time), nil
}

// grafted reads commits with the epochs joined: roots have the commits that they
// stand for as parents, while those are here.
type grafted struct {
	s    *Store
	bare bool // as links does
}

// ReadCommit implements CommitReader.
func (g grafted) ReadCommit(id ID) (c *Commit, err error) {
	if g.bare {
		c, err = g.s.links(id)
	} else {
		c, err = g.s.ReadCommit(id)
	}
	if err != nil {
		return nil, err
	}
	return joinedAt(c, g.s.epochs.graftAt(id)), nil
}

// joinedAt returns a commit as those see it who walk through a root; g is nil for
// one that is none.
func joinedAt(c *Commit, g *graftPoint) *Commit {
	if g == nil {
		return c
	}
	joined := *c
	joined.Parents = g.parents
	return &joined
}
