package vcs_test

import (
	"context"
	"fmt"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// holed is a disk that has lost an object.
type holed struct {
	vcs.ObjectReader
	lost vcs.ID
}

func (h holed) ReadObject(id vcs.ID) (vcs.Kind, []byte, error) {
	if id == h.lost {
		return 0, nil, fmt.Errorf("%w: %v", vcs.ErrNotFound, id)
	}
	return h.ObjectReader.ReadObject(id)
}

// A branch whose head is lost goes on from the newest commit
// that is whole, and what it pointed to is kept under another name.
func ExampleSalvage() {
	ctx := context.Background()
	repo, err := vcs.Open(ctx, mem.New(), vcs.Config[string, string]{})
	check(err)
	defer repo.Close()
	whole, err := repo.Set(ctx, "primary", "k", "one\n", at(0, "one"))
	check(err)
	_, err = repo.Set(ctx, "primary", "k", "two\n", at(1, "two"))
	check(err)
	refs, err := repo.Store().Refs()
	check(err)

	disk := holed{repo.Store(), vcs.HashObject(vcs.KindBlob, []byte("two\n"))}
	rep, err := vcs.Verify(ctx, disk, refs, nil)
	check(err)
	for _, p := range rep.Problems {
		fmt.Println("lost:", p.Ref, p.Path)
	}
	// The damage is in a file: the branch is told so, and stays.
	updates, _ := vcs.Salvage(ctx, disk, refs, rep, nil)
	fmt.Println(len(updates), "refs to move")

	head, err := repo.Head("primary")
	check(err)
	disk.lost = head
	rep, err = vcs.Verify(ctx, disk, refs, nil)
	check(err)
	updates, _ = vcs.Salvage(ctx, disk, refs, rep, map[string]vcs.ID{"refs/heads/primary": whole})
	for _, u := range updates {
		fmt.Println(u.Name, u.New == whole, u.New == head)
	}
	// Output:
	// lost: refs/heads/primary k
	// 0 refs to move
	// refs/heads/primary true false
	// refs/damaged/heads/primary false true
}
