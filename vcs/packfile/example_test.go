package packfile_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"strings"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/packfile"
)

// A bundle is a file that `git clone` takes.
func ExampleWriteBundle() {
	ctx := context.Background()
	repo, err := vcs.Open(ctx, mem.New(), vcs.Config[string, string]{})
	if err != nil {
		log.Fatal(err)
	}
	defer repo.Close()
	info := vcs.CommitInfo{Message: "one", Time: time.Unix(1_700_000_000, 0)}
	if _, err := repo.Set(ctx, "primary", "k", "v\n", info); err != nil {
		log.Fatal(err)
	}
	refs, err := repo.Store().Refs()
	if err != nil {
		log.Fatal(err)
	}
	var bundle bytes.Buffer
	if err := packfile.WriteBundle(ctx, &bundle, repo.Store(), refs, nil); err != nil {
		log.Fatal(err)
	}
	head, _, _ := strings.Cut(bundle.String(), "\n\n")
	fmt.Println(head)
	// Output:
	// # v2 git bundle
	// 83bd9b7115dc0c033122ea86b5663784cbeea5b2 refs/heads/primary
}

func ExampleSelect() {
	ctx := context.Background()
	repo, err := vcs.Open(ctx, mem.New(), vcs.Config[string, string]{})
	if err != nil {
		log.Fatal(err)
	}
	defer repo.Close()
	old, err := repo.Set(ctx, "primary", "a/b", "1", vcs.CommitInfo{})
	if err != nil {
		log.Fatal(err)
	}
	now, err := repo.Set(ctx, "primary", "a/b", "2", vcs.CommitInfo{})
	if err != nil {
		log.Fatal(err)
	}
	set, err := packfile.Select(ctx, repo.Store(), packfile.Selection{Wants: []vcs.ID{now}, Haves: []vcs.ID{old}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(set.Len(), "objects: a commit, two trees, a blob")
	// Output: 4 objects: a commit, two trees, a blob
}
