package history

import (
	"slices"

	"arpeggio/vcs"
)

// graph yields the walk's commits with children before parents and lines of
// history together, parents replaced by the nearest commits that are shown.
func (w *walker) graph(yield func(Logged, error) bool) {
	steps := make(map[vcs.ID]step)
	var order []vcs.ID
	children := make(map[vcs.ID]int)
	for st, err := range w.walk() {
		if err != nil {
			yield(Logged{}, err)
			return
		}
		steps[st.c.ID] = st
		order = append(order, st.c.ID)
		for _, p := range st.next {
			children[p]++
		}
	}
	var stack []vcs.ID
	for _, id := range slices.Backward(order) {
		if children[id] == 0 {
			stack = append(stack, id)
		}
	}
	for n := 0; len(stack) > 0; {
		id := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		st := steps[id]
		if st.show {
			if !yield(Logged{st.c, shownParents(steps, st)}, nil) {
				return
			}
			if n++; n == w.opt.Max {
				return
			}
		}
		for _, p := range st.next {
			if children[p]--; children[p] == 0 && steps[p].c != nil {
				stack = append(stack, p)
			}
		}
	}
}

// shownParents follows each parent to the nearest commit that is shown.
func shownParents(steps map[vcs.ID]step, st step) (parents []vcs.ID) {
	for _, p := range st.next {
		for !steps[p].show && len(steps[p].next) > 0 {
			p = steps[p].next[0]
		}
		if steps[p].show && !slices.Contains(parents, p) {
			parents = append(parents, p)
		}
	}
	return parents
}
