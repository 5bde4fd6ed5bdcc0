package gitremote

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/gitserve"
	"arpeggio/vcs/vcstest"
)

// TestConcurrentPushers: who is second has to pull first, and no update is lost.
func TestConcurrentPushers(t *testing.T) {
	const pushers, rounds = 3, 3
	everywhere(t, func(t *testing.T, e elsewhere) {
		first := newStore(t)
		write(t, first, "primary", 0, 2)
		pushed(t, e, first.Store(), PushOptions{})
		made := make([][]vcs.ID, pushers)
		var wg sync.WaitGroup
		for p := range pushers {
			r := newStore(t)
			wg.Go(func() {
				for i := range rounds {
					if err := pullAndPush(t, e, r, fmt.Sprintf("pusher%d/%d", p, i), &made[p]); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		last := newStore(t)
		if _, err := Pull(t.Context(), last, "primary", e.url, PullOptions{RemoteOptions: e.opts}); err != nil {
			t.Fatal(err)
		}
		head, _ := last.Store().Ref("refs/heads/primary")
		for p, ids := range made {
			if len(ids) != rounds {
				t.Errorf("pusher %d made %d commits", p, len(ids))
			}
			for _, id := range ids {
				if in, err := last.Store().IsAncestor(id, head); err != nil || !in {
					t.Errorf("commit %v of pusher %d is lost: %v", id, p, err)
				}
			}
		}
		sound(t, last.Store())
		e.sound(t)
	})
}

// pullAndPush sets a key on top of what is there, and pushes, until it gets
// through.
func pullAndPush(t *testing.T, e elsewhere, r *vcs.Repo[string, string], key string, made *[]vcs.ID) error {
	pull := func() error {
		_, err := Pull(t.Context(), r, "primary", e.url, PullOptions{RemoteOptions: e.opts})
		return err
	}
	if err := pull(); err != nil {
		return err
	}
	id, err := r.Set(t.Context(), "primary", key, key, vcs.CommitInfo{Message: key})
	if err != nil {
		return err
	}
	*made = append(*made, id)
	for range 50 {
		_, err = Push(t.Context(), r.Store(), e.url, []string{"primary"}, PushOptions{RemoteOptions: e.opts})
		if !errors.Is(err, ErrRejected) {
			return err
		}
		if err := pull(); err != nil {
			return err
		}
	}
	return err
}

// TestPushRace: the remote moves between its advertisement and the push. Neither
// a forced push nor one with a lease overwrites what it has not seen.
func TestPushRace(t *testing.T) {
	for _, opts := range []PushOptions{{}, {Force: true}} {
		r, there := newStore(t), newStore(t)
		base := write(t, r, "primary", 0, 3)
		if _, err := FetchInto(t.Context(), there.Store(), localCopy(t, r), FetchOptions{Refspecs: []string{"primary:primary"}}); err != nil {
			t.Fatal(err)
		}
		write(t, r, "primary", 3, 3)
		inner := gitserve.New(gitserve.Config{Repository: there.Store(), Push: &gitserve.PushConfig{
			Writer: there.Store(), Authorize: func(*http.Request) (gitserve.Grant, error) {
				return gitserve.Grant{Allow: func(gitserve.Update) error { return nil }}, nil
			}}})
		var theirs vcs.ID
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if q.Method == "POST" {
				theirs = write(t, there, "primary", 100, 1)
			}
			inner.ServeHTTP(w, q)
		}))
		defer srv.Close()
		e := elsewhere{url: srv.URL, ours: there.Store()}
		opts.Lease = map[string]vcs.ID{"refs/heads/primary": base}
		_, err := Push(t.Context(), r.Store(), e.url, []string{"primary"}, opts)
		if !errors.Is(err, ErrRemoteRejected) {
			t.Errorf("%+v: %v", opts, err)
		}
		if got := e.ref(t, "refs/heads/primary"); got != theirs {
			t.Errorf("%+v: their commit is lost", opts)
		}
	}
}

func localCopy(t *testing.T, r *vcs.Repo[string, string]) string {
	t.Helper()
	dir := t.TempDir()
	snapshot(t, dir, r.Store())
	return dir
}

// TestPushCutOff: the remote goes away, at every stage.
func TestPushCutOff(t *testing.T) {
	r := newStore(t)
	write(t, r, "primary", 0, 5)
	there := newStore(t)
	inner := gitserve.New(gitserve.Config{Repository: there.Store(), Push: &gitserve.PushConfig{
		Writer: there.Store(), Authorize: func(*http.Request) (gitserve.Grant, error) {
			return gitserve.Grant{Allow: func(gitserve.Update) error { return nil }}, nil
		}}})
	hangUp := func(w http.ResponseWriter) {
		if c, _, err := w.(http.Hijacker).Hijack(); err == nil {
			c.Close()
		}
	}
	var serve atomic.Value // http.HandlerFunc
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.Method == "GET" {
			inner.ServeHTTP(w, q)
			return
		}
		serve.Load().(http.HandlerFunc)(w, q)
	}))
	defer srv.Close()
	n := 10
	for name, c := range map[string]struct {
		serve http.HandlerFunc
		want  error
	}{
		"hangs up":        {func(w http.ResponseWriter, _ *http.Request) { hangUp(w) }, ErrBrokenOff},
		"answers nothing": {func(http.ResponseWriter, *http.Request) {}, ErrBrokenOff},
		"half a report": {func(w http.ResponseWriter, q *http.Request) {
			rec := httptest.NewRecorder()
			inner.ServeHTTP(rec, q)
			w.Write(rec.Body.Bytes()[:20])
		}, ErrBrokenOff},
		"another tongue": {func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<html>")) }, ErrBrokenOff},
		"forbidden":      {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(403) }, ErrPermission},
		"elsewhere":      {func(w http.ResponseWriter, q *http.Request) { http.Redirect(w, q, "/x", http.StatusFound) }, ErrBrokenOff},
	} {
		serve.Store(c.serve)
		n++
		write(t, r, "primary", n, 1)
		_, err := Push(t.Context(), r.Store(), srv.URL, nil, PushOptions{})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if is := strings.Contains(fmt.Sprint(err), "not known"); is != (c.want == ErrBrokenOff) {
			t.Errorf("%s: does it say whether refs moved? %v", name, err)
		}
	}
	serve.Store(http.HandlerFunc(inner.ServeHTTP))
	if _, err := Push(t.Context(), r.Store(), srv.URL, nil, PushOptions{}); err != nil {
		t.Error(err)
	}
}

// TestPushCancelled: a hook that never ends does not hold us.
func TestPushCancelled(t *testing.T) {
	for _, kind := range []string{"file", "stock over http"} {
		e := kinds[kind](t)
		hook(t, e.dir, "pre-receive", "while [ -e hooks/pre-receive ] && [ ! -e over ]; do sleep 0.05; done; exit 1")
		r := newStore(t)
		write(t, r, "primary", 0, 2)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		if _, err := Push(ctx, r.Store(), e.url, nil, PushOptions{}); !errors.Is(err, ctx.Err()) || ctx.Err() == nil {
			t.Errorf("%s: %v", kind, err)
		}
		if err := os.WriteFile(filepath.Join(e.dir, "over"), nil, 0o666); err != nil {
			t.Fatal(err)
		}
		vcstest.Git(t, e.dir, "fsck", "--strict")
	}
}
