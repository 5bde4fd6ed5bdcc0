package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

const (
	treeEntries = 100_000
	bothChange  = 10_000 // entries that each side of the large merge changes
	pairs       = 500    // of commits with one change each
)

// edited is the workload's beginning with every stepth entry changed, from one on.
func edited(from, step, n int) (*workload, []int) {
	w, list := newWorkload(treeEntries), make([]int, n)
	for j := range list {
		i := (from + j*step) % treeEntries
		list[j] = i
		w.entries[i].seq++
		w.entries[i].when += int64(from%step) + 1
	}
	return w, list
}

// trees: difference and merge at 100,000 entries.
func trees(ctx context.Context, b *board) {
	b.section("Difference and merge, 100,000 entries")
	o, err := newOurs(ctx, treeEntries, mem.New())
	if err != nil {
		b.fail("store", err)
		return
	}
	defer o.Close()
	dir, err := os.MkdirTemp("", "bench-trees-")
	if err != nil {
		b.fail("store", err)
		return
	}
	defer os.RemoveAll(dir)
	if err := o.small(ctx, b); err != nil {
		b.fail("diff and merge of one change", err)
	}
	if err := o.large(ctx, b, filepath.Join(dir, "git")); err != nil {
		b.fail("merge of 10,000 against 10,000", err)
	}
}

// side commits changes to some entries on a branch of its own.
func (o *ours) side(ctx context.Context, name string, from, step, n int) (vcs.ID, error) {
	w, list := edited(from, step, n)
	changes := make([]vcs.Change[uint32, string], n)
	for j, i := range list {
		changes[j] = w.change(i)
	}
	if err := o.CreateBranch(ctx, name, o.head); err != nil {
		return vcs.ID{}, err
	}
	return o.Commit(ctx, name, o.head, changes, vcs.CommitInfo{Message: name, Time: time.Unix(w.now+1, 0)})
}

// small measures one change against none and against another.
func (o *ours) small(ctx context.Context, b *board) error {
	var ids [pairs][2]vcs.ID
	for p := range ids {
		for s := range ids[p] {
			var err error
			if ids[p][s], err = o.side(ctx, fmt.Sprint("pair/", p, "/", s), (p*2+s)*97, treeEntries, 1); err != nil {
				return err
			}
		}
	}
	if err := o.Sync(ctx); err != nil {
		return err
	}
	diffs, merges := make([]time.Duration, 0, pairs), make([]time.Duration, 0, pairs)
	for p := range ids {
		start, n := time.Now(), 0
		for d, err := range o.Diff(o.head, ids[p][0]) {
			if err != nil {
				return err
			}
			if d.Key != addr(p*2*97%treeEntries) {
				return fmt.Errorf("diff has %s", d.Path)
			}
			n++
		}
		diffs = append(diffs, time.Since(start))
		if n != 1 {
			return fmt.Errorf("diff has %d changes", n)
		}
	}
	for p := range ids {
		start := time.Now()
		res, err := o.Merge(ctx, fmt.Sprint("pair/", p, "/0"), ids[p][1], vcs.MergeOptions{})
		if err != nil || res.Kind != vcs.Merged {
			return fmt.Errorf("merge: %v, %w", res.Kind, err)
		}
		merges = append(merges, time.Since(start))
	}
	micros := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }
	b.add(Row{Name: "diff of one change", Value: micros(median(diffs)), Unit: "µs", Bar: AtMost(20), Note: fmt.Sprintf("median of %d different ones", pairs)})
	b.add(Row{Name: "merge of one against one", Value: micros(median(merges)), Unit: "µs", Bar: AtMost(50), Note: "with its commit"})
	return nil
}

// large measures a merge that changes a fifth of all entries against stock git.
func (o *ours) large(ctx context.Context, b *board, dir string) error {
	const step = treeEntries / bothChange
	var ids [2]vcs.ID
	for s := range ids {
		var err error
		if ids[s], err = o.side(ctx, fmt.Sprint("side-", s), s, step, bothChange); err != nil {
			return err
		}
	}
	if err := sidesInGit(ctx, dir, step, ids); err != nil {
		return err
	}
	var mine, theirs []time.Duration
	for round := range 5 {
		name := fmt.Sprint("merged-", round)
		if err := o.CreateBranch(ctx, name, ids[0]); err != nil {
			return err
		}
		if err := o.Sync(ctx); err != nil {
			return err
		}
		start := time.Now()
		// Another message a round, for another commit.
		res, err := o.Merge(ctx, name, ids[1], vcs.MergeOptions{CommitInfo: vcs.CommitInfo{Message: name}})
		if err != nil {
			return err
		}
		mine = append(mine, time.Since(start))
		snap, err := o.AtCommit(res.Head)
		if err != nil {
			return err
		}
		start = time.Now()
		tree, err := git(ctx, dir, "merge-tree", "--write-tree", "side-0", "side-1")
		if err != nil {
			return err
		}
		theirs = append(theirs, time.Since(start))
		if tree != snap.Tree().String() {
			return fmt.Errorf("merged trees differ: %v, git has %v", snap.Tree(), tree)
		}
	}
	millis := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	m, t := median(mine), median(theirs)
	b.add(Row{Name: "merge of 10,000 against 10,000", Value: millis(m), Unit: "ms", Note: "with its commit; equal trees"})
	b.add(Row{Name: "git merge-tree --write-tree", Value: millis(t), Unit: "ms", Ratio: float64(t) / float64(m), Bar: AtLeast(3)})
	return nil
}

// sidesInGit makes the three commits in a repository of stock git and packs it.
func sidesInGit(ctx context.Context, dir string, step int, want [2]vcs.ID) error {
	name := dir + ".stream"
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	s := newStream(f)
	s.create(newWorkload(treeEntries), "base")
	for k := range want {
		w, list := edited(k, step, bothChange)
		s.commit(fmt.Sprint("side-", k), fmt.Sprint("side-", k), w.now+1, "base")
		for _, i := range list {
			s.set(w, i)
		}
	}
	s.WriteString("done\n")
	if err := s.Flush(); err != nil {
		return err
	}
	if _, _, err := fastImport(ctx, dir, name, "base"); err != nil {
		return err
	}
	for k := range want {
		got, err := gitHead(ctx, dir, fmt.Sprint("side-", k))
		if err != nil {
			return err
		}
		if got != want[k] {
			return fmt.Errorf("ids differ: side-%d is %v, git has %v", k, want[k], got)
		}
	}
	return nil
}
