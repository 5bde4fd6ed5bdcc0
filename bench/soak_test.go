package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/archive"
	"arpeggio/vcs/gitserve"
)

// soak is the SOAK environment variable: empty in make test. SOAK_COMMITS sets
// the length of the long runs.
func soak() bool { return os.Getenv("SOAK") != "" }

func soakCommits(small int) int {
	if !soak() {
		return small
	}
	if n, err := strconv.Atoi(os.Getenv("SOAK_COMMITS")); err == nil && n > 0 {
		return n
	}
	return 10_000_000
}

// longRun is a bounded store to which the workload's commits go, one after the
// other. The ids that the store acknowledged are kept in a file, 20 bytes each,
// so that this takes no memory.
type longRun struct {
	*ours
	dir      string
	archives *archive.Dir
	ids      *os.File
	out      *bufio.Writer
	acked    int
	retried  int // commits for which the branch had moved to the root of an epoch
}

func newLongRun(t *testing.T, dir string, b vcs.Backend, r vcs.Retention, ac archive.Config) *longRun {
	t.Helper()
	archives, err := archive.Open(filepath.Join(dir, "epochs.git"), ac)
	if err != nil {
		t.Fatal(err)
	}
	entries := 300
	if soak() {
		entries = 10_000
	}
	l := &longRun{dir: dir, archives: archives, ours: &ours{w: newWorkload(entries)}}
	if l.ids, err = os.Create(filepath.Join(t.TempDir(), "ids")); err != nil {
		t.Fatal(err)
	}
	l.out = bufio.NewWriter(l.ids)
	r.Archive = l.archives
	l.Repo, err = vcs.Open(t.Context(), b, vcs.Config[uint32, string]{Layout: prefixes{}, Merge: larger,
		Author:      vcs.Signature{Name: authorName, Email: authorEmail},
		StoreConfig: vcs.StoreConfig{Retention: r}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(l.Close(), l.ids.Close()); err != nil {
			t.Error(err)
		}
	})
	if err := l.commit(t.Context(), l.w.all(), vcs.CommitInfo{Message: "create", Time: time.Unix(l.w.now, 0)}); err != nil {
		t.Fatal(err)
	}
	return l
}

// commit goes on from the root of an epoch that began meanwhile.
func (l *longRun) commit(ctx context.Context, changes []vcs.Change[uint32, string], info vcs.CommitInfo) error {
	for {
		id, err := l.Commit(ctx, branch, l.head, changes, info)
		if errors.Is(err, vcs.ErrRefMoved) {
			l.retried++
			if l.head, err = l.Head(branch); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		l.head = id
		l.acked++
		_, err = l.out.Write(id[:])
		return err
	}
}

func (l *longRun) run(ctx context.Context, n, every int, sample func() error) error {
	for i := range n {
		k := l.w.next()
		if err := l.commit(ctx, []vcs.Change[uint32, string]{l.w.change(k)}, l.w.info(k)); err != nil {
			return err
		}
		if i%every == every-1 {
			if err := sample(); err != nil {
				return err
			}
		}
	}
	if err := errors.Join(l.Sync(ctx), l.out.Flush()); err != nil {
		return err
	}
	return l.collect(ctx)
}

// collect waits for what the store does by itself, and does it. An archive without
// room is no failure: the ledger has it.
func (l *longRun) collect(ctx context.Context) error {
	if _, err := l.Store().Collect(ctx); err != nil && !errors.Is(err, vcs.ErrArchiveFull) {
		return err
	}
	return nil
}

// rejoin brings the archives, and what the store has and they have not, together
// in a repository of stock git, grafts each epoch onto the one before, and compares
// the log with the acknowledged ids. It returns how many it compared and the
// repository.
func (l *longRun) rejoin(ctx context.Context) (compared int, joined string, err error) {
	joined = filepath.Join(l.dir, "joined.git")
	if _, err := git(ctx, "", "init", "-q", "--bare", "--initial-branch="+branch, joined); err != nil {
		return 0, "", err
	}
	srv := httptest.NewServer(gitserve.New(gitserve.Config{Repository: l.Store(), Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))}))
	defer srv.Close()
	// The store comes first: it would tell who has the archive how to join the two.
	want := []string{"fetch", "-q", "--no-tags", srv.URL, "+refs/heads/*:refs/heads/*"}
	for _, e := range l.Store().Epochs() {
		if e.State == vcs.EpochLive && e.Archive.Name == "" {
			want = append(want, fmt.Sprintf("+%[1]s:%[1]s", vcs.EpochRef(e.Number)))
		}
	}
	if _, err := git(ctx, joined, want...); err != nil {
		return 0, "", err
	}
	alternates := filepath.Join(joined, "objects", "info", "alternates")
	if err := os.WriteFile(alternates, []byte(filepath.Join(l.archives.Path(), "objects")+"\n"), 0o666); err != nil {
		return 0, "", err
	}
	// The archive has a branch history/epochs of an earlier time.
	if _, err := git(ctx, joined, "fetch", "-q", "--no-tags", l.archives.Path(), "+refs/epochs*:refs/epochs*", "+refs/replace/*:refs/replace/*"); err != nil {
		return 0, "", err
	}
	roots, lost, gone := make(map[string]bool), 0, false
	have, err := git(ctx, joined, "for-each-ref", "--format=%(refname:lstrip=2)", "refs/replace/")
	if err != nil {
		return 0, "", err
	}
	replaced := strings.Fields(have)
	epochs := l.Store().Epochs()
	for i, e := range slices.Backward(epochs) {
		gone = gone || e.State == vcs.EpochLost
		if gone {
			lost += e.Commits
		}
		for _, r := range e.Roots {
			if r.Old.IsZero() {
				continue // the first commit of all
			}
			roots[r.Root.String()] = true
			if i == 0 || epochs[i-1].State == vcs.EpochLost || slices.Contains(replaced, r.Root.String()) || r.Ref != vcs.BranchRef(branch) {
				continue
			}
			if _, err := git(ctx, joined, "replace", "--graft", r.Root.String(), r.Old.String()); err != nil {
				return 0, "", err
			}
		}
	}
	compared, err = l.compare(ctx, joined, roots, lost)
	return compared, joined, err
}

// compare reads git's log of the branch, newest first, beside the file, of which
// so many ids are lost.
func (l *longRun) compare(ctx context.Context, repo string, roots map[string]bool, lost int) (n int, err error) {
	ids, err := os.ReadFile(l.ids.Name())
	if err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, "git", "rev-list", branch)
	cmd.Dir, cmd.Env, cmd.Stderr = repo, gitEnv(), os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer cmd.Wait()
	defer out.Close()
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if roots[lines.Text()] {
			continue
		}
		if len(ids) == 0 {
			return n, fmt.Errorf("git has %s before the first commit", lines.Text())
		}
		want := vcs.ID(ids[len(ids)-20:])
		if lines.Text() != want.String() {
			return n, fmt.Errorf("after %d equal ids git has %s, acknowledged was %v", n, lines.Text(), want)
		}
		ids = ids[:len(ids)-20]
		n++
	}
	if left := len(ids) / 20; left != lost {
		return n, fmt.Errorf("git's log ends after %d ids; %d are missing, where %d are recorded as lost", n, left, lost)
	}
	return n, nil
}

// residency is how much was taken of something, by epoch.
type residency struct {
	epochs []span
}

type span struct {
	epoch, samples int
	min, max       int64
}

func (m *residency) add(epoch int, bytes int64) {
	if len(m.epochs) == 0 || m.epochs[len(m.epochs)-1].epoch != epoch {
		m.epochs = append(m.epochs, span{epoch: epoch, min: bytes})
	}
	s := &m.epochs[len(m.epochs)-1]
	s.samples++
	s.min, s.max = min(s.min, bytes), max(s.max, bytes)
}

// settled is the range of the peaks of all epochs after the first ones.
func (m *residency) settled(skip int) (lo, hi int64, ok bool) {
	if len(m.epochs) <= skip {
		return 0, 0, false
	}
	lo = m.epochs[skip].max
	for _, s := range m.epochs[skip:] {
		lo, hi = min(lo, s.max), max(hi, s.max)
	}
	return lo, hi, true
}

// peak is the highest sample of the epoch at hand.
func (m *residency) peak() int64 {
	if len(m.epochs) == 0 {
		return 0
	}
	return m.epochs[len(m.epochs)-1].max
}

// most is the highest sample.
func (m *residency) most() int64 {
	_, hi, _ := m.settled(0)
	return hi
}

func (m *residency) log(t *testing.T) {
	for _, s := range m.epochs {
		t.Logf("epoch %3d: %4d samples, %6.1f to %6.1f MiB", s.epoch, s.samples, float64(s.min)/(1<<20), float64(s.max)/(1<<20))
	}
}

// epoch is the number of the current one.
func (l *longRun) epoch() int {
	epochs := l.Store().Epochs()
	return epochs[len(epochs)-1].Number
}

func (l *longRun) logEpochs(t *testing.T) {
	for _, e := range l.Store().Epochs() {
		t.Logf("epoch %3d: %v, %d commits, %d bytes of log, archived in %d bytes %s", e.Number, e.State, e.Commits, e.LogBytes, e.Archive.Bytes, e.Reason)
	}
}
