package gitremote_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/gitremote"
	"arpeggio/vcs/gitserve"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/packfile"
)

// store returns a store with two commits.
func store(ctx context.Context) *vcs.Repo[string, string] {
	r, err := vcs.Open(ctx, mem.New(), vcs.Config[string, string]{})
	if err != nil {
		panic(err)
	}
	for i, mac := range []string{"02:50:2a:00:00:01\n", "02:50:2a:00:00:02\n"} {
		info := vcs.CommitInfo{Message: "arp: 10.0.0.7 -> " + mac, Time: time.Unix(int64(1_700_000_000+i), 0)}
		if _, err := r.Set(ctx, "primary", "10.0.0.7", mac, info); err != nil {
			panic(err)
		}
	}
	return r
}

func tempDir() (dir string, remove func()) {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	return dir, func() { os.RemoveAll(dir) }
}

// A store as a directory that any git can read.
func ExampleWriteSnapshot() {
	r := store(context.Background())
	defer r.Close()
	tmp, remove := tempDir()
	defer remove()

	report, err := gitremote.WriteSnapshot(filepath.Join(tmp, "arp.git"), r.Store())
	fmt.Println(report.Objects, "objects,", report.Head, err)
	report, err = gitremote.WriteSnapshot(filepath.Join(tmp, "arp.git"), r.Store())
	fmt.Println(report.Objects, "new objects", err)
	// Output:
	// 6 objects, refs/heads/primary <nil>
	// 0 new objects <nil>
}

// Reading any bare repository object by object.
func ExampleOpenDir() {
	r := store(context.Background())
	defer r.Close()
	tmp, remove := tempDir()
	defer remove()
	if _, err := gitremote.WriteSnapshot(tmp, r.Store()); err != nil {
		panic(err)
	}

	d, err := gitremote.OpenDir(tmp)
	if err != nil {
		panic(err)
	}
	defer d.Close()
	refs, err := d.Refs()
	if err != nil {
		panic(err)
	}
	kind, _, err := d.ReadObject(refs[0].Target)
	fmt.Println(refs[0].Name, "is a", kind, err)
	// Output: refs/heads/primary is a commit <nil>
}

// A bare Git directory as the home of a store.
func ExampleCreateDir() {
	ctx := context.Background()
	tmp, remove := tempDir()
	defer remove()

	d, err := gitremote.CreateDir(tmp, "refs/heads/primary")
	if err != nil {
		panic(err)
	}
	r, err := vcs.Open(ctx, d, vcs.Config[string, string]{})
	if err != nil {
		panic(err)
	}
	if _, err := r.Set(ctx, "primary", "10.0.0.7", "02:50:2a:00:00:01\n", vcs.CommitInfo{Message: "arp: learnt"}); err != nil {
		panic(err)
	}
	fmt.Println(r.Close()) // makes it durable
	// Output: <nil>
}

// Carrying history by file.
func ExampleImportBundle() {
	ctx := context.Background()
	r := store(ctx)
	defer r.Close()
	tmp, remove := tempDir()
	defer remove()

	refs, err := r.Store().Refs()
	if err != nil {
		panic(err)
	}
	var bundle bytes.Buffer
	if err := packfile.WriteBundle(ctx, &bundle, r.Store(), refs, nil); err != nil {
		panic(err)
	}
	report, err := gitremote.ImportBundle(&bundle, tmp)
	fmt.Println(report.Objects, "objects", err)
	// Output: 6 objects <nil>
}

// Mirroring a running appliance.
func ExampleFetch() {
	ctx := context.Background()
	r := store(ctx)
	defer r.Close()
	server := httptest.NewServer(gitserve.New(gitserve.Config{Repository: r.Store()}))
	defer server.Close()
	tmp, remove := tempDir()
	defer remove()

	report, err := gitremote.Fetch(ctx, server.URL, tmp, gitremote.RemoteOptions{})
	fmt.Println(len(report.Changes), "ref,", len(report.Forced), "forced", err)
	// Output: 1 ref, 0 forced <nil>
}
