package vcs

import (
	"slices"
	"strings"
	"time"
)

// beforeSuffix is that of the branch which keeps the older half of a chain.
const beforeSuffix = "-before"

// carriedRefs are the branches that go on into the next epoch with their own
// commits.
type carriedRefs struct {
	objs   []Object // parents first
	moves  []RefUpdate
	roots  []EpochRoot
	ledger ID // parent of the ledger's next commit, zero when it begins again
}

// carry collects what the next epoch has to say again, so that the old one can
// leave: the branches under history/, each a chain without merges. A chain that
// has half of its limit begins again with a root and leaves its commits to a
// branch of its own, in the place of those that were there; so between half and
// all of the limit are here. When the roots and chains of the current epoch took
// more than half of its share, the chains leave all their commits to the epoch.
func (s *Store) carry() (*carriedRefs, error) {
	out := &carriedRefs{}
	p := &rootPlan{number: s.epochs.number() + 1, author: epochAuthor(s.cfg.Retention.Author, time.Time{}), work: newScratch(s)}
	_, _, opened, _ := s.extents()
	tight := s.cfg.Retention.MaxBytes > 0 && opened.bytes > s.cfg.Retention.share().bytes/2
	refs, _ := s.Refs() // a Store's own list cannot fail
	rotated := make(map[string]bool)
	for _, r := range refs {
		if !strings.HasPrefix(r.Name, historyPrefix) || strings.HasSuffix(r.Name, beforeSuffix) {
			continue
		}
		objs, err := s.chain(r.Target)
		if err != nil {
			return nil, err
		}
		switch {
		case r.Name == ledgerRef && len(objs) >= maxLedger:
			continue
		case r.Name == ledgerRef:
			out.ledger = r.Target
		case len(objs) > 1 && (tight || len(objs) >= s.chainLimit(r.Name)/2):
			rotated[r.Name] = true
			old, err := s.ReadCommit(r.Target)
			if err != nil {
				return nil, err
			}
			root, err := p.root(old, r.Name, nil)
			if err != nil {
				return nil, err
			}
			before := r.Name + beforeSuffix
			had, _ := s.Ref(before)
			keep := r.Target
			if tight {
				objs, keep = nil, ID{}
			}
			out.moves = append(out.moves, RefUpdate{before, had, keep}, RefUpdate{r.Name, r.Target, root.ID})
		}
		out.objs = append(out.objs, objs...)
	}
	for _, r := range refs {
		name, ok := strings.CutSuffix(r.Name, beforeSuffix)
		if !ok || !strings.HasPrefix(r.Name, historyPrefix) || rotated[name] {
			continue
		}
		objs, err := s.chain(r.Target)
		if err != nil {
			return nil, err
		}
		out.objs = append(out.objs, objs...)
	}
	if s.log == nil {
		out.objs = nil // they are there
	}
	out.objs = append(out.objs, p.work.objs...)
	out.roots = p.roots
	return out, nil
}

// chainLimit returns how many commits of a chain are kept.
func (s *Store) chainLimit(ref string) int {
	for _, c := range s.cfg.Retention.Chains {
		if BranchRef(c.Branch) == ref {
			return c.Limit
		}
	}
	return maxLedger
}

// chain returns the commits behind a head along first parents, oldest first.
func (s *Store) chain(head ID) ([]Object, error) {
	var out []Object
	for id := head; ; {
		content, err := s.commitContent(id)
		if err != nil {
			return nil, err
		}
		c, err := ParseCommit(content)
		if err != nil {
			return nil, err
		}
		out = append(out, Object{id, KindCommit, content})
		if len(c.Parents) == 0 {
			slices.Reverse(out)
			return out, nil
		}
		id = c.Parents[0]
	}
}
