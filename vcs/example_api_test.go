package vcs_test

import (
	"context"
	"fmt"
	"strings"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// addresses is a repository with a short history: three addresses, of which one
// moved to another card.
func addresses() *vcs.Repo[string, string] {
	ctx := context.Background()
	repo, err := vcs.Open(ctx, mem.New(), vcs.Config[string, string]{})
	check(err)
	for i, kv := range []string{"lan/10.0.0.7 :07", "lan/10.0.0.8 :08", "guest/10.9.0.1 :01", "lan/10.0.0.7 :99"} {
		k, v, _ := strings.Cut(kv, " ")
		_, err := repo.Set(ctx, "primary", k, v, at(int64(i), kv))
		check(err)
	}
	return repo
}

// A branch, an ancestor of it, a tag, a commit's id: reading is the same.
func ExampleRepo_At() {
	repo := addresses()
	defer repo.Close()
	first, err := repo.Resolve("primary~3")
	check(err)
	_, err = repo.CreateTag(context.Background(), "v1", first, vcs.CommitInfo{})
	check(err)
	for _, rev := range []string{"primary", "primary~1", "v1", first.String()} {
		snap, err := repo.At(rev)
		check(err)
		v, _, err := snap.Get("lan/10.0.0.7")
		check(err)
		m, err := snap.Map()
		check(err)
		fmt.Println(v, len(m))
	}
	// Output:
	// :99 3
	// :07 3
	// :07 1
	// :07 1
}

// The keys below a prefix, in order.
func ExampleSnapshot_All() {
	repo := addresses()
	defer repo.Close()
	snap, err := repo.At("primary")
	check(err)
	for e, err := range snap.All("lan") {
		check(err)
		fmt.Println(e.Key, e.Value)
	}
	// Output:
	// lan/10.0.0.7 :99
	// lan/10.0.0.8 :08
}

// One folder, without what is below its folders.
func ExampleSnapshot_List() {
	repo := addresses()
	defer repo.Close()
	snap, err := repo.At("primary")
	check(err)
	entries, err := snap.List("")
	check(err)
	for _, e := range entries {
		fmt.Println(e.Mode, e.Name)
	}
	// Output:
	// 40000 guest
	// 40000 lan
}

// Read, decide, write: all of it or nothing, and again when somebody was faster.
func ExampleRepo_Update() {
	repo := addresses()
	defer repo.Close()
	_, err := repo.Update(context.Background(), "primary", vcs.TxOptions{CommitInfo: at(9, "swap")}, func(tx *vcs.Tx[string, string]) error {
		a, _, err := tx.Get("lan/10.0.0.7")
		if err != nil {
			return err
		}
		b, _, err := tx.Get("lan/10.0.0.8")
		if err != nil {
			return err
		}
		tx.Set("lan/10.0.0.7", b)
		tx.Set("lan/10.0.0.8", a)
		tx.Remove("guest/10.9.0.1")
		tx.Info().Message = "swap " + a + " and " + b
		return nil
	})
	check(err)
	snap, err := repo.At("primary")
	check(err)
	m, err := snap.Map()
	check(err)
	c, err := repo.Store().ReadCommit(snap.Commit())
	check(err)
	fmt.Println(m, c.Subject())
	// Output: map[lan/10.0.0.7::08 lan/10.0.0.8::99] swap :99 and :08
}

func ExampleRepo_FastForward() {
	ctx := context.Background()
	repo := addresses()
	defer repo.Close()
	old, err := repo.Resolve("primary~2")
	check(err)
	check(repo.CreateBranch(ctx, "backup", old))
	head, err := repo.Head("primary")
	check(err)
	moved, err := repo.FastForward(ctx, "backup", head)
	fmt.Println(moved, err)
	_, err = repo.FastForward(ctx, "backup", old)
	fmt.Println(err)
	// Output:
	// true <nil>
	// vcs: not a fast-forward: backup from 3230efd to 47934fb
}

func ExampleRepo_LogKey() {
	repo := addresses()
	defer repo.Close()
	head, err := repo.Head("primary")
	check(err)
	for c, err := range repo.LogKey("lan/10.0.0.7", head) {
		check(err)
		fmt.Println(c.Time().Format("15:04:05"), c.Subject())
	}
	c, err := repo.LastModified("guest/10.9.0.1", head)
	check(err)
	fmt.Println("guest:", c.Subject())
	// Output:
	// 22:13:23 lan/10.0.0.7 :99
	// 22:13:20 lan/10.0.0.7 :07
	// guest: guest/10.9.0.1 :01
}

func ExampleRepo_WatchKey() {
	ctx := context.Background()
	repo := addresses()
	defer repo.Close()
	w := repo.WatchKey("primary", "lan/10.0.0.8")
	defer w.Close()
	_, err := repo.Set(ctx, "primary", "lan/10.0.0.7", ":aa", vcs.CommitInfo{})
	check(err)
	_, err = repo.Remove(ctx, "primary", "lan/10.0.0.8", vcs.CommitInfo{})
	check(err)
	e, err := w.Next(ctx)
	check(err)
	fmt.Println(e.Old, e.New)
	// Output: {:08 true} { false}
}

// A value with its type, proved to somebody who knows the commit's id and how
// keys and values are laid out.
func ExampleVerifyKey() {
	repo := addresses()
	defer repo.Close()
	head, err := repo.Head("primary")
	check(err)
	proof, err := repo.Prove(head, "lan/10.0.0.7")
	check(err)
	v, err := vcs.VerifyKey(proof, vcs.Config[string, string]{}, head, "lan/10.0.0.7")
	fmt.Println(v, err)
	// Output: {:99 true} <nil>
}
