package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestGitServe serves a bare directory to stock git, for reading by anybody and
// for writing by who has the token.
func TestGitServe(t *testing.T) {
	need(t, "git")
	bin, dir := binary(t), t.TempDir()
	bare, work, tokens := filepath.Join(dir, "site.git"), filepath.Join(dir, "work"), filepath.Join(dir, "tokens")
	must(t, "git", "init", "-q", "--bare", "-b", "primary", bare)
	must(t, "git", "init", "-q", "-b", "primary", work)
	commit := func(name string) {
		t.Helper()
		os.WriteFile(filepath.Join(work, name), []byte(name+"\n"), 0o644)
		must(t, "git", "-C", work, "add", name)
		must(t, "git", "-C", work, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", name)
	}
	commit("one")
	must(t, "git", "-C", work, "push", "-q", bare, "primary")

	// Read only: a clone, what another program adds meanwhile, and no push.
	p := spawn(t, bin, "git-serve", "--repo", bare, "--listen", "127.0.0.1:0")
	url := p.expect(`^serving +git clone (http://\S+/site\.git)$`)[1]
	clone := filepath.Join(dir, "clone")
	must(t, "git", "clone", "-q", url, clone)
	commit("two")
	must(t, "git", "-C", work, "push", "-q", bare, "primary")
	must(t, "git", "-C", clone, "pull", "-q", "--ff-only")
	if _, err := os.Stat(filepath.Join(clone, "two")); err != nil {
		t.Errorf("the clone did not get what was added: %v", err)
	}
	refused(t, "403", "git", "-C", work, "push", "-q", url, "primary:other")
	p.stop()

	// With a token file: who knows the token may push, nobody else.
	os.WriteFile(tokens, []byte("2b1f9c7e5d3a48e6\n"), 0o600)
	p = spawn(t, bin, "git-serve", "--repo", bare, "--listen", "127.0.0.1:0", "--write-token", tokens)
	url = p.expect(`^serving +git clone (http://\S+)$`)[1]
	commit("three")
	with := func(password string) string { return strings.Replace(url, "http://", "http://me:"+password+"@", 1) }
	refused(t, "(?i)authentication failed|401", "git", "-c", "core.askPass=true", "-C", work, "push", "-q", with("0000000000000000"), "primary")
	must(t, "git", "-C", work, "push", "-q", with("2b1f9c7e5d3a48e6"), "primary")
	must(t, "git", "-C", clone, "pull", "-q", "--ff-only", url)
	p.stop()
	must(t, "git", "-C", bare, "fsck", "--strict")
	if out := must(t, "git", "-C", bare, "log", "-1", "--format=%s", "primary"); out != "three\n" {
		t.Errorf("after the push primary is at %q", out)
	}
	refused(t, "write-token", bin, "git-serve", "--repo", bare, "--write-token", filepath.Join(dir, "missing"))
}
