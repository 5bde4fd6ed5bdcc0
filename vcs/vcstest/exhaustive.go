package vcstest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"arpeggio/vcs"
)

// Exhaustive describes a merge function that is to be checked in every history
// of a few nodes: each node writes, or merges another one's branch, in every
// order, up to a number of commits; fast-forwards are free. After each step all
// branches are merged in every order, and all results must be equal.
//
// Histories are about one key: merges treat each by itself. They are counted
// once however they came about.
type Exhaustive[K comparable, V any] struct {
	Config vcs.Config[K, V] // with the merge function
	Key    K
	// Write returns what a node writes to the key when it sees the current
	// value, one of Choices. An absent result removes the key, the current value
	// leaves it and stands for a change of another key. It depends on nothing
	// else.
	Write   func(node, choice int, current vcs.Opt[V]) vcs.Opt[V]
	Choices int // default 1
	Nodes   int // default 3, at most 4
	Commits int // default 5, not counting the root
	// Alike says that Write does not look at the node. Then histories that
	// differ only in who is who are counted once.
	Alike bool
	// Model merges values without a repository, several times as fast: with
	// gates, lowest common ancestors and virtual bases as vcs.Repo.Merge has
	// them.
	Model bool
	// AnyBase lets each merge of the Model take any common ancestor for its
	// base, lowest or not, or the merge of several, or none: what a node does
	// that has lost old history. All that can come of it is followed.
	AnyBase bool
	// Keeps, when not nil, reports whether a result holds what somebody wrote,
	// or something later. It is asked of every value that was written.
	Keeps func(result, written V) bool
}

// Explored counts what was looked at.
type Explored struct {
	States  int // different heads of all branches
	Commits int
	Several int // merges with several lowest common ancestors
}

// TestEvery runs Exhaustive.Check.
func TestEvery[K comparable, V any](t *testing.T, e Exhaustive[K, V]) {
	t.Helper()
	found, err := e.Check()
	if err != nil {
		t.Error(err)
	}
	t.Logf("%+v", found)
}

// ErrLost is Exhaustive.Check's error when a result lacks what somebody wrote.
var ErrLost = errors.New("vcstest: a written value is lost")

// world makes commits of a dag.
type world interface {
	graph() *dag
	write(node, choice int, head int32, twin int) (int32, error)
	// merge returns every commit that can come of merging two of which neither
	// contains the other.
	merge(ours, theirs int32, twin int) ([]int32, error)
	// kept returns an error when a commit's value lacks another's.
	kept(result, written int32) error
	several() int
	close() error
}

const maxNodes = 4

type state [maxNodes]int32

// Check explores the histories. The error wraps ErrDiverged, ErrLost or
// vcs.ErrConflict and tells one of the shortest histories that are wrong.
func (e Exhaustive[K, V]) Check() (found Explored, err error) {
	x, err := e.explorer()
	if err != nil {
		return found, err
	}
	err = errors.Join(x.every(), x.w.close())
	return Explored{States: len(x.seen), Commits: len(x.d.commits), Several: x.w.several()}, err
}

func (e Exhaustive[K, V]) explorer() (*explorer, error) {
	x := &explorer{choices: or(e.Choices, 1), nodes: or(e.Nodes, 3), commits: or(e.Commits, 5), alike: e.Alike,
		seen: make(map[state]bool), checked: make(map[state]bool)}
	if x.nodes > maxNodes {
		return nil, fmt.Errorf("vcstest: %d nodes are too many: at most %d", x.nodes, maxNodes)
	}
	var err error
	if e.Model || e.AnyBase {
		x.w, err = newValueWorld(e)
	} else {
		x.w, err = newRepoWorld(e)
	}
	if err != nil {
		return nil, err
	}
	x.d = x.w.graph()
	return x, nil
}

type explorer struct {
	w                       world
	d                       *dag
	choices, nodes, commits int
	alike                   bool
	seen, checked           map[state]bool
	levels                  [][]state // states by number of commits
}

func (x *explorer) every() error {
	x.levels = make([][]state, x.commits+1)
	x.reach(0, state{}) // all at the root, which is commit 0
	for n := 0; n <= x.commits; n++ {
		for i := 0; i < len(x.levels[n]); i++ {
			s := x.levels[n][i]
			if err := x.converge(s[:x.nodes]); err != nil {
				return err
			}
			if err := x.next(n, s); err != nil {
				return err
			}
		}
		x.levels[n] = nil
	}
	return nil
}

func (x *explorer) reach(n int, s state) {
	if x.alike {
		slices.Sort(s[:x.nodes])
	}
	if !x.seen[s] {
		x.seen[s] = true
		x.levels[n] = append(x.levels[n], s)
	}
}

// next reaches what one step leads to.
func (x *explorer) next(n int, s state) error {
	past := x.d.pastOf(s[:x.nodes])
	for i, head := range s[:x.nodes] {
		if x.alike && i > 0 && head == s[i-1] {
			continue
		}
		move := func(to int32, commits int) {
			t := s
			t[i] = to
			x.reach(n+commits, t)
		}
		for choice := 0; choice < x.choices && n < x.commits; choice++ {
			id, err := x.write(i, choice, head, past)
			if err != nil {
				return err
			}
			move(id, 1)
		}
		for j, from := range s[:x.nodes] {
			switch {
			case slices.Contains(s[:j], from) || x.d.contains(head, from):
			case x.d.contains(from, head):
				move(from, 0)
			case n < x.commits:
				ids, err := x.merge(head, from, past)
				if err != nil {
					return err
				}
				for _, id := range ids {
					move(id, 1)
				}
			}
		}
	}
	return nil
}

// write makes a commit that is not in a past, be it the twin of one that is.
func (x *explorer) write(node, choice int, head int32, past []int32) (int32, error) {
	for twin := 0; ; twin++ {
		id, err := x.w.write(node, choice, head, twin)
		if _, had := slices.BinarySearch(past, id); err != nil || !had {
			return id, err
		}
	}
}

func (x *explorer) merge(ours, theirs int32, past []int32) ([]int32, error) {
	var out []int32
	for twin := 0; ; twin++ {
		ids, err := x.w.merge(ours, theirs, twin)
		if err != nil {
			return nil, fmt.Errorf("merge of c%d into c%d: %w%s", theirs, ours, err, x.d.tell([]int32{ours, theirs}))
		}
		out = slices.DeleteFunc(slices.Clone(ids), func(id int32) bool {
			_, had := slices.BinarySearch(past, id)
			return had
		})
		if len(out) == len(ids) {
			return out, nil
		}
	}
}

// converge merges heads in every order.
func (x *explorer) converge(branches []int32) error {
	heads := x.d.heads(branches)
	var key state
	copy(key[:], heads)
	if len(heads) < 2 || x.checked[key] {
		return nil
	}
	x.checked[key] = true
	first, firstOrder := int32(-1), []int32(nil)
	for order := range permutations(heads) {
		if err := x.fold(order, order[0], order[1:], &first, &firstOrder); err != nil {
			return err
		}
	}
	return nil
}

// fold merges the rest into a commit and compares what comes of it.
func (x *explorer) fold(order []int32, c int32, rest []int32, first *int32, firstOrder *[]int32) error {
	if len(rest) > 0 {
		ids, err := x.merge(c, rest[0], nil)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := x.fold(order, id, rest[1:], first, firstOrder); err != nil {
				return err
			}
		}
		return nil
	}
	if *first < 0 {
		*first, *firstOrder = c, slices.Clone(order)
		for _, id := range x.d.pastOf(order) {
			if err := x.w.kept(c, id); err != nil {
				return fmt.Errorf("%w: merging %v loses what c%d wrote%s", err, order, id, x.d.tell([]int32{c}))
			}
		}
	}
	if a, b := &x.d.commits[*first], &x.d.commits[c]; a.content != b.content {
		return fmt.Errorf("%w: merging %v gives %s, merging %v gives %s%s", ErrDiverged, *firstOrder, a.text, order, b.text,
			x.d.tell([]int32{*first, c}))
	}
	return nil
}

// permutations yields all orders of a list, which it reorders.
func permutations(list []int32) func(yield func([]int32) bool) {
	return func(yield func([]int32) bool) {
		var step func(n int) bool
		step = func(n int) bool {
			if n == len(list) {
				return yield(list)
			}
			for i := n; i < len(list); i++ {
				list[n], list[i] = list[i], list[n]
				more := step(n + 1)
				list[n], list[i] = list[i], list[n]
				if !more {
					return false
				}
			}
			return true
		}
		step(0)
	}
}

// Sample is Check for histories that are too long for it: it follows random ones
// and merges their ends in random orders. Nodes is not bounded.
func (e Exhaustive[K, V]) Sample(runs int, seed uint64) (found Explored, err error) {
	nodes := or(e.Nodes, 3)
	for run := range runs {
		e.Nodes = min(nodes, maxNodes)
		x, err := e.explorer()
		if err != nil {
			return found, err
		}
		x.nodes = nodes
		rnd := rand.New(rand.NewPCG(seed, uint64(run)))
		if err := errors.Join(x.sample(rnd), x.w.close()); err != nil {
			return found, fmt.Errorf("run %d of seed %d: %w", run, seed, err)
		}
		found.States++
		found.Commits += len(x.d.commits)
		found.Several += x.w.several()
	}
	return found, nil
}

func (x *explorer) sample(rnd *rand.Rand) error {
	heads := make([]int32, x.nodes)
	one := func(ids []int32) int32 { return ids[rnd.IntN(len(ids))] }
	for n := 0; n < x.commits; {
		past := x.d.pastOf(heads)
		i, j := rnd.IntN(x.nodes), rnd.IntN(x.nodes)
		switch {
		case rnd.IntN(2) == 0:
			id, err := x.write(i, rnd.IntN(x.choices), heads[i], past)
			if err != nil {
				return err
			}
			heads[i] = id
			n++
		case x.d.contains(heads[i], heads[j]):
		case x.d.contains(heads[j], heads[i]):
			heads[i] = heads[j]
		default:
			ids, err := x.merge(heads[i], heads[j], past)
			if err != nil {
				return err
			}
			heads[i] = one(ids)
			n++
		}
	}
	first, firstOrder := int32(-1), []int32(nil)
	ends := x.d.heads(heads)
	for range 3 * x.nodes {
		rnd.Shuffle(len(ends), func(i, j int) { ends[i], ends[j] = ends[j], ends[i] })
		c := ends[0]
		for _, next := range ends[1:] {
			ids, err := x.merge(c, next, nil)
			if err != nil {
				return err
			}
			c = one(ids)
		}
		if err := x.fold(ends, c, nil, &first, &firstOrder); err != nil {
			return err
		}
	}
	return nil
}
