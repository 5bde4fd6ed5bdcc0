package mem_test

import (
	"context"
	"fmt"
	"log"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// A backend outlives the stores on it.
func ExampleNew() {
	ctx := context.Background()
	backend := mem.New()
	for range 2 {
		repo, err := vcs.Open(ctx, backend, vcs.Config[string, string]{})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(len(repo.Branches()), "branches")
		if _, err := repo.Set(ctx, "primary", "k", "v", vcs.CommitInfo{}); err != nil {
			log.Fatal(err)
		}
		if err := repo.Close(); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// 0 branches
	// 1 branches
}
