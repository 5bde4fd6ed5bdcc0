package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// A side makes a number of entries and then commits, and says how long the
// commits took and where they ended.
type side func(ctx context.Context, entries, commits int) (time.Duration, vcs.ID, error)

func ourSide(ctx context.Context, entries, commits int) (time.Duration, vcs.ID, error) {
	o, err := newOurs(ctx, entries, mem.New())
	if err != nil {
		return 0, vcs.ID{}, err
	}
	defer o.Close()
	runtime.GC()
	took, err := o.steps(ctx, commits)
	return took, o.head, err
}

func goGitSide(_ context.Context, entries, commits int) (time.Duration, vcs.ID, error) {
	g, err := newGoGit(entries)
	if err != nil {
		return 0, vcs.ID{}, err
	}
	runtime.GC()
	start := time.Now()
	for range commits {
		if err := g.step(); err != nil {
			return 0, vcs.ID{}, err
		}
	}
	return time.Since(start), vcs.ID(g.head), nil
}

// fastImportSide does not count what making the entries takes, nor writing the
// stream.
func fastImportSide(ctx context.Context, entries, commits int) (time.Duration, vcs.ID, error) {
	dir, err := os.MkdirTemp("", "bench-fast-import-")
	if err != nil {
		return 0, vcs.ID{}, err
	}
	defer os.RemoveAll(dir)
	var took [2]time.Duration
	var head vcs.ID
	for i, n := range []int{0, commits} {
		file := filepath.Join(dir, "stream")
		if err := writeStream(file, entries, n); err != nil {
			return 0, vcs.ID{}, err
		}
		if took[i], head, err = fastImport(ctx, filepath.Join(dir, fmt.Sprint(i)), file, branch); err != nil {
			return 0, vcs.ID{}, err
		}
	}
	return took[1] - took[0], head, nil
}

// race runs sides in turns and returns the median rate of each, in commits a
// second. That they end at one commit is checked.
func race(ctx context.Context, rounds, entries, commits int, sides ...side) ([]float64, error) {
	rates := make([][]float64, len(sides))
	var want vcs.ID
	for range rounds {
		for i, side := range sides {
			took, head, err := side(ctx, entries, commits)
			if err != nil {
				return nil, err
			}
			if want.IsZero() {
				want = head
			}
			if head != want {
				return nil, fmt.Errorf("ids differ: side %d ends at %v, side 0 at %v", i, head, want)
			}
			rates[i] = append(rates[i], float64(commits)/took.Seconds())
		}
	}
	out := make([]float64, len(sides))
	for i, r := range rates {
		out[i] = median(r)
	}
	return out, nil
}

func median[T float64 | time.Duration](list []T) T {
	s := slices.Sorted(slices.Values(list))
	return s[len(s)/2]
}

// commits: one entry a commit, all sides with equal ids.
func commits(ctx context.Context, b *board) {
	const entries, n = 10_000, 20_000
	b.section("One-entry commits in memory, 10,000 entries (equal ids on all sides)")
	rates, err := race(ctx, 3, entries, n, ourSide, goGitSide, fastImportSide)
	if err != nil {
		b.fail("all sides", err)
		return
	}
	b.add(Row{Name: "vcs on vcs/mem", Value: rates[0], Unit: "commits/s", Note: "durable at the end; median of 3 rounds"})
	b.add(Row{Name: "go-git, memory storer", Value: rates[1], Unit: "commits/s", Ratio: rates[0] / rates[1], Bar: AtLeast(15)})
	b.add(Row{Name: "git fast-import", Value: rates[2], Unit: "commits/s", Ratio: rates[0] / rates[2], Bar: AtLeast(30)})

	b.section("The same, 1,000,000 entries")
	const large = 1_000_000
	sides := []side{ourSide}
	if b.full {
		sides = append(sides, fastImportSide, goGitSide)
	}
	big, err := race(ctx, 1, large, n, sides...)
	if err != nil {
		b.fail("vcs on vcs/mem", err)
		return
	}
	// Next to it in time, so that both had the same machine.
	small, err := race(ctx, 1, entries, n, ourSide)
	if err != nil {
		b.fail("vcs on vcs/mem", err)
		return
	}
	b.add(Row{Name: "vcs on vcs/mem", Value: big[0], Unit: "commits/s"})
	b.add(Row{Name: "of the rate at 10,000, measured next to it", Value: big[0] / small[0], Bar: AtLeast(0.5)})
	if b.full {
		b.add(Row{Name: "git fast-import", Value: big[1], Unit: "commits/s", Ratio: big[0] / big[1]})
		b.add(Row{Name: "go-git, memory storer", Value: big[2], Unit: "commits/s", Ratio: big[0] / big[2]})
	}
}

// All sides must make the same commits, or their times mean nothing.
func TestSidesMakeEqualIDs(t *testing.T) {
	if _, err := race(t.Context(), 1, 700, 150, ourSide, goGitSide, fastImportSide); err != nil {
		t.Error(err)
	}
}
