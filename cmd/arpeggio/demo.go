package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"arpeggio/internal/demo"
)

type demoCmd struct {
	Out     string        `default:"demo_results" placeholder:"DIR" help:"Receives a bare Git directory for each node (${default})."`
	Backend string        `enum:"mem,badger,git" default:"mem" help:"Where nodes keep their history while they run: mem, badger, git (${default})."`
	For     time.Duration `default:"15s" placeholder:"TIME" help:"How long to run (${default})."`
	Seed    uint64        `default:"2015" help:"Seed of the switch (${default})."`
	Verbose bool          `short:"v" help:"Log more."`

	compatFlags
}

func (c *demoCmd) Run(ctx context.Context) error {
	level := slog.LevelError
	if c.Verbose {
		level = slog.LevelDebug
	}
	note("ten nodes on one switch for %v: two echo servers, four clients, two pairs of gossips", c.For)
	results, err := demo.Run(ctx, demo.Config{
		Out: c.Out, Backend: demo.Backend(c.Backend), Duration: c.For, Seed: c.Seed, Wording: c.wording(),
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})),
	})
	if err != nil {
		return err
	}
	failed := 0
	fmt.Printf("%-9s %-15s %5s %8s %8s %8s %7s\n", "NODE", "ADDRESS", "SENT", "RECEIVED", "ENTRIES", "COMMITS", "MERGES")
	for _, r := range results {
		fmt.Printf("%-9s %-15s %5d %8d %8d %8d %7d\n", r.Name, r.Addr, r.Sent, r.Received, r.Entries, r.Commits, r.Merges)
		for _, p := range r.Problems {
			fmt.Printf("          FAIL: %s\n", p)
		}
		if len(r.Problems) > 0 {
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("FAIL: %d of %d nodes", failed, len(results))
	}
	fmt.Printf("PASS: %d nodes; browse one: git -C %s log --all --graph --oneline\n", len(results), filepath.Join(c.Out, "server2"))
	return nil
}
