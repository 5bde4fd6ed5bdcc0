package vcs_test

import (
	"context"
	"fmt"
	"slices"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// States of old commits, kept wherever there is room, spare a store the way through
// its whole history. What touched the files between two commits it knows without.
func ExampleStore_WriteStates() {
	ctx := context.Background()
	s, err := vcs.OpenStore(ctx, mem.New(), vcs.StoreConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	repo, _ := vcs.New(s, vcs.Config[string, string]{})
	var ids []vcs.ID
	for i := range 3000 {
		id, err := repo.Set(ctx, "primary", fmt.Sprint("key", i%5), fmt.Sprint(i), vcs.CommitInfo{Message: "set", Time: time.Unix(int64(i), 0)})
		if err != nil {
			fmt.Println(err)
			return
		}
		ids = append(ids, id)
	}
	if err := s.Sync(ctx); err != nil {
		fmt.Println(err)
	}
	var kept [][]byte
	err = s.WriteStates(ctx, ids[2999], func(state []byte) error {
		kept = append(kept, slices.Clone(state))
		return nil
	})
	fmt.Println(len(kept), "states", err)
	fmt.Println("another process may use it:", s.OfferState(kept[0]))
	kept[0][40] ^= 1
	fmt.Println("and one that is damaged:", s.OfferState(kept[0]))
	paths, known, err := s.PathsBetween(ids[1000], ids[1002])
	slices.Sort(paths)
	fmt.Println(paths, known, err)
	// Output:
	// 2 states <nil>
	// another process may use it: true
	// and one that is damaged: false
	// [key1 key2] true <nil>
}
