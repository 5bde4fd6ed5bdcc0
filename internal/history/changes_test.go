package history

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"arpeggio/vcs"
)

// TestChanges: what a store knows of the commits between two gives what their trees
// do, in whatever order they are asked, over merges and from line to line.
func TestChanges(t *testing.T) {
	s := randomTable(t, 8, 400)
	var all []*vcs.Commit
	for _, name := range []string{"primary", "side"} {
		head, _ := s.Ref(vcs.BranchRef(name))
		for c, err := range s.Log(head) {
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, c)
		}
	}
	rng := rand.New(rand.NewPCG(1, 1))
	quick := 0
	for range 300 {
		old, now := all[rng.IntN(len(all))], all[rng.IntN(len(all))]
		var got, want string
		for ch, err := range Changes(s, old, now) {
			if err != nil {
				t.Fatal(err)
			}
			got += fmt.Sprintln(ch)
		}
		for ch, err := range vcs.DiffTrees(s, old.Tree, now.Tree) {
			if err != nil {
				t.Fatal(err)
			}
			want += fmt.Sprintln(ch)
		}
		if got != want {
			t.Fatalf("%v..%v: %s\nwant %s", old.ID.Short(), now.ID.Short(), got, want)
		}
		if _, ok, _ := s.PathsBetween(old.ID, now.ID); ok {
			quick++
		}
	}
	if quick < 50 {
		t.Errorf("%d of 300 were told without trees", quick)
	}
}
