package vcs_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// An epoch begins with a root that stands for the branch's head. What is before
// can leave the store; here nobody keeps it, and the ledger says so.
func ExampleStore_EndEpoch() {
	ctx := context.Background()
	repo, err := vcs.Open(ctx, mem.New(), vcs.Config[string, string]{})
	if err != nil {
		log.Fatal(err)
	}
	defer repo.Close()
	for _, v := range []string{"a", "b", "c"} {
		if _, err := repo.Set(ctx, "primary", "key", v, vcs.CommitInfo{Message: "set " + v}); err != nil {
			log.Fatal(err)
		}
	}
	if _, err := repo.Store().EndEpoch(ctx); err != nil {
		log.Fatal(err)
	}
	head, err := repo.Head("primary")
	if err != nil {
		log.Fatal(err)
	}
	for c, err := range repo.Log(head) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(c.Subject())
	}
	for _, e := range repo.Store().Epochs() {
		fmt.Println("epoch", e.Number, e.State, e.Commits, "commits")
	}
	// Output:
	// epoch 2: primary
	// set c
	// set b
	// set a
	// epoch 1 live 3 commits
	// epoch 2 current 0 commits
}

// Collect applies the policy; a store with a bound does so by itself.
func ExampleStore_Collect() {
	ctx := context.Background()
	var cfg vcs.Config[string, string]
	cfg.Retention = vcs.Retention{MaxCommits: 8, Epochs: 2}
	repo, err := vcs.Open(ctx, mem.New(), cfg)
	if err != nil {
		log.Fatal(err)
	}
	defer repo.Close()
	for i := range 40 {
		if _, err := repo.Set(ctx, "primary", "key", fmt.Sprint(i), vcs.CommitInfo{}); err != nil {
			log.Fatal(err)
		}
		if i%4 == 3 {
			if _, err := repo.Store().Collect(ctx); err != nil {
				log.Fatal(err)
			}
		}
	}
	st := repo.Store().Stats()
	fmt.Println("at most 8 commits are here:", st.Commits <= 8)
	fmt.Println("the others are recorded as lost:", st.Lost > 0 && st.LostCommits >= 32)
	// Output:
	// at most 8 commits are here: true
	// the others are recorded as lost: true
}

// Whoever reads for a while holds a pin: an epoch that is dropped meanwhile stays
// readable for him, until he releases it.
func ExampleStore_Pin() {
	ctx := context.Background()
	var cfg vcs.Config[string, string]
	cfg.Retention = vcs.Retention{MaxCommits: 8, Epochs: 2}
	repo, err := vcs.Open(ctx, mem.New(), cfg)
	if err != nil {
		log.Fatal(err)
	}
	defer repo.Close()
	first, err := repo.Set(ctx, "primary", "key", "first", vcs.CommitInfo{Message: "first"})
	if err != nil {
		log.Fatal(err)
	}
	pin := repo.Store().Pin()
	for i := 0; repo.Store().Stats().Lost == 0; i++ {
		if _, err := repo.Set(ctx, "primary", "key", fmt.Sprint(i), vcs.CommitInfo{}); err != nil {
			log.Fatal(err)
		}
		if _, err := repo.Store().Collect(ctx); err != nil {
			log.Fatal(err)
		}
	}
	_, _, err = repo.Store().ReadObject(first)
	fmt.Println("the store:", errors.Is(err, vcs.ErrNotFound))
	_, _, err = pin.ReadObject(first)
	fmt.Println("the pin:", err)
	pin.Release()
	_, _, err = pin.ReadObject(first)
	fmt.Println("the pin, released:", errors.Is(err, vcs.ErrNotFound))
	// Output:
	// the store: true
	// the pin: <nil>
	// the pin, released: true
}
