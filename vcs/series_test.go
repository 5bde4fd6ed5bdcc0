package vcs_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/vcstest"
)

// busy is a workload for a queue: mostly new contents of files that are there, in
// small and large folders, short and deep ones, and some changes that are not for
// a series.
func busy(rnd *rand.Rand) vcs.Change[string, string] {
	var key string
	switch rnd.IntN(8) {
	case 0:
		key = fmt.Sprint("flat/file-", rnd.IntN(150)) // more than a lane takes
	case 1:
		key = fmt.Sprint("a/b/", rnd.IntN(9))
	case 2:
		key = strings.Repeat("folder/", 1+rnd.IntN(18)) + "file-name"
	case 3:
		key = fmt.Sprint("root-file-", rnd.IntN(4))
	default:
		key = fmt.Sprintf("lan/10.0.%d.0_24/10.0.%[1]d.%d_28/10.0.%[1]d.%[3]d", rnd.IntN(3), rnd.IntN(4), rnd.IntN(6))
	}
	switch rnd.IntN(40) {
	case 0:
		return vcs.Change[string, string]{Key: key}
	case 1:
		return vcs.Change[string, string]{Key: key, Value: vcs.Some(strings.Repeat("long ", rnd.IntN(2000)))}
	}
	return vcs.Change[string, string]{Key: key, Value: vcs.Some(fmt.Sprint("value ", rnd.IntN(50), strings.Repeat(" and", rnd.IntN(60)), "\n"))}
}

// TestSeriesAreCommits: what a queue makes of changes is, commit by commit, what
// a store of objects makes of them alone.
func TestSeriesAreCommits(t *testing.T) {
	for seed := range uint64(2) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		r, objects := queueRepo(t, mem.New()), queueRepo(t, mem.NewNative())
		w := r.Store().Watch("")
		gate := make(chan struct{})
		q := must(vcs.NewQueue(r, "primary", vcs.QueueConfig[string, string]{
			Describe: func(c vcs.Queued[string, string]) vcs.CommitInfo {
				<-gate // so that many wait
				return vcs.CommitInfo{Message: "set " + c.Changes[0].Key, Time: time.Unix(1_800_000_000, 0)}
			}}))(t)
		var want []vcs.ID
		head := vcs.ID{}
		for range 1200 {
			c := busy(rnd)
			if c.Value.Present {
				q.Put(c.Key, c.Value.Value)
			} else {
				q.Remove(c.Key)
			}
			id, err := objects.Commit(t.Context(), "primary", head, []vcs.Change[string, string]{c},
				vcs.CommitInfo{Message: "set " + c.Key, Time: time.Unix(1_800_000_000, 0)})
			if err == nil && id != head {
				want, head = append(want, id), id
			}
		}
		close(gate)
		q.Close() // a file in the way of a folder is an error of both
		if have := must(r.Head("primary"))(t); have != head {
			t.Errorf("seed %d: the branch is at %v, want %v", seed, have, head)
		}
		var seen []vcs.ID
		w.Close()
		for e := range w.All(t.Context()) {
			seen = append(seen, e.New)
		}
		if !slices.Equal(seen, want) {
			t.Errorf("seed %d: watched %d commits, which are not the %d that were made", seed, len(seen), len(want))
		}
		whole(t, "unsaved", r.Store(), want[:4])
		if err := r.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		whole(t, "saved", r.Store(), want[:4])
		vcstest.Git(t, vcstest.Export(t, r.Store()), "fsck", "--strict")
		objects.Close()
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestSeriesTakenBack: when the branch moves away while a series is made, nothing
// has happened, and the next one starts from what there is.
func TestSeriesTakenBack(t *testing.T) {
	for _, n := range []int{1, 3, 40} { // one after the other, and in lanes
		var r *vcs.Repo[uint32, string]
		move := func() {}
		r = must(vcs.Open(t.Context(), mem.New(), vcs.Config[uint32, string]{Layout: prefixes{}, Clock: func() time.Time {
			move()
			return time.Unix(1_800_000_000, 0)
		}}))(t)
		set := func(key uint32, v string) vcs.Change[uint32, string] {
			return vcs.Change[uint32, string]{Key: key, Value: vcs.Some(v)}
		}
		var all, change []vcs.Change[uint32, string]
		for i := range uint32(300) {
			all = append(all, set(i, "old"))
		}
		for i := range n {
			change = append(change, set(uint32(i*7), "new"))
		}
		first := must(r.Commit(t.Context(), "primary", vcs.ID{}, all, vcs.CommitInfo{}))(t)
		head := must(r.Commit(t.Context(), "primary", first, []vcs.Change[uint32, string]{set(1, "older")}, vcs.CommitInfo{}))(t)
		ref := vcs.BranchRef("primary")
		move = func() {
			move = func() {}
			if err := vcs.MoveRef(r.Store(), ref, head, first); err != nil {
				t.Error(err)
			}
		}
		if at, done, made := vcs.CommitSeries(r, "primary", head, change, vcs.CommitInfo{}); at != head || done != 0 || made != 0 {
			t.Fatalf("%d: %d commits of %d are made on a branch that moved away, the last one %v", n, made, done, at)
		}
		if have := must(r.Head("primary"))(t); have != first {
			t.Errorf("%d: the branch is at %v, want %v", n, have, first)
		}
		if err := vcs.MoveRef(r.Store(), ref, first, head); err != nil {
			t.Fatal(err)
		}
		at, done, made := vcs.CommitSeries(r, "primary", head, change, vcs.CommitInfo{})
		if done != n || made != n {
			t.Fatalf("%d: made %d of %d", n, made, done)
		}
		whole(t, "taken back", r.Store(), []vcs.ID{at})
		s := must(r.AtCommit(at))(t)
		for i := range uint32(300) {
			want := "old"
			if i%7 == 0 && int(i) < 7*n {
				want = "new"
			} else if i == 1 {
				want = "older"
			}
			if have, _, err := s.Get(i); have != want || err != nil {
				t.Errorf("%d: key %d holds %q, want %q: %v", n, i, have, want, err)
			}
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}
