package badger_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"arpeggio/vcs"
	"arpeggio/vcs/badger"
)

func ExampleOpen() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for range 2 {
		backend, err := badger.Open(ctx, dir, badger.Config{})
		if err != nil {
			log.Fatal(err)
		}
		report := backend.Report()
		fmt.Println(report.String())
		repo, err := vcs.Open(ctx, backend, vcs.Config[string, string]{})
		if err != nil {
			log.Fatal(err)
		}
		if _, err := repo.Set(ctx, "primary", "lan/10.0.0.7", "02:50:00:00:00:07\n", vcs.CommitInfo{Message: "arp: 10.0.0.7 appears"}); err != nil {
			log.Fatal(err)
		}
		if err := repo.Sync(ctx); err != nil { // now it survives a power cut
			log.Fatal(err)
		}
		if err := repo.Close(); err != nil {
			log.Fatal(err)
		}
	}
	// Output:
	// 0 refs, 0 commits, 0 trees, 0 blobs checked
	// 1 refs, 1 commits, 2 trees, 1 blobs checked
}
