package gitremote

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"arpeggio/vcs/gitserve"
	"arpeggio/vcs/vcstest"
)

func serveStore(t testing.TB, src Source) string {
	t.Helper()
	s := httptest.NewServer(gitserve.New(gitserve.Config{Repository: src, Prefix: "/arp.git"}))
	t.Cleanup(s.Close)
	return s.URL + "/arp.git"
}

func TestFetch(t *testing.T) {
	r := newStore(t)
	ctx := t.Context()
	url := serveStore(t, r.Store())
	dir := filepath.Join(t.TempDir(), "mirror.git")
	rep, err := Fetch(ctx, url, dir, RemoteOptions{})
	if err != nil || rep.Objects != 0 {
		t.Fatalf("empty remote: %+v, %v", rep, err)
	}
	check(t, dir, r.Store())

	vcstest.RandomHistory(t, r, vcstest.HistoryConfig{Seed: 5})
	write(t, r, "primary", 0, 3)
	var progress strings.Builder
	if rep, err = Fetch(ctx, url, dir, RemoteOptions{Progress: &progress}); err != nil || rep.Objects < 100 {
		t.Fatalf("first content: %+v, %v", rep, err)
	}
	if !strings.Contains(progress.String(), "Enumerating objects") {
		t.Errorf("progress: %q", progress.String())
	}
	check(t, dir, r.Store())

	old := write(t, r, "primary", 3, 2)
	doomed := write(t, r, "doomed", 50, 1)
	if rep, err = Fetch(ctx, url, dir, RemoteOptions{}); err != nil || rep.Objects > 30 || len(rep.Changes) != 2 || len(rep.Forced) != 0 {
		t.Fatalf("increment: %+v, %v", rep, err)
	}
	check(t, dir, r.Store())

	if err := r.DeleteBranch(ctx, "doomed", doomed); err != nil {
		t.Fatal(err)
	}
	if err := r.SetBranch(ctx, "primary", old, write(t, r, "other", 80, 1)); err != nil {
		t.Fatal(err)
	}
	if rep, err = Fetch(ctx, url, dir, RemoteOptions{}); err != nil || len(rep.Changes) != 3 || len(rep.Forced) != 1 {
		t.Fatalf("rewound: %+v, %v", rep, err)
	}
	check(t, dir, r.Store())
	if rep, err = Fetch(ctx, url, dir, RemoteOptions{}); err != nil || len(rep.Changes) != 0 || rep.Objects != 0 {
		t.Errorf("nothing new: %+v, %v", rep, err)
	}
}

func TestFetchFile(t *testing.T) {
	r := newStore(t)
	write(t, r, "primary", 0, 5)
	src, dir := t.TempDir(), t.TempDir()
	snapshot(t, src, r.Store())
	for _, url := range []string{src, "file://" + src} {
		if _, err := Fetch(t.Context(), url, dir, RemoteOptions{}); err != nil {
			t.Fatal(err)
		}
		check(t, dir, r.Store())
		write(t, r, "primary", 5, 5)
		snapshot(t, src, r.Store())
	}
	work := t.TempDir()
	vcstest.Git(t, work, "clone", "-q", src, "w")
	if rep, err := Fetch(t.Context(), filepath.Join(work, "w"), t.TempDir(), RemoteOptions{}); err != nil || rep.Objects == 0 {
		t.Errorf("a work tree: %+v, %v", rep, err)
	}
}

// TestFetchDialer: the connection is the caller's to make.
func TestFetchDialer(t *testing.T) {
	r := newStore(t)
	write(t, r, "primary", 0, 2)
	url := serveStore(t, r.Store())
	addr := strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/arp.git")
	var dials atomic.Int32
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		dials.Add(1)
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	dir := t.TempDir()
	if _, err := Fetch(t.Context(), "http://arp.lan/arp.git", dir, RemoteOptions{DialContext: dial}); err != nil {
		t.Fatal(err)
	}
	if dials.Load() == 0 {
		t.Error("the dialer was not used")
	}
	check(t, dir, r.Store())
}

func TestFetchErrors(t *testing.T) {
	reply := func(status int, body string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			io.WriteString(w, body)
		}))
		t.Cleanup(s.Close)
		return s.URL + "/x.git"
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "http://" + l.Addr().String() + "/x.git"
	l.Close()
	secret := strings.Replace(closed, "http://", "http://me:hunter2@", 1)
	for _, c := range []struct {
		name, url string
		want      error
	}{
		{"nobody listens", closed, ErrUnreachable},
		{"secret", secret, ErrUnreachable},
		{"a web page", reply(200, "<html>hello</html>"), ErrNotGitServer},
		{"an empty page", reply(200, ""), ErrNotGitServer},
		{"a broken server", reply(500, "oops"), ErrNotGitServer},
		{"no such repository", reply(404, "not found"), ErrNoRemoteRepository},
		{"no credentials", reply(401, "who are you"), ErrPermission},
		{"forbidden", reply(403, "go away"), ErrPermission},
		{"scheme", "gopher://127.0.0.1/x", ErrBadURL},
		{"no directory", filepath.Join(t.TempDir(), "missing"), ErrNoRemoteRepository},
		{"no repository", t.TempDir(), ErrNoRemoteRepository},
	} {
		dir := filepath.Join(t.TempDir(), "mirror")
		_, err := Fetch(t.Context(), c.url, dir, RemoteOptions{})
		if !errors.Is(err, c.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: the directory was made", c.name)
		}
	}
}

// TestFetchCancelled: a server that says nothing does not hold us for ever.
func TestFetchCancelled(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer s.Close()
	if _, err := Fetch(ctx, s.URL, t.TempDir(), RemoteOptions{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

// TestFetchCutOff: a pack that ends early moves no ref.
func TestFetchCutOff(t *testing.T) {
	r := newStore(t)
	write(t, r, "primary", 0, 20)
	inner := gitserve.New(gitserve.Config{Repository: r.Store()})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.Method == "GET" {
			inner.ServeHTTP(w, q)
			return
		}
		rec := httptest.NewRecorder()
		inner.ServeHTTP(rec, q)
		w.Header().Set("Content-Type", rec.Header().Get("Content-Type"))
		w.Write(rec.Body.Bytes()[:rec.Body.Len()/2])
	}))
	defer s.Close()
	dir := t.TempDir()
	if _, err := Fetch(t.Context(), s.URL, dir, RemoteOptions{}); err == nil {
		t.Error("half a pack was accepted")
	}
	if refs, err := readRefs(dir); err != nil || len(refs) != 0 {
		t.Errorf("refs: %v, %v", refs, err)
	}
	if _, err := Fetch(t.Context(), serveStore(t, r.Store()), dir, RemoteOptions{}); err != nil {
		t.Fatal(err)
	}
	check(t, dir, r.Store())
}
