package vcstest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// image makes the i-th image, opens it and judges what comes out.
func (c Crash) image(t *testing.T, run *crashRun, i int, n *tally) {
	rnd := rand.New(rand.NewPCG(c.Seed, uint64(i)))
	k := rnd.IntN(len(run.moments) - 1)
	torn := i%2 == 0
	if torn && run.moments[k+1].opened {
		k++ // between two group commits there is more than one
	}
	var files Files
	var what string
	if torn {
		files, what = c.between(run.moments[k].files, run.moments[k+1].files, rnd)
	} else {
		files, what = run.moments[k].files.damage(rnd, c.Spare)
	}
	what = fmt.Sprintf("image %d, after group commit %d of %d: %s", i, k, len(run.moments)-1, what)
	dir := memoryDir(t)
	defer func() {
		if !t.Failed() {
			os.RemoveAll(dir)
		}
	}()
	if err := files.Write(dir, c.Dirs...); err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	if torn && c.Impossible != nil && c.Impossible(dir) {
		n.mu.Lock()
		n.skipped++
		n.mu.Unlock()
		return
	}
	hang := time.AfterFunc(2*time.Minute, func() { panic(what + ": opening it takes more than two minutes") })
	defer hang.Stop()
	if err := c.judge(run, dir, k, torn, rnd.IntN(4) == 0, n); err != nil {
		t.Errorf("%s: %v\n%s", what, err, dir)
	} else if torn && i%40 == 0 && c.Check != nil {
		c.Check(t, dir)
	}
}

// between returns files as a crash in the second group commit can leave them.
func (c Crash) between(before, after Files, rnd *rand.Rand) (Files, string) {
	stages := map[int]bool{}
	for name, f := range after {
		if old, ok := before[name]; !ok || !old.equal(f) {
			stages[c.Stage(name)] = true
		}
	}
	order := append(slices.Sorted(maps.Keys(stages)), 1<<30) // at last: removals
	stage := order[rnd.IntN(len(order))]
	out := maps.Clone(before)
	what := []string{fmt.Sprint("torn in stage ", stage)}
	for _, name := range after.names() {
		old, now := before[name], after[name]
		_, there := before[name]
		switch s := c.Stage(name); {
		case there && old.equal(now) || s > stage:
		case s < stage:
			out[name] = now
		case c.Temporary(name) != "":
			var how string
			if rnd.IntN(2) == 0 {
				out[name], how = now, "complete"
			} else {
				out[c.Temporary(name)], how = tear(File{}, now, rnd)
			}
			what = append(what, name+": "+how)
		case !there && rnd.IntN(8) == 0: // not even its name
		case !there && rnd.IntN(8) == 0:
			out[name] = File{}
			what = append(what, name+": empty")
		default:
			var how string
			out[name], how = tear(old, now, rnd)
			what = append(what, name+": "+how)
		}
	}
	if stage == 1<<30 {
		for name := range before {
			if _, ok := after[name]; !ok && rnd.IntN(2) == 0 {
				delete(out, name)
			}
		}
	}
	return out, strings.Join(what, ", ")
}

// memoryDir makes a directory, in memory where there is such a place.
func memoryDir(t *testing.T) string {
	parent := "/dev/shm"
	if fi, err := os.Stat(parent); err != nil || !fi.IsDir() {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(parent, "vcstest-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if !t.Failed() || os.Getenv("KEEP") == "" {
			os.RemoveAll(dir)
		}
	})
	return filepath.Clean(dir)
}
