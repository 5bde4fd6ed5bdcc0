package vcstest

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"arpeggio/vcs"
)

// Crash is a test of what a backend that keeps its files in a directory makes of
// the images that crashes and bad disks leave. It records a run of a store, with
// merges, tags and deleted branches, and the files after each group commit. From
// that it makes images and opens each:
//
//   - torn ones, between one group commit and the next: some of the sectors that
//     the second one wrote. The store must be as it was after the first or after
//     the second, with all objects, and nothing reported;
//   - damaged ones: bits flipped, sectors zeroed or files cut off anywhere. The
//     store must be as it was after the last group commit, or the damage must be
//     reported. Then the heads are heads that it once had, as far as they can be
//     read at all.
//
// In every case the store must open and take new commits.
type Crash struct {
	// Open opens a directory, a new one as well as what is left of one, as a
	// program does.
	Open func(dir string) (vcs.Backend, Found, error)
	// Refused, when not nil, says that Open may fail in this way on a damaged
	// image: the damage makes the directory look like somebody else's.
	Refused func(err error) bool
	// Stage says when a file is written in a group commit: those of a lower
	// stage are whole and durable before those of a higher one are begun, and
	// files are removed last. Nil: all at once.
	Stage func(name string) int
	// Temporary returns the name under which a file is written before it gets its
	// own, whole and durable; "" for one that is written in place. Nil: all are.
	Temporary func(name string) string
	// Impossible, when not nil, is asked about torn images: true skips one that
	// no crash can leave.
	Impossible func(dir string) bool
	// Spare names files that are not damaged: those that a program does not need.
	Spare func(name string) bool
	// Dirs must exist in each image, though they may be empty.
	Dirs []string
	// Check, when not nil, looks at some of the torn images when they are closed.
	Check func(t testing.TB, dir string)
	// Groups is the length of the run in group commits, default 120. Value is
	// the length of a large value, default 3000 bytes.
	Groups, Value int
	// Images is how many images are opened, half of them torn. Default 1000.
	// Limit, when not zero, ends that earlier, but not before a fortieth of them.
	Images int
	Limit  time.Duration
	Seed   uint64
}

// Found is what opening a directory reported.
type Found struct {
	Damage string // "" for none
	Note   string // of what a crash may leave, "" for nothing
	// Report is what vcs.Verify said if opening has checked all that the refs
	// lead to. Nil: the test does it.
	Report *vcs.Report
}

// Run runs the test.
func (c Crash) Run(t *testing.T) {
	c.Groups, c.Value, c.Images = or(c.Groups, 120), or(c.Value, 3000), or(c.Images, 1000)
	if c.Stage == nil {
		c.Stage = func(string) int { return 0 }
	}
	if c.Temporary == nil {
		c.Temporary = func(string) string { return "" }
	}
	if c.Spare == nil {
		c.Spare = func(string) bool { return false }
	}
	run := c.record(t)
	var next atomic.Int64
	var wg sync.WaitGroup
	var tally tally
	start := time.Now()
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= c.Images || t.Failed() || c.Limit > 0 && i > c.Images/40 && time.Since(start) > c.Limit && tally.enough() {
					return
				}
				c.image(t, run, i, &tally)
			}
		})
	}
	wg.Wait()
	t.Log(tally.String())
	if !tally.enough() {
		t.Error("the images show too little: the damage was not where it matters")
	}
}

// tally counts what images led to.
type tally struct {
	mu                                                             sync.Mutex
	torn, before, after, skipped                                   int
	damaged, intact, older, reported, lost, refused, heads, unread int
}

// enough reports whether there were images of each kind.
func (n *tally) enough() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.before > 0 && n.after > 0 && n.reported > 0
}

func (n *tally) String() string {
	return fmt.Sprintf("%d torn images: %d as before the write, %d as after it (%d that cannot be were left out); "+
		"%d damaged images: %d as they were, %d reported, of these %d at an earlier state and %d with heads that cannot be read "+
		"(%d of %d heads), %d refused",
		n.torn, n.before, n.after, n.skipped,
		n.damaged, n.intact, n.reported, n.older, n.lost, n.unread, n.heads, n.refused)
}
