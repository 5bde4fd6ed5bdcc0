package vcs

import (
	"fmt"
	"iter"
	"slices"
)

// Status says how two commits relate.
type Status struct {
	Ours, Theirs ID
	Ahead        int  // commits that only ours contains
	Behind       int  // commits that only theirs contains
	Bases        []ID // the lowest common ancestors
}

// String says it in words.
func (st Status) String() string {
	switch {
	case st.Ours == st.Theirs:
		return "up to date"
	case len(st.Bases) == 0:
		return fmt.Sprintf("unrelated: ahead %d, behind %d", st.Ahead, st.Behind)
	}
	return fmt.Sprintf("ahead %d, behind %d", st.Ahead, st.Behind)
}

// Status compares two commits, the heads of two branches, say. Its cost follows
// what only one of them contains.
func (s *Store) Status(ours, theirs ID) (Status, error) {
	st := Status{Ours: ours, Theirs: theirs}
	var err error
	if st.Bases, err = s.MergeBases(ours, theirs); err != nil {
		return st, err
	}
	if st.Ahead, err = s.countRange(ours, theirs); err != nil {
		return st, err
	}
	st.Behind, err = s.countRange(theirs, ours)
	return st, err
}

func (s *Store) countRange(from, without ID) (n int, err error) {
	for _, err := range s.LogRange([]ID{from}, []ID{without}) {
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

// LogRange yields the commits that are reachable from some commits and not from
// others, newest commit time first, as git log A B --not C D. Like git, it
// relies on commits not being older than their parents, which those that a Repo
// makes never are. It holds the range in memory. The commits must not be
// modified.
func (s *Store) LogRange(from, without []ID) iter.Seq2[*Commit, error] {
	from, without = slices.Clone(from), slices.Clone(without)
	return func(yield func(*Commit, error) bool) {
		w := rangeWalk{r: grafted{s: s}, marks: make(map[ID]*rangeMark)}
		found, err := w.run(from, without)
		if err != nil {
			yield(nil, err)
			return
		}
		for _, c := range found {
			if !w.marks[c.ID].had && !yield(c, nil) {
				return
			}
		}
	}
}

type rangeMark struct {
	c      *Commit
	had    bool // reachable from what is left out
	queued bool
	found  bool
}

// rangeWalk visits commits newest first.
type rangeWalk struct {
	r     CommitReader
	marks map[ID]*rangeMark
	q     commitQueue
	live  int // queued commits that are not had
}

func (w *rangeWalk) touch(id ID, had bool) error {
	m := w.marks[id]
	switch {
	case m == nil:
		c, err := w.r.ReadCommit(id)
		if err != nil {
			return err
		}
		m = &rangeMark{c: c, had: had}
		w.marks[id] = m
	case m.had || !had:
		return nil
	default:
		m.had = true
		if m.queued {
			w.live--
			return nil
		}
	}
	m.queued = true
	if !m.had {
		w.live++
	}
	w.q.push(m.c)
	return nil
}

// run returns the commits that were reachable from the ones when they were
// visited; some may turn out to be had.
func (w *rangeWalk) run(from, without []ID) (found []*Commit, err error) {
	for _, id := range without {
		if err := w.touch(id, true); err != nil {
			return nil, err
		}
	}
	for _, id := range from {
		if err := w.touch(id, false); err != nil {
			return nil, err
		}
	}
	// Among commits of one second a child can be visited after its parent.
	for w.live > 0 || len(found) > 0 && !w.q.empty() && w.q.items[0].t >= found[len(found)-1].Time().Unix() {
		c := w.q.pop()
		m := w.marks[c.ID]
		m.queued = false
		if !m.had {
			w.live--
			if !m.found {
				m.found = true
				found = append(found, c)
			}
		}
		for _, p := range c.Parents {
			if err := w.touch(p, m.had); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

// Status is Store.Status.
func (r *Repo[K, V]) Status(ours, theirs ID) (Status, error) { return r.s.Status(ours, theirs) }

// Changes yields the keys that ours changed since it and theirs were last one,
// in the tree's order: what a merge of ours into theirs brings. Where several
// lowest common ancestors make a merge base, it is merged as Merge does. Files
// that are no key's are skipped.
func (r *Repo[K, V]) Changes(ours, theirs ID) iter.Seq2[Delta[K, V], error] {
	return func(yield func(Delta[K, V], error) bool) {
		m := r.newMerger()
		bases, err := r.MergeBases(ours, theirs)
		var base ID
		if err == nil {
			base, err = m.base(bases)
		}
		var c *Commit
		if err == nil {
			c, err = r.s.ReadCommit(ours)
		}
		if err != nil {
			yield(Delta[K, V]{}, err)
			return
		}
		r.deltas(m.bases, "", treeAt{id: base}, treeAt{id: c.Tree}, yield)
	}
}

// DiffFolder is Diff of what lies below a folder.
func (r *Repo[K, V]) DiffFolder(dir string, a, b ID) iter.Seq2[Delta[K, V], error] {
	return func(yield func(Delta[K, V], error) bool) {
		p := r.s.Pin()
		defer p.Release()
		var trees [2]treeAt
		for i, id := range [2]ID{a, b} {
			snap, err := r.AtCommit(id)
			if err == nil {
				var folder *node
				if folder, err = snap.state(dir); folder != nil {
					trees[i] = treeAt{folder.id, folder}
					continue
				}
			}
			if err == nil {
				trees[i].id, err = snap.Subtree(dir)
			}
			if err != nil {
				yield(Delta[K, V]{}, err)
				return
			}
		}
		r.deltas(p, dir, trees[0], trees[1], yield)
	}
}

// deltas yields the keys that differ between two trees that stand at a path.
func (r *Repo[K, V]) deltas(src source, dir string, a, b treeAt, yield func(Delta[K, V], error) bool) {
	d := differ{r: src, yield: func(ch TreeChange, files [2]*node, err error) bool {
		if err != nil {
			yield(Delta[K, V]{}, err)
			return false
		}
		path := join(dir, ch.Path)
		k, ok := r.cfg.Layout.Key(path)
		if !ok {
			return true
		}
		d := Delta[K, V]{Key: k, Path: path}
		if d.Old, err = r.valueAt(src, path, ch.Old, files[0]); err == nil {
			d.New, err = r.valueAt(src, path, ch.New, files[1])
		}
		return yield(d, err)
	}}
	d.folders(a, b, 0)
}

// valueAt is value of a file that may be at hand.
func (r *Repo[K, V]) valueAt(src ObjectReader, path string, e TreeEntry, n *node) (Opt[V], error) {
	if n == nil || n.data == nil || e.Mode.Kind() != KindBlob {
		return r.value(src, path, e)
	}
	v, err := r.decodeContent(path, n.file())
	if err != nil {
		return None[V](), err
	}
	return Some(v), nil
}
