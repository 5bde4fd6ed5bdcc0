package gitserve

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/vcstest"
)

// TestPushKinds goes through what git push can do to a ref, under each protocol
// version that a client may ask for.
func TestPushKinds(t *testing.T) {
	allVersions(t, func(t *testing.T, v int) {
		h, s, url := pushServer(t, "*:all")
		dir := worktree(t, url)
		vcstest.Git(t, dir, "config", "protocol.version", fmt.Sprint(v))

		one := edit(t, dir, "a", "one\n")
		mustPush(t, dir)
		wantRef(t, s, "refs/heads/primary", one)

		if out := mustPush(t, dir); !strings.Contains(out, "Everything up-to-date") {
			t.Errorf("second push: %s", out)
		}

		mustPush(t, dir, "origin", "HEAD:refs/heads/side") // an empty pack
		wantRef(t, s, "refs/heads/side", one)

		vcstest.Git(t, dir, "commit", "-q", "--amend", "-m", "another")
		two := head(t, dir, "HEAD")
		wontPush(t, dir, "non-fast-forward", "origin", "HEAD:primary")
		mustPush(t, dir, "-f", "origin", "HEAD:primary")
		wantRef(t, s, "refs/heads/primary", two)

		vcstest.Git(t, dir, "tag", "light")
		vcstest.Git(t, dir, "tag", "-a", "-m", "annotated", "heavy")
		mustPush(t, dir, "--tags")
		wantRef(t, s, "refs/tags/light", two)
		wantRef(t, s, "refs/tags/heavy", head(t, dir, "heavy"))

		mustPush(t, dir, "origin", "--delete", "side", "light") // no pack at all
		wantRef(t, s, "refs/heads/side", vcs.ID{})
		wantRef(t, s, "refs/tags/light", vcs.ID{})
		wontPush(t, dir, "deletion of the current branch prohibited", "origin", "--delete", "primary")
		wantRef(t, s, "refs/heads/primary", two)

		blob := vcstest.GitInput(t, dir, []byte("notes\n"), "hash-object", "-w", "--stdin")
		mustPush(t, dir, "origin", blob+":refs/tags/notes")
		wontPush(t, dir, "failed to update ref", "origin", blob+":refs/heads/notes")
		fsck(t, worktree(t, bare(url)))
		if st := h.Stats(); st.Pushes != 6 || st.Updates != 8 || st.Failures != 0 {
			t.Errorf("stats: %+v", st)
		}
	})
}

// TestPushRules: what a token may do, in git's words where it has some.
func TestPushRules(t *testing.T) {
	_, s, url := pushServer(t, "refs/heads/primary:update refs/heads/node/*:create,update,unrelated refs/heads/op/*:all refs/tags/*:create")
	dir := worktree(t, url)
	before := state(t, s)
	vcstest.Git(t, dir, "commit", "-q", "--amend", "-m", "rewritten")
	wontPush(t, dir, "(non-fast-forward)", "-f", "origin", "HEAD:primary")
	wontPush(t, dir, "denying non-fast-forward refs/heads/primary (you should pull first)", "-f", "origin", "HEAD:primary")
	wontPush(t, dir, "(protected branch hook declined)", "origin", "HEAD:other")
	wontPush(t, dir, "(protected branch hook declined)", "origin", "HEAD:refs/notes/x")
	vcstest.Git(t, dir, "checkout", "-q", "--orphan", "root")
	vcstest.Git(t, dir, "commit", "-q", "-m", "root")
	wontPush(t, dir, "refusing unrelated histories", "-f", "origin", "HEAD:primary")
	if after := state(t, s); after != before {
		t.Errorf("refs are %s, were %s", after, before)
	}
	if _, _, err := s.ReadObject(head(t, dir, "HEAD")); !errors.Is(err, vcs.ErrNotFound) {
		t.Errorf("a refused commit is in the store: %v", err)
	}
	mustPush(t, dir, "origin", "HEAD:refs/heads/node/b")
	mustPush(t, dir, "origin", "HEAD:refs/heads/op/x")
	wontPush(t, dir, "(deletion prohibited)", "origin", "--delete", "node/b")
	mustPush(t, dir, "origin", "--delete", "op/x")
	mustPush(t, dir, "origin", "HEAD:refs/tags/v1")
	edit(t, dir, "b", "b\n")
	wontPush(t, dir, "(protected branch hook declined)", "-f", "origin", "HEAD:refs/tags/v1")
	mustPush(t, dir, "origin", "HEAD:refs/tags/v2")
	wontPush(t, dir, "(non-fast-forward)", "-f", "origin", "HEAD~1:refs/tags/v2")
}

// TestPushIsAtomicOrNot: one ref of two is refused.
func TestPushIsAtomicOrNot(t *testing.T) {
	h, s, url := pushServer(t, "refs/heads/locked:none *:all")
	dir := worktree(t, url)
	one := edit(t, dir, "a", "one\n")
	before := state(t, s)
	wontPush(t, dir, "(atomic push failure)", "--atomic", "origin", "HEAD:primary", "HEAD:locked")
	if after := state(t, s); after != before {
		t.Errorf("refs are %s, were %s", after, before)
	}
	if _, _, err := s.ReadObject(one); !errors.Is(err, vcs.ErrNotFound) {
		t.Errorf("a refused commit is in the store: %v", err)
	}
	wontPush(t, dir, "(protected branch hook declined)", "origin", "HEAD:primary", "HEAD:locked")
	wantRef(t, s, "refs/heads/primary", one)
	wantRef(t, s, "refs/heads/locked", vcs.ID{})
	mustPush(t, dir, "--atomic", "origin", "HEAD:x", "HEAD:y")
	wantRef(t, s, "refs/heads/x", one)
	wantRef(t, s, "refs/heads/y", one)
	if st := h.Stats(); st.Refused[reasonAtomic] != 1 || st.Refused[reasonPolicy] != 2 {
		t.Errorf("stats: %+v", st)
	}
}

// TestPushAuthorization: who may write at all, and that git uses the URL's
// credentials.
func TestPushAuthorization(t *testing.T) {
	h, s, url := pushServer(t, "*:all")
	dir := worktree(t, bare(url))
	one := edit(t, dir, "a", "one\n")
	wontPush(t, dir, "could not read Username", "origin")
	wontPush(t, dir, "Authentication failed", strings.Replace(url, secret, "wrong-horse-battery", 1), "HEAD")
	if n := h.Stats().Refused[reasonAuth]; n < 2 {
		t.Errorf("%d refusals", n)
	}
	mustPush(t, dir, url, "HEAD")
	wantRef(t, s, "refs/heads/primary", one)
	two := edit(t, dir, "a", "two\n")
	out, ok := git(t, dir, "-c", "http.extraHeader=Authorization: Bearer "+secret, "push", "origin")
	if !ok {
		t.Errorf("bearer: %s", out)
	}
	wantRef(t, s, "refs/heads/primary", two)
	for _, r := range []request{
		{method: "GET", path: "/info/refs?service=git-receive-pack"},
		{method: "POST", path: "/git-receive-pack", header: map[string]string{"Content-Type": typePushRequest, "Authorization": "Bearer x"}},
	} {
		status, _, hdr := do(t, bare(url), r)
		if status != http.StatusUnauthorized || !strings.HasPrefix(hdr.Get("WWW-Authenticate"), "Basic realm=") {
			t.Errorf("%s: %d, %v", r.path, status, hdr)
		}
	}
	// A hook of one's own.
	_, _, url = pushServer(t, "*:all", func(c *Config) {
		c.Push.Authorize = func(*http.Request) (Grant, error) { return Grant{}, errors.New("Closed on Sundays.") } //nolint:staticcheck // for people
	})
	wontPush(t, dir, "Closed on Sundays", url, "HEAD")
	_, _, url = pushServer(t, "*:all", func(c *Config) {
		c.Push.Authorize = func(*http.Request) (Grant, error) { return Grant{}, nil }
	})
	wontPush(t, dir, "this client may not write", url, "HEAD")
	// No hook, no writing.
	_, _, url = pushServer(t, "*:all", func(c *Config) { c.Push.Authorize = nil })
	wontPush(t, dir, "writing (git push) is off", url, "HEAD")
}

// TestPushAccept: the last word is the application's.
func TestPushAccept(t *testing.T) {
	var seen atomic.Pointer[Update]
	h, s, url := pushServer(t, "*:all", func(c *Config) {
		c.Push.Accept = func(_ context.Context, u Update, objects vcs.ObjectReader) error {
			seen.Store(&u)
			if kind, _, err := objects.ReadObject(u.New); err != nil || kind != vcs.KindCommit {
				t.Errorf("the new tip is not to be read: %v, %v", kind, err)
			}
			return errors.New("a/b does not decode")
		}
	})
	dir := worktree(t, url)
	old := head(t, dir, "HEAD")
	one := edit(t, dir, "a", "one\n")
	wontPush(t, dir, "(hook declined)", "origin")
	wontPush(t, dir, "remote: error: a/b does not decode", "origin")
	want := Update{RefUpdate: vcs.RefUpdate{Name: "refs/heads/primary", Old: old, New: one}, Kind: FastForward}
	if got := *seen.Load(); got != want {
		t.Errorf("asked about %+v, want %+v", got, want)
	}
	wantRef(t, s, "refs/heads/primary", old)
	if n := h.Stats().Refused[reasonPolicy]; n != 2 {
		t.Errorf("%d refusals", n)
	}
}

// TestStalePush: the ref moves between the client's look and its push.
func TestStalePush(t *testing.T) {
	var move atomic.Pointer[func()]
	_, s, url := pushServer(t, "*:all", func(c *Config) {
		c.Push.Accept = func(context.Context, Update, vcs.ObjectReader) error { (*move.Load())(); return nil }
	})
	dir := worktree(t, url)
	old := head(t, dir, "HEAD")
	edit(t, dir, "a", "one\n")
	to := func(id vcs.ID) func() {
		return func() {
			is, _ := s.Ref("refs/heads/primary")
			if err := s.UpdateRefs(t.Context(), []vcs.RefUpdate{{Name: "refs/heads/primary", Old: is, New: id}}); err != nil {
				t.Error(err)
			}
		}
	}
	first := head(t, dir, "HEAD~2")
	racing := to(first)
	move.Store(&racing)
	wontPush(t, dir, "(failed to update ref)", "origin")
	wantRef(t, s, "refs/heads/primary", first)
	to(old)()
	wontPush(t, dir, fmt.Sprintf("error: cannot lock ref 'refs/heads/primary': is at %v but expected %v", first, old), "origin")
	to(old)()
	wontPush(t, dir, "(atomic transaction failed)", "--atomic", "origin", "HEAD:primary", "HEAD:new")
	wantRef(t, s, "refs/heads/new", vcs.ID{})
	quiet := func() {}
	move.Store(&quiet)
	to(first)()
	wontPush(t, dir, "(stale info)", "--force-with-lease", "origin")
	wontPush(t, dir, "(stale info)", "--force-with-lease=primary:"+old.String(), "origin")
	mustPush(t, dir, "--force-with-lease=primary:"+first.String(), "origin")
	wantRef(t, s, "refs/heads/primary", head(t, dir, "HEAD"))
}
