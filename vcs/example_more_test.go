package vcs_test

import (
	"context"
	"fmt"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// What somebody who trusts a commit's id can be shown without a store.
func ExampleProve() {
	ctx := context.Background()
	repo, err := vcs.Open(ctx, mem.New(), vcs.Config[string, string]{})
	check(err)
	defer repo.Close()
	commit, err := repo.Set(ctx, "primary", "lan/10.0.0.7", "02:50:00:00:00:07\n", at(0, "arp: 10.0.0.7 appears"))
	check(err)
	proof, err := vcs.Prove(repo.Store(), commit, "lan/10.0.0.7", "lan/10.0.0.8")
	check(err)
	wire := proof.Encode(nil)

	// elsewhere
	shown, err := vcs.ParseProof(wire)
	check(err)
	mac, present, err := shown.Verify(commit, "lan/10.0.0.7")
	fmt.Printf("%q %v %v\n", mac, present, err)
	_, present, err = shown.Verify(commit, "lan/10.0.0.8")
	fmt.Println(present, err)
	// Output:
	// "02:50:00:00:00:07\n" true <nil>
	// false <nil>
}

// A whole folder is proved by reading it.
func ExampleProveReads() {
	ctx := context.Background()
	repo, err := vcs.Open(ctx, mem.New(), vcs.Config[string, string]{})
	check(err)
	defer repo.Close()
	_, err = repo.Set(ctx, "primary", "lan/a", "1", at(0, "a"))
	check(err)
	commit, err := repo.Set(ctx, "primary", "lan/b", "2", at(1, "b"))
	check(err)
	list := func(r vcs.ObjectReader) error {
		snap, err := vcs.SnapshotFrom(r, vcs.Config[string, string]{}, commit)
		if err != nil {
			return err
		}
		for e, err := range snap.All("lan") {
			if err != nil {
				return err
			}
			fmt.Print(e.Key, "=", e.Value, " ")
		}
		return nil
	}
	proof, err := vcs.ProveReads(repo.Store(), list)
	check(err)
	check(list(proof)) // the same, without the store
	// Output: lan/a=1 lan/b=2 lan/a=1 lan/b=2
}

func ExampleRepo_Status() {
	ctx := context.Background()
	repo, err := vcs.Open(ctx, mem.New(), vcs.Config[string, string]{})
	check(err)
	defer repo.Close()
	base, err := repo.Set(ctx, "primary", "k", "0", at(0, "base"))
	check(err)
	check(repo.CreateBranch(ctx, "node/1", base))
	ours, err := repo.Set(ctx, "node/1", "d/x", "1", at(1, "on the node"))
	check(err)
	theirs, err := repo.Set(ctx, "primary", "y", "1", at(1, "on primary"))
	check(err)
	st, err := repo.Status(ours, theirs)
	check(err)
	fmt.Println(st)
	for d, err := range repo.Changes(ours, theirs) {
		check(err)
		fmt.Println(d.Key, d.Old, d.New)
	}
	// Output:
	// ahead 1, behind 1
	// d/x { false} {1 true}
}

func ExampleStore_LogRange() {
	ctx := context.Background()
	repo, err := vcs.Open(ctx, mem.New(), vcs.Config[string, string]{})
	check(err)
	defer repo.Close()
	one, err := repo.Set(ctx, "primary", "k", "1", at(0, "one"))
	check(err)
	_, err = repo.Set(ctx, "primary", "k", "2", at(1, "two"))
	check(err)
	three, err := repo.Set(ctx, "primary", "k", "3", at(2, "three"))
	check(err)
	for c, err := range repo.Store().LogRange([]vcs.ID{three}, []vcs.ID{one}) {
		check(err)
		fmt.Println(c.Subject())
	}
	// Output:
	// three
	// two
}

// A folder of one branch becomes a folder of another; nothing below is read.
func ExampleRepo_Graft() {
	ctx := context.Background()
	repo, err := vcs.Open(ctx, mem.New(), vcs.Config[string, string]{})
	check(err)
	defer repo.Close()
	_, err = repo.Set(ctx, "node/1", "lan/10.0.0.7", "02:50:00:00:00:07", at(0, "seen"))
	check(err)
	there, err := repo.At("node/1")
	check(err)
	lan, err := there.Subtree("lan")
	check(err)
	_, err = repo.Graft(ctx, "fleet", "nodes/1", lan, at(1, "take over node 1"))
	check(err)
	here, err := repo.At("fleet")
	check(err)
	for k, err := range here.Keys("") {
		check(err)
		fmt.Println(k)
	}
	copied, err := here.Subtree("nodes/1")
	check(err)
	fmt.Println("equal subtrees:", copied == lan)
	// Output:
	// nodes/1/10.0.0.7
	// equal subtrees: true
}

func ExampleTx_Graft() {
	ctx := context.Background()
	repo, err := vcs.Open(ctx, mem.New(), vcs.Config[string, string]{})
	check(err)
	defer repo.Close()
	_, err = repo.Set(ctx, "primary", "now/a", "1", at(0, "a"))
	check(err)
	_, err = repo.Update(ctx, "primary", vcs.TxOptions{CommitInfo: at(1, "keep a copy")}, func(tx *vcs.Tx[string, string]) error {
		tree, err := tx.Base().Subtree("now")
		if err != nil {
			return err
		}
		tx.Set("now/a", "2")
		return tx.Graft("before", tree)
	})
	check(err)
	snap, err := repo.At("primary")
	check(err)
	m, err := snap.Map()
	check(err)
	fmt.Println(m)
	// Output: map[before/a:1 now/a:2]
}

// An edit of what was read some time ago.
func ExampleRepo_MergeKey() {
	ctx := context.Background()
	repo, err := vcs.Open(ctx, mem.New(), vcs.Config[string, string]{})
	check(err)
	defer repo.Close()
	_, err = repo.Set(ctx, "primary", "name", "printer", at(0, "read by a client"))
	check(err)
	_, err = repo.MergeKey(ctx, "primary", "name", vcs.Some("printer"), vcs.Some("scanner"), at(1, "the client's edit"))
	fmt.Println(err)
	_, err = repo.MergeKey(ctx, "primary", "name", vcs.Some("printer"), vcs.Some("copier"), at(2, "a late edit"))
	fmt.Println(err)
	// Output:
	// <nil>
	// name on primary: vcs: merge conflict
}

// A folder that somebody else changed comes back into a branch.
func ExampleRepo_MergeTree() {
	ctx := context.Background()
	repo, err := vcs.Open(ctx, mem.New(), vcs.Config[string, string]{})
	check(err)
	defer repo.Close()
	subtree := func(rev, dir string) vcs.ID {
		snap, err := repo.At(rev)
		check(err)
		id, err := snap.Subtree(dir)
		check(err)
		return id
	}
	_, err = repo.Set(ctx, "fleet", "nodes/1/a", "1", at(0, "a"))
	check(err)
	given := subtree("fleet", "nodes/1")
	_, err = repo.Graft(ctx, "node/1", "lan", given, at(1, "what the fleet knows"))
	check(err)
	_, err = repo.Set(ctx, "node/1", "lan/b", "2", at(2, "the node's news"))
	check(err)
	_, err = repo.Set(ctx, "fleet", "nodes/1/c", "3", at(2, "the fleet's news"))
	check(err)
	res, err := repo.MergeTree(ctx, "fleet", "nodes/1", given, subtree("node/1", "lan"), vcs.MergeOptions{CommitInfo: at(3, "news of node 1")})
	check(err)
	snap, err := repo.AtCommit(res.Head)
	check(err)
	m, err := snap.Map()
	fmt.Println(res.Kind, m, err)
	// Output: merged map[nodes/1/a:1 nodes/1/b:2 nodes/1/c:3] <nil>
}

// A queue takes changes where nothing may wait, and commits them in the
// background.
func ExampleQueue() {
	ctx := context.Background()
	repo, err := vcs.Open(ctx, mem.New(), vcs.Config[string, string]{})
	check(err)
	defer repo.Close()
	q, err := vcs.NewQueue(repo, "primary", vcs.QueueConfig[string, string]{
		Describe: func(c vcs.Queued[string, string]) vcs.CommitInfo {
			msg := fmt.Sprintf("%s is %s", c.Changes[0].Key, c.Changes[0].Value.Value)
			if c.Folded > 0 {
				msg += fmt.Sprintf(", after %d changes that were too fast", c.Folded)
			}
			return vcs.CommitInfo{Message: msg}
		},
	})
	check(err)
	q.Put("temperature", "20")
	q.Put("pressure", "1013")
	q.Put("temperature", "21")
	check(q.Close())
	head, err := repo.Head("primary")
	check(err)
	for c, err := range repo.Log(head) {
		check(err)
		fmt.Println(c.Subject())
	}
	// Output:
	// temperature is 21
	// pressure is 1013
	// temperature is 20
}
