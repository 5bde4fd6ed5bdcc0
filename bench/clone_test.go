package bench

import (
	"context"
	"fmt"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	cloneEntries = 10_000
	cloneCommits = 100_000
	cloneLimit   = 90 * time.Second // a slower clone is given up
)

// clone: stock git clones 100,000 commits from us and from stock git's own
// server, both over loopback.
func clone(ctx context.Context, b *board) {
	b.section("Clone of 100,000 commits by stock git over HTTP, 10,000 entries")
	dir, err := os.MkdirTemp("", "bench-clone-")
	if err != nil {
		b.fail("disk", err)
		return
	}
	defer os.RemoveAll(dir)
	if err := b.clones(ctx, dir, cloneEntries, cloneCommits); err != nil {
		b.fail("clone", err)
	}
}

func (b *board) clones(ctx context.Context, dir string, entries, commits int) error {
	ours, err := startServer(ctx, entries, commits)
	if err != nil {
		return err
	}
	defer ours.close()
	repo, file := filepath.Join(dir, "repo.git"), filepath.Join(dir, "stream")
	if err := writeStream(file, entries, commits); err != nil {
		return err
	}
	_, head, err := fastImport(ctx, repo, file, branch)
	if err != nil {
		return err
	}
	os.Remove(file)
	if head != ours.head {
		return fmt.Errorf("ids differ: head is %v, git has %v", ours.head, head)
	}
	stock, err := stockServer(ctx, dir)
	if err != nil {
		return err
	}
	defer stock.Close()

	full := func(url string) (time.Duration, error) { return timeClone(ctx, dir, url, head.String()) }
	rest, err := ours.memory("rest")
	if err != nil {
		return err
	}
	rounds := 1
	if b.full {
		rounds = 3
	}
	urls := []string{ours.url, stock.URL + "/repo.git"}
	var times [2][]time.Duration
	for range rounds {
		for i, url := range urls {
			t, err := full(url)
			if err != nil {
				return err
			}
			times[i] = append(times[i], t)
		}
	}
	peak, err := ours.memory("peak")
	if err != nil {
		return err
	}
	if _, err := git(ctx, repo, "gc", "-q"); err != nil {
		return err
	}
	collected, err := full(urls[1])
	if err != nil {
		return err
	}
	m, s := median(times[0]), median(times[1])
	note := "equal heads"
	if m >= cloneLimit {
		note = "given up"
	}
	b.add(Row{Name: "vcs/gitserve, from a store in memory", Value: m.Seconds(), Unit: "s", Note: note})
	b.add(Row{Name: "git http-backend, as git fast-import left it", Value: s.Seconds(), Unit: "s", Ratio: s.Seconds() / m.Seconds(), Bar: AtLeast(1)})
	b.add(Row{Name: "git http-backend, after git gc", Value: collected.Seconds(), Unit: "s", Ratio: collected.Seconds() / m.Seconds(), Note: "with bitmaps and a commit-graph"})
	b.add(Row{Name: "memory of vcs/gitserve beyond the store's", Value: float64(peak-rest) / (1 << 20), Unit: "MiB", Bar: AtMost(32),
		Note: fmt.Sprintf("resident: %s MiB before, %s at most", Number(float64(rest)/(1<<20)), Number(float64(peak)/(1<<20)))})

	var shallow [2][]time.Duration
	for range 9 {
		for i, url := range urls {
			t, err := timeClone(ctx, dir, url, head.String(), "--depth=1")
			if err != nil {
				return err
			}
			shallow[i] = append(shallow[i], t)
		}
	}
	millis := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	m, s = median(shallow[0]), median(shallow[1])
	b.add(Row{Name: "vcs/gitserve, depth 1", Value: millis(m), Unit: "ms", Bar: AtMost(50), Note: "median of 9; the client's processes included"})
	b.add(Row{Name: "git http-backend, depth 1", Value: millis(s), Unit: "ms", Ratio: s.Seconds() / m.Seconds()})
	return nil
}

// timeClone clones and checks where the clone's head is.
func timeClone(ctx context.Context, dir, url, head string, args ...string) (time.Duration, error) {
	to := filepath.Join(dir, "clone.git")
	defer os.RemoveAll(to)
	limited, cancel := context.WithTimeout(ctx, cloneLimit)
	defer cancel()
	start := time.Now()
	_, err := git(limited, dir, append(append([]string{"clone", "-q", "--bare"}, args...), url, to)...)
	took := time.Since(start)
	switch {
	case limited.Err() != nil && ctx.Err() == nil:
		return took, nil
	case err != nil:
		return 0, err
	}
	got, err := git(ctx, to, "rev-parse", "HEAD")
	if err == nil && got != head {
		err = fmt.Errorf("the clone of %s is at %s, not at %s", url, got, head)
	}
	return took, err
}

// stockServer runs git http-backend over the repositories in a folder.
func stockServer(ctx context.Context, root string) (*httptest.Server, error) {
	execPath, err := git(ctx, "", "--exec-path")
	if err != nil {
		return nil, err
	}
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		env := append(gitEnv(), "GIT_PROJECT_ROOT="+root, "GIT_HTTP_EXPORT_ALL=1", "GIT_PROTOCOL="+r.Header.Get("Git-Protocol"))
		h := cgi.Handler{Path: filepath.Join(execPath, "git-http-backend"), Root: "/", Dir: root, Env: env}
		h.ServeHTTP(w, r)
	})), nil
}

// Both servers give out the same history.
func TestClones(t *testing.T) {
	var out strings.Builder
	b := &board{}
	b.Table = &out
	if err := b.clones(t.Context(), t.TempDir(), 50, 200); err != nil {
		t.Fatal(err)
	}
	t.Log(out.String())
}
