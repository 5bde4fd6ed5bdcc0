package vcstest_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/mergers"
	"arpeggio/vcs/vcstest"
)

// seen is a value with the second in which it was last seen: what a cache of
// 2015 kept.
type seen struct {
	At  int
	MAC string
}

type seenCodec struct{}

func (seenCodec) Encode(s seen) ([]byte, error) { return fmt.Appendf(nil, "%d %s", s.At, s.MAC), nil }

func (seenCodec) Decode(b []byte) (s seen, err error) {
	_, err = fmt.Sscanf(string(b), "%d %s", &s.At, &s.MAC)
	return s, err
}

// sighting writes one of two addresses, seen later than the current one, or
// removes it, or touches another key.
func sighting(_, choice int, current vcs.Opt[seen]) vcs.Opt[seen] {
	switch choice {
	case 0, 1:
		return vcs.Some(seen{current.Value.At + 1, fmt.Sprint("m", choice)})
	case 2:
		return vcs.None[seen]()
	}
	return current
}

func lastSeen(ties func(ours, theirs seen) seen) vcs.MergeFunc[string, seen] {
	return mergers.Option(mergers.RemovalLoses, func(_ string, _ vcs.Opt[seen], ours, theirs seen) (seen, error) {
		switch {
		case ours.At > theirs.At:
			return ours, nil
		case ours.At < theirs.At:
			return theirs, nil
		}
		return ties(ours, theirs), nil
	})
}

func ours(a, _ seen) seen { return a }

func larger(a, b seen) seen {
	if b.MAC > a.MAC {
		return b
	}
	return a
}

func history(ties func(a, b seen) seen) vcstest.Exhaustive[string, seen] {
	return vcstest.Exhaustive[string, seen]{
		Config: vcs.Config[string, seen]{Codec: seenCodec{}, Merge: lastSeen(ties)},
		Key:    "10.0.0.7", Write: sighting, Choices: 2, Alike: true,
		Keeps: func(result, written seen) bool { return result.At >= written.At },
	}
}

// The last one seen wins, and ours when both are of one second: two nodes that
// merge each other keep different addresses. Two commits suffice.
func TestTiesForOursDiverge(t *testing.T) {
	for _, inModel := range []bool{true, false} {
		e := history(ours)
		e.Model = inModel
		_, err := e.Check()
		if !errors.Is(err, vcstest.ErrDiverged) || strings.Count(err.Error(), "writes") != 2 {
			t.Errorf("model %v: %v, want a divergence of two writes", inModel, err)
		}
		t.Log(err)
	}
}

// A total order alone does not help when a removal is the key's absence: where
// histories cross, one order of merges brings back what another leaves removed.
func TestRemovalsByAbsenceDiverge(t *testing.T) {
	e := history(larger)
	e.Model, e.Choices, e.Keeps = true, 3, nil
	_, err := e.Check()
	if !errors.Is(err, vcstest.ErrDiverged) {
		t.Errorf("%v, want divergence", err)
	}
	t.Log(err)
}

// Writers that write below what they see lose to it.
func TestWritersBehindLose(t *testing.T) {
	e := history(larger)
	e.Model = true
	e.Write = func(_, choice int, current vcs.Opt[seen]) vcs.Opt[seen] {
		return vcs.Some(seen{1 + choice, "m"})
	}
	e.Keeps = nil
	if _, err := e.Check(); !errors.Is(err, vcstest.ErrDiverged) {
		t.Errorf("%v, want divergence", err)
	}
}

func TestSomethingLost(t *testing.T) {
	e := history(larger)
	e.Config.Merge = mergers.Join[string](func(a, b seen) seen { // the earlier
		if a.At < b.At || a.At == b.At && a.MAC < b.MAC {
			return a
		}
		return b
	})
	for _, e.Model = range []bool{true, false} {
		if _, err := e.Check(); !errors.Is(err, vcstest.ErrLost) && !errors.Is(err, vcstest.ErrDiverged) {
			t.Errorf("model %v: %v, want a loss", e.Model, err)
		}
	}
}

func TestConflictIsReported(t *testing.T) {
	e := history(larger)
	e.Config.Merge = mergers.Conflict[string, seen]
	for _, e.Model = range []bool{true, false} {
		if _, err := e.Check(); !errors.Is(err, vcs.ErrConflict) {
			t.Errorf("model %v: %v, want a conflict", e.Model, err)
		}
	}
}

// soaks is what to add to bounds: one when SOAK is set, as make soak does.
func soaks() int {
	if os.Getenv("SOAK") != "" {
		return 1
	}
	return 0
}

// With a total order, tombstones and writers above what they see, every history
// of three nodes and five commits converges, in real repositories and in the
// model, in which merges take any base.
func TestEveryHistoryOfRegistersConverges(t *testing.T) {
	codec := mergers.RegisterCodec[string]{Value: vcs.Raw[string]{}}
	late := time.UnixMilli(1)
	e := vcstest.Exhaustive[string, mergers.Register[string]]{
		Config: vcs.Config[string, mergers.Register[string]]{Codec: codec, Merge: mergers.Registers[string](codec)},
		Key:    "k", Choices: 4, Alike: true,
		Write: func(_, choice int, current vcs.Opt[mergers.Register[string]]) vcs.Opt[mergers.Register[string]] {
			switch choice {
			case 0, 1: // one tick above what it sees, or ahead of that
				return vcs.Some(current.Value.Write(late.Add(time.Duration(choice)*3*time.Millisecond), "n", fmt.Sprint(choice)))
			case 2:
				return vcs.Some(current.Value.Remove(late, "n"))
			}
			return current // another key's change
		},
		Keeps: func(result, written mergers.Register[string]) bool { return result.Clock >= written.Clock },
	}
	e.Commits = 5
	if raced {
		e.Choices = 2
	}
	vcstest.TestEvery(t, e)
	e.Choices, e.AnyBase = 4, true
	e.Commits += soaks()
	vcstest.TestEvery(t, e)
}

// Writers with names: who is who matters, so every history counts.
func TestEveryHistoryOfCountersAndSetsConverges(t *testing.T) {
	counters := vcstest.Exhaustive[string, mergers.Counter]{
		Config:  vcs.Config[string, mergers.Counter]{Codec: mergers.CounterCodec{}, Merge: mergers.Counters[string]()},
		Key:     "k",
		Choices: 2,
		Commits: 5,
		Write: func(node, choice int, current vcs.Opt[mergers.Counter]) vcs.Opt[mergers.Counter] {
			return vcs.Some(current.Value.Add(fmt.Sprint("n", node), 1-2*int64(choice)))
		},
		Keeps: func(result, written mergers.Counter) bool {
			for w, n := range written {
				if have := result[w]; have.Up < n.Up || have.Down < n.Down {
					return false
				}
			}
			return true
		},
	}
	if raced {
		counters.Choices = 1
	}
	vcstest.TestEvery(t, counters)
	counters.AnyBase, counters.Choices = true, 2+soaks() // the third takes three away
	vcstest.TestEvery(t, counters)

	sets := vcstest.Exhaustive[string, mergers.Set]{
		Config:  vcs.Config[string, mergers.Set]{Codec: mergers.SetCodec{}, Merge: mergers.Sets[string]()},
		Key:     "k",
		Choices: 3,
		Alike:   true,
		Commits: 5,
		Write: func(_, choice int, current vcs.Opt[mergers.Set]) vcs.Opt[mergers.Set] {
			switch choice {
			case 0:
				return vcs.Some(current.Value.Add("x"))
			case 1:
				return vcs.Some(current.Value.Remove("x"))
			}
			return vcs.Some(current.Value.Add("y"))
		},
	}
	if raced {
		sets.Commits = 4
	}
	vcstest.TestEvery(t, sets)
	sets.Commits, sets.AnyBase = 5, true
	sets.Commits += soaks()
	vcstest.TestEvery(t, sets)
}

// Long random histories of many nodes, in which each merge takes any base.
func TestLongHistoriesConverge(t *testing.T) {
	e := history(larger)
	e.Write = func(_, choice int, current vcs.Opt[seen]) vcs.Opt[seen] {
		if choice == 3 {
			return current
		}
		return vcs.Some(seen{current.Value.At + 1 + choice/2, fmt.Sprint("m", choice)})
	}
	e.AnyBase, e.Nodes, e.Commits, e.Choices = true, 6, 60, 4
	found, err := e.Sample(100+2000*soaks(), 1)
	if err != nil {
		t.Error(err)
	}
	if found.Several < 100 {
		t.Errorf("%+v: too few merges with several bases", found)
	}
	t.Logf("%+v", found)
	e.AnyBase = false
	e.Config.Merge = lastSeen(ours)
	if _, err := e.Sample(20, 1); !errors.Is(err, vcstest.ErrDiverged) {
		t.Errorf("%v, want divergence", err)
	}
}

// The model and a repository reach as many histories of either outcome.
func TestModelIsLikeTheRepository(t *testing.T) {
	e := history(larger)
	e.Choices, e.Keeps = 3, nil
	for _, merge := range []vcs.MergeFunc[string, seen]{lastSeen(larger), lastSeen(ours)} {
		e.Config.Merge = merge
		e.Commits = 3 // too few for removals by absence to diverge
		e.Model = true
		m, merr := e.Check()
		e.Model = false
		r, rerr := e.Check()
		if m != r || fmt.Sprint(merr) != fmt.Sprint(rerr) {
			t.Errorf("model: %+v, %v\nrepository: %+v, %v", m, merr, r, rerr)
		}
	}
}
