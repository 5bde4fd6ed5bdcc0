package vcstest

import (
	"fmt"
	"slices"
	"strings"
)

// dag is a growing set of commits, numbered so that parents come first. Histories
// share what they have in common.
type dag struct{ commits []dagCommit }

type dagCommit struct {
	parents []int32
	past    []int32 // the commit and its ancestors, ascending
	content int32   // equal for equal trees
	text    string  // the value, for people
}

func (d *dag) add(content int32, text string, parents ...int32) int32 {
	id := int32(len(d.commits))
	c := dagCommit{parents: slices.Clone(parents), content: content, text: text}
	for _, p := range parents {
		c.past = union(c.past, d.commits[p].past)
	}
	c.past = append(c.past, id)
	d.commits = append(d.commits, c)
	return id
}

// contains reports whether a commit is another or one of its ancestors.
func (d *dag) contains(later, earlier int32) bool {
	_, ok := slices.BinarySearch(d.commits[later].past, earlier)
	return ok
}

// heads drops the commits that others of them contain, and sorts the rest.
func (d *dag) heads(ids []int32) []int32 {
	out := make([]int32, 0, len(ids))
	for i, x := range ids {
		covered := false
		for j, y := range ids {
			covered = covered || d.contains(y, x) && (x != y || j < i)
		}
		if !covered {
			out = append(out, x)
		}
	}
	slices.Sort(out)
	return out
}

// pastOf returns everything that some commits contain.
func (d *dag) pastOf(ids []int32) (past []int32) {
	for _, id := range ids {
		past = union(past, d.commits[id].past)
	}
	return past
}

// bases returns all common ancestors of two groups, and the lowest of them.
func (d *dag) bases(a, b []int32) (all, lowest []int32) {
	pa, pb := d.pastOf(a), d.pastOf(b)
	all = slices.DeleteFunc(pa, func(x int32) bool {
		_, ok := slices.BinarySearch(pb, x)
		return !ok
	})
	return all, d.heads(all)
}

// tell describes the history behind some commits.
func (d *dag) tell(ids []int32) string {
	var b strings.Builder
	for _, id := range d.pastOf(ids) {
		switch c := &d.commits[id]; len(c.parents) {
		case 0:
			fmt.Fprintf(&b, "\n  c%d: the root", id)
		case 1:
			fmt.Fprintf(&b, "\n  c%d: on c%d, writes %s", id, c.parents[0], c.text)
		default:
			fmt.Fprintf(&b, "\n  c%d: merges c%d into c%d: %s", id, c.parents[1], c.parents[0], c.text)
		}
	}
	return b.String()
}

// union merges two ascending lists.
func union(a, b []int32) []int32 {
	out := make([]int32, 0, len(a)+len(b)+1)
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0] < b[0]:
			out, a = append(out, a[0]), a[1:]
		case a[0] > b[0]:
			out, b = append(out, b[0]), b[1:]
		default:
			out, a, b = append(out, a[0]), a[1:], b[1:]
		}
	}
	return append(append(out, a...), b...)
}
