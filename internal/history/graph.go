package history

import (
	"slices"

	"arpeggio/vcs"
)

// graph yields the walk's commits with children before parents and lines of
// history together, parents replaced by the nearest commits that are shown.
func (w *walker) graph(yield func(Logged, error) bool) {
	steps := make(map[vcs.ID]step)
	var order []vcs.ID // of the shown ones
	for st, err := range w.walk() {
		if err != nil {
			yield(Logged{}, err)
			return
		}
		steps[st.c.ID] = st
		if st.show {
			order = append(order, st.c.ID)
		}
	}
	shown := make(map[vcs.ID][]vcs.ID, len(order)) // parents among the shown
	children := make(map[vcs.ID]int)
	for _, id := range order {
		var parents []vcs.ID
		for _, p := range steps[id].next {
			for !steps[p].show && len(steps[p].next) > 0 {
				p = steps[p].next[0]
			}
			if steps[p].show && !slices.Contains(parents, p) {
				parents = append(parents, p)
				children[p]++
			}
		}
		shown[id] = parents
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
		if !yield(Logged{steps[id].c, shown[id]}, nil) {
			return
		}
		if n++; n == w.opt.Max {
			return
		}
		for _, p := range shown[id] {
			if children[p]--; children[p] == 0 {
				stack = append(stack, p)
			}
		}
	}
}
