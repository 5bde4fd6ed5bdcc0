package gitremote_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/gitremote"
	"arpeggio/vcs/gitserve"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/mergers"
)

// hub serves a store that takes pushes from who knows a token.
func hub(r *vcs.Repo[string, string]) (url string, stop func()) {
	tokens, err := gitserve.ReadTokens(strings.NewReader("0123456789abcdef\n"))
	if err != nil {
		panic(err)
	}
	server := httptest.NewServer(gitserve.New(gitserve.Config{Repository: r.Store(),
		Push: &gitserve.PushConfig{Writer: r.Store(), Authorize: tokens.Authorize}}))
	return server.URL, server.Close
}

// Sending a branch to a server.
func ExamplePush() {
	ctx := context.Background()
	r := store(ctx)
	defer r.Close()
	there, err := vcs.Open(ctx, mem.New(), vcs.Config[string, string]{})
	if err != nil {
		panic(err)
	}
	defer there.Close()
	url, stop := hub(there)
	defer stop()

	opts := gitremote.PushOptions{RemoteOptions: gitremote.RemoteOptions{BearerToken: "0123456789abcdef"}}
	report, err := gitremote.Push(ctx, r.Store(), url, []string{"primary"}, opts)
	fmt.Println(report.Updates[0].Name, report.Objects, "objects", err)
	report, _ = gitremote.Push(ctx, r.Store(), url, []string{"primary~1:primary"}, opts)
	fmt.Println(report.Updates[0].Err)
	// Output:
	// refs/heads/primary 6 objects <nil>
	// refs/heads/primary: rejected (non-fast-forward)
}

// Keeping an eye on somebody else's branches.
func ExampleFetchInto() {
	ctx := context.Background()
	there := store(ctx)
	defer there.Close()
	url, stop := hub(there)
	defer stop()
	r, err := vcs.Open(ctx, mem.New(), vcs.Config[string, string]{})
	if err != nil {
		panic(err)
	}
	defer r.Close()

	report, err := gitremote.FetchInto(ctx, r.Store(), url, gitremote.FetchOptions{Name: "hub"})
	fmt.Println(report.Updates[0].Name, report.Objects, "objects", err)
	// Output: refs/remotes/hub/primary 6 objects <nil>
}

// Two writers who each pull what the other did. The repository's own merge
// function settles what both changed.
func ExamplePull() {
	ctx := context.Background()
	there := store(ctx)
	defer there.Close()
	url, stop := hub(there)
	defer stop()
	r, err := vcs.Open(ctx, mem.New(), vcs.Config[string, string]{
		Merge: mergers.Max[string](strings.Compare),
	})
	if err != nil {
		panic(err)
	}
	defer r.Close()

	pull := func() {
		res, err := gitremote.Pull(ctx, r, "primary", url, gitremote.PullOptions{})
		fmt.Println(res.Kind, err)
	}
	pull()
	info := vcs.CommitInfo{Message: "arp: 10.0.0.8 learnt", Time: time.Unix(1_700_000_100, 0)}
	for repo, mac := range map[*vcs.Repo[string, string]]string{r: "02:50:2a:00:00:0a\n", there: "02:50:2a:00:00:0b\n"} {
		if _, err := repo.Set(ctx, "primary", "10.0.0.8", mac, info); err != nil {
			panic(err)
		}
	}
	pull()
	now, err := r.At("primary")
	if err != nil {
		panic(err)
	}
	mac, _, err := now.Get("10.0.0.8")
	fmt.Print(mac, err)
	// Output:
	// fast-forward <nil>
	// merged <nil>
	// 02:50:2a:00:00:0b
	// <nil>
}

// A store whose ended epochs go to a hub, beside those of other stores. They are
// read there, or fetched.
func ExampleRemoteArchive() {
	ctx := context.Background()
	hub := &gitremote.RemoteArchive{URL: "https://hub.example/epochs.git", Name: "r1"}
	cfg := vcs.Config[string, string]{StoreConfig: vcs.StoreConfig{
		Retention: vcs.Retention{MaxBytes: 64 << 20, Archive: hub},
	}}
	r, err := vcs.Open(ctx, mem.New(), cfg)
	if err != nil {
		panic(err)
	}
	defer r.Close()
	_, err = hub.OpenEpoch(ctx, vcs.Epoch{Number: 3})
	fmt.Println(err)
	// Output:
	// gitremote: unsupported operation: fetch epoch 3 first: git fetch https://hub.example/epochs.git refs/epochs/r1/3
}
