package gitserve

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/gitremote"
	"arpeggio/vcs/packfile"
	"arpeggio/vcs/vcstest"
)

// TestMirrorPush: everything at once into a fresh store, and pruning.
func TestMirrorPush(t *testing.T) {
	src := busyRepo(t)
	_, srcURL := serve(t, Config{Repository: src})
	_, s, url := pushServer(t, "*:all")
	dir := filepath.Join(t.TempDir(), "m")
	vcstest.Git(t, filepath.Dir(dir), "clone", "-q", "--mirror", srcURL, dir)
	mustPush(t, dir, "-f", "--mirror", url)
	want, _ := src.Refs()
	if got := state(t, s); got != fmt.Sprint(want) {
		t.Errorf("refs %s, want %v", got, want)
	}
	vcstest.Git(t, dir, "update-ref", "-d", "refs/heads/side")
	mustPush(t, dir, "--mirror", url)
	wantRef(t, s, "refs/heads/side", vcs.ID{})
}

// TestConcurrentPushers: many at one branch and at branches of their own, beside
// a writer in the program; no accepted commit is lost.
func TestConcurrentPushers(t *testing.T) {
	const pushers, each = 5, 3
	h, s, url := pushServer(t, "*:all")
	var group sync.WaitGroup
	var mu sync.Mutex
	var accepted []vcs.ID
	var tries atomic.Int32
	for n := range pushers {
		dir := worktree(t, url)
		group.Go(func() {
			for i := range each {
				name := fmt.Sprintf("f%d-%d", n, i)
				if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o666); err != nil {
					t.Error(err)
					return
				}
				for _, args := range [][]string{{"add", name}, {"commit", "-q", "-m", name}} {
					if out, ok := git(t, dir, args...); !ok {
						t.Errorf("%v: %s", args, out)
						return
					}
				}
				for ok := false; !ok; {
					if tries.Add(1) > 100*pushers*each {
						t.Error("no pusher gets through")
						return
					}
					if out, ok := git(t, dir, "pull", "-q", "--rebase"); !ok {
						t.Errorf("pull: %s", out)
						return
					}
					_, ok = git(t, dir, "push", "-q", "origin", "HEAD:primary", fmt.Sprintf("+HEAD:refs/heads/own/%d", n))
				}
				out, _ := git(t, dir, "rev-parse", "HEAD")
				id, err := vcs.ParseID(strings.TrimSpace(out))
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				accepted = append(accepted, id)
				mu.Unlock()
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	var writer sync.WaitGroup
	writer.Go(func() { // the same store in the program, on a branch of its own
		r, err := vcs.New(s, vcs.Config[string, string]{Merge: vcstest.Larger})
		if err != nil {
			t.Error(err)
			return
		}
		for i := 0; ctx.Err() == nil && i < 300; i++ {
			time.Sleep(5 * time.Millisecond) // writers do not come back to back
			if _, err := r.Set(context.Background(), "live", "k", fmt.Sprint(i), vcs.CommitInfo{Message: "m"}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	group.Wait()
	cancel()
	writer.Wait()
	tip, _ := s.Ref("refs/heads/primary")
	for _, id := range accepted {
		if ok, err := s.IsAncestor(id, tip); !ok || err != nil {
			t.Errorf("%v was accepted and is lost (%v)", id, err)
		}
	}
	n := 0
	for _, err := range s.Log(tip) {
		if n++; err != nil {
			t.Fatal(err)
		}
	}
	if n != 3+pushers*each || len(accepted) != pushers*each {
		t.Errorf("%d commits of %d accepted", n, len(accepted))
	}
	if st := h.Stats(); st.Failures != 0 {
		t.Errorf("stats: %+v", st)
	}
}

// TestPushOfShallowClone: what hangs on history that the server has is taken.
func TestPushOfShallowClone(t *testing.T) {
	h, s, url := pushServer(t, "*:all")
	dir := worktree(t, url, "--depth=1")
	one := edit(t, dir, "a", "one\n")
	mustPush(t, dir)
	wantRef(t, s, "refs/heads/primary", one)

	_, _, other := pushServer(t, "*:all")
	full := worktree(t, other)
	for i := range 3 {
		edit(t, full, "b", fmt.Sprint(i))
	}
	mustPush(t, full)
	shallow := worktree(t, other, "--depth=1")
	edit(t, shallow, "c", "c\n")
	before := state(t, s)
	wontPush(t, shallow, "(shallow update not allowed)", "-f", url, "HEAD:refs/heads/new")
	if after := state(t, s); after != before {
		t.Errorf("refs are %s, were %s", after, before)
	}
	if n := h.Stats().Refused[reasonMissing]; n != 1 {
		t.Errorf("%d refusals", n)
	}
}

// TestPushBeyondTheLimits: the client hears why, however much it sends, and the
// store stays as it was.
func TestPushBeyondTheLimits(t *testing.T) {
	h, s, url := pushServer(t, "*:all", func(c *Config) {
		c.Push.Limits = packfile.Limits{PackBytes: 100 << 10, Objects: 1000}
		c.Push.MaxUpdates = 5
	})
	dir := worktree(t, url)
	before := state(t, s)
	noise := func(n int) string {
		b := make([]byte, n)
		x := uint32(1)
		for i := range b {
			x = x*1664525 + 1013904223
			b[i] = byte(x >> 24)
		}
		return string(b)
	}
	for i := range 8 {
		edit(t, dir, fmt.Sprint("f", i), noise(300<<10)+fmt.Sprint(i))
	}
	wontPush(t, dir, "pack exceeds maximum allowed size", "origin")
	wontPush(t, dir, "(unpacker error)", "origin")
	vcstest.Git(t, dir, "reset", "-q", "--hard", "origin/primary")
	edit(t, dir, "big", strings.Repeat("x", vcs.MaxObject+1))
	wontPush(t, dir, "an object of 524289 bytes", "origin")
	vcstest.Git(t, dir, "reset", "-q", "--hard", "origin/primary")
	wontPush(t, dir, "more than 5 refs", "origin", "HEAD:a", "HEAD:b", "HEAD:c", "HEAD:d", "HEAD:e", "HEAD:f")
	if after := state(t, s); after != before {
		t.Errorf("refs are %s, were %s", after, before)
	}
	if st := h.Stats(); st.Refused[reasonLimit] != 4 || st.Received != 0 || st.Failures != 0 {
		t.Errorf("stats: %+v", st)
	}
}

// TestPushIntoDirectory: what was reported to the client is on the disk, in an
// ordinary Git directory.
func TestPushIntoDirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.git")
	vcstest.Git(t, filepath.Dir(path), "init", "-q", "--bare", path)
	dir, err := gitremote.OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := vcs.OpenStore(t.Context(), dir, vcs.StoreConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, _, url := pushServer(t, "*:all", func(c *Config) { c.Repository, c.Push.Writer = s, s })
	w := t.TempDir()
	vcstest.Git(t, w, "init", "-q", "-b", "primary")
	for i := range 3 {
		id := edit(t, w, "a", strings.Repeat("line\n", 100*i)+"end\n")
		mustPush(t, w, url, "primary")
		if got := vcstest.Git(t, path, "rev-parse", "primary"); got != id.String() {
			t.Errorf("primary is at %s on the disk, want %v", got, id)
		}
		fsck(t, path)
	}
	mustPush(t, w, url, "HEAD:other")
	mustPush(t, w, url, ":other")
	if got := vcstest.Git(t, path, "for-each-ref", "--format=%(refname)"); got != "refs/heads/primary" {
		t.Errorf("refs on the disk: %s", got)
	}
}

// TestScratch: packs lie where the caller wants them, for as long as they are
// needed.
func TestScratch(t *testing.T) {
	var lent, back atomic.Int32
	fail := errors.New("no room")
	h, s, url := pushServer(t, "*:all", func(c *Config) {
		c.Push.Scratch = func() (packfile.Scratch, func(), error) {
			if lent.Add(1) > 1 {
				return nil, nil, fail
			}
			f, err := os.CreateTemp(t.TempDir(), "pack")
			return f, func() { back.Add(1); f.Close() }, err
		}
	})
	w := worktree(t, url)
	id := edit(t, w, "a", "a\n")
	mustPush(t, w)
	wantRef(t, s, "refs/heads/primary", id)
	if lent.Load() != 1 || back.Load() != 1 {
		t.Errorf("lent %d, back %d", lent.Load(), back.Load())
	}
	edit(t, w, "a", "b\n")
	wontPush(t, w, "the repository cannot be used", "origin")
	if n := h.Stats().Failures; n != 1 {
		t.Errorf("%d failures", n)
	}
}
