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
