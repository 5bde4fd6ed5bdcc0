package history

import (
	"fmt"
	"slices"

	"arpeggio/vcs"
)

// Verdict is what a test said about a commit.
type Verdict int

// Verdicts.
const (
	Good Verdict = iota
	Bad
	Skip // cannot be tested
)

// String returns the word.
func (v Verdict) String() string { return [...]string{"good", "bad", "skip"}[v] }

// Bisection searches the first bad commit between good ones and a bad one: in
// each step the commit whose verdict halves what is left. It is for one
// goroutine.
type Bisection struct {
	s    *vcs.Store
	bad  vcs.ID
	left []vcs.ID // candidates, parents before children; the last one is bad
	skip map[vcs.ID]bool
}

// NewBisection starts a search. The error says so when a good commit is no
// ancestor of the bad one.
func NewBisection(s *vcs.Store, good []vcs.ID, bad vcs.ID) (*Bisection, error) {
	b := &Bisection{s: s, bad: bad, skip: make(map[vcs.ID]bool)}
	for _, g := range good {
		switch is, err := s.IsAncestor(g, bad); {
		case err != nil:
			return nil, err
		case g == bad:
			return nil, fmt.Errorf("%w: %v is given as good and as bad", ErrAmbiguous, g.Short())
		case !is:
			return nil, b.notBefore(g)
		}
	}
	for c, err := range Log(s, LogOptions{From: []vcs.ID{bad}, Not: good, Graph: true}) {
		if err != nil {
			return nil, err
		}
		b.left = append(b.left, c.ID)
	}
	slices.Reverse(b.left)
	return b, nil
}

func (b *Bisection) notBefore(good vcs.ID) error {
	bases, err := b.s.MergeBases(good, b.bad)
	if err != nil {
		return err
	}
	if len(bases) == 0 {
		return fmt.Errorf("%w range: good %v and bad %v have no history in common", ErrUnknown, good.Short(), b.bad.Short())
	}
	return fmt.Errorf("%w range: good %v is not an ancestor of bad %v; their common ancestor is %v: test that one first",
		ErrUnknown, good.Short(), b.bad.Short(), bases[0].Short())
}

// Left returns how many commits may still be the first bad one.
func (b *Bisection) Left() int { return len(b.left) }

// Bad returns the oldest commit known to be bad: the first bad one, when only
// one is left.
func (b *Bisection) Bad() vcs.ID { return b.bad }

// Candidates returns the commits that may be the first bad one.
func (b *Bisection) Candidates() []vcs.ID { return slices.Clone(b.left) }

// Next returns the commit to test, false when there is none: the search is
// over, or all that is left was skipped.
func (b *Bisection) Next() (vcs.ID, bool, error) {
	weights, err := b.weights()
	if err != nil {
		return vcs.ID{}, false, err
	}
	best, gain := vcs.ID{}, -1
	for i, id := range b.left {
		if id == b.bad || b.skip[id] {
			continue
		}
		if g := min(weights[i], len(b.left)-weights[i]); g > gain {
			best, gain = id, g
		}
	}
	return best, gain >= 0, nil
}

// parents returns, for each candidate, the parents that are candidates too, as
// indexes into left.
func (b *Bisection) parents() ([][]int, error) {
	index := make(map[vcs.ID]int, len(b.left))
	parents := make([][]int, len(b.left))
	for i, id := range b.left {
		index[id] = i
		c, err := b.s.ReadCommit(id)
		if err != nil {
			return nil, err
		}
		for _, p := range c.Parents {
			if at, ok := index[p]; ok {
				parents[i] = append(parents[i], at)
			}
		}
	}
	return parents, nil
}

// weights counts, for each candidate, the candidates that it contains.
func (b *Bisection) weights() ([]int, error) {
	parents, err := b.parents()
	weights := make([]int, len(parents))
	for i, p := range parents {
		switch len(p) {
		case 0:
			weights[i] = 1
		case 1:
			weights[i] = weights[p[0]] + 1
		default:
			weights[i] = len(reach(parents, i))
		}
	}
	return weights, err
}

// reach returns the candidates that one contains, itself included.
func reach(parents [][]int, from int) map[int]bool {
	seen := map[int]bool{from: true}
	for todo := []int{from}; len(todo) > 0; {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, p := range parents[i] {
			if !seen[p] {
				seen[p] = true
				todo = append(todo, p)
			}
		}
	}
	return seen
}

// Mark takes a verdict about a candidate.
func (b *Bisection) Mark(id vcs.ID, v Verdict) error {
	at := slices.Index(b.left, id)
	if at < 0 {
		return fmt.Errorf("%w candidate %v", ErrUnknown, id.Short())
	}
	if v == Skip {
		b.skip[id] = true
		return nil
	}
	parents, err := b.parents()
	if err != nil {
		return err
	}
	inside := reach(parents, at)
	if v == Bad {
		b.bad = id
	}
	var left []vcs.ID
	for i, c := range b.left {
		if inside[i] == (v == Bad) {
			left = append(left, c)
		}
	}
	b.left = left
	return nil
}
