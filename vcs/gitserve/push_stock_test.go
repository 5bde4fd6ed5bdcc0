package gitserve

import (
	"fmt"
	"io"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/vcstest"
)

// stockServer serves a bare clone of a store by git http-backend.
func stockServer(t *testing.T, s *vcs.Store) (url, dir string) {
	t.Helper()
	backend := filepath.Join(vcstest.Git(t, ".", "--exec-path"), "git-http-backend")
	if _, err := os.Stat(backend); err != nil {
		t.Skip("git http-backend is not installed")
	}
	root := t.TempDir()
	dir = filepath.Join(root, "r.git")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	vcstest.ExportTo(t, dir, s)
	vcstest.Git(t, dir, "symbolic-ref", "HEAD", s.Head())
	vcstest.Git(t, dir, "config", "http.receivepack", "true")
	vcstest.Git(t, dir, "config", "transfer.fsckObjects", "true")
	vcstest.Git(t, dir, "config", "receive.denyDeleteCurrent", "refuse")
	srv := httptest.NewServer(&cgi.Handler{Path: backend, Stderr: io.Discard,
		Env: append(vcstest.GitEnviron(), "GIT_PROJECT_ROOT="+root, "GIT_HTTP_EXPORT_ALL=1")})
	t.Cleanup(srv.Close)
	return srv.URL + "/r.git", dir
}

var variable = regexp.MustCompile(`http://\S*|\s+$`)

// said reduces the client's output to what both servers are to say alike.
func said(out string) string {
	var lines []string
	for line := range strings.Lines(out) {
		line = variable.ReplaceAllString(line, "")
		switch {
		case strings.HasPrefix(line, "To "), strings.HasPrefix(line, "hint:"), strings.HasPrefix(line, "remote: hint"),
			strings.HasPrefix(line, "remote: fatal:"), line == "":
			continue
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// TestWordsOfStockGit has one client push the same to this server and to stock
// git's own, and compares what its user gets to read, and the refs.
func TestWordsOfStockGit(t *testing.T) {
	_, s, ours := pushServer(t, "*:all")
	theirs, dir := stockServer(t, s)
	w := worktree(t, ours)
	vcstest.Git(t, w, "config", "advice.pushUpdateRejected", "false")
	edit(t, w, "a", "one\n")
	blob := vcstest.GitInput(t, w, []byte("notes\n"), "hash-object", "-w", "--stdin")
	vcstest.Git(t, w, "tag", "-a", "-m", "x", "v1")
	for _, args := range [][]string{
		{"HEAD:primary"},
		{"HEAD:primary"},
		{"HEAD:a", "HEAD:b"},
		{"HEAD:a/b"},
		{"--atomic", "HEAD:a/b", "HEAD:c"},
		{"HEAD~1:a"},
		{"+HEAD~1:a"},
		{"--delete", "primary"},
		{"--delete", "nowhere"},
		{"--delete", "a"},
		{blob + ":refs/heads/blob"},
		{blob + ":refs/tags/blob"},
		{"v1"},
		{"v1:refs/heads/tag"},
		{"+v1^{}:refs/tags/v1"},
		{"--delete", "v1", "b"},
		{"--force-with-lease=primary:" + blob, "HEAD~1:primary"},
		{"--porcelain", "+HEAD~1:primary"},
		{"-q", "+HEAD:primary"},
		{"--mirror"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			run := func(url string) string {
				out, ok := git(t, w, append([]string{"push", url}, args...)...)
				return fmt.Sprintln(said(out), ok)
			}
			if got, want := run(ours), run(theirs); got != want {
				t.Errorf("this server:\n%s\nstock git:\n%s", got, want)
			}
			refs, _ := s.Refs()
			var b strings.Builder
			for _, r := range refs {
				fmt.Fprintf(&b, "%v %s\n", r.Target, r.Name)
			}
			if got, want := strings.TrimSpace(b.String()), vcstest.Git(t, dir, "for-each-ref", "--format=%(objectname) %(refname)"); got != want {
				t.Errorf("refs:\n%s\nstock git's:\n%s", got, want)
			}
		})
	}
}

// TestReportsOfStockGit posts the same broken pushes to both and compares the
// status reports byte by byte.
func TestReportsOfStockGit(t *testing.T) {
	_, s, ours := pushServer(t, "*:all")
	theirs, _ := stockServer(t, s)
	tip, _ := s.Ref("refs/heads/primary")
	up := func(name string, old, new vcs.ID) vcs.RefUpdate { return vcs.RefUpdate{Name: name, Old: old, New: new} }
	none := vcs.ID{}
	for name, updates := range map[string][]vcs.RefUpdate{
		"stale update":  {up("refs/heads/primary", vcs.ID{1}, tip)},
		"stale create":  {up("refs/heads/primary", none, tip)},
		"stale delete":  {up("refs/heads/x", tip, none), up("refs/heads/y", none, tip)},
		"funny":         {up("refs/heads/a..b", none, tip)},
		"HEAD":          {up("HEAD", none, tip)},
		"folder":        {up("refs/heads/primary/x", none, tip)},
		"unknown":       {up("refs/heads/z", none, vcs.ID{9})},
		"two":           {up("refs/heads/p", none, tip), up("refs/heads/q", none, tip)},
		"one of two":    {up("refs/heads/r", none, tip), up("refs/heads/s", tip, tip)},
		"delete as was": {up("refs/heads/p", tip, none)},
	} {
		t.Run(name, func(t *testing.T) {
			var pack []byte
			if (&pushArgs{updates: updates}).hasPack() {
				pack = emptyPack()
			}
			q := pushRequest(pack, "report-status", updates...)
			_, got, _ := do(t, ours, q)
			_, want, _ := do(t, theirs, q)
			if got != want {
				t.Errorf("this server:\n%q\nstock git:\n%q", got, want)
			}
		})
	}
}
