package gitremote

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/badger"
	"arpeggio/vcs/gitserve"
	"arpeggio/vcs/vcstest"
)

func hook(t testing.TB, dir, name, script string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "hooks", name), []byte("#!/bin/sh\n"+script+"\n"), 0o777); err != nil {
		t.Fatal(err)
	}
}

func fetched(t *testing.T, e elsewhere, into Target, opts FetchOptions) FetchReport {
	t.Helper()
	opts.RemoteOptions = e.opts
	rep, err := FetchInto(t.Context(), into, e.url, opts)
	if err != nil {
		t.Fatalf("fetch %v: %v", opts.Refspecs, err)
	}
	return rep
}

func wantRef(t testing.TB, s *vcs.Store, name string, want vcs.ID) {
	t.Helper()
	if got, _ := s.Ref(name); got != want {
		t.Errorf("%s is at %v, want %v", name, got, want)
	}
}

func TestFetchInto(t *testing.T) {
	everywhere(t, func(t *testing.T, e elsewhere) {
		r := newStore(t)
		s := r.Store()
		if rep := fetched(t, e, s, FetchOptions{}); len(rep.Updates) != 0 || rep.Objects != 0 {
			t.Errorf("an empty remote: %+v", rep)
		}
		src := newStore(t)
		vcstest.RandomHistory(t, src, vcstest.HistoryConfig{Seed: 7})
		first := write(t, src, "primary", 0, 20)
		if _, err := src.CreateTag(t.Context(), "v1", first, vcs.CommitInfo{Message: "release"}); err != nil {
			t.Fatal(err)
		}
		pushed(t, e, src.Store(), PushOptions{}, "refs/*:refs/*")
		rep := fetched(t, e, s, FetchOptions{})
		if rep.Head != "refs/heads/primary" || rep.Objects < 100 {
			t.Errorf("head %s, %d objects", rep.Head, rep.Objects)
		}
		wantRef(t, s, "refs/remotes/origin/primary", first)
		tag, _ := src.Store().Ref("refs/tags/v1")
		wantRef(t, s, "refs/tags/v1", tag)
		if rep = fetched(t, e, s, FetchOptions{}); rep.Objects != 0 {
			t.Errorf("nothing new: %+v", rep)
		}

		// Only what is new travels, also when both sides have gone on.
		if err := r.CreateBranch(t.Context(), "primary", first); err != nil {
			t.Fatal(err)
		}
		write(t, r, "primary", 100, 30)
		second := e.commit(t, "primary", "theirs", "text\n")
		rep = fetched(t, e, s, FetchOptions{Name: "hub"})
		if rep.Objects > 3 {
			t.Errorf("%d objects for one commit", rep.Objects)
		}
		wantRef(t, s, "refs/remotes/hub/primary", second)

		// Named refs; what is no fast-forward needs a +; tags stay.
		rep, err := FetchInto(t.Context(), s, e.url, FetchOptions{RemoteOptions: e.opts, Refspecs: []string{"primary:primary", "primary:fresh"}})
		var all *RejectedError
		if !errors.As(err, &all) || !errors.Is(err, vcs.ErrNotFastForward) || all.Refs[0].Reason != "non-fast-forward" || rep.Updates[1].Err != nil {
			t.Errorf("no fast-forward: %+v, %v", rep, err)
		}
		wantRef(t, s, "refs/heads/fresh", second)
		rep = fetched(t, e, s, FetchOptions{Refspecs: []string{"+primary:primary"}})
		if !rep.Updates[0].Forced {
			t.Errorf("by force: %+v", rep)
		}
		wantRef(t, s, "refs/heads/primary", second)
		if _, err = FetchInto(t.Context(), s, e.url, FetchOptions{RemoteOptions: e.opts, Refspecs: []string{"primary:refs/tags/v1"}}); !errors.Is(err, ErrRejected) || !strings.Contains(err.Error(), "would clobber") {
			t.Errorf("a tag: %v", err)
		}
		for _, bad := range []string{":x", "nobody", "HEAD:refs/arpeggio/log"} {
			if _, err = FetchInto(t.Context(), s, e.url, FetchOptions{RemoteOptions: e.opts, Refspecs: []string{bad}}); !errors.Is(err, ErrRefspec) && !errors.Is(err, vcs.ErrBadRefName) {
				t.Errorf("refspec %s: %v", bad, err)
			}
		}

		// What the remote lost goes when that is asked for.
		pushed(t, e, src.Store(), PushOptions{}, "primary:refs/heads/doomed")
		fetched(t, e, s, FetchOptions{})
		wantRef(t, s, "refs/remotes/origin/doomed", first)
		pushed(t, e, src.Store(), PushOptions{}, ":doomed")
		fetched(t, e, s, FetchOptions{})
		wantRef(t, s, "refs/remotes/origin/doomed", first)
		fetched(t, e, s, FetchOptions{Prune: true})
		wantRef(t, s, "refs/remotes/origin/doomed", vcs.ID{})
		sound(t, s)
	})
}

// TestFetchTags: the modes of git fetch.
func TestFetchTags(t *testing.T) {
	everywhere(t, func(t *testing.T, e elsewhere) {
		src := newStore(t)
		head := write(t, src, "primary", 0, 5)
		side := write(t, src, "side", 10, 5)
		for name, at := range map[string]vcs.ID{"on-primary": head, "on-side": side} {
			if _, err := src.CreateTag(t.Context(), name, at, vcs.CommitInfo{Message: name}); err != nil {
				t.Fatal(err)
			}
			if _, err := src.CreateTag(t.Context(), name+"-light", at, vcs.CommitInfo{}); err != nil {
				t.Fatal(err)
			}
		}
		pushed(t, e, src.Store(), PushOptions{}, "refs/*:refs/*")
		for mode, want := range map[TagMode]string{NoTags: "", FollowTags: "on-primary on-primary-light", AllTags: "on-primary on-primary-light on-side on-side-light"} {
			s := newStore(t).Store()
			fetched(t, e, s, FetchOptions{Tags: mode, Refspecs: []string{"primary:refs/remotes/x/primary"}})
			var got []string
			for _, line := range strings.Fields(refsOf(t, s)) {
				if name, ok := strings.CutPrefix(line, "refs/tags/"); ok {
					got = append(got, name)
				}
			}
			if strings.Join(got, " ") != want {
				t.Errorf("mode %v: %v, want %s", mode, got, want)
			}
			sound(t, s)
		}
		// A tag that is made later on something that is here already.
		s := newStore(t).Store()
		fetched(t, e, s, FetchOptions{})
		late, err := src.CreateTag(t.Context(), "late", head, vcs.CommitInfo{Message: "late"})
		if err != nil {
			t.Fatal(err)
		}
		pushed(t, e, src.Store(), PushOptions{}, "late")
		fetched(t, e, s, FetchOptions{})
		wantRef(t, s, "refs/tags/late", late)
	})
}

// TestFetchIntoBackends: a store keeps what it fetched, whatever it lies in.
func TestFetchIntoBackends(t *testing.T) {
	e := kinds["file"](t)
	src := newStore(t)
	vcstest.RandomHistory(t, src, vcstest.HistoryConfig{Seed: 9})
	pushed(t, e, src.Store(), PushOptions{}, "refs/heads/*:refs/heads/*")
	dir := t.TempDir()
	for name, open := range map[string]func() (vcs.Backend, error){
		"badger": func() (vcs.Backend, error) {
			return badger.Open(t.Context(), filepath.Join(dir, "b"), badger.Config{MinFree: -1})
		},
		"directory": func() (vcs.Backend, error) { return CreateDir(filepath.Join(dir, "d.git"), "refs/heads/primary") },
	} {
		for i := range 2 {
			b, err := open()
			if err != nil {
				t.Fatal(err)
			}
			s, err := vcs.OpenStore(t.Context(), b, vcs.StoreConfig{})
			if err != nil {
				t.Fatal(err)
			}
			rep := fetched(t, e, s, FetchOptions{Refspecs: []string{"refs/heads/*:refs/heads/*"}})
			if (i == 0) != (rep.Objects > 0) {
				t.Errorf("%s: %d objects in round %d", name, rep.Objects, i)
			}
			if got, want := refsOf(t, s), refsOf(t, src.Store()); got != want {
				t.Errorf("%s: refs:\n%s\nwant:\n%s", name, got, want)
			}
			sound(t, s)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestFetchIntoCutOff: a pack that ends early, or lacks something, leaves no
// trace.
func TestFetchIntoCutOff(t *testing.T) {
	src := newStore(t)
	base := write(t, src, "primary", 0, 10)
	inner := gitserve.New(gitserve.Config{Repository: src.Store()})
	var spoil func([]byte) []byte
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.Method == "GET" {
			inner.ServeHTTP(w, q)
			return
		}
		rec := httptest.NewRecorder()
		inner.ServeHTTP(rec, q)
		w.Header().Set("Content-Type", rec.Header().Get("Content-Type"))
		w.Write(spoil(rec.Body.Bytes()))
	}))
	defer srv.Close()
	s := newStore(t).Store()
	for name, f := range map[string]func([]byte) []byte{
		"half":    func(b []byte) []byte { return b[:len(b)/2] },
		"nothing": func([]byte) []byte { return nil },
		"flipped": func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"text":    func([]byte) []byte { return []byte("0008NAK\n000dPACK?????") },
	} {
		spoil = f
		if _, err := FetchInto(t.Context(), s, srv.URL, FetchOptions{}); !errors.Is(err, ErrBadPack) && !errors.Is(err, ErrBrokenOff) {
			t.Errorf("%s: %v", name, err)
		}
		if refs := refsOf(t, s); refs != "" {
			t.Errorf("%s: refs %s", name, refs)
		}
	}
	// A server that sends too little.
	spoil = func(b []byte) []byte { return b }
	thin := httptest.NewServer(gitserve.New(gitserve.Config{Repository: hollow{src.Store()}}))
	defer thin.Close()
	if _, err := FetchInto(t.Context(), s, thin.URL, FetchOptions{}); err == nil {
		t.Error("a server without trees was believed")
	}
	if _, err := FetchInto(t.Context(), s, srv.URL, FetchOptions{}); err != nil {
		t.Fatal(err)
	}
	wantRef(t, s, "refs/remotes/origin/primary", base)
}

// hollow has a store's commits, all with an empty tree.
type hollow struct{ s *vcs.Store }

func (h hollow) Refs() ([]vcs.Ref, error) { return h.s.Refs() }
func (h hollow) Head() string             { return h.s.Head() }

func (h hollow) ReadObject(id vcs.ID) (vcs.Kind, []byte, error) {
	kind, content, err := h.s.ReadObject(id)
	if kind == vcs.KindTree {
		return kind, nil, err
	}
	return kind, content, err
}

// TestPull: what a person gets who pulls.
func TestPull(t *testing.T) {
	everywhere(t, func(t *testing.T, e elsewhere) {
		there := newStore(t)
		base := write(t, there, "primary", 0, 5)
		pushed(t, e, there.Store(), PushOptions{}, "primary")
		here := newStore(t)
		pull := func() (PullResult[string, string], error) {
			return Pull(context.Background(), here, "primary", e.url, PullOptions{RemoteOptions: e.opts})
		}
		if res, err := pull(); err != nil || res.Kind != vcs.FastForwarded || res.Head != base {
			t.Fatalf("into nothing: %+v, %v", res, err)
		}
		if res, err := pull(); err != nil || res.Kind != vcs.UpToDate {
			t.Errorf("again: %+v, %v", res, err)
		}
		write(t, here, "primary", 50, 3)
		theirs := e.commit(t, "primary", "theirs", "text\n")
		res, err := pull()
		if err != nil || res.Kind != vcs.Merged || res.From != theirs {
			t.Fatalf("both sides: %+v, %v", res, err)
		}
		c, err := here.Store().ReadCommit(res.Head)
		if err != nil || !strings.HasPrefix(c.Subject(), "Merge branch 'primary' of "+Redact(e.url)) || strings.Contains(c.Message, password) {
			t.Errorf("message %q, %v", c.Message, err)
		}
		wantRef(t, here.Store(), "refs/remotes/origin/primary", theirs)
		// And back.
		pushed(t, e, here.Store(), PushOptions{}, "primary")
		if got := e.ref(t, "refs/heads/primary"); got != res.Head {
			t.Errorf("pushed back: %v, want %v", got, res.Head)
		}

		// Without a merge function a conflict is one, and changes nothing.
		plain, err := vcs.New(here.Store(), vcs.Config[string, string]{})
		if err != nil {
			t.Fatal(err)
		}
		mine, err := plain.Set(t.Context(), "primary", "theirs", "mine\n", vcs.CommitInfo{Message: "mine"})
		if err != nil {
			t.Fatal(err)
		}
		e.commit(t, "primary", "theirs", "yours\n")
		got, err := Pull(t.Context(), plain, "primary", e.url, PullOptions{RemoteOptions: e.opts})
		if !errors.Is(err, vcs.ErrConflict) || len(got.Conflicts) != 1 || got.Conflicts[0].Path != "theirs" {
			t.Errorf("conflict: %+v, %v", got, err)
		}
		wantRef(t, here.Store(), "refs/heads/primary", mine)

		// Unrelated history is joined from an empty base.
		stranger := newStore(t)
		write(t, stranger, "primary", 500, 2)
		if res, err := Pull(t.Context(), stranger, "primary", e.url, PullOptions{RemoteOptions: e.opts}); err != nil || res.Kind != vcs.Merged || len(res.Bases) != 0 {
			t.Errorf("unrelated: %+v, %v", res, err)
		}
		sound(t, here.Store())
		sound(t, stranger.Store())
		e.sound(t)
	})
}

// leavingStore is one in which an epoch leaves before the first objects are added.
type leavingStore struct {
	*vcs.Store
	tries int
}

func (l *leavingStore) AddObjectsSettled(ctx context.Context, objs []vcs.Object, settled int64) error {
	if l.tries++; l.tries == 1 {
		return vcs.ErrLeft
	}
	return l.Store.AddObjectsSettled(ctx, objs, settled)
}

// TestFetchWhileEpochLeaves: what was looked at before is looked at again.
func TestFetchWhileEpochLeaves(t *testing.T) {
	everywhere(t, func(t *testing.T, e elsewhere) {
		src, r := newStore(t), newStore(t)
		head := write(t, src, "primary", 0, 20)
		pushed(t, e, src.Store(), PushOptions{}, "refs/*:refs/*")
		into := &leavingStore{Store: r.Store()}
		rep := fetched(t, e, into, FetchOptions{})
		if into.tries != 2 || rep.Objects < 60 {
			t.Errorf("%d tries, %d objects", into.tries, rep.Objects)
		}
		wantRef(t, r.Store(), "refs/remotes/origin/primary", head)
		sound(t, r.Store())
	})
}
