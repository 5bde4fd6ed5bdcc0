package gitremote

import (
	"errors"
	"strings"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/vcstest"
)

// pushed is Push that must work.
func pushed(t *testing.T, e elsewhere, src Source, opts PushOptions, specs ...string) PushReport {
	t.Helper()
	opts.RemoteOptions = e.opts
	rep, err := Push(t.Context(), src, e.url, specs, opts)
	if err != nil {
		t.Fatalf("push %v: %v\n%s", specs, err, rep.Messages)
	}
	return rep
}

// refusedPush is Push of refs one of which must be refused for a reason.
func refusedPush(t *testing.T, e elsewhere, src Source, opts PushOptions, reason string, want error, specs ...string) PushReport {
	t.Helper()
	opts.RemoteOptions = e.opts
	before := e.refs(t)
	rep, err := Push(t.Context(), src, e.url, specs, opts)
	var all *RejectedError
	if !errors.As(err, &all) || !errors.Is(err, ErrRejected) || !errors.Is(err, want) || all.Refs[0].Reason != reason {
		t.Errorf("push %v: %v, want %q", specs, err, reason)
	}
	if after := e.refs(t); len(specs) == 1 && after != before {
		t.Errorf("refused, and yet:\n%s\nbefore:\n%s", after, before)
	}
	return rep
}

func TestPush(t *testing.T) {
	everywhere(t, func(t *testing.T, e elsewhere) {
		r := newStore(t)
		write(t, r, "primary", 0, 30)
		rep := pushed(t, e, r.Store(), PushOptions{})
		if len(rep.Updates) != 1 || rep.Updates[0].Name != "refs/heads/primary" || rep.Objects < 60 {
			t.Errorf("first push: %+v", rep)
		}
		if rep = pushed(t, e, r.Store(), PushOptions{}, "primary"); !rep.Updates[0].UpToDate() || rep.Objects != 0 {
			t.Errorf("nothing new: %+v", rep)
		}
		head := write(t, r, "primary", 30, 2)
		if rep = pushed(t, e, r.Store(), PushOptions{}, "HEAD"); rep.Objects > 12 || e.ref(t, "refs/heads/primary") != head {
			t.Errorf("increment: %+v", rep)
		}

		// Other names, tags, patterns, ids.
		side := write(t, r, "side", 40, 2)
		tag, err := r.CreateTag(t.Context(), "v1", head, vcs.CommitInfo{Message: "release"})
		if err != nil {
			t.Fatal(err)
		}
		pushed(t, e, r.Store(), PushOptions{}, "side:other", "v1", head.String()+":refs/heads/by-id", "primary~2:back")
		for name, want := range map[string]vcs.ID{"refs/heads/other": side, "refs/tags/v1": tag, "refs/heads/by-id": head, "refs/heads/back": rep.Updates[0].Old} {
			if got := e.ref(t, name); got != want {
				t.Errorf("%s is at %v, want %v", name, got, want)
			}
		}
		pushed(t, e, r.Store(), PushOptions{}, ":other", ":refs/heads/by-id", ":back", "refs/heads/*:refs/heads/*")
		if got, want := e.refs(t), refsOf(t, r.Store()); got != want {
			t.Errorf("refs:\n%s\nwant:\n%s", got, want)
		}
		e.sound(t)
	})
}

func TestPushRefused(t *testing.T) {
	everywhere(t, func(t *testing.T, e elsewhere) {
		r := newStore(t)
		old := write(t, r, "primary", 0, 5)
		head := write(t, r, "primary", 5, 5)
		rewound := write(t, r, "rewound", 50, 3)
		pushed(t, e, r.Store(), PushOptions{}, "primary")

		refusedPush(t, e, r.Store(), PushOptions{}, "non-fast-forward", vcs.ErrNotFastForward, old.String()+":primary")
		refusedPush(t, e, r.Store(), PushOptions{}, "non-fast-forward", vcs.ErrNotFastForward, "rewound:primary")
		refusedPush(t, e, r.Store(), PushOptions{}, "remote ref does not exist", vcs.ErrNotFound, ":nobody")
		refusedPush(t, e, r.Store(), PushOptions{}, "it is updated twice", vcs.ErrBadRefName, "primary:x", "rewound:x")
		refusedPush(t, e, r.Store(), PushOptions{Atomic: true}, "atomic push failed", ErrRejected, "primary:new", "rewound:primary")
		if !e.ref(t, "refs/heads/new").IsZero() {
			t.Error("a part of an atomic push was made")
		}
		rep := refusedPush(t, e, r.Store(), PushOptions{}, "non-fast-forward", vcs.ErrNotFastForward, "primary:new", "rewound:primary")
		if rep.Updates[0].Err != nil || e.ref(t, "refs/heads/new") != head {
			t.Errorf("a part of a push that is not atomic was not made: %+v", rep)
		}
		for _, bad := range []string{"", ":", "nobody", "a:b:c", "x*:y", "*:y/*/*", "pri..mary", "primary:refs/x"} {
			if _, err := Push(t.Context(), r.Store(), e.url, []string{bad}, PushOptions{RemoteOptions: e.opts}); !errors.Is(err, ErrRefspec) {
				t.Errorf("refspec %q: %v", bad, err)
			}
		}

		// Leases: somebody else's value is not overwritten, the known one is.
		lease := func(id vcs.ID) PushOptions { return PushOptions{Lease: map[string]vcs.ID{"refs/heads/primary": id}} }
		refusedPush(t, e, r.Store(), lease(old), "stale info", vcs.ErrRefMoved, "rewound:primary")
		refusedPush(t, e, r.Store(), lease(vcs.ID{}), "stale info", vcs.ErrRefMoved, "rewound:primary")
		refusedPush(t, e, r.Store(), PushOptions{LeaseName: "origin"}, "stale info", vcs.ErrRefMoved, "rewound:primary")
		fetched(t, e, r.Store(), FetchOptions{})
		pushed(t, e, r.Store(), PushOptions{LeaseName: "origin"}, "primary:fresh", "rewound:primary")
		refusedPush(t, e, r.Store(), PushOptions{LeaseName: "origin"}, "stale info", vcs.ErrRefMoved, "primary")
		pushed(t, e, r.Store(), PushOptions{Force: true}, "primary")
		rep = pushed(t, e, r.Store(), lease(head), "rewound:primary")
		if !rep.Updates[0].Forced || e.ref(t, "refs/heads/primary") != rewound {
			t.Errorf("with a lease: %+v", rep)
		}

		// What is there and not here is not overwritten, except by force.
		foreign := e.commit(t, "primary", "theirs", "text\n")
		refusedPush(t, e, r.Store(), PushOptions{}, "fetch first", vcs.ErrNotFastForward, "primary")
		if e.ref(t, "refs/heads/primary") != foreign {
			t.Error("a foreign commit was lost")
		}
		if rep = pushed(t, e, r.Store(), PushOptions{Force: true}, "primary"); !rep.Updates[0].Forced {
			t.Errorf("by force: %+v", rep)
		}
		pushed(t, e, r.Store(), PushOptions{}, "+"+old.String()+":primary")

		// Tags stay.
		if _, err := r.CreateTag(t.Context(), "v1", old, vcs.CommitInfo{}); err != nil {
			t.Fatal(err)
		}
		pushed(t, e, r.Store(), PushOptions{}, "v1")
		refusedPush(t, e, r.Store(), PushOptions{}, "already exists", vcs.ErrNotFastForward, head.String()+":refs/tags/v1")
		e.sound(t)
	})
}

// TestPushCredentials: who may not write hears so, by name, and nobody sees the
// password.
func TestPushCredentials(t *testing.T) {
	e := kinds["stock over http"](t)
	r := newStore(t)
	write(t, r, "primary", 0, 3)
	bare := Redact(e.url)
	for name, c := range map[string]struct {
		url  string
		opts RemoteOptions
		ok   bool
	}{
		"none":           {bare, RemoteOptions{}, false},
		"wrong password": {bare, RemoteOptions{Username: "me", Password: "hunter2hunter2hunter2"}, false},
		"wrong token":    {bare, RemoteOptions{BearerToken: "hunter2hunter2hunter2"}, false},
		"token":          {bare, RemoteOptions{BearerToken: password}, true},
		"password":       {bare, RemoteOptions{Username: "me", Password: password}, true},
		"only password":  {bare, RemoteOptions{Password: password}, true},
		"in the URL":     {e.url, RemoteOptions{}, true},
	} {
		_, err := Push(t.Context(), r.Store(), c.url, []string{"primary"}, PushOptions{RemoteOptions: c.opts})
		if c.ok != (err == nil) || !c.ok && !errors.Is(err, ErrPermission) {
			t.Errorf("push, %s: %v", name, err)
		}
		_, err = FetchInto(t.Context(), newStore(t).Store(), c.url, FetchOptions{RemoteOptions: c.opts})
		if c.ok != (err == nil) || !c.ok && !errors.Is(err, ErrPermission) {
			t.Errorf("fetch, %s: %v", name, err)
		}
	}
	// Our own server lets everybody read and tells who may write.
	ours := newStore(t)
	url := Redact(writableServer(t, ours.Store()))
	if _, err := Push(t.Context(), r.Store(), url, nil, PushOptions{}); !errors.Is(err, ErrPermission) {
		t.Errorf("our server: %v", err)
	}
	if _, err := FetchInto(t.Context(), r.Store(), url, FetchOptions{}); err != nil {
		t.Errorf("our server: %v", err)
	}
}

// TestPushHooks: what hooks refuse and say arrives.
func TestPushHooks(t *testing.T) {
	for _, kind := range []string{"stock over http", "file", "ssh"} {
		t.Run(kind, func(t *testing.T) {
			e := kinds[kind](t)
			r := newStore(t)
			write(t, r, "primary", 0, 3)
			write(t, r, "secret", 10, 3)
			hook(t, e.dir, "update", `echo "looking at $1"; case $1 in *secret) echo "not this one" >&2; exit 1;; esac`)
			rep := refusedPush(t, e, r.Store(), PushOptions{}, "hook declined", ErrRemoteRejected, "secret", "primary")
			if e.ref(t, "refs/heads/primary").IsZero() || !e.ref(t, "refs/heads/secret").IsZero() {
				t.Errorf("refs: %s", e.refs(t))
			}
			for _, want := range []string{"looking at refs/heads/primary", "not this one"} {
				if !strings.Contains(rep.Messages, want) {
					t.Errorf("messages lack %q: %q", want, rep.Messages)
				}
			}
			hook(t, e.dir, "pre-receive", `echo closed today; exit 1`)
			write(t, r, "primary", 20, 1)
			rep = refusedPush(t, e, r.Store(), PushOptions{}, "pre-receive hook declined", ErrRemoteRejected, "primary")
			if !strings.Contains(rep.Messages, "closed today") {
				t.Errorf("messages: %q", rep.Messages)
			}
			e.sound(t)
		})
	}
}

// TestPushCurrentBranch: stock git keeps the files of a work tree in step.
func TestPushCurrentBranch(t *testing.T) {
	dir := t.TempDir()
	vcstest.Git(t, dir, "init", "-q", "-b", "primary", ".")
	vcstest.Git(t, dir, "commit", "-q", "--allow-empty", "-m", "first")
	r := newStore(t)
	if _, err := FetchInto(t.Context(), r.Store(), dir, FetchOptions{Refspecs: []string{"primary:refs/heads/primary"}}); err != nil {
		t.Fatal(err)
	}
	write(t, r, "primary", 0, 1)
	e := elsewhere{url: dir, dir: dir}
	refusedPush(t, e, r.Store(), PushOptions{}, "branch is currently checked out", ErrRemoteRejected, "primary")
	pushed(t, e, r.Store(), PushOptions{}, "primary:other")
}
