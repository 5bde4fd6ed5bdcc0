package gitserve

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/vcstest"
)

// interrupted does something when a response has some bytes.
type interrupted struct {
	http.ResponseWriter
	left int
	do   func()
}

func (w *interrupted) Write(b []byte) (int, error) {
	if w.left -= len(b); w.left < 0 && w.do != nil {
		w.do()
		w.do = nil
	}
	return w.ResponseWriter.Write(b)
}

func (w *interrupted) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// TestCloneOverDrop: a clone that is under way when an epoch leaves the store is
// whole: all of the history, and a shallow one, whose trees are compared.
func TestCloneOverDrop(t *testing.T) {
	for _, args := range [][]string{{"--mirror"}, {"--mirror", "--no-single-branch", "--depth=300"}, {"--mirror", "--filter=blob:none"}} {
		t.Run(args[len(args)-1], func(t *testing.T) {
			r, err := vcs.Open(t.Context(), mem.New(), vcs.Config[string, string]{StoreConfig: vcs.StoreConfig{
				Retention: vcs.Retention{MaxCommits: 1500, Epochs: 3}}})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			n := 0
			write := func(commits int) {
				for range commits {
					n++
					if _, err := r.Set(t.Context(), "primary", fmt.Sprintf("d%d/k%d", n%17, n%101), strconv.Itoa(n), vcs.CommitInfo{Message: strconv.Itoa(n)}); err != nil {
						t.Error(err)
						return
					}
				}
				if err := r.Sync(t.Context()); err != nil {
					t.Error(err)
				}
			}
			left := func() int { return r.Store().Stats().Lost }
			write(400)
			if _, err := r.Store().EndEpoch(t.Context()); err != nil {
				t.Fatal(err)
			}
			write(50)
			if left() > 0 {
				t.Fatal("an epoch has left too early")
			}
			h := New(Config{Repository: r.Store()})
			var once sync.Once
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				h.ServeHTTP(&interrupted{w, 4 << 10, func() { // a list of refs is shorter
					once.Do(func() {
						for k := 0; k < 100 && left() == 0; k++ {
							write(100)
							if _, err := r.Store().Collect(req.Context()); err != nil {
								t.Error(err)
							}
						}
					})
				}}, req)
			}))
			defer srv.Close()
			dir := filepath.Join(t.TempDir(), "clone.git")
			vcstest.Git(t, "", append(append([]string{"clone", "-q"}, args...), srv.URL, dir)...)
			if left() == 0 {
				t.Fatal("no epoch has left during the clone")
			}
			vcstest.Git(t, dir, "fsck", "--strict")
			want := "451" // with the epoch's root
			if args[len(args)-1] == "--depth=300" {
				want = "351"
			}
			if got := vcstest.Git(t, dir, "--no-replace-objects", "rev-list", "--count", "refs/heads/primary", "refs/epochs/1"); got != want {
				t.Errorf("%s commits, want %s", got, want)
			}
		})
	}
}
