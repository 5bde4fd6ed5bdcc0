package gitserve

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"arpeggio/vcs/vcstest"
)

func count(t *testing.T, dir, rev string) string {
	t.Helper()
	return vcstest.Git(t, dir, "rev-list", "--count", rev)
}

func isShallow(t *testing.T, dir string) bool {
	t.Helper()
	return vcstest.Git(t, dir, "rev-parse", "--is-shallow-repository") == "true"
}

func TestShallowClone(t *testing.T) {
	allVersions(t, func(t *testing.T, v int) {
		r := newTestRepo()
		r.chain(t, "primary", 10)
		h, url := serve(t, Config{Repository: r})

		before := h.Stats()
		dir := clone(t, url, v, "--depth=1")
		if n := count(t, dir, "HEAD"); n != "1" || !isShallow(t, dir) {
			t.Fatalf("--depth=1 gave %s commits", n)
		}
		if n := fetched(h, before); n != 4 { // commit, tree, two blobs
			t.Errorf("--depth=1 sent %d objects", n)
		}

		// New commits arrive without the old ones.
		r.chain(t, "primary", 2)
		before = h.Stats()
		vcstest.Git(t, dir, "-c", version(v), "fetch", "-q")
		if n := count(t, dir, "origin/primary"); n != "3" {
			t.Errorf("after a plain fetch there are %s commits, want 3", n)
		}
		if n := fetched(h, before); n > 7 {
			t.Errorf("the plain fetch sent %d objects", n)
		}

		vcstest.Git(t, dir, "-c", version(v), "fetch", "-q", "--depth=5")
		if n := count(t, dir, "origin/primary"); n != "5" {
			t.Errorf("--depth=5 gave %s commits", n)
		}
		vcstest.Git(t, dir, "-c", version(v), "fetch", "-q", "--deepen=3")
		if n := count(t, dir, "origin/primary"); n != "8" {
			t.Errorf("--deepen=3 gave %s commits, want 8", n)
		}
		vcstest.Git(t, dir, "-c", version(v), "fetch", "-q", "--depth=2")
		if n := count(t, dir, "origin/primary"); n != "2" {
			t.Errorf("--depth=2 gave %s commits", n)
		}
		fsck(t, dir)

		vcstest.Git(t, dir, "-c", version(v), "fetch", "-q", "--unshallow")
		if n := count(t, dir, "origin/primary"); n != "12" || isShallow(t, dir) {
			t.Errorf("--unshallow gave %s commits, want 12", n)
		}
		fsck(t, dir)
	})
}

// TestDepthBeyondTheRoot: nothing is cut off, so the clone is no shallow one.
func TestDepthBeyondTheRoot(t *testing.T) {
	allVersions(t, func(t *testing.T, v int) {
		r := newTestRepo()
		r.chain(t, "primary", 3)
		_, url := serve(t, Config{Repository: r})
		for _, depth := range []int{3, 100} {
			dir := clone(t, url, v, fmt.Sprintf("--depth=%d", depth))
			if n := count(t, dir, "HEAD"); n != "3" || isShallow(t, dir) {
				t.Errorf("--depth=%d: %s commits, shallow: %v", depth, n, isShallow(t, dir))
			}
		}
	})
}

func TestShallowMerge(t *testing.T) {
	allVersions(t, func(t *testing.T, v int) {
		r := busyRepo(t)
		_, url := serve(t, Config{Repository: r})
		// Four on top of the merge, the merge, one more of each parent.
		dir := clone(t, url, v, "--depth=6")
		if n := count(t, dir, "HEAD"); n != "7" {
			t.Errorf("--depth=6 over a merge gave %s commits, want 7", n)
		}
		vcstest.Git(t, dir, "-c", version(v), "fetch", "-q", "--deepen=1")
		fsck(t, dir)
		vcstest.Git(t, dir, "-c", version(v), "fetch", "-q", "--unshallow")
		if n := count(t, dir, "HEAD"); n != "20" {
			t.Errorf("--unshallow gave %s commits, want 20", n)
		}
		fsck(t, dir)
	})
}

func TestShallowSinceAndExclude(t *testing.T) {
	allVersions(t, func(t *testing.T, v int) {
		r := newTestRepo()
		ids := r.chain(t, "primary", 10)
		r.set("refs/tags/old", ids[5])
		_, url := serve(t, Config{Repository: r})
		since := r.clock - 3*60 // the time of the fourth commit from the end
		dir := clone(t, url, v, fmt.Sprintf("--shallow-since=%d", since))
		if n := count(t, dir, "HEAD"); n != "4" {
			t.Errorf("--shallow-since gave %s commits, want 4", n)
		}
		vcstest.Git(t, dir, "-c", version(v), "fetch", "-q", fmt.Sprintf("--shallow-since=%d", since-120))
		if n := count(t, dir, "HEAD"); n != "6" {
			t.Errorf("a longer --shallow-since gave %s commits, want 6", n)
		}
		dir = clone(t, url, v, "--shallow-exclude=old")
		if n := count(t, dir, "HEAD"); n != "4" {
			t.Errorf("--shallow-exclude gave %s commits, want 4", n)
		}
		for args, want := range map[string]string{
			fmt.Sprintf("--shallow-since=%d", r.clock+1000): "no commits selected for shallow requests",
			"--shallow-exclude=nonsense":                    "deepen-not",
		} {
			out, ok := git(t, t.TempDir(), "-c", version(v), "clone", args, url, "c")
			if ok || !strings.Contains(out, want) {
				t.Errorf("clone %s: %s", args, out)
			}
		}
	})
}

// TestCommitsInAShallowClone: a shallow clone's own work does not confuse later
// fetches.
func TestCommitsInAShallowClone(t *testing.T) {
	allVersions(t, func(t *testing.T, v int) {
		r := newTestRepo()
		r.chain(t, "primary", 10)
		_, url := serve(t, Config{Repository: r})
		dir := clone(t, url, v, "--depth=2")
		if err := os.WriteFile(filepath.Join(dir, "c"), []byte("mine\n"), 0o666); err != nil {
			t.Fatal(err)
		}
		vcstest.Git(t, dir, "add", "c")
		vcstest.Git(t, dir, "commit", "-q", "-m", "mine")
		r.chain(t, "primary", 3)
		vcstest.Git(t, dir, "-c", version(v), "pull", "-q", "--no-rebase")
		if n := count(t, dir, "HEAD"); n != "7" { // 2 + mine + 3 + merge
			t.Errorf("%s commits, want 7", n)
		}
		fsck(t, dir)
	})
}
