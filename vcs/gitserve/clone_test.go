package gitserve

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/vcstest"
)

func TestClone(t *testing.T) {
	r := busyRepo(t)
	_, url := serve(t, Config{Repository: r, Prefix: "/arp.git"})
	tip := r.get("refs/heads/primary").String()
	for _, args := range [][]string{nil, {"--bare"}, {"--mirror"}, {"--single-branch"}, {"--no-tags"}} {
		t.Run(fmt.Sprint(args), func(t *testing.T) {
			allVersions(t, func(t *testing.T, v int) {
				dir := clone(t, url, v, args...)
				if got := vcstest.Git(t, dir, "rev-parse", "HEAD"); got != tip {
					t.Errorf("HEAD is %s, want %s", got, tip)
				}
				if got := vcstest.Git(t, dir, "symbolic-ref", "HEAD"); got != "refs/heads/primary" {
					t.Errorf("HEAD names %s", got)
				}
				if n := vcstest.Git(t, dir, "rev-list", "--count", "HEAD"); n != "20" {
					t.Errorf("%s commits, want 20", n)
				}
				wantTag := len(args) == 0 || args[0] != "--no-tags"
				if _, ok := git(t, dir, "rev-parse", "v1-signed^{commit}"); ok != wantTag {
					t.Errorf("tag present: %v, want %v", ok, wantTag)
				}
			})
		})
	}
}

func TestCloneIsUsable(t *testing.T) {
	r := busyRepo(t)
	_, url := serve(t, Config{Repository: r})
	dir := clone(t, url+"/", 2) // a trailing slash is no matter
	if out := vcstest.Git(t, dir, "log", "--all", "--graph", "--oneline"); !strings.Contains(out, "merge side") || !strings.Contains(out, "|\\") {
		t.Errorf("graph lacks the merge:\n%s", out)
	}
	if out := vcstest.Git(t, dir, "blame", "a"); !strings.Contains(out, "(node") {
		t.Errorf("blame: %s", out)
	}
}

func TestLsRemote(t *testing.T) {
	r := busyRepo(t)
	_, url := serve(t, Config{Repository: r})
	var want strings.Builder
	fmt.Fprintf(&want, "%s\tHEAD\n", r.get("refs/heads/primary"))
	refs, err := r.Refs()
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range refs {
		fmt.Fprintf(&want, "%s\t%s\n", ref.Target, ref.Name)
		if target, ok, err := peel(r, ref); err != nil {
			t.Fatal(err)
		} else if ok {
			fmt.Fprintf(&want, "%s\t%s^{}\n", target, ref.Name)
		}
	}
	allVersions(t, func(t *testing.T, v int) {
		if got := vcstest.Git(t, t.TempDir(), "-c", version(v), "ls-remote", url) + "\n"; got != want.String() {
			t.Errorf("ls-remote:\n%swant:\n%s", got, want.String())
		}
		got := vcstest.Git(t, t.TempDir(), "-c", version(v), "ls-remote", "--symref", url, "HEAD")
		if !strings.HasPrefix(got, "ref: refs/heads/primary\tHEAD\n") {
			t.Errorf("ls-remote --symref: %s", got)
		}
	})
}

func TestEmptyRepository(t *testing.T) {
	r := newTestRepo()
	h, url := serve(t, Config{Repository: r})
	for v := range 3 {
		dir := clone(t, url, v)
		// Only v2 can tell the name of a branch that has no commit.
		if got := vcstest.Git(t, dir, "symbolic-ref", "HEAD"); v == 2 && got != "refs/heads/primary" {
			t.Errorf("v2: HEAD names %s", got)
		}
		r.chain(t, "primary", 2)
		vcstest.Git(t, dir, "-c", version(v), "fetch", "-q")
		if got := vcstest.Git(t, dir, "rev-parse", "origin/primary"); got != r.get("refs/heads/primary").String() {
			t.Errorf("v%d: origin/primary is %s", v, got)
		}
		r.set("refs/heads/primary", vcs.ID{})
	}
	if s := h.Stats(); s.Failures != 0 || len(s.Refused) != 0 {
		t.Errorf("stats: %+v", s)
	}
}

func TestIncrementalFetch(t *testing.T) {
	allVersions(t, func(t *testing.T, v int) {
		r := busyRepo(t)
		h, url := serve(t, Config{Repository: r})
		dir := clone(t, url, v)
		before := h.Stats()
		vcstest.Git(t, dir, "-c", version(v), "fetch", "-q")
		if n := fetched(h, before); n != 0 {
			t.Errorf("a fetch of nothing sent %d objects", n)
		}
		ids := r.chain(t, "primary", 2)
		tag := r.tag("v2", ids[1], vcs.KindCommit)
		vcstest.Git(t, dir, "-c", version(v), "fetch", "-q")
		// Two commits, two trees, two or three blobs, one tag.
		if n := fetched(h, before); n < 6 || n > 8 {
			t.Errorf("the fetch of two commits and a tag sent %d objects", n)
		}
		if got := vcstest.Git(t, dir, "rev-parse", "v2"); got != tag.String() {
			t.Errorf("v2 is %s, want %s", got, tag)
		}
		vcstest.Git(t, dir, "merge", "-q", "--ff-only", "origin/primary")
		fsck(t, dir)
	})
}

// TestFetchWithLocalCommits: the client offers commits that the server has never
// seen, more than fit one round of negotiation, and on top of an old common one.
func TestFetchWithLocalCommits(t *testing.T) {
	allVersions(t, func(t *testing.T, v int) {
		for _, local := range []int{1, 40, 400} {
			r := newTestRepo()
			r.chain(t, "primary", 30)
			h, url := serve(t, Config{Repository: r})
			dir := clone(t, url, v)
			fastImport(t, dir, "refs/heads/mine", r.get("refs/heads/primary"), local)
			before := h.Stats()
			ids := r.chain(t, "primary", 5)
			vcstest.Git(t, dir, "-c", version(v), "fetch", "-q")
			if got := vcstest.Git(t, dir, "rev-parse", "origin/primary"); got != ids[4].String() {
				t.Errorf("%d local commits: origin/primary is %s, want %s", local, got, ids[4])
			}
			if n := fetched(h, before); n < 10 || n > 20 {
				t.Errorf("%d local commits: the fetch of five commits sent %d objects", local, n)
			}
			fsck(t, dir)
		}
	})
}

// fastImport adds n commits on top of base.
func fastImport(t testing.TB, dir, ref string, base vcs.ID, n int) {
	t.Helper()
	var in strings.Builder
	for i := range n {
		fmt.Fprintf(&in, "commit %s\ncommitter me <me@lan> %d +0000\ndata 5\nlocal\n", ref, 1_800_000_000+i)
		if i == 0 {
			fmt.Fprintf(&in, "from %s\n", base)
		}
		text := fmt.Sprintf("%d\n", i)
		fmt.Fprintf(&in, "M 100644 inline c\ndata %d\n%s\n", len(text), text)
	}
	vcstest.GitInput(t, dir, []byte(in.String()), "fast-import", "--quiet")
}

// TestUnrelatedHistory: nothing is in common.
func TestUnrelatedHistory(t *testing.T) {
	allVersions(t, func(t *testing.T, v int) {
		r := busyRepo(t)
		_, url := serve(t, Config{Repository: r})
		dir := t.TempDir()
		vcstest.Git(t, dir, "init", "-q")
		vcstest.Git(t, dir, "commit", "-q", "--allow-empty", "-m", "mine")
		vcstest.Git(t, dir, "-c", version(v), "fetch", "-q", url, "primary")
		if got := vcstest.Git(t, dir, "rev-parse", "FETCH_HEAD"); got != r.get("refs/heads/primary").String() {
			t.Errorf("FETCH_HEAD is %s", got)
		}
		fsck(t, dir)
	})
}

func TestForcedAndDeletedRefs(t *testing.T) {
	allVersions(t, func(t *testing.T, v int) {
		r := busyRepo(t)
		_, url := serve(t, Config{Repository: r})
		dir := clone(t, url, v, "--mirror")
		ids := r.chain(t, "other", 2)
		r.set("refs/heads/primary", ids[1])
		r.set("refs/heads/side", vcs.ID{})
		vcstest.Git(t, dir, "-c", version(v), "fetch", "-q", "--prune")
		if got := vcstest.Git(t, dir, "rev-parse", "primary"); got != ids[1].String() {
			t.Errorf("primary is %s, want %s", got, ids[1])
		}
		if _, ok := git(t, dir, "rev-parse", "--verify", "refs/heads/side"); ok {
			t.Error("side was not pruned")
		}
		fsck(t, dir)
	})
}

// TestWantOfAFormerTip: between a client's two requests the ref moves away.
func TestWantOfAFormerTip(t *testing.T) {
	allVersions(t, func(t *testing.T, v int) {
		r := newTestRepo()
		old := r.chain(t, "primary", 3)[2]
		_, url := serve(t, Config{Repository: r})
		var once sync.Once
		r.hook(func(int) error { // the ref listing is done, the fetch has begun
			once.Do(func() { r.set("refs/heads/primary", vcs.ID{}) })
			return nil
		})
		dir := filepath.Join(t.TempDir(), "c")
		vcstest.Git(t, filepath.Dir(dir), "-c", version(v), "clone", "-q", url, dir)
		if got := vcstest.Git(t, dir, "rev-parse", "HEAD"); got != old.String() {
			t.Errorf("HEAD is %s, want %s", got, old)
		}
	})
}

func TestPartialClone(t *testing.T) {
	r := busyRepo(t)
	h, url := serve(t, Config{Repository: r})
	allVersions(t, func(t *testing.T, v int) {
		before := h.Stats()
		dir := filepath.Join(t.TempDir(), "c")
		vcstest.Git(t, filepath.Dir(dir), "-c", version(v), "clone", "-q", "--no-checkout", "--filter=blob:none", url, dir)
		few := fetched(h, before)
		if out := vcstest.Git(t, dir, "rev-list", "--objects", "--all", "--missing=print"); !strings.Contains(out, "\n?") {
			t.Error("blob:none left no blob out")
		}
		vcstest.Git(t, dir, "checkout", "-q", "primary") // fetches blobs by name
		if b, err := os.ReadFile(filepath.Join(dir, "a")); err != nil || !strings.HasPrefix(string(b), "a\n") {
			t.Errorf("a holds %q, %v", b, err)
		}
		before = h.Stats()
		clone(t, url, v, "--filter=blob:limit=1k")
		if all := fetched(h, before); all <= few {
			t.Errorf("blob:limit=1k sent %d objects, blob:none %d", all, few)
		}
		out, ok := git(t, t.TempDir(), "-c", version(v), "clone", "--filter=sparse:oid=HEAD:a", url, "c")
		if ok || !strings.Contains(out, "not supported") {
			t.Errorf("an unknown filter: %s", out)
		}
	})
}

// findRepo does not know its blobs until somebody has them looked for.
type findRepo struct {
	*testRepo
	blobs atomic.Bool
	asked atomic.Int32
}

func (r *findRepo) ReadObject(id vcs.ID) (vcs.Kind, []byte, error) {
	kind, content, err := r.testRepo.ReadObject(id)
	if kind == vcs.KindBlob && !r.blobs.Load() {
		return 0, nil, vcs.ErrNotFound
	}
	return kind, content, err
}

// FindObjects implements vcs.ObjectFinder.
func (r *findRepo) FindObjects(_ context.Context, ids ...vcs.ID) error {
	r.asked.Add(1)
	r.blobs.Store(true)
	return nil
}

// TestPartialCloneFindsOldFiles: what a partial clone asks for by name is looked
// for in all of the history; nobody else has that done.
func TestPartialCloneFindsOldFiles(t *testing.T) {
	r := &findRepo{testRepo: newTestRepo()}
	r.chain(t, "primary", 5)
	_, url := serve(t, Config{Repository: r})
	dir := filepath.Join(t.TempDir(), "c")
	vcstest.Git(t, filepath.Dir(dir), "clone", "-q", "--no-checkout", "--filter=blob:none", url, dir)
	if n := r.asked.Load(); n != 0 {
		t.Errorf("a clone has had objects looked for, %d times", n)
	}
	vcstest.Git(t, dir, "checkout", "-q", "primary~3")
	if n := r.asked.Load(); n != 1 {
		t.Errorf("objects were looked for %d times", n)
	}
	r.blobs.Store(false)
	if out, ok := git(t, dir, "fetch", "--no-filter", "origin", strings.Repeat("1", 40)); ok || r.asked.Load() != 1 {
		t.Errorf("looked for %d times without a filter: %s", r.asked.Load(), out)
	}
}
