package gitserve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	gogit "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing/object"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/vcstest"
)

// TestClonesWhileAWriterCommits: every clone is some consistent state.
func TestClonesWhileAWriterCommits(t *testing.T) {
	r, err := vcs.Open(t.Context(), mem.New(), vcs.Config[string, string]{Merge: vcstest.Larger})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	vcstest.RandomHistory(t, r, vcstest.HistoryConfig{Seed: 1})
	_, url := serve(t, Config{Repository: r.Store(), MaxConcurrent: 2})
	ctx, cancel := context.WithCancel(t.Context())
	var writer, clients sync.WaitGroup
	writer.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			info := vcs.CommitInfo{Message: fmt.Sprint(i)}
			if _, err := r.Set(t.Context(), fmt.Sprint("live", i%3), vcstest.Key(i%40), fmt.Sprint(i), info); err != nil {
				t.Error(err)
				return
			}
			time.Sleep(5 * time.Millisecond) // writers do not come back to back
		}
	})
	for v := range 3 {
		clients.Go(func() {
			dir := filepath.Join(t.TempDir(), "c")
			for _, args := range [][]string{{"clone", "-q", "--mirror", url, dir}, {"-C", dir, "fetch", "-q"}, {"-C", dir, "fetch", "-q"}, {"-C", dir, "fsck", "--strict"}} {
				if out, ok := git(t, filepath.Dir(dir), append([]string{"-c", version(v)}, args...)...); !ok {
					t.Errorf("v%d: git %v: %s", v, args, out)
				}
			}
		})
	}
	clients.Wait()
	cancel()
	writer.Wait()
}

// TestGoGitPeer: a second, independent client.
func TestGoGitPeer(t *testing.T) {
	r := busyRepo(t)
	h, url := serve(t, Config{Repository: r, Prefix: "/arp.git"})
	dir := t.TempDir()
	repo, err := gogit.PlainClone(dir, false, &gogit.CloneOptions{URL: url, Tags: gogit.AllTags})
	if err != nil {
		t.Fatal(err)
	}
	log, err := repo.Log(&gogit.LogOptions{})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	if err := log.ForEach(func(*object.Commit) error { n++; return nil }); err != nil || n != 20 {
		t.Errorf("%d commits, %v", n, err)
	}
	before := h.Stats()
	ids := r.chain(t, "primary", 3)
	if err := repo.Fetch(&gogit.FetchOptions{}); err != nil {
		t.Fatal(err)
	}
	ref, err := repo.Reference("refs/remotes/origin/primary", true)
	if err != nil || vcs.ID(ref.Hash()) != ids[2] {
		t.Errorf("origin/primary: %v, %v", ref, err)
	}
	if n := fetched(h, before); n > 12 {
		t.Errorf("the increment had %d objects", n)
	}
	if err := repo.Fetch(&gogit.FetchOptions{}); !errors.Is(err, gogit.NoErrAlreadyUpToDate) {
		t.Errorf("fetch of nothing: %v", err)
	}
	fsck(t, dir)
	if _, err := gogit.PlainClone(t.TempDir(), false, &gogit.CloneOptions{URL: url, Depth: 1}); err != nil {
		t.Errorf("depth 1: %v", err)
	}
}

// TestKeepAlive: all of a client's requests share one connection, refused ones
// included.
func TestKeepAlive(t *testing.T) {
	r := newTestRepo()
	tip := r.chain(t, "primary", 3)[2]
	_, url := serve(t, Config{Repository: r})
	fresh := 0
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) {
		if !i.Reused {
			fresh++
		}
	}})
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for _, q := range []request{
		{method: "GET", path: "/info/refs?service=git-upload-pack"},
		post(2, pkt("command=ls-refs", "0001", "0000")),
		post(2, pkt("command=fetch", "0001", "want "+tip.String(), "done", "0000")),
		post(2, pkt("command=nonsense", "0000")),
		{method: "GET", path: "/info/refs?service=git-receive-pack"},
		post(0, pkt("want "+tip.String(), "0000", "done")),
	} {
		req, err := http.NewRequestWithContext(ctx, q.method, url+q.path, strings.NewReader(q.body))
		if err != nil {
			t.Fatal(err)
		}
		for k, v := range q.header {
			req.Header.Set(k, v)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	if fresh != 1 {
		t.Errorf("%d connections for six requests", fresh)
	}
}

// TestFailingRepository fails each read of a clone in turn: the client hears of
// it and the log too, and no clone passes for complete.
func TestFailingRepository(t *testing.T) {
	disk := errors.New("disk on fire")
	r := newTestRepo()
	tip := r.chain(t, "primary", 4)[3]
	r.tag("v1", tip, vcs.KindCommit)
	h := New(Config{Repository: r})
	fetch := post(2, pkt("command=fetch", "0001", "want "+tip.String(), "include-tag", "ofs-delta", "done", "0000"))
	answer := func() string {
		req := httptest.NewRequest(fetch.method, fetch.path, strings.NewReader(fetch.body))
		for k, v := range fetch.header {
			req.Header.Set(k, v)
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, req)
		return rec.Body.String()
	}
	r.hook(nil)
	good := answer()
	reads := r.reads
	if reads < 20 || h.Stats().Fetches != 1 {
		t.Fatalf("%d reads, %+v", reads, h.Stats())
	}
	for at := 1; at <= reads; at++ {
		r.hook(func(n int) error {
			if n == at {
				return disk
			}
			return nil
		})
		got := answer()
		if s := h.Stats(); s.Failures != uint64(at) || s.Fetches != 1 {
			t.Fatalf("read %d: %+v", at, s)
		}
		if !strings.Contains(got, "server's log says why") || strings.Contains(got, disk.Error()) || len(got) >= len(good)+200 {
			t.Errorf("read %d: the client saw %q", at, got)
		}
	}
	r.hook(func(n int) error {
		if n == reads-2 {
			return disk
		}
		return nil
	})
	s := httptest.NewServer(h)
	defer s.Close()
	if out, ok := git(t, t.TempDir(), "-c", version(2), "clone", s.URL, "c"); ok || !strings.Contains(out, "log says why") {
		t.Errorf("git clone: %s", out)
	}
}

// TestQueue: with all slots taken a fetch waits, and leaves when its client
// does.
func TestQueue(t *testing.T) {
	h := New(Config{Repository: newTestRepo(), MaxConcurrent: 1})
	h.slots <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := withSlot(ctx, h.slots, func() error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	<-h.slots
	if err := withSlot(t.Context(), h.slots, func() error { return nil }); err != nil || len(h.slots) != 0 {
		t.Errorf("error %v, %d slots taken", err, len(h.slots))
	}
}

// TestGoGitPusher: a second, independent client pushes.
func TestGoGitPusher(t *testing.T) {
	h, s, url := pushServer(t, "*:all")
	repo, err := gogit.PlainClone(t.TempDir(), false, &gogit.CloneOptions{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	w, err := repo.Worktree()
	if err != nil {
		t.Fatal(err)
	}
	f, err := w.Filesystem.Create("from-go-git")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(f, "text")
	f.Close()
	if _, err := w.Add("from-go-git"); err != nil {
		t.Fatal(err)
	}
	id, err := w.Commit("m", &gogit.CommitOptions{Author: &object.Signature{Name: "a", Email: "a@b", When: time.Unix(1_800_000_000, 0)}})
	if err != nil {
		t.Fatal(err)
	}
	if err := repo.Push(&gogit.PushOptions{RefSpecs: []config.RefSpec{"refs/heads/primary:refs/heads/primary", "refs/heads/primary:refs/heads/copy"}}); err != nil {
		t.Fatal(err)
	}
	wantRef(t, s, "refs/heads/primary", vcs.ID(id))
	wantRef(t, s, "refs/heads/copy", vcs.ID(id))
	if err := repo.Push(&gogit.PushOptions{RefSpecs: []config.RefSpec{":refs/heads/copy"}}); err != nil {
		t.Fatal(err)
	}
	wantRef(t, s, "refs/heads/copy", vcs.ID{})
	if st := h.Stats(); st.Updates != 3 || st.Failures != 0 {
		t.Errorf("stats: %+v", st)
	}
}
