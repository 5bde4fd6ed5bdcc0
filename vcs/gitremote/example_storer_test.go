package gitremote_test

import (
	"context"
	"fmt"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing/object"

	"arpeggio/vcs/gitremote"
)

// A program that knows only go-git reads a live store.
func ExampleNewStorer() {
	ctx := context.Background()
	r := store(ctx)
	defer r.Close()

	repo, err := git.Open(gitremote.NewStorer(r.Store()), nil)
	if err != nil {
		panic(err)
	}
	log, err := repo.Log(&git.LogOptions{})
	if err != nil {
		panic(err)
	}
	err = log.ForEach(func(c *object.Commit) error {
		fmt.Print(c.Message)
		return nil
	})
	fmt.Println(err)
	// Output:
	// arp: 10.0.0.7 -> 02:50:2a:00:00:02
	// arp: 10.0.0.7 -> 02:50:2a:00:00:01
	// <nil>
}
