package gitserve

import (
	"errors"

	"arpeggio/vcs"
)

// shallowPlan says where the client's history ends after the fetch
// (gitprotocol-pack(5), "shallow"; the shallow-info section of v2).
type shallowPlan struct {
	shallow   []vcs.ID        // new ends, to be told
	unshallow []vcs.ID        // ends that are no longer, to be told
	cut       map[vcs.ID]bool // commits that count as parentless in this fetch
	wants     []vcs.ID        // what to send besides the client's wants
}

// boundary is the outcome of one deepening rule.
type boundary struct {
	ends     []vcs.ID
	interior func(vcs.ID) bool
}

func planShallow(g *graph, s *refSnapshot, args *fetchArgs, wants []vcs.ID) (*shallowPlan, error) {
	if err := args.deepen.check(); err != nil {
		return nil, err
	}
	plan := &shallowPlan{cut: map[vcs.ID]bool{}}
	client := map[vcs.ID]bool{}
	var known []vcs.ID
	for _, id := range args.shallow {
		n, err := g.commit(id)
		if errors.Is(err, vcs.ErrNotFound) {
			continue // the client's own history, none of ours
		}
		if err != nil {
			return nil, err
		}
		if n == nil {
			return nil, refuse(reasonShallow, "invalid shallow object %s", id)
		}
		if !client[id] {
			client[id] = true
			known = append(known, id)
		}
	}
	var b boundary
	var err error
	switch d := args.deepen; {
	case d.byRevList():
		b, err = boundaryByRevList(g, s, d, wants)
	case d.depth >= infiniteDepth:
		b.interior = func(vcs.ID) bool { return true }
	case d.depth > 0 && d.relative:
		var from []vcs.ID
		if from, err = reachableEnds(g, wants, client); err == nil {
			b, err = boundaryByDepth(g, from, d.depth+1)
		}
	case d.depth > 0:
		b, err = boundaryByDepth(g, wants, d.depth)
	default:
		b.interior = func(vcs.ID) bool { return false }
	}
	if err != nil {
		return nil, err
	}
	for _, id := range b.ends {
		plan.cut[id] = true
		if !client[id] {
			plan.shallow = append(plan.shallow, id)
		}
	}
	for _, id := range known {
		// An end that is undone still counts as parentless: the client has
		// it, and its parents are sent as wants of their own.
		plan.cut[id] = true
		if b.interior(id) {
			plan.unshallow = append(plan.unshallow, id)
			plan.wants = append(plan.wants, g.nodes[id].parents...)
		}
	}
	return plan, nil
}

// boundaryByDepth keeps depth generations, the tips being the first. A root
// commit is no end: nothing is missing behind it.
func boundaryByDepth(g *graph, tips []vcs.ID, depth int) (boundary, error) {
	var b boundary
	inside := map[vcs.ID]bool{}
	seen := map[vcs.ID]bool{}
	level := tips
	for gen := 1; len(level) > 0; gen++ {
		var next []vcs.ID
		for _, id := range level {
			if seen[id] {
				continue
			}
			seen[id] = true
			n, err := g.commit(id)
			if err != nil {
				return b, err
			}
			if gen >= depth && len(n.parents) > 0 {
				b.ends = append(b.ends, id)
				continue
			}
			inside[id] = true
			next = append(next, n.parents...)
		}
		level = next
	}
	b.interior = func(id vcs.ID) bool { return inside[id] }
	return b, nil
}

// reachableEnds returns the client's present ends that the wants lead to.
func reachableEnds(g *graph, wants []vcs.ID, client map[vcs.ID]bool) ([]vcs.ID, error) {
	var ends []vcs.ID
	err := g.walk(wants, func(id vcs.ID, _ *commitNode) bool {
		if client[id] {
			ends = append(ends, id)
		}
		return !client[id]
	})
	return ends, err
}

// boundaryByRevList keeps the commits not older than a time and not part of
// some refs' history.
func boundaryByRevList(g *graph, s *refSnapshot, d deepenArgs, wants []vcs.ID) (boundary, error) {
	var b boundary
	excluded := map[vcs.ID]bool{}
	for _, name := range d.not {
		id, ok := s.expand(name)
		if !ok {
			return b, refuse(reasonShallow, "git upload-pack: ambiguous deepen-not: %s", name)
		}
		tips, err := g.commits([]vcs.ID{id})
		if err != nil {
			return b, err
		}
		err = g.walk(tips, func(id vcs.ID, _ *commitNode) bool {
			deeper := !excluded[id]
			excluded[id] = true
			return deeper
		})
		if err != nil {
			return b, err
		}
	}
	selected := map[vcs.ID]bool{}
	var order []vcs.ID
	err := g.walk(wants, func(id vcs.ID, n *commitNode) bool {
		if excluded[id] || n.time < d.since {
			return false
		}
		selected[id] = true
		order = append(order, id)
		return true
	})
	if err != nil {
		return b, err
	}
	if len(order) == 0 {
		return b, refuse(reasonShallow, "no commits selected for shallow requests")
	}
	ends := map[vcs.ID]bool{}
	for _, id := range order {
		for _, p := range g.nodes[id].parents {
			if !selected[p] && !ends[id] {
				ends[id] = true
				b.ends = append(b.ends, id)
			}
		}
	}
	b.interior = func(id vcs.ID) bool { return selected[id] && !ends[id] }
	return b, nil
}

// expand finds the ref of an abbreviated name, by the rules of
// gitrevisions(7).
func (s *refSnapshot) expand(name string) (vcs.ID, bool) {
	for _, prefix := range []string{"", "refs/", "refs/tags/", "refs/heads/", "refs/remotes/"} {
		if id, ok := s.lookup(prefix + name); ok {
			return id, true
		}
	}
	return vcs.ID{}, false
}
