package history

import (
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
		w.steps(yield)
	}
}

// steps yields the walk's commits that are shown.
func (w *walker) steps(yield func(Logged, error) bool) {
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
		if n++; n == w.opt.Max {
			return
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
	index   *index          // nil: every commit must be looked at
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
