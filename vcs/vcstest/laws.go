package vcstest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// MergeLaws describes a merge function to TestMerge.
type MergeLaws[K comparable, V any] struct {
	Config vcs.Config[K, V] // with the merge function
	// Write returns a value that a node writes to a key of which it sees the
	// current value. It must be later than that in the merge function's order.
	// An absent result removes the key.
	Write func(rnd *rand.Rand, k K, current vcs.Opt[V]) vcs.Opt[V]
	Keys  []K
	Nodes int // default 4
	Steps int // default 40
	Runs  int // default 100
	Seed  uint64
}

// TestMerge checks by random histories of nodes that write and merge each
// other's branches that a merge function settles every conflict and lets the
// nodes converge: when everybody has merged everybody, in whatever order and
// from whatever side, all trees are byte for byte equal.
func TestMerge[K comparable, V any](t *testing.T, laws MergeLaws[K, V]) {
	t.Helper()
	if err := laws.Check(); err != nil {
		t.Error(err)
	}
}

// Check is TestMerge for callers without a testing.T.
func (laws MergeLaws[K, V]) Check() error {
	laws.Nodes, laws.Steps, laws.Runs = or(laws.Nodes, 4), or(laws.Steps, 40), or(laws.Runs, 100)
	several := 0
	for run := range laws.Runs {
		r, err := vcs.Open(context.Background(), mem.New(), laws.Config)
		if err != nil {
			return err
		}
		h := history[K, V]{laws: &laws, r: r, rnd: rand.New(rand.NewPCG(laws.Seed, uint64(run)))}
		if err := errors.Join(h.run(), r.Close()); err != nil {
			return fmt.Errorf("run %d of seed %d: %w", run, laws.Seed, err)
		}
		several += h.several
	}
	if laws.Runs >= 50 && several == 0 {
		return errors.New("no merge had several common ancestors: the histories are too simple to test anything")
	}
	return nil
}

// history is one random history.
type history[K comparable, V any] struct {
	laws    *MergeLaws[K, V]
	r       *vcs.Repo[K, V]
	rnd     *rand.Rand
	several int // merges with several common ancestors
}

func node(i int) string { return fmt.Sprint("node/n", i) }

func (h *history[K, V]) run() error {
	ctx := context.Background()
	root, err := h.r.Commit(ctx, node(0), vcs.ID{}, nil, vcs.CommitInfo{AllowEmpty: true, Message: "empty"})
	if err != nil {
		return err
	}
	for i := 1; i < h.laws.Nodes; i++ {
		if err := h.r.CreateBranch(ctx, node(i), root); err != nil {
			return err
		}
	}
	for range h.laws.Steps {
		n := node(h.rnd.IntN(h.laws.Nodes))
		if h.rnd.IntN(2) == 0 {
			err = h.merge(n, node(h.rnd.IntN(h.laws.Nodes)))
		} else {
			err = h.write(n)
		}
		if err != nil {
			return err
		}
	}
	return h.converge()
}

func (h *history[K, V]) merge(into, from string) error {
	head, err := h.r.Head(from)
	if err != nil {
		return err
	}
	res, err := h.r.Merge(context.Background(), into, head, vcs.MergeOptions{})
	if err != nil {
		return fmt.Errorf("merge of %s into %s: %w", from, into, err)
	}
	if len(res.Bases) > 1 {
		h.several++
	}
	return nil
}

func (h *history[K, V]) write(branch string) error {
	_, err := h.r.Update(context.Background(), branch, vcs.TxOptions{}, func(tx *vcs.Tx[K, V]) error {
		k := h.laws.Keys[h.rnd.IntN(len(h.laws.Keys))]
		v, ok, err := tx.Get(k)
		if err != nil {
			return err
		}
		if next := h.laws.Write(h.rnd, k, vcs.Opt[V]{Value: v, Present: ok}); next.Present {
			tx.Set(k, next.Value)
		} else {
			tx.Remove(k)
		}
		return nil
	})
	return err
}

// converge lets every node merge all the others' branches, in several orders.
func (h *history[K, V]) converge() error {
	ctx := context.Background()
	var first vcs.ID
	for order := range 3 * h.laws.Nodes {
		name := fmt.Sprint("final/", order)
		for i, from := range h.rnd.Perm(h.laws.Nodes) {
			if i > 0 {
				if err := h.merge(name, node(from)); err != nil {
					return err
				}
				continue
			}
			head, err := h.r.Head(node(from))
			if err != nil {
				return err
			}
			if err := h.r.CreateBranch(ctx, name, head); err != nil {
				return err
			}
		}
		snap, err := h.r.At(name)
		if err != nil {
			return err
		}
		if first.IsZero() {
			first = snap.Tree()
		}
		if snap.Tree() != first {
			return fmt.Errorf("%w: %s has tree %v, final/0 has %v", ErrDiverged, name, snap.Tree(), first)
		}
	}
	return nil
}

// ErrDiverged is MergeLaws.Check's error for nodes that do not converge.
var ErrDiverged = errors.New("vcstest: nodes diverge")
