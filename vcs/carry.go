package vcs

import (
	"slices"
	"strings"
)

// carriedRefs are the branches that go on into the next epoch with their own
// commits.
type carriedRefs struct {
	objs   []Object // oldest first
	moves  []RefUpdate
	roots  []EpochRoot
	ledger ID // parent of the ledger's next commit, zero when it begins again
}

// carry collects what the next epoch has to say again, so that the old one can
// leave: the branches under history/, each a chain without merges.
func (s *Store) carry() (*carriedRefs, error) {
	out := &carriedRefs{}
	refs, _ := s.Refs() // a Store's own list cannot fail
	for _, r := range refs {
		if !strings.HasPrefix(r.Name, historyPrefix) {
			continue
		}
		objs, err := s.chain(r.Target)
		if err != nil {
			return nil, err
		}
		if r.Name == ledgerRef {
			if len(objs) >= maxLedger {
				continue
			}
			out.ledger = r.Target
		}
		if s.log != nil {
			out.objs = append(out.objs, objs...)
		}
	}
	return out, nil
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
