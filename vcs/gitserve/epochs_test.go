package gitserve

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/vcstest"
)

// epochRepo is a repository whose history a test cuts into epochs.
type epochRepo struct {
	*testRepo
	epochs []vcs.Epoch
}

func newEpochRepo(t testing.TB) *epochRepo {
	r := &epochRepo{testRepo: newTestRepo()}
	r.epochs = []vcs.Epoch{{Number: 1, Began: time.Unix(r.clock, 0)}}
	first := r.chain(t, "primary", 8)
	r.epochs[0].Roots = []vcs.EpochRoot{{Ref: "refs/heads/primary", Root: first[0]}}
	return r
}

// Epochs implements vcs.EpochReader.
func (r *epochRepo) Epochs() []vcs.Epoch {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]vcs.Epoch(nil), r.epochs...)
}

// cut ends the epoch and begins the next one with roots for some branches; a
// branch named a<b stands on a's root.
func (r *epochRepo) cut(t testing.TB, branches ...string) {
	t.Helper()
	if len(branches) == 0 {
		branches = []string{"primary"}
	}
	n := len(r.epochs) + 1
	r.clock += 60
	r.epochs[n-2].State = vcs.EpochLive
	r.epochs[n-2].Ended = time.Unix(r.clock, 0)
	e := vcs.Epoch{Number: n, Began: time.Unix(r.clock, 0)}
	who := vcs.Signature{Name: "store", Email: "store@lan", When: time.Unix(r.clock, 0).UTC()}
	roots := map[string]vcs.ID{}
	for _, spec := range branches {
		below, branch, on := strings.Cut(spec, "<")
		if !on {
			branch = spec
		}
		old := r.get("refs/heads/" + branch)
		c, err := vcs.ParseCommit(must(r.read(old)))
		if err != nil {
			t.Fatal(err)
		}
		root := vcs.Commit{Tree: c.Tree, Author: who, Committer: who, Message: fmt.Sprintf("epoch %d: %s\n\nEpoch: %d\nEpoch-Previous: %v\n", n, branch, n, old)}
		if on {
			root.Parents = []vcs.ID{roots[below]}
		}
		x := vcs.EpochRoot{Ref: "refs/heads/" + branch, Old: old, Root: r.put(vcs.KindCommit, root.Encode(nil))}
		root.Parents = append([]vcs.ID{old}, root.Parents...)
		x.ReplacementBytes = root.Encode(nil)
		x.Replacement = r.put(vcs.KindCommit, x.ReplacementBytes)
		e.Roots = append(e.Roots, x)
		roots[branch] = x.Root
		r.set(x.Ref, x.Root)
		r.set("refs/replace/"+x.Root.String(), x.Replacement)
		if branch == "primary" {
			r.set(fmt.Sprintf("refs/epochs/%d", n-1), old)
		}
	}
	r.mu.Lock()
	r.epochs = append(r.epochs, e)
	r.mu.Unlock()
}

// drop takes an epoch out of the repository.
func (r *epochRepo) drop(t testing.TB, n int) {
	t.Helper()
	r.set(fmt.Sprintf("refs/epochs/%d", n), vcs.ID{})
	var tips, gone []vcs.ID
	for _, x := range r.epochs[n].Roots {
		r.set("refs/replace/"+x.Root.String(), vcs.ID{})
		tips, gone = append(tips, x.Old), append(gone, x.Replacement)
	}
	if err := newGraph(r).walk(tips, func(id vcs.ID, _ *commitNode) bool {
		gone = append(gone, id)
		return true
	}); err != nil {
		t.Fatal(err)
	}
	for _, id := range gone {
		r.mu.Lock()
		delete(r.objects, id)
		r.mu.Unlock()
	}
	r.mu.Lock()
	r.epochs[n-1].State = vcs.EpochArchived
	r.mu.Unlock()
}

func (r *testRepo) read(id vcs.ID) ([]byte, error) {
	_, content, err := r.ReadObject(id)
	return content, err
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// command returns what an error tells to run.
func command(t testing.TB, out string) string {
	t.Helper()
	m := regexp.MustCompile(`(?m)^    (git .*)$`).FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("no command in: %s", out)
	}
	return m[1]
}

// shell runs a line as a user would.
func shell(t testing.TB, dir, line string) {
	t.Helper()
	cmd := exec.Command("sh", "-c", line)
	cmd.Dir = dir
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out.Bytes())
	}
}

// cloneAt clones and makes the clone speak that version from then on.
func cloneAt(t testing.TB, url string, v int, args ...string) string {
	t.Helper()
	dir := clone(t, url, v, args...)
	vcstest.Git(t, dir, "config", "protocol.version", fmt.Sprint(v))
	return dir
}

// wontFetch wants a fetch to be refused with a command, runs it, and wants the
// fetch to succeed then.
func wontFetch(t testing.TB, r *epochRepo, h *Handler, dir string) string {
	t.Helper()
	before := h.Stats().Refused[reasonEpoch]
	out, ok := git(t, dir, "fetch")
	if ok {
		t.Fatalf("git fetch: %s", out)
	}
	if n := h.Stats().Refused[reasonEpoch] - before; n != 1 {
		t.Errorf("%d refusals are counted", n)
	}
	line := command(t, out)
	shell(t, dir, line)
	vcstest.Git(t, dir, "fetch", "-q")
	fsck(t, dir)
	return line
}

// wantPull wants a clone to fast-forward and to show so many commits.
func wantPull(t testing.TB, r *epochRepo, dir string, commits int) {
	t.Helper()
	vcstest.Git(t, dir, "pull", "-q", "--ff-only")
	if got, want := vcstest.Git(t, dir, "rev-parse", "HEAD"), r.get("refs/heads/primary").String(); got != want {
		t.Errorf("HEAD is %s, want %s", got, want)
	}
	if n := strings.Count(vcstest.Git(t, dir, "log", "--oneline"), "\n") + 1; n != commits {
		t.Errorf("git log shows %d commits, want %d", n, commits)
	}
	fsck(t, dir)
}

// TestFetchAcrossEpochs: a clone of the first epoch fetches in the second and in
// the fourth, while all of them are here.
func TestFetchAcrossEpochs(t *testing.T) {
	allVersions(t, func(t *testing.T, v int) {
		for _, cuts := range []int{1, 3} {
			r := newEpochRepo(t)
			h, url := serve(t, Config{Repository: r})
			dir, mirror := cloneAt(t, url, v), cloneAt(t, url, v, "--mirror")
			r.chain(t, "primary", 4)
			for range cuts {
				r.cut(t)
				r.chain(t, "primary", 5)
			}
			line := wontFetch(t, r, h, dir)
			if want := "git fetch origin '+refs/replace/*:refs/replace/*'"; line != want {
				t.Errorf("the command is %q, want %q", line, want)
			}
			wantPull(t, r, dir, 12+6*cuts)
			r.chain(t, "primary", 3) // and from then on as ever
			wantPull(t, r, dir, 15+6*cuts)
			// A mirror gets the replacements by itself.
			vcstest.Git(t, mirror, "fetch", "-q")
			if n := vcstest.Git(t, mirror, "rev-list", "--count", "primary"); n != fmt.Sprint(15+6*cuts) {
				t.Errorf("the mirror has %s commits", n)
			}
			fsck(t, mirror)
			// Who comes now sees this epoch.
			fresh := cloneAt(t, url, v)
			r.chain(t, "primary", 1)
			wantPull(t, r, fresh, 10)
		}
	})
}

// TestFetchAfterDrop: the epochs of the clone, or some after it, are gone.
func TestFetchAfterDrop(t *testing.T) {
	allVersions(t, func(t *testing.T, v int) {
		for gone := 1; gone <= 3; gone++ {
			for _, at := range []string{"end", "middle"} {
				r := newEpochRepo(t)
				h, url := serve(t, Config{Repository: r})
				dir, have := cloneAt(t, url, v), 8
				if at == "middle" {
					r.chain(t, "primary", 3)
				}
				for range 3 {
					r.cut(t)
					r.chain(t, "primary", 5)
				}
				for n := range gone {
					r.drop(t, n+1)
				}
				line := wontFetch(t, r, h, dir)
				if !strings.Contains(line, "git replace -f --graft "+r.epochs[gone].Roots[0].Root.String()+" origin/primary") {
					t.Errorf("the command is %s", line)
				}
				wantPull(t, r, dir, have+6*(4-gone))
				r.chain(t, "primary", 2)
				wantPull(t, r, dir, have+6*(4-gone)+2)
				r.cut(t)
				r.chain(t, "primary", 1)
				wontFetch(t, r, h, dir)
				wantPull(t, r, dir, have+6*(4-gone)+4)
			}
		}
	})
}

// TestFetchAcrossEpochsOfAStore: the same with a store's own epochs, merges, and
// chains of what falls out.
func TestFetchAcrossEpochsOfAStore(t *testing.T) {
	r := must(vcs.Open(t.Context(), mem.New(), vcs.Config[string, string]{Merge: vcstest.Larger}))
	defer r.Close()
	n := 0
	write := func(commits int) {
		for range commits {
			n++
			must(r.Set(t.Context(), "primary", vcstest.Key(n%20), fmt.Sprint(n), vcs.CommitInfo{Message: fmt.Sprint(n)}))
		}
	}
	write(30)
	h, url := serve(t, Config{Repository: r.Store()})
	dir := cloneAt(t, url, 2)
	write(30)
	for range 3 {
		must(r.Store().EndEpoch(t.Context()))
		write(30)
	}
	out, ok := git(t, dir, "fetch")
	if ok {
		t.Fatalf("git fetch: %s", out)
	}
	shell(t, dir, command(t, out))
	vcstest.Git(t, dir, "pull", "-q", "--ff-only")
	if n := vcstest.Git(t, dir, "rev-list", "--count", "primary"); n != "153" {
		t.Errorf("%s commits, want 150 and three roots", n)
	}
	fsck(t, dir)
	mirror := cloneAt(t, url, 2, "--mirror")
	if n := vcstest.Git(t, mirror, "rev-list", "--count", "primary"); n != "153" {
		t.Errorf("the mirror has %s commits", n)
	}
	if s := h.Stats(); s.Refused[reasonEpoch] != 1 || s.Failures != 0 {
		t.Errorf("stats: %+v", s)
	}
}

// TestFetchOfBranchesAcrossEpochs: each branch has its root, one on another's.
func TestFetchOfBranchesAcrossEpochs(t *testing.T) {
	allVersions(t, func(t *testing.T, v int) {
		for _, gone := range []bool{false, true} {
			r := newEpochRepo(t)
			h, url := serve(t, Config{Repository: r})
			r.set("refs/heads/side", r.get("refs/heads/primary"))
			r.chain(t, "side", 2)
			dir := cloneAt(t, url, v)
			vcstest.Git(t, dir, "branch", "-q", "side", "origin/side")
			r.cut(t, "primary", "primary<side")
			r.chain(t, "primary", 2)
			r.chain(t, "side", 2)
			if gone {
				r.drop(t, 1)
			}
			wontFetch(t, r, h, dir)
			wantPull(t, r, dir, 11)
			vcstest.Git(t, dir, "checkout", "-q", "side")
			vcstest.Git(t, dir, "merge", "-q", "--ff-only", "origin/side")
			if got := vcstest.Git(t, dir, "merge-base", "primary", "side"); got != r.epochs[1].Roots[0].Root.String() {
				t.Errorf("the branches part at %s", got)
			}
			fsck(t, dir)
		}
	})
}

// TestShallowAcrossEpochs: a clone of some commits joins, too.
func TestShallowAcrossEpochs(t *testing.T) {
	allVersions(t, func(t *testing.T, v int) {
		for _, gone := range []int{0, 2} {
			r := newEpochRepo(t)
			h, url := serve(t, Config{Repository: r})
			dir := cloneAt(t, url, v, "--depth=2")
			for range 3 {
				r.cut(t)
				r.chain(t, "primary", 5)
			}
			for n := range gone {
				r.drop(t, n+1)
			}
			wontFetch(t, r, h, dir)
			wantPull(t, r, dir, 2+6*(3-max(0, gone-1)))
		}
	})
}

// TestOthersAcrossEpochs: who has none of the cut history is served.
func TestOthersAcrossEpochs(t *testing.T) {
	allVersions(t, func(t *testing.T, v int) {
		r := newEpochRepo(t)
		first := r.get("refs/heads/primary")
		h, url := serve(t, Config{Repository: r})
		r.cut(t)
		r.chain(t, "primary", 5)
		dir := filepath.Join(t.TempDir(), "other")
		vcstest.Git(t, t.TempDir(), "init", "-q", dir)
		vcstest.Git(t, dir, "commit", "-q", "--allow-empty", "-m", "mine")
		vcstest.Git(t, dir, "config", "protocol.version", fmt.Sprint(v))
		vcstest.Git(t, dir, "remote", "add", "arp", url)
		vcstest.Git(t, dir, "fetch", "-q", "arp")
		r.chain(t, "primary", 1)
		vcstest.Git(t, dir, "fetch", "-q", "arp")
		fsck(t, dir)
		// Old history by name is nobody's business but the client's.
		r.set("refs/tags/old", first)
		vcstest.Git(t, dir, "fetch", "-q", "arp", "tag", "old")
		r.chain(t, "primary", 1)
		vcstest.Git(t, dir, "fetch", "-q", "arp")
		fsck(t, dir)
		if s := h.Stats(); len(s.Refused) != 0 {
			t.Errorf("refused: %v", s.Refused)
		}
	})
}

// TestPushAcrossEpochs: who still stands on an earlier epoch is not lost to
// those who came since, and is told what to do.
func TestPushAcrossEpochs(t *testing.T) {
	_, s, url := pushServer(t, "refs/heads/primary:update,create refs/heads/node/*:update,create")
	dir := worktree(t, url)
	for range 2 {
		must(s.EndEpoch(t.Context()))
	}
	before := state(t, s)
	edit(t, dir, "mine", "mine\n")
	wontPush(t, dir, "(fetch first)", "origin", "primary")
	wontPush(t, dir, "denying non-fast-forward refs/heads/primary (you should pull first)", "-f", "origin", "primary")
	if after := state(t, s); after != before {
		t.Errorf("refs are %s, were %s", after, before)
	}
	out, ok := git(t, dir, "fetch")
	if ok {
		t.Fatalf("git fetch: %s", out)
	}
	shell(t, dir, command(t, out))
	vcstest.Git(t, dir, "fetch", "-q")
	vcstest.Git(t, dir, "merge", "-q", "-m", "join", "origin/primary")
	mustPush(t, dir, "origin", "primary")
	wantRef(t, s, "refs/heads/primary", head(t, dir, "HEAD"))
	// A branch of its own may stand on what is still here.
	vcstest.Git(t, dir, "checkout", "-q", "-b", "n", "HEAD~1")
	edit(t, dir, "more", "more\n")
	mustPush(t, dir, "origin", "n:refs/heads/node/n")
}

// TestFetchOfARoot: nothing came since the cut.
func TestFetchOfARoot(t *testing.T) {
	allVersions(t, func(t *testing.T, v int) {
		for _, gone := range []bool{false, true} {
			r := newEpochRepo(t)
			h, url := serve(t, Config{Repository: r})
			dir := cloneAt(t, url, v)
			r.cut(t)
			if gone {
				r.drop(t, 1)
			}
			wontFetch(t, r, h, dir)
			wantPull(t, r, dir, 9)
			r.chain(t, "primary", 1)
			wantPull(t, r, dir, 10)
		}
	})
}

// TestFetchAfterDropOfAStore: a clone from the middle of a store's first epoch,
// when that and others have left for good.
func TestFetchAfterDropOfAStore(t *testing.T) {
	r := must(vcs.Open(t.Context(), mem.New(), vcs.Config[string, string]{
		StoreConfig: vcs.StoreConfig{Retention: vcs.Retention{MaxCommits: 60, Chains: []vcs.Chain{}}}}))
	defer r.Close()
	n := 0
	write := func(commits int) {
		for range commits {
			n++
			must(r.Set(t.Context(), "primary", vcstest.Key(n%20), fmt.Sprint(n), vcs.CommitInfo{Message: fmt.Sprint(n)}))
		}
		must(r.Store().Collect(t.Context()))
	}
	h, url := serve(t, Config{Repository: r.Store()})
	write(5)
	dir := cloneAt(t, url, 2)
	for range 20 {
		write(10)
	}
	if s := r.Store().Stats(); s.Lost < 2 {
		t.Fatalf("%+v: want epochs dropped", s)
	}
	out, ok := git(t, dir, "fetch")
	if ok {
		t.Fatalf("git fetch: %s", out)
	}
	shell(t, dir, command(t, out))
	vcstest.Git(t, dir, "pull", "-q", "--ff-only")
	if got, want := vcstest.Git(t, dir, "rev-parse", "HEAD"), must(r.Head("primary")).String(); got != want {
		t.Errorf("HEAD is %s, want %s", got, want)
	}
	fsck(t, dir)
	if s := h.Stats(); s.Refused[reasonEpoch] != 1 || s.Failures != 0 {
		t.Errorf("stats: %+v", s)
	}
}
