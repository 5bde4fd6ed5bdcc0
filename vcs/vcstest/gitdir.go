package vcstest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/packfile"
)

// Source is a repository as a server sees it; a vcs.Store is one.
type Source interface {
	vcs.ObjectReader
	vcs.RefReader
}

// Git runs stock git in a directory and returns its output without the final
// newline. It skips the test when there is no git, and fails it when git fails.
// The user's and the system's configuration are ignored.
func Git(t testing.TB, dir string, args ...string) string {
	t.Helper()
	return GitInput(t, dir, nil, args...)
}

// GitInput is Git with standard input.
func GitInput(t testing.TB, dir string, in []byte, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(GitEnviron(), "TZ=UTC")
	cmd.Stdin = bytes.NewReader(in)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("git %s: %v\n%s%s", strings.Join(args, " "), err, out.Bytes(), errs.Bytes())
	}
	return strings.TrimSuffix(out.String(), "\n")
}

// GitEnviron returns the environment for stock git in a test: the user's and the
// system's configuration are ignored, git tidies nothing up by itself, in the
// background, where it would meet the test, or its end, and waits for no disk.
func GitEnviron() []string {
	return append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1", "LC_ALL=C", "GIT_TERMINAL_PROMPT=0",
		"GIT_CONFIG_COUNT=3", "GIT_CONFIG_KEY_0=gc.auto", "GIT_CONFIG_VALUE_0=0", "GIT_CONFIG_KEY_1=maintenance.auto", "GIT_CONFIG_VALUE_1=false",
		"GIT_CONFIG_KEY_2=core.fsync", "GIT_CONFIG_VALUE_2=none",
		"GIT_AUTHOR_NAME=t", "GIT_AUTHOR_EMAIL=t@t", "GIT_COMMITTER_NAME=t", "GIT_COMMITTER_EMAIL=t@t")
}

// Export leaves a repository as a bare Git directory under test_results/ in the
// module's root, named after the test, for anyone to browse with `git log --all
// --graph`, and fails the test unless git fsck --strict finds nothing to say. It
// returns the directory.
func Export(t testing.TB, src Source) string {
	t.Helper()
	dir := filepath.Join(moduleRoot(t), "test_results", filepath.FromSlash(t.Name()))
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	ExportTo(t, dir, src)
	return dir
}

// ExportTo is Export into an existing empty directory.
func ExportTo(t testing.TB, dir string, src Source) {
	t.Helper()
	Git(t, dir, "init", "-q", "--bare", ".")
	var read vcs.ObjectReader = src
	if p, ok := src.(vcs.Pinner); ok { // an epoch may leave meanwhile
		pin := p.Pin()
		defer pin.Release()
		read = pin
	}
	refs, err := src.Refs()
	if err != nil {
		t.Fatal(err)
	}
	var sel packfile.Selection
	var updates strings.Builder
	for _, r := range refs {
		sel.Wants = append(sel.Wants, r.Target)
		fmt.Fprintf(&updates, "create %s %v\n", r.Name, r.Target)
	}
	set, err := packfile.Select(context.Background(), read, sel)
	if err != nil {
		t.Fatal(err)
	}
	var pack bytes.Buffer
	if _, err := set.Write(&pack, packfile.Options{Level: 1}); err != nil {
		t.Fatal(err)
	}
	if set.Len() > 0 {
		GitInput(t, dir, pack.Bytes(), "index-pack", "--strict", "--stdin")
	}
	GitInput(t, dir, []byte(updates.String()), "update-ref", "--stdin")
	Git(t, dir, "symbolic-ref", "HEAD", src.Head())
	if out := Git(t, dir, "fsck", "--strict", "--full", "--no-dangling"); out != "" && !strings.HasPrefix(out, "notice:") {
		t.Fatalf("git fsck: %s", out)
	}
}

func moduleRoot(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	for err == nil {
		if _, serr := os.Stat(filepath.Join(dir, "go.mod")); serr == nil {
			return dir
		}
		if up := filepath.Dir(dir); up != dir {
			dir = up
			continue
		}
		err = os.ErrNotExist
	}
	t.Fatalf("no go.mod above the test's directory: %v", err)
	return ""
}
