package vcs

import (
	"slices"
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
// leave: the branches under history/, each a chain without merges. The ledger
// goes on with all its commits, or begins again when it has many. Of the others
// see carryChain.
func (s *Store) carry() (*carriedRefs, error) {
	out := &carriedRefs{}
	p := &rootPlan{number: s.epochs.number() + 1, author: epochAuthor(s.cfg.Retention.Author, time.Time{}), work: newScratch(s)}
	chains, err := s.chainBranches()
	if err != nil {
		return nil, err
	}
	state, err := s.stateSize()
	if err != nil {
		return nil, err
	}
	left := s.chainRoom()
	for i := range chains {
		took, err := s.carryChain(out, p, &chains[i], chainPart(left, state, i == len(chains)-1))
		if err != nil {
			return nil, err
		}
		left = max(0, left-took)
	}
	if ledger, ok := s.Ref(ledgerRef); ok {
		objs, err := s.chain(ledger)
		if err != nil {
			return nil, err
		}
		if len(objs) < maxLedger {
			out.ledger = ledger
			out.objs = append(out.objs, objs...)
		}
	}
	if s.log == nil {
		out.objs = p.work.objs // the others are there
	}
	out.roots = p.roots
	return out, nil
}

// carryChain carries a chain that may take so many bytes, and returns about how
// many it takes. One that has half of its limit, or of its room, or would have it
// at the end of an epoch like this one, begins again with a root and leaves its
// commits to a branch of its own, in the place of those that were there; so
// between half and all of the limit are here. When both do not fit, the older
// ones are given up. When the newer ones alone do not, they are given up, and when
// not even one state does, there is no such chain until there is more room.
func (s *Store) carryChain(out *carriedRefs, p *rootPlan, c *chainBranch, room int64) (int64, error) {
	begin := c.size.commits > 1 && (c.size.commits >= c.Limit/2 || c.size.bytes+c.size.added >= room/2)
	older, newer := c.before, c.head
	took := c.old.bytes + c.size.bytes
	switch {
	case c.size.bytes > room && c.size.commits > 1:
		begin, older, newer = true, ID{}, ID{}
		took = c.size.bytes / int64(c.size.commits)
	case c.size.bytes > room:
		older, newer, took = ID{}, ID{}, 0
	case begin:
		older, newer, took = c.head, ID{}, c.size.bytes
	case took > room:
		older, took = ID{}, c.size.bytes
	}
	for _, id := range []ID{older, newer} {
		if id.IsZero() {
			continue
		}
		objs, err := s.chain(id)
		if err != nil {
			return 0, err
		}
		out.objs = append(out.objs, objs...)
	}
	if begin {
		old, err := s.ReadCommit(c.head)
		if err != nil {
			return 0, err
		}
		at := len(p.work.objs)
		root, err := p.root(old, c.ref, nil)
		if err != nil {
			return 0, err
		}
		// Behind the older half, with whose last state it begins.
		out.objs = append(out.objs, p.work.objs[at:]...)
		newer = root.ID
	}
	for _, u := range []RefUpdate{{c.ref + beforeSuffix, c.before, older}, {c.ref, c.head, newer}} {
		if u.Old != u.New {
			out.moves = append(out.moves, u)
		}
	}
	return took, nil
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
