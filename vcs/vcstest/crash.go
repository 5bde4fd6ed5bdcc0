package vcstest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
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

// moment is a store after a group commit.
type moment struct {
	refs  string
	files Files
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
				if i >= c.Images || t.Failed() || c.Limit > 0 && i > c.Images/40 && time.Since(start) > c.Limit {
					return
				}
				c.image(t, run, i, &tally)
			}
		})
	}
	wg.Wait()
	t.Log(tally.String())
	if tally.before == 0 || tally.after == 0 || tally.reported == 0 {
		t.Error("the images show too little: the damage was not where it matters")
	}
}

// tally counts what images led to.
type tally struct {
	mu                                                             sync.Mutex
	torn, before, after, skipped                                   int
	damaged, intact, older, reported, lost, refused, heads, unread int
}

func (n *tally) String() string {
	return fmt.Sprintf("%d torn images: %d as before the write, %d as after it (%d that cannot be were left out); "+
		"%d damaged images: %d as they were, %d reported, of these %d at an earlier state and %d with heads that cannot be read "+
		"(%d of %d heads), %d refused",
		n.torn, n.before, n.after, n.skipped,
		n.damaged, n.intact, n.reported, n.older, n.lost, n.unread, n.heads, n.refused)
}

// run is what was recorded.
type crashRun struct {
	moments []moment
	at      map[string]int // by refs
	commits map[vcs.ID]bool
}

// record writes a history and returns the moments after its group commits.
func (c Crash) record(t *testing.T) *crashRun {
	dir := memoryDir(t)
	b, _, err := c.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	run := &crashRun{at: make(map[string]int), commits: map[vcs.ID]bool{{}: true}}
	var files Files
	rec := &recorder{Backend: b, refs: make(map[string]vcs.ID)}
	var mu sync.Mutex // the store applies in a goroutine of its own
	rec.after = func() {
		mu.Lock()
		defer mu.Unlock()
		if files, err = ReadFiles(dir, files); err != nil {
			t.Error(err)
		}
		for _, id := range rec.refs {
			run.commits[id] = true
		}
		run.at[rec.state()] = len(run.moments)
		run.moments = append(run.moments, moment{rec.state(), files})
	}
	rec.after()
	r := openRepo(t, rec)
	for seed := range uint64(c.Groups) {
		ids := RandomHistory(t, r, HistoryConfig{Seed: seed, Steps: 1 + int(seed%4), Keys: 60})
		mu.Lock()
		for _, id := range ids {
			run.commits[id] = true
		}
		mu.Unlock()
		c.decorate(t, r, int(seed))
		if err := r.Sync(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if len(run.moments) < c.Groups/2 {
		t.Fatalf("only %d group commits were recorded", len(run.moments))
	}
	return run
}

// decorate adds what RandomHistory does not have.
func (c Crash) decorate(t *testing.T, r *vcs.Repo[string, string], n int) {
	ctx := context.Background()
	head, err := r.Head("b0")
	if err != nil {
		return
	}
	info := vcs.CommitInfo{Message: fmt.Sprint("group ", n)}
	switch n % 5 {
	case 0:
		rnd := rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)})
		value := make([]byte, c.Value)
		for i := range value {
			value[i] = '!' + byte(rnd.Uint64()%90)
		}
		_, err = r.Set(ctx, "b0", "large/"+fmt.Sprint(n%7), string(value), info)
	case 1:
		_, err = r.CreateTag(ctx, fmt.Sprint("t", n), head, info)
	case 2:
		err = r.CreateBranch(ctx, fmt.Sprint("side", n), head)
	case 3:
		if side, serr := r.Head(fmt.Sprint("side", n-1)); serr == nil {
			err = r.DeleteBranch(ctx, fmt.Sprint("side", n-1), side)
		}
	}
	if err != nil {
		t.Fatalf("group %d: %v", n, err)
	}
}

// recorder is a backend that is looked at after each Apply.
type recorder struct {
	vcs.Backend
	refs  map[string]vcs.ID
	after func()
}

// KeepsLog implements vcs.LogKeeper.
func (r *recorder) KeepsLog() bool {
	k, ok := r.Backend.(vcs.LogKeeper)
	return ok && k.KeepsLog()
}

// ReadObject implements vcs.ObjectReader.
func (r *recorder) ReadObject(id vcs.ID) (vcs.Kind, []byte, error) {
	return r.Backend.(vcs.ObjectReader).ReadObject(id)
}

// Apply implements vcs.Backend.
func (r *recorder) Apply(ctx context.Context, b *vcs.Batch) error {
	if err := r.Backend.Apply(ctx, b); err != nil {
		return err
	}
	for _, u := range b.Refs {
		r.refs[u.Name] = u.New
		if u.New.IsZero() {
			delete(r.refs, u.Name)
		}
	}
	r.after()
	return nil
}

func (r *recorder) state() string {
	var refs []vcs.Ref
	for _, name := range slices.Sorted(maps.Keys(r.refs)) {
		refs = append(refs, vcs.Ref{Name: name, Target: r.refs[name]})
	}
	return fmt.Sprint(refs)
}

// image makes the i-th image, opens it and judges what comes out.
func (c Crash) image(t *testing.T, run *crashRun, i int, n *tally) {
	rnd := rand.New(rand.NewPCG(c.Seed, uint64(i)))
	k := rnd.IntN(len(run.moments) - 1)
	torn := i%2 == 0
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

// judge opens an image.
func (c Crash) judge(run *crashRun, dir string, k int, torn, write bool, n *tally) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	b, found, err := c.Open(dir)
	if err != nil {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.damaged++
		if !torn && c.Refused != nil && c.Refused(err) {
			n.refused++
			return nil
		}
		return fmt.Errorf("it does not open: %w", err)
	}
	var refs []vcs.Ref
	var rep vcs.Report
	if found.Report != nil && !write {
		refs, err = justLoad(b)
		rep = *found.Report
	} else {
		refs, rep, err = use(b, dir, write)
		if (errors.Is(err, vcs.ErrCorrupt) || errors.Is(err, vcs.ErrNotFound)) && !torn {
			found.Damage, err = err.Error(), nil // reported to who reads that part of history
		}
		if !rep.OK() && found.Report == nil {
			found.Damage = rep.String()
		}
	}
	if err != nil {
		return err
	}
	at, known := run.at[fmt.Sprint(refs)]
	n.mu.Lock()
	defer n.mu.Unlock()
	if torn {
		n.torn++
		switch {
		case found.Damage != "":
			return fmt.Errorf("a crash alone leaves damage: %s; %s", found.Damage, rep.String())
		case !known || at != k && at != k+1:
			return fmt.Errorf("the refs are those after group commit %d, or none", at)
		case at == k:
			n.before++
		default:
			n.after++
		}
		return nil
	}
	n.damaged++
	whole := rep.OK() && known && at == k
	switch silent := found.Damage == "" && found.Note == ""; {
	case silent && whole:
		n.intact++
		return nil
	case silent:
		return fmt.Errorf("not reported: the refs are those after group commit %d, or none; %s", at, rep.String())
	}
	n.reported++
	bad := make(map[vcs.ID]bool)
	for _, p := range rep.Problems {
		bad[p.ID] = true
	}
	lost := false
	for _, ref := range refs {
		n.heads++
		if !bad[ref.Target] && !run.commits[ref.Target] {
			return fmt.Errorf("%s is at %v, which never was", ref.Name, ref.Target)
		}
		if bad[ref.Target] {
			n.unread++
			lost = true
		}
	}
	if lost {
		n.lost++
	} else if !whole {
		n.older++
	}
	return nil
}

// justLoad returns the refs and closes the backend.
func justLoad(b vcs.Backend) ([]vcs.Ref, error) {
	st, err := b.Load(context.Background())
	return st.Refs, errors.Join(err, b.Close())
}

// use runs a store on a backend and closes it: it verifies everything and, if
// wanted, reads all of history and writes on.
func use(b vcs.Backend, value string, write bool) (refs []vcs.Ref, rep vcs.Report, err error) {
	ctx := context.Background()
	r, err := vcs.Open(ctx, b, vcs.Config[string, string]{Merge: Larger})
	if err != nil {
		return nil, rep, fmt.Errorf("no store on it: %w", err)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if refs, err = r.Store().Refs(); err != nil {
		return nil, rep, err
	}
	if rep, err = vcs.Verify(ctx, r.Store(), refs, nil); err != nil || !write {
		return refs, rep, err
	}
	if rep.OK() {
		if err := readAll(r.Store(), refs); err != nil {
			return refs, rep, fmt.Errorf("reading all: %w", err)
		}
	}
	if _, err := r.Set(ctx, "afterwards", "key", value, vcs.CommitInfo{Message: "afterwards"}); err != nil {
		return refs, rep, fmt.Errorf("writing: %w", err)
	}
	return refs, rep, nil
}

// readAll reads every tree and blob of the history.
func readAll(s *vcs.Store, refs []vcs.Ref) error {
	var heads []vcs.ID
	for _, ref := range refs {
		id, err := vcs.PeelCommit(s, ref.Target)
		if err != nil {
			return err
		}
		heads = append(heads, id)
	}
	seen := make(map[vcs.ID]bool)
	var walk func(id vcs.ID) error
	walk = func(id vcs.ID) error {
		if seen[id] {
			return nil
		}
		seen[id] = true
		kind, content, err := s.ReadObject(id)
		if err != nil {
			return err
		}
		if vcs.HashObject(kind, content) != id {
			return fmt.Errorf("%w: %v", vcs.ErrCorrupt, id)
		}
		if kind != vcs.KindTree {
			return nil
		}
		tree, err := vcs.ParseTree(content)
		for i := 0; err == nil && i < tree.Len(); i++ {
			err = walk(tree.Entry(i).ID)
		}
		return err
	}
	for c, err := range s.Log(heads...) {
		if err == nil {
			err = walk(c.Tree)
		}
		if err != nil {
			return err
		}
	}
	return nil
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
