package history

import (
	"cmp"
	"iter"
	"slices"

	"arpeggio/vcs"
)

// graph yields the walk's commits with children before parents and lines of
// history together, parents replaced by the nearest commits that are shown. It
// walks no further than it must to know that a commit has no more children: as
// far back as the commit's own time, and somewhat further, since clocks may have
// gone back. It holds what was walked and is not drawn yet.
func (w *walker) graph(yield func(Logged, error) bool) {
	g := grapher{walker: w, steps: make(map[vcs.ID]step), children: make(map[vcs.ID]int), frontier: maxTime}
	next, stop := iter.Pull2(w.walk())
	defer stop()
	g.pull = next
	if err := g.draw(yield); err != nil {
		yield(Logged{}, err)
	}
}

type grapher struct {
	*walker
	pull     func() (step, error, bool)
	steps    map[vcs.ID]step // walked and not drawn
	children map[vcs.ID]int  // not drawn yet, of those that were walked
	frontier int64           // the time that the walk has reached
	done     bool            // the walk has ended
}

// maxTime is after every commit.
const maxTime = 1<<63 - 1

// ahead is how many commits are walked at a time.
const ahead = 64

// reach walks on until all that is as new as a time was walked.
func (g *grapher) reach(t int64) error {
	for n := 0; !g.done && (g.frontier >= t || n < ahead && n > 0); n++ {
		st, err, ok := g.pull()
		if err != nil {
			return err
		}
		if !ok {
			g.done = true
			return nil
		}
		g.steps[st.c.ID] = st
		g.frontier = min(g.frontier, st.c.Committer.When.Unix())
		for _, p := range st.next {
			g.children[p]++
		}
	}
	return nil
}

// find returns the step of a commit. Ok is false when it is not in the log, or
// drawn already: it is later than a child of it, whose clock was wrong.
func (g *grapher) find(id vcs.ID) (st step, ok bool, err error) {
	if st, ok = g.steps[id]; ok || g.done {
		return st, ok, nil
	}
	c, err := g.commits.ReadCommit(id)
	if err != nil {
		return st, false, err
	}
	if err := g.reach(c.Committer.When.Unix()); err != nil {
		return st, false, err
	}
	st, ok = g.steps[id]
	return st, ok, nil
}

// draw takes the commits in order.
func (g *grapher) draw(yield func(Logged, error) bool) error {
	stack, err := g.tips()
	for n := 0; err == nil && len(stack) > 0; {
		id := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		var st step
		var ok bool
		if st, ok, err = g.find(id); err != nil || !ok {
			continue
		}
		if err = g.reach(st.c.Committer.When.Unix()); err != nil || g.children[id] > 0 {
			continue // the last of its children brings it back
		}
		if st.show {
			var parents []vcs.ID
			if parents, err = g.shownParents(st); err != nil {
				continue
			}
			if !yield(Logged{st.c, parents}, nil) {
				return nil
			}
			if n++; n == g.opt.Max {
				return nil
			}
		}
		delete(g.steps, id)
		delete(g.children, id)
		for _, p := range st.next {
			if g.children[p]--; g.children[p] == 0 {
				stack = append(stack, p)
			}
		}
	}
	return err
}

// tips returns where the lines begin, the newest last.
func (g *grapher) tips() ([]vcs.ID, error) {
	type tip struct {
		id   vcs.ID
		when int64
	}
	var tips []tip
	for _, id := range g.opt.From {
		c, err := g.commits.ReadCommit(id)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(tips, func(t tip) bool { return t.id == id }) {
			tips = append(tips, tip{id, c.Committer.When.Unix()})
		}
	}
	slices.Reverse(tips)
	slices.SortStableFunc(tips, func(a, b tip) int { return cmp.Compare(a.when, b.when) })
	ids := make([]vcs.ID, len(tips))
	for i, t := range tips {
		ids[i] = t.id
	}
	return ids, nil
}

// shownParents follows each parent to the nearest commit that is shown.
func (g *grapher) shownParents(st step) (parents []vcs.ID, err error) {
	for _, p := range st.next {
		at, ok, err := g.find(p)
		for err == nil && ok && !at.show && len(at.next) > 0 {
			at, ok, err = g.find(at.next[0])
		}
		if err != nil {
			return nil, err
		}
		if ok && at.show && !slices.Contains(parents, at.c.ID) {
			parents = append(parents, at.c.ID)
		}
	}
	return parents, nil
}
