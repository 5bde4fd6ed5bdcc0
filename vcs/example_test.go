package vcs_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/netip"
	"strings"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// at makes the examples' commits the same on every run.
func at(second int64, msg string) vcs.CommitInfo {
	return vcs.CommitInfo{Message: msg, Time: time.Unix(1_700_000_000+second, 0), Author: vcs.Signature{Name: "n1", Email: "n1@lan"}}
}

func Example() {
	ctx := context.Background()
	repo, err := vcs.Open(ctx, mem.New(), vcs.Config[string, string]{})
	check(err)
	defer repo.Close()
	_, err = repo.Set(ctx, "primary", "lan/10.0.0.7", "02:50:00:00:00:07\n", at(0, "arp: 10.0.0.7 appears"))
	check(err)
	_, err = repo.Set(ctx, "primary", "lan/10.0.0.7", "02:50:00:00:00:99\n", at(60, "arp: 10.0.0.7 has a new card"))
	check(err)

	now, err := repo.At("primary")
	check(err)
	before, err := repo.At("primary~1")
	check(err)
	v, _, _ := now.Get("lan/10.0.0.7")
	w, _, _ := before.Get("lan/10.0.0.7")
	fmt.Print("now ", v, "before ", w)
	head, _ := repo.Head("primary")
	for c, err := range repo.LogKey("lan/10.0.0.7", head) {
		check(err)
		fmt.Println(c.ID.Short(), c.Subject())
	}
	// Output:
	// now 02:50:00:00:00:99
	// before 02:50:00:00:00:07
	// 6b11582 arp: 10.0.0.7 has a new card
	// b461d5b arp: 10.0.0.7 appears
}

// ips lies addresses out in folders, one per /24.
type ips struct{}

func (ips) Path(a netip.Addr) string {
	p, _ := a.Prefix(24)
	return fmt.Sprintf("%s_24/%s", p.Addr(), a)
}

func (ips) Key(path string) (netip.Addr, bool) {
	_, name, _ := strings.Cut(path, "/")
	a, err := netip.ParseAddr(name)
	return a, err == nil
}

// Keys and values of any type, by a Layout and a Codec.
func ExampleOpen() {
	ctx := context.Background()
	repo, err := vcs.Open(ctx, mem.New(), vcs.Config[netip.Addr, string]{Layout: ips{}})
	check(err)
	defer repo.Close()
	_, err = repo.Update(ctx, "primary", vcs.TxOptions{}, func(tx *vcs.Tx[netip.Addr, string]) error {
		tx.Set(netip.MustParseAddr("10.0.0.7"), "seven")
		tx.Set(netip.MustParseAddr("10.0.3.9"), "nine")
		return nil
	})
	check(err)
	snap, err := repo.At("primary")
	check(err)
	for e, err := range snap.All("10.0.3.0_24") {
		check(err)
		fmt.Println(e.Key, e.Value)
	}
	// Output: 10.0.3.9 nine
}

func ExampleRepo_Merge() {
	ctx := context.Background()
	longer := func(_ string, _, ours, theirs vcs.Opt[string]) (vcs.Opt[string], error) {
		if len(theirs.Value) > len(ours.Value) {
			return theirs, nil
		}
		return ours, nil
	}
	repo, err := vcs.Open(ctx, mem.New(), vcs.Config[string, string]{Merge: longer})
	check(err)
	defer repo.Close()
	base, err := repo.Set(ctx, "primary", "both", "a", at(0, "base"))
	check(err)
	check(repo.CreateBranch(ctx, "side", base))
	_, err = repo.Set(ctx, "primary", "both", "aa", at(1, "ours"))
	check(err)
	side, err := repo.Set(ctx, "side", "both", "aaa", at(1, "theirs"))
	check(err)
	res, err := repo.Merge(ctx, "primary", side, vcs.MergeOptions{CommitInfo: at(2, "merge side")})
	check(err)
	snap, _ := repo.AtCommit(res.Head)
	v, _, _ := snap.Get("both")
	fmt.Println(res.Kind, v)
	// Output: merged aaa
}

func ExampleRepo_Commit() {
	ctx := context.Background()
	repo, err := vcs.Open(ctx, mem.New(), vcs.Config[string, string]{})
	check(err)
	defer repo.Close()
	root, err := repo.Commit(ctx, "primary", vcs.ID{}, nil, vcs.CommitInfo{Message: "initial empty cache", AllowEmpty: true})
	check(err)
	_, err = repo.Commit(ctx, "primary", root, []vcs.Change[string, string]{
		{Key: "a", Value: vcs.Some("1")},
		{Key: "b", Value: vcs.None[string]()},
	}, vcs.CommitInfo{Message: "set a, remove b"})
	check(err)
	_, err = repo.Commit(ctx, "primary", root, nil, vcs.CommitInfo{AllowEmpty: true})
	fmt.Println(errors.Is(err, vcs.ErrRefMoved))
	// Output: true
}

func ExampleRepo_TestAndSet() {
	ctx := context.Background()
	repo, err := vcs.Open(ctx, mem.New(), vcs.Config[string, string]{})
	check(err)
	defer repo.Close()
	_, err = repo.TestAndSet(ctx, "primary", "leader", vcs.None[string](), vcs.Some("n1"), vcs.CommitInfo{})
	check(err)
	_, err = repo.TestAndSet(ctx, "primary", "leader", vcs.None[string](), vcs.Some("n2"), vcs.CommitInfo{})
	fmt.Println(err)
	// Output: vcs: value is not the expected one: leader on primary
}

func ExampleRepo_Diff() {
	ctx := context.Background()
	repo, err := vcs.Open(ctx, mem.New(), vcs.Config[string, string]{})
	check(err)
	defer repo.Close()
	a, err := repo.Set(ctx, "primary", "x", "1", at(0, "one"))
	check(err)
	_, err = repo.Set(ctx, "primary", "d/y", "2", at(1, "two"))
	check(err)
	b, err := repo.Remove(ctx, "primary", "x", at(2, "three"))
	check(err)
	for d, err := range repo.Diff(a, b) {
		check(err)
		fmt.Println(d.Key, d.Old, d.New)
	}
	// Output:
	// d/y { false} {2 true}
	// x {1 true} { false}
}

func ExampleRepo_Watch() {
	ctx := context.Background()
	repo, err := vcs.Open(ctx, mem.New(), vcs.Config[string, string]{})
	check(err)
	defer repo.Close()
	w := repo.Watch()
	defer w.Close()
	id, err := repo.Set(ctx, "primary", "k", "v", vcs.CommitInfo{})
	check(err)
	e, err := w.Next(ctx)
	check(err)
	fmt.Println(e.Ref, e.Old.IsZero(), e.New == id)
	// Output: refs/heads/primary true true
}

func ExampleRepo_Revert() {
	ctx := context.Background()
	repo, err := vcs.Open(ctx, mem.New(), vcs.Config[string, string]{})
	check(err)
	defer repo.Close()
	_, err = repo.Set(ctx, "primary", "k", "good", at(0, "good"))
	check(err)
	bad, err := repo.Set(ctx, "primary", "k", "bad", at(1, "bad"))
	check(err)
	res, err := repo.Revert(ctx, "primary", bad, vcs.MergeOptions{CommitInfo: at(2, "")})
	check(err)
	c, _ := repo.Store().ReadCommit(res.Head)
	fmt.Println(c.Subject())
	// Output: Revert "bad"
}

func ExampleMergeBases() {
	ctx := context.Background()
	repo, err := vcs.Open(ctx, mem.New(), vcs.Config[string, string]{})
	check(err)
	defer repo.Close()
	base, err := repo.Set(ctx, "a", "k", "0", at(0, "base"))
	check(err)
	check(repo.CreateBranch(ctx, "b", base))
	x, err := repo.Set(ctx, "a", "x", "1", at(1, "on a"))
	check(err)
	y, err := repo.Set(ctx, "b", "y", "1", at(1, "on b"))
	check(err)
	bases, err := vcs.MergeBases(repo.Store(), []vcs.ID{x}, []vcs.ID{y})
	check(err)
	fmt.Println(len(bases), bases[0] == base)
	// Output: 1 true
}
