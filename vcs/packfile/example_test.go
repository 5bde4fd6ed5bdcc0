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

// A slice of history goes from one store to another, which decides what to do
// with it: here a merge.
func ExampleImportBundle() {
	ctx := context.Background()
	open := func() *vcs.Repo[string, string] {
		repo, err := vcs.Open(ctx, mem.New(), vcs.Config[string, string]{})
		if err != nil {
			log.Fatal(err)
		}
		return repo
	}
	from, to := open(), open()
	defer from.Close()
	defer to.Close()
	if _, err := from.Set(ctx, "primary", "there", "1", vcs.CommitInfo{}); err != nil {
		log.Fatal(err)
	}
	if _, err := to.Set(ctx, "primary", "here", "2", vcs.CommitInfo{}); err != nil {
		log.Fatal(err)
	}
	refs, err := from.Store().Refs()
	if err != nil {
		log.Fatal(err)
	}
	var bundle bytes.Buffer
	if err := packfile.WriteBundle(ctx, &bundle, from.Store(), refs, nil); err != nil {
		log.Fatal(err)
	}
	header, err := packfile.ImportBundle(ctx, &bundle, to.Store(), packfile.Config{})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := to.Merge(ctx, "primary", header.Refs[0].Target, vcs.MergeOptions{}); err != nil {
		log.Fatal(err)
	}
	snap, err := to.At("primary")
	if err != nil {
		log.Fatal(err)
	}
	m, err := snap.Map()
	fmt.Println(m, err)
	// Output: map[here:2 there:1] <nil>
}
