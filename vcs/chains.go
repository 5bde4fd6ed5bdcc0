package vcs

import (
	"fmt"
	"time"
)

// TrailerCommit names, in a commit of a chain, the one whose state it keeps.
const TrailerCommit = "History-Commit"

// moment is a commit of a branch's first-parent history.
type moment struct {
	id, tree ID
	time     int64
}

// extendChains puts the states of the head branch at the end of each period of
// an epoch on the chains. The last period of an epoch is left to the next one,
// which begins in it.
func (s *Store) extendChains(epoch int) error {
	list, _ := s.epochs.snapshot()
	var head ID
	for _, e := range list {
		if e.Number == epoch {
			for _, h := range e.Heads {
				if h.Name == s.Head() {
					head = h.Target
				}
			}
		}
	}
	if head.IsZero() || len(s.cfg.Retention.Chains) == 0 {
		return nil
	}
	for _, c := range s.cfg.Retention.Chains {
		ends, err := s.periodEnds(epoch, head, c)
		if err != nil {
			return err
		}
		if err := s.extendChain(c, ends); err != nil {
			return err
		}
	}
	return nil
}

// periodEnds returns the newest commits of the periods of an epoch, oldest
// first, without the last period.
func (s *Store) periodEnds(epoch int, head ID, c Chain) (ends []moment, err error) {
	period := int64(c.Period / time.Second)
	last := int64(-1) // the period that was met last
	see := func(t int64) bool {
		p := t / period
		met := p != last && last >= 0
		last = p
		return met
	}
	if s.log != nil {
		if l := s.log.of(epoch); l != nil {
			ends, err = l.periodEnds(head, see)
		}
	} else {
		for id := head; !id.IsZero() && len(ends) < c.Limit; {
			commit, err := s.ReadCommit(id)
			if err != nil {
				return nil, err
			}
			if see(commit.Time().Unix()) {
				ends = append(ends, moment{id, commit.Tree, commit.Time().Unix()})
			}
			id = ID{}
			if len(commit.Parents) > 0 {
				id = commit.Parents[0]
			}
		}
	}
	ends = ends[:min(len(ends), c.Limit)]
	for i, j := 0, len(ends)-1; i < j; i, j = i+1, j-1 {
		ends[i], ends[j] = ends[j], ends[i]
	}
	return ends, err
}

// periodEnds goes back along first parents, newest commit first, and returns
// those that see says yes to.
func (l *oplog) periodEnds(head ID, see func(t int64) bool) (ends []moment, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	num, ok, err := l.find(head)
	for ok && err == nil {
		var v *segView
		var i uint32
		if v, i, err = l.at(num); err != nil {
			break
		}
		rec := v.rec(i)
		if see(rec.time) {
			var id ID
			if id, err = l.idOf(v, i); err != nil {
				break
			}
			ends = append(ends, moment{id, v.tree(i), rec.time})
		}
		num = rec.parent
		ok = num != noParent && !rec.based
	}
	return ends, err
}

// extendChain makes commits of a chain.
func (s *Store) extendChain(c Chain, ends []moment) error {
	ref := BranchRef(c.Branch)
	old, _ := s.Ref(ref)
	after := int64(-1)
	if !old.IsZero() {
		commit, err := s.ReadCommit(old)
		if err != nil {
			return err
		}
		after = commit.Time().Unix()
	}
	head := old
	var objs []Object
	for _, m := range ends {
		if m.time <= after {
			continue
		}
		when := time.Unix(m.time, 0).UTC()
		commit := Commit{Tree: m.tree, Author: epochAuthor(s.cfg.Retention.Author, when),
			Message: fmt.Sprintf("state at %s\n\n%s: %v\n", when.Format("2006-01-02 15:04:05 UTC"), TrailerCommit, s.epochs.standsFor(m.id))}
		commit.Committer = commit.Author
		if !head.IsZero() {
			commit.Parents = []ID{head}
		}
		content := commit.Encode(nil)
		head = HashObject(KindCommit, content)
		objs = append(objs, Object{head, KindCommit, content})
	}
	if head == old {
		return nil
	}
	list, _ := s.epochs.snapshot()
	return s.enterEpochs(list, objs, []RefUpdate{{ref, old, head}}, nil, nil)
}
