package gitremote

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/gitserve"
	"arpeggio/vcs/vcstest"
)

// elsewhere is a repository to push to and fetch from.
type elsewhere struct {
	url  string
	opts RemoteOptions
	dir  string // of stock git's, or "" for one of ours
	ours *vcs.Store
}

const password = "0123456789abcdef"

// kinds are ways to reach a repository of stock git's, or of ours.
var kinds = map[string]func(t *testing.T) elsewhere{
	"stock over http": func(t *testing.T) elsewhere {
		dir := stockRepository(t)
		return elsewhere{url: httpBackend(t, filepath.Dir(dir)) + "/" + filepath.Base(dir), dir: dir}
	},
	"file": func(t *testing.T) elsewhere {
		dir := stockRepository(t)
		return elsewhere{url: "file://" + dir, dir: dir}
	},
	"ssh": func(t *testing.T) elsewhere {
		dir := stockRepository(t)
		pub, key := sshKey(t)
		return elsewhere{url: fmt.Sprintf("ssh://git@%s%s", sshServer(t, pub), dir), dir: dir,
			opts: RemoteOptions{SSHKeyFile: writeKey(t, key)}}
	},
	"ours over http": func(t *testing.T) elsewhere {
		r := newStore(t)
		return elsewhere{url: writableServer(t, r.Store()), ours: r.Store()}
	},
}

func stockRepository(t *testing.T) string {
	dir := filepath.Join(t.TempDir(), "r.git")
	vcstest.Git(t, ".", "init", "-q", "--bare", "-b", "primary", dir)
	vcstest.Git(t, dir, "config", "http.receivepack", "true")
	vcstest.Git(t, dir, "config", "transfer.fsckObjects", "true")
	return dir
}

// httpBackend serves the repositories below root by stock git, to who knows the
// password, and returns a URL with it.
func httpBackend(t *testing.T, root string) string {
	t.Helper()
	backend := filepath.Join(vcstest.Git(t, ".", "--exec-path"), "git-http-backend")
	if _, err := os.Stat(backend); err != nil {
		t.Skip("git http-backend is not installed")
	}
	stock := &cgi.Handler{Path: backend, Stderr: io.Discard, Env: append(vcstest.GitEnviron(), "GIT_PROJECT_ROOT="+root, "GIT_HTTP_EXPORT_ALL=1")}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, pass, _ := r.BasicAuth(); (user != "me" || pass != password) && r.Header.Get("Authorization") != "Bearer "+password {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		stock.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	return strings.Replace(srv.URL, "http://", "http://me:"+password+"@", 1)
}

// writableServer serves a store of ours to who knows the password.
func writableServer(t testing.TB, s *vcs.Store) string {
	t.Helper()
	tokens, err := gitserve.ReadTokens(strings.NewReader(password + " refs/*:all\n"))
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(gitserve.New(gitserve.Config{Repository: s,
		Push: &gitserve.PushConfig{Writer: s, Authorize: tokens.Authorize}}))
	t.Cleanup(srv.Close)
	return strings.Replace(srv.URL, "http://", "http://me:"+password+"@", 1)
}

// sound has stock git check that everything is there and well-formed.
func (e *elsewhere) sound(t testing.TB) {
	t.Helper()
	if e.ours != nil {
		sound(t, e.ours)
		return
	}
	if out := vcstest.Git(t, e.dir, "fsck", "--strict", "--full", "--no-dangling"); out != "" && !strings.HasPrefix(out, "notice:") {
		t.Errorf("git fsck --strict: %s", out)
	}
}

func sound(t testing.TB, s *vcs.Store) {
	t.Helper()
	vcstest.ExportTo(t, t.TempDir(), s) // runs git fsck --strict
}

// refs lists what the repository has, "name id" a line.
func (e *elsewhere) refs(t testing.TB) string {
	t.Helper()
	if e.ours == nil {
		return vcstest.Git(t, e.dir, "for-each-ref", "--format=%(refname) %(objectname)")
	}
	return refsOf(t, e.ours)
}

func refsOf(t testing.TB, s vcs.RefReader) string {
	t.Helper()
	refs, err := s.Refs()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, r := range refs {
		lines = append(lines, r.Name+" "+r.Target.String())
	}
	return strings.Join(lines, "\n")
}

// ref is where a ref is; zero when there is none.
func (e *elsewhere) ref(t testing.TB, name string) vcs.ID {
	t.Helper()
	for line := range strings.Lines(e.refs(t)) {
		if n, id, _ := strings.Cut(strings.TrimSpace(line), " "); n == name {
			parsed, err := vcs.ParseID(id)
			if err != nil {
				t.Fatal(err)
			}
			return parsed
		}
	}
	return vcs.ID{}
}

// commit makes a commit there, on top of a branch, or as a new root.
func (e *elsewhere) commit(t testing.TB, branch, file, text string) vcs.ID {
	t.Helper()
	if e.ours != nil {
		r, err := vcs.New(e.ours, vcs.Config[string, string]{})
		if err != nil {
			t.Fatal(err)
		}
		id, err := r.Set(context.Background(), branch, file, text, vcs.CommitInfo{Message: "there: " + file})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "commit refs/heads/%s\ncommitter t <t@t> %d +0000\ndata %d\nthere: %s\n", branch, 1_800_000_000, len("there: "+file), file)
	if from := e.ref(t, "refs/heads/"+branch); !from.IsZero() {
		fmt.Fprintf(&b, "from %s\n", from)
	}
	fmt.Fprintf(&b, "M 100644 inline %s\ndata %d\n%s\n", file, len(text), text)
	vcstest.GitInput(t, e.dir, b.Bytes(), "fast-import", "--quiet")
	return e.ref(t, "refs/heads/"+branch)
}

// everywhere runs a test against each kind of remote.
func everywhere(t *testing.T, test func(t *testing.T, e elsewhere)) {
	for name, start := range kinds {
		t.Run(name, func(t *testing.T) { test(t, start(t)) })
	}
}
