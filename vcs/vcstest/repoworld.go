package vcstest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// repoWorld makes real commits in a repository in memory.
type repoWorld[K comparable, V any] struct {
	dag
	e     Exhaustive[K, V]
	r     *vcs.Repo[K, V]
	ids   []vcs.ID
	known map[vcs.ID]int32
	trees map[vcs.ID]int32
	done  map[[4]int32]int32 // writes and merges that were made already
	multi int
}

const branch = "world"

func newRepoWorld[K comparable, V any](e Exhaustive[K, V]) (*repoWorld[K, V], error) {
	ctx := context.Background()
	// Objects as they are: a log of what changed is for histories that go on, not
	// for ones that start from another old commit at each step.
	r, err := vcs.Open(ctx, mem.NewNative(), e.Config)
	if err != nil {
		return nil, err
	}
	w := &repoWorld[K, V]{e: e, r: r, known: make(map[vcs.ID]int32), trees: make(map[vcs.ID]int32), done: make(map[[4]int32]int32)}
	root, err := r.Commit(ctx, branch, vcs.ID{}, nil, info(0))
	if err == nil {
		_, err = w.note(root)
	}
	if err != nil {
		r.Close()
		return nil, err
	}
	return w, nil
}

// info makes a commit the same whenever it is made.
func info(twin int) vcs.CommitInfo {
	return vcs.CommitInfo{Message: fmt.Sprint("twin ", twin), Time: time.Unix(1_700_000_000, 0), AllowEmpty: true}
}

func (w *repoWorld[K, V]) graph() *dag  { return &w.dag }
func (w *repoWorld[K, V]) several() int { return w.multi }
func (w *repoWorld[K, V]) close() error { return w.r.Close() }

// value returns what a commit holds for the key.
func (w *repoWorld[K, V]) value(id vcs.ID) (o vcs.Opt[V], err error) {
	snap, err := w.r.AtCommit(id)
	if err == nil {
		o.Value, o.Present, err = snap.Get(w.e.Key)
	}
	return o, err
}

func (w *repoWorld[K, V]) kept(result, written int32) error {
	if w.e.Keeps == nil {
		return nil
	}
	r, err := w.value(w.ids[result])
	if err != nil {
		return err
	}
	o, err := w.value(w.ids[written])
	if err != nil || !o.Present || r.Present && w.e.Keeps(r.Value, o.Value) {
		return err
	}
	return ErrLost
}

// note numbers a commit.
func (w *repoWorld[K, V]) note(id vcs.ID) (int32, error) {
	if n, ok := w.known[id]; ok {
		return n, nil
	}
	c, err := w.r.Store().ReadCommit(id)
	if err != nil {
		return 0, err
	}
	o, err := w.value(id)
	if err != nil {
		return 0, err
	}
	tree, ok := w.trees[c.Tree]
	if !ok {
		tree = int32(len(w.trees))
		w.trees[c.Tree] = tree
	}
	text := "nothing"
	if o.Present {
		text = fmt.Sprintf("%+v", o.Value)
	}
	parents := make([]int32, len(c.Parents))
	for i, p := range c.Parents {
		parents[i] = w.known[p]
	}
	n := w.add(tree, text, parents...)
	w.known[id] = n
	w.ids = append(w.ids, id)
	return n, nil
}

// on moves the branch to a commit, has something made there and numbers it.
func (w *repoWorld[K, V]) on(head int32, key [4]int32, make func(head vcs.ID) (vcs.ID, error)) (int32, error) {
	if n, ok := w.done[key]; ok {
		return n, nil
	}
	at, err := w.r.Head(branch)
	if err != nil {
		return 0, err
	}
	if err := w.r.SetBranch(context.Background(), branch, at, w.ids[head]); err != nil {
		return 0, err
	}
	id, err := make(w.ids[head])
	if err != nil {
		return 0, err
	}
	n, err := w.note(id)
	if err == nil {
		w.done[key] = n
	}
	return n, err
}

func (w *repoWorld[K, V]) write(node, choice int, head int32, twin int) (int32, error) {
	if w.e.Alike {
		node = 0
	}
	return w.on(head, [4]int32{head, -1 - int32(node), int32(choice), int32(twin)}, func(id vcs.ID) (vcs.ID, error) {
		current, err := w.value(id)
		if err != nil {
			return vcs.ID{}, err
		}
		change := vcs.Change[K, V]{Key: w.e.Key, Value: w.e.Write(node, choice, current)}
		return w.r.Commit(context.Background(), branch, id, []vcs.Change[K, V]{change}, info(twin))
	})
}

func (w *repoWorld[K, V]) merge(ours, theirs int32, twin int) ([]int32, error) {
	n, err := w.on(ours, [4]int32{ours, theirs, 0, int32(twin)}, func(vcs.ID) (vcs.ID, error) {
		res, err := w.r.Merge(context.Background(), branch, w.ids[theirs], vcs.MergeOptions{CommitInfo: info(twin)})
		if err != nil {
			return vcs.ID{}, err
		}
		if res.Kind != vcs.Merged {
			return vcs.ID{}, fmt.Errorf("merge of c%d into c%d was %v", theirs, ours, res.Kind)
		}
		_, lowest := w.bases([]int32{ours}, []int32{theirs})
		if len(res.Bases) != len(lowest) {
			return vcs.ID{}, fmt.Errorf("merge bases of c%d and c%d: %v, want %d", ours, theirs, res.Bases, len(lowest))
		}
		for _, b := range lowest {
			if !slices.Contains(res.Bases, w.ids[b]) {
				return vcs.ID{}, fmt.Errorf("merge bases of c%d and c%d: %v lack c%d", ours, theirs, res.Bases, b)
			}
		}
		if len(lowest) > 1 {
			w.multi++
		}
		return res.Head, nil
	})
	return []int32{n}, err
}
