package archive_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/archive"
	"arpeggio/vcs/mem"
)

// A store calls its Archiver by itself; here an epoch is put away by hand.
func ExampleDir_Archive() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	repo, err := vcs.Open(ctx, mem.New(), vcs.Config[string, string]{})
	if err != nil {
		log.Fatal(err)
	}
	defer repo.Close()
	info := vcs.CommitInfo{Message: "one", Time: time.Unix(1_700_000_000, 0)}
	head, err := repo.Set(ctx, "primary", "k", "v\n", info)
	if err != nil {
		log.Fatal(err)
	}
	heads, err := repo.Store().Refs()
	if err != nil {
		log.Fatal(err)
	}

	epochs, err := archive.Open(filepath.Join(dir, "epochs.git"), archive.Config{MaxBytes: 64 << 20})
	if err != nil {
		log.Fatal(err)
	}
	receipt, err := epochs.Archive(ctx, vcs.Epoch{Number: 1, Heads: heads, Commits: 1}, repo.Store())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(filepath.Dir(receipt.Name), len(receipt.SHA256))
	old, err := epochs.Epoch(ctx, 1)
	if err != nil {
		log.Fatal(err)
	}
	defer old.Close()
	c, err := vcs.Decoding{ObjectReader: old}.ReadCommit(head)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(c.Subject())
	// Output:
	// objects/pack 32
	// one
}

// What the store has and what the archive has are read as one history.
func ExampleDir_Join() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	repo, err := vcs.Open(ctx, mem.New(), vcs.Config[string, string]{})
	if err != nil {
		log.Fatal(err)
	}
	defer repo.Close()
	epochs, err := archive.Open(filepath.Join(dir, "epochs.git"), archive.Config{})
	if err != nil {
		log.Fatal(err)
	}
	for i, text := range []string{"one", "two", "three"} {
		info := vcs.CommitInfo{Message: text, Time: time.Unix(1_700_000_000+int64(i), 0)}
		if _, err := repo.Set(ctx, "primary", "k", text, info); err != nil {
			log.Fatal(err)
		}
		if i == 1 {
			if _, err := repo.Store().EndEpoch(ctx); err != nil {
				log.Fatal(err)
			}
			if _, err := epochs.Archive(ctx, repo.Store().Epochs()[0], repo.Store()); err != nil {
				log.Fatal(err)
			}
		}
	}
	head, err := repo.Head("primary")
	if err != nil {
		log.Fatal(err)
	}
	all, err := epochs.Join(ctx, repo.Store())
	if err != nil {
		log.Fatal(err)
	}
	defer all.Close()
	for c, err := range all.Log(head) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(c.Subject())
	}
	// Output:
	// three
	// epoch 2: primary
	// two
	// one
}
