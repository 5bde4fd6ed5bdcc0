package gitserve

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"arpeggio/vcs"
)

// epochs is what a repository whose history is cut knows of clients that have
// commits from before a cut. By real parents those lead nowhere, so that the
// client would get the new history beside its own. It is told how to join them.
type epochs struct {
	current vcs.Epoch
	roots   map[vcs.ID]vcs.EpochRoot // of all epochs
	number  map[vcs.ID]int           // of the epoch that a root begins
	known   map[vcs.ID]bool          // roots, what they stand for and replacements
}

// newEpochs returns nil for a repository whose history was never cut.
func newEpochs(r Repository) *epochs {
	reader, ok := r.(vcs.EpochReader)
	if !ok {
		return nil
	}
	all := reader.Epochs()
	if len(all) < 2 {
		return nil
	}
	e := &epochs{current: all[len(all)-1], roots: map[vcs.ID]vcs.EpochRoot{}, number: map[vcs.ID]int{}, known: map[vcs.ID]bool{}}
	for _, x := range all {
		for _, r := range x.Roots {
			e.roots[r.Root], e.number[r.Root] = r, x.Number
			for _, id := range []vcs.ID{r.Root, r.Old, r.Replacement} {
				if !id.IsZero() {
					e.known[id] = true
				}
			}
		}
	}
	return e
}

// join is what a client has to do to one root.
type join struct {
	root vcs.EpochRoot
	gone bool // what the root stands for is not here any more
}

// checkEpochs refuses a client whose history ends before a cut, unless it has
// joined the two, or is about to. It is called when negotiation is over.
func (f *fetch) checkEpochs(n *negotiation) error {
	if f.epochs == nil || len(n.common) == 0 {
		return nil
	}
	if done, err := n.enough(); done || err != nil {
		return err
	}
	if n.oldest > f.epochs.current.Began.Unix() && !n.lost {
		return nil // all that it has is of this epoch
	}
	var joins []join
	seen := map[vcs.ID]bool{}
	for _, want := range n.wants {
		if !f.refs.isBranch(want) {
			continue
		}
		if ok, err := n.reaches(want, map[vcs.ID]bool{}); ok || err != nil {
			if err != nil {
				return err
			}
			continue
		}
		roots, err := f.rootsOf(want)
		if err != nil {
			return err
		}
		for _, r := range roots {
			if seen[r.Root] || n.has(r) || slices.Contains(f.args.wants, r.Replacement) {
				continue
			}
			seen[r.Root] = true
			j, ok, err := f.trace(n, r)
			if err != nil {
				return err
			}
			if ok {
				joins = append(joins, j)
			}
		}
	}
	if len(joins) == 0 {
		return nil
	}
	command, err := f.joinCommand(joins)
	if err != nil {
		return err
	}
	return refuse(reasonEpoch, "this history was cut since you fetched it (it is in epoch %d).\n"+
		"To join what you have with it, run this once, and fetch again:\n\n    %s\n", f.epochs.current.Number, command)
}

// has reports whether the client has a root or the commit that replaces it.
func (n *negotiation) has(r vcs.EpochRoot) bool {
	return n.theirs[r.Root] || !r.Replacement.IsZero() && n.theirs[r.Replacement]
}

// isBranch reports whether a commit is, or may have been, a branch's head: it is
// not something that only other refs name.
func (s *refSnapshot) isBranch(id vcs.ID) bool {
	if !s.byID[id] {
		return true
	}
	return slices.ContainsFunc(s.refs, func(r vcs.Ref) bool {
		return r.Target == id && strings.HasPrefix(r.Name, "refs/heads/")
	})
}

// rootsOf returns the roots of the epoch in which a commit was made: those of the
// branches that it is the head of, else those that it leads to.
func (f *fetch) rootsOf(tip vcs.ID) (roots []vcs.EpochRoot, err error) {
	for _, r := range f.epochs.current.Roots {
		if id, ok := f.refs.lookup(r.Ref); ok && id == tip && r.Ref != "" {
			roots = append(roots, r)
		}
	}
	if len(roots) > 0 {
		return roots, nil
	}
	err = f.graph.walk([]vcs.ID{tip}, func(id vcs.ID, _ *commitNode) bool {
		r, ok := f.epochs.roots[id]
		if ok {
			roots = append(roots, r)
		}
		return !ok
	})
	return roots, err
}

// trace goes back from epoch to epoch until it meets a commit that the client
// has, or the end of what is here.
func (f *fetch) trace(n *negotiation, r vcs.EpochRoot) (j join, ok bool, err error) {
	if r.Old.IsZero() {
		return j, false, nil
	}
	if _, err := f.graph.commit(r.Old); errors.Is(err, vcs.ErrNotFound) {
		return join{root: r, gone: true}, n.lost, nil
	}
	met, err := n.reaches(r.Old, map[vcs.ID]bool{})
	if met || err != nil {
		return join{root: r}, met, err
	}
	older, err := f.rootsOf(r.Old)
	if err != nil {
		return j, false, err
	}
	for _, o := range older {
		if o.Root == r.Root {
			continue
		}
		if n.has(o) {
			return join{root: r}, true, nil
		}
		if j, ok, err = f.trace(n, o); ok || err != nil {
			return j, ok, err
		}
	}
	return j, false, nil
}

// maxJoins bounds the roots that one command names.
const maxJoins = 8

// joinCommand returns the command that joins a client's history to the present
// one: by the replacements that are served here, and where what a root stands
// for is gone, by a graft onto what the client has.
func (f *fetch) joinCommand(joins []join) (string, error) {
	slices.SortStableFunc(joins, func(a, b join) int {
		switch {
		case a.root.Ref == b.root.Ref:
			return 0
		case a.root.Ref == f.refs.head:
			return -1
		case b.root.Ref == f.refs.head:
			return 1
		}
		return strings.Compare(a.root.Ref, b.root.Ref)
	})
	var refspecs, grafts []string
	fetch := "git fetch origin "
	for _, j := range joins {
		if !j.gone || f.epochs.number[j.root.Root] < f.epochs.current.Number {
			refspecs = []string{"'+refs/replace/*:refs/replace/*'"}
		}
	}
	for _, j := range joins[:min(len(joins), maxJoins)] {
		if !j.gone {
			continue
		}
		branch := j.root.Ref
		if branch == "" {
			branch = f.refs.head
		}
		branch = strings.TrimPrefix(branch, "refs/heads/")
		number := f.epochs.number[j.root.Root]
		if number == f.epochs.current.Number {
			// Without haves, or it would look like any other fetch.
			fetch = "git -c fetch.negotiationAlgorithm=noop fetch origin "
			refspecs = append(refspecs, fmt.Sprintf("%v:refs/epoch-roots/%d/%s", j.root.Root, number, branch))
		}
		graft := fmt.Sprintf(" && git replace -f --graft %v origin/%s", j.root.Root, branch)
		root, err := f.graph.commit(j.root.Root)
		if err != nil {
			return "", err
		}
		for _, p := range root.parents {
			graft += " " + p.String()
		}
		grafts = append(grafts, graft)
	}
	return fetch + strings.Join(refspecs, " ") + strings.Join(grafts, ""), nil
}
