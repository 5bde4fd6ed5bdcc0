package history

import (
	"container/heap"
	"iter"
	"slices"
	"strings"
	"time"

	"arpeggio/arp/versioned"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
)

// LogOptions says which commits Log yields.
type LogOptions struct {
	// From are the commits to start at, Not those that are left out with all
	// their ancestors.
	From, Not []vcs.ID
	// Specs selects commits that changed one of them; none selects all. As in
	// git log -- PATH, from a merge only a parent is followed in which they are
	// the same, if there is one.
	Specs []Spec
	// Mentions also selects commits that name an address of Specs in their
	// trailer and change no entry: refused claims, failed queries. All parents
	// are followed then.
	Mentions bool
	// MACs selects commits that name one of these MAC addresses, as the one that
	// claims or that holds an address, or that wrote it into an entry; Types
	// those with such an event or cause. None selects all. Either counts Mentions
	// in.
	MACs  []ethernet.Addr
	Types []string
	// Since and Until bound commit times, inclusively; zero is no bound.
	Since, Until time.Time
	// Max bounds the number of commits; 0 is no bound.
	Max int
	// Index, when not nil, is one of the record of From, or of a branch that From
	// is on. Where it can tell the answer, not all commits are gone through; that
	// is so for one commit in From, with none in Not and without Graph. It changes
	// no answer.
	Index *versioned.RecordIndex
	// Graph orders the commits so that lines of history stay together, as git
	// log --graph does, instead of by time.
	Graph bool
}

// Logged is a commit with the parents that are in the log, too: where commits
// between two that are in it are not, the later one's parent is the earlier.
type Logged struct {
	*vcs.Commit
	Parents []vcs.ID
}

// Log yields commits, newest first.
func Log(s *vcs.Store, opt LogOptions) iter.Seq2[Logged, error] {
	return func(yield func(Logged, error) bool) {
		w := walker{s: s, commits: s.Joined(), opt: opt}
		if err := w.limit(); err != nil {
			yield(Logged{}, err)
			return
		}
		w.opt.Mentions = opt.Mentions || len(opt.MACs)+len(opt.Types) > 0
		if found, ok := w.search(); ok {
			w.found(found, yield)
			return
		}
		if len(opt.Specs) > 0 {
			w.index = newIndex(s, opt.Specs)
		}
		if opt.Graph {
			w.graph(yield)
			return
		}
		n := 0
		for st, err := range w.walk() {
			if err != nil {
				yield(Logged{}, err)
				return
			}
			if !st.show {
				continue
			}
			if !yield(Logged{st.c, st.c.Parents}, nil) {
				return
			}
			if n++; n == opt.Max {
				return
			}
		}
	}
}

// step is a commit that the walk visits.
type step struct {
	c    *vcs.Commit
	show bool
	next []vcs.ID // the parents that are followed
}

type walker struct {
	s       *vcs.Store
	commits vcs.CommitReader // epochs joined
	opt     LogOptions
	skip    map[vcs.ID]bool // these are not visited
	only    map[vcs.ID]bool // what Not leaves; nil: all
	index   *index          // nil: every commit must be looked at
}

// limit finds out what Not leaves.
func (w *walker) limit() error {
	if len(w.opt.Not) == 0 {
		return nil
	}
	w.only = make(map[vcs.ID]bool)
	for c, err := range w.s.LogRange(w.opt.From, w.opt.Not) {
		if err != nil {
			return err
		}
		w.only[c.ID] = true
	}
	return nil
}

// walk visits commits, newest first.
func (w *walker) walk() iter.Seq2[step, error] {
	return func(yield func(step, error) bool) {
		seen := make(map[vcs.ID]bool)
		var q byTime
		add := func(ids []vcs.ID) error {
			for _, id := range ids {
				if len(ids) == 1 && len(q.items) == 0 && !w.opt.Graph && !w.opt.Mentions { // else it would change the order
					var err error
					if id, err = w.index.skip(id); err != nil {
						return err
					}
				}
				if seen[id] || w.skip[id] || w.only != nil && !w.only[id] {
					continue
				}
				seen[id] = true
				c, err := w.commits.ReadCommit(id)
				if err != nil {
					return err
				}
				q.n++
				heap.Push(&q, timed{c, c.Committer.When.Unix(), q.n})
			}
			return nil
		}
		err := add(w.opt.From)
		for err == nil && len(q.items) > 0 {
			st := step{c: heap.Pop(&q).(timed).c}
			if !w.opt.Since.IsZero() && st.c.Time().Before(w.opt.Since) {
				continue
			}
			if st.show, st.next, err = w.visit(st.c); err != nil {
				break
			}
			if !w.opt.Until.IsZero() && st.c.Time().After(w.opt.Until) {
				st.show = false
			}
			if st.show {
				if st.show, err = w.told(st.c); err != nil {
					break
				}
			}
			if !yield(st, nil) {
				return
			}
			err = add(st.next)
		}
		if err != nil {
			yield(step{}, err)
		}
	}
}

// visit decides about one commit.
func (w *walker) visit(c *vcs.Commit) (show bool, next []vcs.ID, err error) {
	if len(w.opt.Specs) == 0 {
		return true, c.Parents, nil
	}
	if may, err := w.index.mayChange(c); err != nil || !may {
		if w.opt.Mentions && err == nil {
			return w.mentioned(c), c.Parents, nil
		}
		return false, c.Parents[:min(len(c.Parents), 1)], err
	}
	if len(c.Parents) == 1 {
		switch paths, ok, err := w.s.ChangedPaths(c.ID); {
		case err != nil:
			return false, nil, err
		case ok:
			for _, sp := range w.opt.Specs {
				show = show || slices.ContainsFunc(paths, sp.names())
			}
			return show || w.opt.Mentions && w.mentioned(c), c.Parents, nil
		}
	}
	mine, err := w.state(c.Tree)
	if err != nil {
		return false, nil, err
	}
	changed := len(c.Parents) > 0 || mine != ""
	for _, p := range c.Parents {
		pc, err := w.s.ReadCommit(p)
		if err != nil {
			return false, nil, err
		}
		same := pc.Tree == c.Tree
		if !same {
			theirs, err := w.state(pc.Tree)
			if err != nil {
				return false, nil, err
			}
			same = theirs == mine
		}
		if same && !w.opt.Mentions {
			return false, []vcs.ID{p}, nil
		}
		changed = changed && !same
	}
	return changed || w.opt.Mentions && w.mentioned(c), c.Parents, nil
}

// state is equal for trees in which the specs select the same.
func (w *walker) state(tree vcs.ID) (string, error) {
	found, err := Find(w.s, tree, w.opt.Specs)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, m := range found {
		b.WriteString(m.Path)
		b.WriteByte(0)
		b.WriteString(m.Entry.Mode.String())
		b.Write(m.Entry.ID[:])
	}
	return b.String(), nil
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
