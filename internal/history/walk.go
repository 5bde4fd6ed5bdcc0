package history

import (
	"container/heap"
	"iter"

	"arpeggio/vcs"
)

// walk visits commits, newest first. What it keeps of a history is what it may
// meet again: nothing but the lines that are open, where all lines have come
// together, and some forty octets a commit where they never do.
func (w *walker) walk() iter.Seq2[step, error] {
	return func(yield func(step, error) bool) {
		r := roam{walker: w, seen: make(map[vcs.ID]mark)}
		err := r.add(w.opt.Not, true)
		if err == nil {
			err = r.add(w.opt.From, false)
		}
		for err == nil && (r.shown > 0 || len(r.late) > 0) {
			if len(r.late) > 0 && r.settled() {
				st := r.late[0].step
				r.late = r.late[1:]
				if r.seen[st.c.ID] != hidden && !yield(st, nil) {
					return
				}
				continue
			}
			err = r.pop()
		}
		if err != nil {
			yield(step{}, err)
		}
	}
}

// roam is a walk under way. A commit that the log leaves out with its ancestors is
// hidden; that is known of it when all its children were visited.
type roam struct {
	*walker
	q     byTime // of both kinds
	shown int    // in q, and not hidden
	seen  map[vcs.ID]mark
	kept  int       // of seen, when it was last swept
	late  []arrival // visited, and perhaps to be hidden yet
	pops  int
	ended bool // a line of history has ended: what follows may be above it
}

// mark is what is known of a commit.
type mark uint8

const (
	unmet mark = iota
	queued
	visited
	hidden
)

// arrival is a visited step, and how many commits were visited before it.
type arrival struct {
	step
	at int
}

// slop is how many more commits are looked at, where some are hidden, before one
// is shown: clocks that go back mislead no more than git's walk.
const slop = 32

// settled reports whether the first of those that wait is to be shown, if it is not
// hidden by now.
func (r *roam) settled() bool {
	if len(r.q.items) == r.shown { // nothing that hides is under way
		return true
	}
	first := r.late[0]
	return r.q.items[0].t < first.c.Committer.When.Unix() && r.pops >= first.at+slop
}

// add puts commits into the queue, or hides them.
func (r *roam) add(ids []vcs.ID, hide bool) error {
	for _, id := range ids {
		if !hide && len(ids) == 1 && r.shown == 0 && !r.opt.Graph { // else it would change the order
			var err error
			if id, err = r.jump(id); err != nil {
				return err
			}
		}
		if r.skip[id] {
			r.ended = true
			continue
		}
		was := r.seen[id]
		if was == hidden || was != unmet && !hide {
			continue
		}
		r.seen[id] = queued
		if hide {
			r.seen[id] = hidden
		}
		if was == queued { // it is popped as hidden, and hides its parents then
			r.shown--
			continue
		}
		c, err := r.commits.ReadCommit(id)
		if err != nil {
			return err
		}
		if was == visited { // too early
			if err := r.add(c.Parents, true); err != nil {
				return err
			}
			continue
		}
		r.q.n++
		heap.Push(&r.q, timed{c, c.Committer.When.Unix(), r.q.n})
		if !hide {
			r.shown++
		}
	}
	return nil
}

// jump goes from a commit to the next one that may have changed what the log is
// about.
func (r *roam) jump(id vcs.ID) (vcs.ID, error) {
	if r.opt.Mentions {
		return id, nil
	}
	return r.index.skip(id)
}

// pop visits the newest commit of the queue.
func (r *roam) pop() error {
	c := heap.Pop(&r.q).(timed).c
	r.pops++
	old := !r.opt.Since.IsZero() && c.Time().Before(r.opt.Since)
	if r.seen[c.ID] == hidden {
		if old {
			return nil
		}
		return r.add(c.Parents, true)
	}
	r.shown--
	r.seen[c.ID] = visited
	if old {
		r.ended = true
		return nil
	}
	r.sweep(c.ID)
	st, err := r.look(c)
	if err != nil {
		return err
	}
	r.late = append(r.late, arrival{st, r.pops})
	r.ended = r.ended || len(st.next) == 0
	return r.add(st.next, false)
}

// look decides whether a commit is shown, and where to go on.
func (r *roam) look(c *vcs.Commit) (st step, err error) {
	st = step{c: c}
	if st.show, st.next, err = r.visit(c); err != nil {
		return st, err
	}
	if !r.opt.Until.IsZero() && c.Time().After(r.opt.Until) {
		st.show = false
	}
	if st.show {
		st.show, err = r.told(c)
	}
	if r.opt.Graph && len(st.next) == 1 && err == nil {
		var to vcs.ID
		if to, err = r.jump(st.next[0]); err == nil {
			st.next = []vcs.ID{to}
		}
	}
	return st, err
}

// sweep forgets what cannot be met again when everything that is left to show is
// behind one commit: that leads to nothing which was visited before.
func (r *roam) sweep(only vcs.ID) {
	if r.shown > 0 || r.ended || len(r.seen) < 2*r.kept+1024 {
		return
	}
	keep := map[vcs.ID]mark{only: visited}
	for _, a := range r.late {
		keep[a.c.ID] = r.seen[a.c.ID]
	}
	for id, m := range r.seen {
		if m == hidden {
			keep[id] = m
		}
	}
	r.seen, r.kept = keep, len(keep)
}

// byTime is a heap: newest commit first, equal times in the order of arrival.
type byTime struct {
	items []timed
	n     int
}

type timed struct {
	c   *vcs.Commit
	t   int64
	seq int
}

func (q *byTime) Len() int { return len(q.items) }
func (q *byTime) Less(i, j int) bool {
	a, b := q.items[i], q.items[j]
	return a.t > b.t || a.t == b.t && a.seq < b.seq
}
func (q *byTime) Swap(i, j int) { q.items[i], q.items[j] = q.items[j], q.items[i] }
func (q *byTime) Push(x any)    { q.items = append(q.items, x.(timed)) }
func (q *byTime) Pop() any {
	last := q.items[len(q.items)-1]
	q.items = q.items[:len(q.items)-1]
	return last
}
