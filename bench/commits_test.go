package bench

import (
	"context"
	"crypto/sha1"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
)

// A side makes a number of entries and then commits, and says what the commits
// took and where they ended.
type side func(ctx context.Context, entries, commits int) (cost, vcs.ID, error)

// cost is what some work took: the processors' time says more than the clock's
// on a machine that others use.
type cost struct{ wall, cpu time.Duration }

// stopwatch measures this process.
func stopwatch() func() cost {
	start, cpu := time.Now(), cpuTime()
	return func() cost { return cost{time.Since(start), cpuTime() - cpu} }
}

// cpuTime is what this process has used so far, garbage collection included.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func ourSide(ctx context.Context, entries, commits int) (cost, vcs.ID, error) {
	o, err := newLayout(ctx, entries, mem.New(), newPathTable(entries))
	if err != nil {
		return cost{}, vcs.ID{}, err
	}
	defer o.Close()
	runtime.GC()
	stop := stopwatch()
	err = o.steps(ctx, commits)
	return stop(), o.head, err
}

func goGitSide(_ context.Context, entries, commits int) (cost, vcs.ID, error) {
	g, err := newGoGit(entries)
	if err != nil {
		return cost{}, vcs.ID{}, err
	}
	runtime.GC()
	stop := stopwatch()
	for range commits {
		if err := g.step(); err != nil {
			return cost{}, vcs.ID{}, err
		}
	}
	return stop(), vcs.ID(g.head), nil
}

// fastImportSide does not count what making the entries takes, nor writing the
// stream.
func fastImportSide(ctx context.Context, entries, commits int) (cost, vcs.ID, error) {
	dir, err := os.MkdirTemp("", "bench-fast-import-")
	if err != nil {
		return cost{}, vcs.ID{}, err
	}
	defer os.RemoveAll(dir)
	var took [2]cost
	var head vcs.ID
	for i, n := range []int{0, commits} {
		file := filepath.Join(dir, "stream")
		if err := writeStream(file, entries, n); err != nil {
			return cost{}, vcs.ID{}, err
		}
		if took[i], head, err = fastImport(ctx, filepath.Join(dir, fmt.Sprint(i)), file, branch); err != nil {
			return cost{}, vcs.ID{}, err
		}
	}
	return cost{took[1].wall - took[0].wall, took[1].cpu - took[0].cpu}, head, nil
}

// A side runs again within a round until it has taken so long, and so often at
// most: a tenth of a second alone says little on a machine that others use.
const (
	shortSide = 400 * time.Millisecond
	maxAgain  = 4
)

// race runs sides in turns and returns for each the median rate, in commits a
// second, and the median of the processors' time. Those that are done at once run
// several times in a round. That they end at one commit is checked.
func race(ctx context.Context, rounds, entries, commits int, sides ...side) (rates []float64, cpu []time.Duration, err error) {
	walls, cpus := make([][]time.Duration, len(sides)), make([][]time.Duration, len(sides))
	var want vcs.ID
	for range rounds {
		for i, side := range sides {
			left := shortSide
			for again := 0; left > 0 && again < maxAgain; again++ {
				took, head, err := side(ctx, entries, commits)
				if err != nil {
					return nil, nil, err
				}
				if want.IsZero() {
					want = head
				}
				if head != want {
					return nil, nil, fmt.Errorf("ids differ: side %d ends at %v, side 0 at %v", i, head, want)
				}
				walls[i], cpus[i] = append(walls[i], took.wall), append(cpus[i], took.cpu)
				left -= took.wall
			}
		}
	}
	for i := range sides {
		rates = append(rates, float64(commits)/median(walls[i]).Seconds())
		cpu = append(cpu, median(cpus[i])/time.Duration(commits))
	}
	return rates, cpu, nil
}

func median[T float64 | time.Duration](list []T) T {
	s := slices.Sorted(slices.Values(list))
	return s[len(s)/2]
}

// commits: one entry a commit, all sides with equal ids.
func commits(ctx context.Context, b *board) {
	const entries, n = 10_000, 20_000
	b.section("One-entry commits in memory, 10,000 entries (equal ids on all sides)")
	rates, cpu, err := race(ctx, 3, entries, n, ourSide, queueSide, goGitSide, fastImportSide)
	if err != nil {
		b.fail("all sides", err)
		return
	}
	spent := func(i int) string {
		return fmt.Sprintf("%.1f µs of processor time each", float64(cpu[i].Nanoseconds())/1000)
	}
	// Whoever makes many commits has a queue: like a stream for fast-import it takes
	// them ahead, and the clock stops when the last one is saved.
	best := max(rates[0], rates[1])
	b.add(Row{Name: "vcs on vcs/mem, a Commit at a time", Value: rates[0], Unit: "commits/s", Note: spent(0) + "; median of 3 rounds or more"})
	b.add(Row{Name: "vcs on vcs/mem, through a vcs.Queue", Value: rates[1], Unit: "commits/s", Note: spent(1)})
	against := func(i int, name string, bar float64) {
		b.add(Row{Name: name, Value: rates[i], Unit: "commits/s", Ratio: best / rates[i], Bar: AtLeast(bar),
			Note: fmt.Sprintf("%s; a Commit at a time %.1f×", spent(i), rates[0]/rates[i])})
	}
	against(2, "go-git, memory storer", 15)
	against(3, "git fast-import", 30)
	if alone, err := hashAlone(entries, n); err != nil {
		b.fail("hashing alone", err)
	} else {
		b.add(Row{Name: "crypto/sha1 over the same objects, no store", Value: alone, Unit: "commits/s", Ratio: best / alone,
			Note: "a second of one processor, nothing kept"})
	}

	b.section("The same, 1,000,000 entries")
	const large = 1_000_000
	big, bigAlone, err := pace(ctx, large, n)
	if err != nil {
		b.fail("vcs on vcs/mem", err)
		return
	}
	// Next to it in time, so that both had the same machine.
	small, smallAlone, err := pace(ctx, entries, n)
	if err != nil {
		b.fail("vcs on vcs/mem", err)
		return
	}
	b.add(Row{Name: "vcs on vcs/mem, a Commit at a time", Value: bigAlone, Unit: "commits/s", Note: fmt.Sprintf("median of %d rounds in one store", paceRounds)})
	b.add(Row{Name: "vcs on vcs/mem, through a vcs.Queue", Value: big, Unit: "commits/s"})
	b.add(Row{Name: "of its rate at 10,000, measured next to it", Value: big / small, Bar: AtLeast(0.5),
		Note: fmt.Sprintf("a Commit at a time %.2f", bigAlone/smallAlone)})
	if !b.full {
		return
	}
	others, _, err := race(ctx, 1, large, n, fastImportSide, goGitSide)
	if err != nil {
		b.fail("the others", err)
		return
	}
	b.add(Row{Name: "git fast-import", Value: others[0], Unit: "commits/s", Ratio: big / others[0]})
	b.add(Row{Name: "go-git, memory storer", Value: others[1], Unit: "commits/s", Ratio: big / others[1]})
}

// paceRounds is how often pace measures.
const paceRounds = 5

// pace returns the median rates, in commits a second, of several rounds of commits
// in one store, through a queue and one at a time: making a store of a million
// entries takes longer than they do.
func pace(ctx context.Context, entries, commits int) (queue, alone float64, err error) {
	q, err := newQueued(ctx, entries, false)
	if err != nil {
		return 0, 0, err
	}
	defer q.close()
	var rates [2][]float64
	for range paceRounds {
		for i, steps := range []func(context.Context, int) error{q.steps, q.o.steps} {
			if q.o.head, err = q.o.Head(branch); err != nil {
				return 0, 0, err
			}
			runtime.GC()
			stop := stopwatch()
			if err := steps(ctx, commits); err != nil {
				return 0, 0, err
			}
			rates[i] = append(rates[i], float64(commits)/stop().wall.Seconds())
		}
	}
	return median(rates[0]), median(rates[1]), nil
}

// hashAlone returns how many commits a second could be made if nothing but the
// hashes of their objects had to be computed: the most that one processor can do.
func hashAlone(entries, commits int) (float64, error) {
	g, err := newGoGit(entries)
	if err != nil {
		return 0, err
	}
	g.record = true
	for range commits {
		if err := g.step(); err != nil {
			return 0, err
		}
	}
	var rates []float64
	for range 3 {
		stop := stopwatch()
		for _, o := range g.made {
			if sum := sha1.Sum(o.framed); sum != o.id {
				return 0, fmt.Errorf("%x hashes to %x", o.id, sum)
			}
		}
		rates = append(rates, float64(commits)/stop().cpu.Seconds())
	}
	return median(rates), nil
}

// All sides must make the same commits, or their times mean nothing.
func TestSidesMakeEqualIDs(t *testing.T) {
	if _, _, err := race(t.Context(), 1, 700, 150, ourSide, goGitSide, fastImportSide, queueSide); err != nil {
		t.Error(err)
	}
}
