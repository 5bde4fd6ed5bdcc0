package gitserve

import (
	"errors"
	"math"

	"arpeggio/vcs"
)

// negotiation finds out what client and server have in common.
type negotiation struct {
	graph  *graph
	wants  []vcs.ID // commits
	theirs map[vcs.ID]bool
	common []vcs.ID // the haves that the repository knows, as they came
	oldest int64    // time of the oldest common commit
	epochs *epochs
	lost   bool // one of them is of an epoch that is not here any more
}

func newNegotiation(g *graph, e *epochs, wants []vcs.ID) (*negotiation, error) {
	commits, err := g.commits(wants)
	if err != nil {
		return nil, err
	}
	return &negotiation{graph: g, wants: commits, theirs: map[vcs.ID]bool{}, oldest: math.MaxInt64, epochs: e}, nil
}

// have notes one object of the client's and reports whether the repository has
// it too, or had it in an earlier epoch: then the client says it again in later
// requests and offers nothing that is older. The parents of a common commit count
// as common at once.
func (n *negotiation) have(id vcs.ID) (bool, error) {
	c, err := n.graph.commit(id)
	if errors.Is(err, vcs.ErrNotFound) {
		if n.epochs == nil || !n.epochs.known[id] {
			return false, nil
		}
		n.lost, err = true, nil
	}
	if err != nil {
		return false, err
	}
	n.common = append(n.common, id)
	n.theirs[id] = true
	if c != nil {
		n.oldest = min(n.oldest, c.time)
		for _, p := range c.parents {
			n.theirs[p] = true
		}
	}
	return true, nil
}

// enough reports whether every wanted commit descends from something that the
// client has, so that more haves would gain nothing. Like stock git's, it looks
// no further back than the oldest common commit.
func (n *negotiation) enough() (bool, error) {
	if len(n.common) == 0 {
		return false, nil
	}
	reaches := map[vcs.ID]bool{}
	for _, want := range n.wants {
		ok, err := n.reaches(want, reaches)
		if !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

// reaches searches depth first for something common; memo holds the results of
// finished commits over all wants.
func (n *negotiation) reaches(tip vcs.ID, memo map[vcs.ID]bool) (bool, error) {
	stack := []vcs.ID{tip}
search:
	for len(stack) > 0 {
		id := stack[len(stack)-1]
		if n.theirs[id] {
			memo[id] = true
		}
		if _, done := memo[id]; done {
			stack = stack[:len(stack)-1]
			continue
		}
		c, err := n.graph.commit(id)
		if err != nil {
			return false, err
		}
		if c != nil && c.time >= n.oldest {
			for _, p := range c.parents {
				found, done := memo[p]
				if !done {
					stack = append(stack, p)
					continue search
				}
				if found {
					memo[id] = true
					continue search
				}
			}
		}
		memo[id] = false
	}
	return memo[tip], nil
}
