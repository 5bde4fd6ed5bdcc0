package vcstest_test

import (
	"errors"
	"fmt"
	"math/rand/v2"

	"arpeggio/vcs"
	"arpeggio/vcs/vcstest"
)

// A merge function under which "ours" wins does not let nodes converge.
func ExampleMergeLaws_Check() {
	laws := vcstest.MergeLaws[string, string]{
		Keys: []string{"a", "b"},
		Write: func(rnd *rand.Rand, _ string, _ vcs.Opt[string]) vcs.Opt[string] {
			return vcs.Some(fmt.Sprint(rnd.IntN(10)))
		},
	}
	laws.Config.Merge = func(_ string, _, ours, _ vcs.Opt[string]) (vcs.Opt[string], error) { return ours, nil }
	fmt.Println(errors.Is(laws.Check(), vcstest.ErrDiverged))
	// Output: true
}

// The smallest history in which "ours wins" goes wrong is found by trying all.
func ExampleExhaustive() {
	e := vcstest.Exhaustive[string, string]{
		Key:     "k",
		Choices: 2,
		Alike:   true,
		Write: func(_, choice int, _ vcs.Opt[string]) vcs.Opt[string] {
			return vcs.Some(fmt.Sprint("value-", choice))
		},
	}
	e.Config.Merge = func(_ string, _, ours, _ vcs.Opt[string]) (vcs.Opt[string], error) { return ours, nil }
	_, err := e.Check()
	fmt.Println(errors.Is(err, vcstest.ErrDiverged))
	e.Config.Merge = vcstest.Larger
	e.Write = func(_, choice int, current vcs.Opt[string]) vcs.Opt[string] {
		return vcs.Some(current.Value + fmt.Sprint(choice))
	}
	_, err = e.Check()
	fmt.Println(err)
	// Output:
	// true
	// <nil>
}
