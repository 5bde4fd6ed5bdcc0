package history

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// counting counts the commits that are read.
type counting struct {
	vcs.CommitReader
	n int
}

func (c *counting) ReadCommit(id vcs.ID) (*vcs.Commit, error) {
	c.n++
	return c.CommitReader.ReadCommit(id)
}

// longHistory has n commits, with branches that are merged soon, and one, alone,
// that begins in the middle and ends there. Two commits share a second.
func longHistory(t *testing.T, n int) (s *vcs.Store, ids []vcs.ID) {
	t.Helper()
	s, err := vcs.OpenStore(t.Context(), mem.New(), vcs.StoreConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	repo, err := vcs.New(s, vcs.Config[string, []byte]{})
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(3, 3))
	branch := func(name string, at vcs.ID) {
		if err := repo.CreateBranch(t.Context(), name, at); err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		info := vcs.CommitInfo{Message: fmt.Sprint(i), Time: time.Unix(start+int64(i/2), 0)}
		name := "primary"
		if i > 2 && rng.IntN(20) == 0 {
			name = "side"
			side, err := repo.Head(name)
			if err != nil {
				branch(name, ids[i-1])
			} else if rng.IntN(2) == 0 {
				res, err := repo.Merge(t.Context(), "primary", side, vcs.MergeOptions{CommitInfo: info})
				if err != nil {
					t.Fatal(err)
				}
				if err := repo.DeleteBranch(t.Context(), name, side); err != nil {
					t.Fatal(err)
				}
				ids = append(ids, res.Head)
				continue
			}
		}
		if i == n/2 {
			branch("alone", ids[i-1])
			name = "alone"
		}
		id, err := repo.Set(t.Context(), name, name+"/"+fmt.Sprint(i%50), []byte(fmt.Sprint(i)), info)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	if err := repo.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s, ids
}

// TestLogBeginsAtOnce: of a long history the first commits come before most of it
// is read, also as a graph, of all branches, and of a range from its beginning.
func TestLogBeginsAtOnce(t *testing.T) {
	s, ids := longHistory(t, 6_000)
	head, _ := s.Ref("refs/heads/primary")
	alone, _ := s.Ref("refs/heads/alone")
	for name, opt := range map[string]LogOptions{
		"log":                 {From: []vcs.ID{head}},
		"--graph":             {From: []vcs.ID{head}, Graph: true},
		"--all":               {From: []vcs.ID{head, alone}},
		"--all --graph":       {From: []vcs.ID{head, alone}, Graph: true},
		"A..B":                {From: []vcs.ID{head}, Not: ids[10:11]},
		"--graph A..B":        {From: []vcs.ID{head}, Not: ids[10:11], Graph: true},
		"--graph --since A..": {From: []vcs.ID{head}, Not: ids[10:11], Graph: true, Since: time.Unix(start, 0)},
	} {
		reads := &counting{CommitReader: s.Joined()}
		w := walker{s: s, commits: reads, opt: opt}
		n := 0
		yield := func(_ Logged, err error) bool {
			if err != nil {
				t.Fatal(err)
			}
			n++
			return n < 50
		}
		if opt.Graph {
			w.graph(yield)
		} else {
			w.steps(yield)
		}
		if n != 50 || reads.n > 400 {
			t.Errorf("%s: %d commits were read for %d", name, reads.n, n)
		}
	}
}

// TestRangesAreWhole: a log of a range is LogRange's, in the same order, and its
// graph has the same commits with every child before its parents.
func TestRangesAreWhole(t *testing.T) {
	s, ids := longHistory(t, 2_000)
	rng := rand.New(rand.NewPCG(1, 1))
	some := func(n int) (out []vcs.ID) {
		for range n {
			out = append(out, ids[rng.IntN(len(ids))])
		}
		return out
	}
	longest := 0
	for range 60 {
		opt := LogOptions{From: some(1 + rng.IntN(3)), Not: some(rng.IntN(3))}
		var want, got []vcs.ID
		for c, err := range s.LogRange(opt.From, opt.Not) {
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, c.ID)
		}
		collect := func(l Logged, err error) bool {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, l.ID)
			return true
		}
		w := walker{s: s, commits: s.Joined(), opt: opt}
		w.steps(collect)
		longest = max(longest, len(want))
		inTime := func(list []vcs.ID) []vcs.ID { // equal seconds are in the order of arrival
			list = slices.Clone(list)
			slices.SortFunc(list, func(a, b vcs.ID) int { return slices.Compare(a[:], b[:]) })
			return list
		}
		if !slices.Equal(inTime(got), inTime(want)) {
			t.Fatalf("%v not %v: %d commits, want %d", opt.From, opt.Not, len(got), len(want))
		}
		list := got
		got = nil
		w.opt.Graph = true
		w.graph(collect)
		if !slices.Equal(inTime(got), inTime(list)) {
			t.Fatalf("the graph of %v not %v has %d commits, want %d", opt.From, opt.Not, len(got), len(list))
		}
		place := make(map[vcs.ID]int)
		for i, id := range got {
			place[id] = i
		}
		for i, id := range got {
			c, err := s.ReadCommit(id)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range c.Parents {
				if at, ok := place[p]; ok && at < i {
					t.Fatalf("%v is before its child", p)
				}
			}
		}
	}
	if longest < 500 {
		t.Errorf("the longest range had %d commits", longest)
	}
}

// TestWalkForgets: of one branch nothing is kept but what is open.
func TestWalkForgets(t *testing.T) {
	s, _ := longHistory(t, 6_000)
	head, _ := s.Ref("refs/heads/primary")
	w := walker{s: s, commits: s.Joined(), opt: LogOptions{From: []vcs.ID{head}}}
	r := roam{walker: &w, seen: make(map[vcs.ID]mark)}
	if err := r.add(w.opt.From, false); err != nil {
		t.Fatal(err)
	}
	n, most := 0, 0
	for r.shown > 0 {
		if err := r.pop(); err != nil {
			t.Fatal(err)
		}
		n += len(r.late)
		r.late = nil
		most = max(most, len(r.seen))
	}
	if n < 5_000 || most > 2500 {
		t.Errorf("%d commits, and up to %d were remembered", n, most)
	}
}
