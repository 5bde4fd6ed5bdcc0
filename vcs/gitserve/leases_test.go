package gitserve

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/mem"
	"arpeggio/vcs/vcstest"
)

// cutting is a store with two epochs, whose older one leaves when a test wants it.
type cutting struct {
	*vcs.Repo[string, string]
	t testing.TB
	n int
}

func newCutting(t testing.TB) *cutting {
	r, err := vcs.Open(t.Context(), mem.New(), vcs.Config[string, string]{StoreConfig: vcs.StoreConfig{
		Retention: vcs.Retention{MaxCommits: 1500, Epochs: 3}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	c := &cutting{Repo: r, t: t}
	c.write(400)
	if _, err := r.Store().EndEpoch(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.write(50)
	if c.Store().Stats().Lost > 0 {
		t.Fatal("an epoch has left too early")
	}
	return c
}

func (c *cutting) write(commits int) {
	for range commits {
		c.n++
		if _, err := c.Set(c.t.Context(), "primary", fmt.Sprintf("d%d/k%d", c.n%17, c.n%101), strconv.Itoa(c.n), vcs.CommitInfo{Message: strconv.Itoa(c.n)}); err != nil {
			c.t.Error(err)
			return
		}
	}
	if err := c.Sync(c.t.Context()); err != nil {
		c.t.Error(err)
	}
}

func (c *cutting) drop() {
	for k, before := 0, c.Store().Stats().Lost; k < 100 && c.Store().Stats().Lost == before; k++ {
		c.write(100)
		if _, err := c.Store().Collect(c.t.Context()); err != nil {
			c.t.Error(err)
		}
	}
	if c.Store().Stats().Lost == 0 {
		c.t.Error("no epoch has left")
	}
}

// TestDropBetweenRequests: an epoch leaves after a client was told of its commits
// and before it asks for them. They are served for a while; without that, or
// later, the error says what to run, and that works.
func TestDropBetweenRequests(t *testing.T) {
	for _, version := range []int{0, 1, 2} {
		for _, grace := range []time.Duration{0, -1} {
			t.Run(fmt.Sprintf("v%d/%v", version, grace), func(t *testing.T) {
				c := newCutting(t)
				h := New(Config{Repository: c.Store(), Grace: grace})
				var posts atomic.Int32
				last := int32(1)
				if version == 2 {
					last = 2 // after ls-refs
				}
				srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					if req.Method == http.MethodPost && posts.Add(1) == last {
						c.drop()
					}
					h.ServeHTTP(w, req)
				}))
				defer srv.Close()
				dir := filepath.Join(t.TempDir(), "clone.git")
				args := []string{"-c", fmt.Sprintf("protocol.version=%d", version), "clone", "-q", "--mirror", srv.URL, dir}
				if grace < 0 {
					out, ok := git(t, "", args...)
					if ok || !strings.Contains(out, "not our ref") || !strings.Contains(out, "run the same command again") {
						t.Errorf("%v: %s", ok, out)
					}
					if n := h.Stats().Refused[reasonWant]; n != 1 {
						t.Errorf("counted %d times", n)
					}
					vcstest.Git(t, "", args...)
					vcstest.Git(t, dir, "fsck", "--strict")
					return
				}
				vcstest.Git(t, "", args...)
				vcstest.Git(t, dir, "fsck", "--strict")
				if got := vcstest.Git(t, dir, "--no-replace-objects", "rev-list", "--count", "refs/heads/primary", "refs/epochs/1"); got != "451" {
					t.Errorf("%s commits", got)
				}
			})
		}
	}
}

// TestLeases: clients that come soon after one another share a lease, each gets
// its time, and a reader keeps a lease that runs out.
func TestLeases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCutting(t)
		l := leases{grace: time.Minute}
		count := func() int {
			l.mu.Lock()
			defer l.mu.Unlock()
			return len(l.list)
		}
		old, ok := c.Store().Ref(vcs.EpochRef(1))
		if !ok {
			t.Fatal("no epoch 1")
		}
		l.give(c.Store())
		time.Sleep(leaseEvery - time.Second)
		l.give(c.Store())
		if n := count(); n != 1 {
			t.Errorf("%d leases after two clients at once", n)
		}
		c.drop()
		time.Sleep(leaseEvery)
		l.give(c.Store()) // does not see what left before
		if n := count(); n != 2 {
			t.Errorf("%d leases after a third one", n)
		}
		time.Sleep(time.Minute - leaseEvery - time.Second)
		pin, release := l.find([]vcs.ID{old})
		if pin == nil {
			t.Fatal("what the second client was told of is gone before its time")
		}
		if pin, _ := l.find([]vcs.ID{{1}}); pin != nil {
			t.Error("what never was is found")
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if n := count(); n != 0 {
			t.Errorf("%d leases are left", n)
		}
		if _, _, err := pin.ReadObject(old); err != nil {
			t.Errorf("a reader's lease ran out: %v", err)
		}
		release()
		if _, _, err := pin.ReadObject(old); err == nil {
			t.Error("a lease is held for ever")
		}
		if pin, _ := l.find([]vcs.ID{old}); pin != nil {
			t.Error("a lease is found after its time")
		}
	})
}
