package gitserve

import (
	"context"
	"fmt"
	"net/http"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/vcstest"
)

// TestPushWhileEpochLeaves: an epoch leaves between the check of a push and the
// update of its ref. What needs it is refused, what does not is taken.
func TestPushWhileEpochLeaves(t *testing.T) {
	const kept = "held by the commits of the first epoch alone\n"
	for name, change := range map[string]func(t *testing.T, dir string) (vcs.ID, bool){
		"on a commit of it": func(t *testing.T, dir string) (vcs.ID, bool) {
			vcstest.Git(t, dir, "checkout", "-q", "old")
			return edit(t, dir, "dir/new", "new\n"), false
		},
		// The client sends the file, which the server has until then.
		"with a file of it": func(t *testing.T, dir string) (vcs.ID, bool) { return edit(t, dir, "again", kept), true },
		"a commit of it": func(t *testing.T, dir string) (vcs.ID, bool) {
			vcstest.Git(t, dir, "checkout", "-q", "old")
			return head(t, dir, "HEAD"), false
		},
		"without need of it": func(t *testing.T, dir string) (vcs.ID, bool) { return edit(t, dir, "dir/new", "new\n"), true },
	} {
		t.Run(name, func(t *testing.T) {
			r := must(vcs.Open(t.Context(), mem.New(), vcs.Config[string, string]{
				StoreConfig: vcs.StoreConfig{Retention: vcs.Retention{MaxCommits: 60, Chains: []vcs.Chain{}}}}))
			defer r.Close()
			s := r.Store()
			set := func(key, value string) {
				must(r.Set(t.Context(), "primary", key, value, vcs.CommitInfo{Message: "m"}))
			}
			for i := range 30 {
				set("dir/a", fmt.Sprint(i, "\n"))
			}
			set("gone", kept)
			must(r.Remove(t.Context(), "primary", "gone", vcs.CommitInfo{Message: "removed"}))
			must(s.EndEpoch(t.Context()))
			set("dir/b", "b\n")
			h, url := serve(t, Config{Repository: s, Push: &PushConfig{Writer: s,
				Authorize: func(*http.Request) (Grant, error) { return Grant{Allow: func(Update) error { return nil }}, nil },
				Accept: func(ctx context.Context, u Update, _ vcs.ObjectReader) error {
					for n := 0; s.Stats().Lost == 0; n++ {
						set("dir/c", fmt.Sprint(n, "\n"))
						must(s.Collect(ctx))
					}
					return nil
				}}})
			dir := worktree(t, url)
			vcstest.Git(t, dir, "fetch", "-q", "origin", "refs/epochs/1:refs/heads/old")
			id, good := change(t, dir)
			if !good {
				wontPush(t, dir, "(missing necessary objects)", "origin", "HEAD:refs/heads/new")
				id = vcs.ID{}
			} else {
				mustPush(t, dir, "origin", "HEAD:refs/heads/new")
			}
			if n := s.Stats().Lost; n != 1 { // and not the one that the client has cloned
				t.Errorf("%d epochs have left", n)
			}
			wantRef(t, s, "refs/heads/new", id)
			if st := h.Stats(); st.Failures != 0 || !good && st.Refused[reasonMissing] != 1 {
				t.Errorf("%+v", st)
			}
			if err := s.Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
			sound(t, s)
		})
	}
}
