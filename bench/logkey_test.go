package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/badger"
	"arpeggio/vcs/gitremote"
	"arpeggio/vcs/mem"
)

const (
	logEntries = 10_000
	logCommits = 100_000
)

// logKey: the log of one key over 100,000 commits.
func logKey(ctx context.Context, b *board) {
	b.section("Log of one key over 100,000 commits, 10,000 entries, store opened and indexed")
	dir, err := os.MkdirTemp("", "bench-log-")
	if err != nil {
		b.fail("disk", err)
		return
	}
	defer os.RemoveAll(dir)
	expect, keys := keyCounts()
	back := mem.New()
	db := filepath.Join(dir, "badger")
	for _, side := range []struct {
		name string
		open func() (vcs.Backend, error)
	}{
		{"vcs on vcs/mem", func() (vcs.Backend, error) { return back, nil }},
		{"vcs on vcs/badger", func() (vcs.Backend, error) { return badger.Open(ctx, db, badger.Config{}) }},
	} {
		if err := b.logOfStore(ctx, side.name, side.open, expect, keys); err != nil {
			b.fail(side.name, err)
		}
	}
	if err := b.logOfDirectory(ctx, dir, expect, keys); err != nil {
		b.fail("vcs on a bare Git directory", err)
	}
}

// keyCounts returns how many commits change each entry, and some of them.
func keyCounts() (counts, keys []int) {
	w, counts := newWorkload(logEntries), make([]int, logEntries)
	for i := range counts {
		counts[i]++ // its creation
	}
	for range logCommits {
		counts[w.next()]++
	}
	return counts, rand.New(rand.NewPCG(2, 2)).Perm(logEntries)[:101]
}

// logOfStore fills a backend, opens it again, and reads.
func (b *board) logOfStore(ctx context.Context, name string, open func() (vcs.Backend, error), expect, keys []int) error {
	back, err := open()
	if err != nil {
		return err
	}
	o, err := newOurs(ctx, logEntries, back)
	if err != nil {
		return err
	}
	err = o.steps(ctx, logCommits)
	if err = errors.Join(err, o.Close()); err != nil {
		return err
	}
	if back, err = open(); err != nil {
		return err
	}
	start := time.Now()
	if o, err = openOurs(ctx, back); err != nil {
		return err
	}
	opened := time.Since(start)
	defer o.Close()
	return b.timeLogs(name, AtMost(5), o, expect, keys, fmt.Sprintf("opened in %v", opened.Round(time.Millisecond)))
}

// timeLogs reads the log of some keys and checks how many commits it has.
func (b *board) timeLogs(name string, bar Bar, o *ours, expect, keys []int, note string) error {
	var took []time.Duration
	for n, i := range keys {
		start, found := time.Now(), 0
		for _, err := range o.LogKey(addr(i), o.head) {
			if err != nil {
				return err
			}
			found++
		}
		if n > 0 { // the first one opens files
			took = append(took, time.Since(start))
		}
		if found != expect[i] {
			return fmt.Errorf("the log of %s has %d commits, want %d", prefixes{}.Path(addr(i)), found, expect[i])
		}
	}
	b.add(Row{Name: name, Value: median(took).Seconds() * 1000, Unit: "ms", Bar: bar,
		Note: fmt.Sprintf("median of %d keys, slowest %.2f ms; %s", len(took), slices.Max(took).Seconds()*1000, note)})
	return nil
}

// logOfDirectory reads a repository that stock git made, with its commit-graph.
func (b *board) logOfDirectory(ctx context.Context, dir string, expect, keys []int) error {
	repo, name := filepath.Join(dir, "git"), filepath.Join(dir, "stream")
	if err := writeStream(name, logEntries, logCommits); err != nil {
		return err
	}
	if _, _, err := fastImport(ctx, repo, name, branch); err != nil {
		return err
	}
	start := time.Now()
	if _, err := git(ctx, repo, "commit-graph", "write", "--reachable", "--changed-paths"); err != nil {
		return err
	}
	note := fmt.Sprintf("commit-graph with changed paths, written in %v", time.Since(start).Round(100*time.Millisecond))
	d, err := gitremote.OpenDir(repo)
	if err != nil {
		return err
	}
	o, err := openOurs(ctx, d)
	if err != nil {
		return err
	}
	defer o.Close()
	if err := b.timeLogs("vcs on a bare Git directory", AtMost(5), o, expect, keys[:11], note); err != nil {
		return err
	}
	start = time.Now()
	if _, err := git(ctx, repo, "log", "--format=%H", branch, "--", prefixes{}.Path(addr(keys[1]))); err != nil {
		return err
	}
	b.add(Row{Name: "git log, on that directory", Value: time.Since(start).Seconds() * 1000, Unit: "ms"})
	return nil
}
