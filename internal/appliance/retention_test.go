package appliance

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/internal/lan"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
	"arpeggio/vcs/archive"
	"arpeggio/vcs/vcstest"
)

// Forty minutes of a lively network with room for a few hundred commits: the history
// stays within its bound, what leaves it is in the archive, the table is whole,
// and the snapshot holds the newest epoch and no more.
func TestRetention(t *testing.T) {
	const commits = 120
	synctest.Test(t, func(t *testing.T) {
		mac := ethernet.Addr{0x02, 0x50, 0, 0, 0, 2}
		l, err := lan.Start(lan.Config{Seed: 7, GuestMAC: mac})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		port, err := l.Port("guest", mac)
		if err != nil {
			t.Fatal(err)
		}
		old, err := archive.Open(filepath.Join(t.TempDir(), "archive.git"), archive.Config{})
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(t.TempDir(), "arp.git")
		a, err := Start(t.Context(), Config{
			Device: port, MAC: mac, Expire: time.Minute, SnapshotDir: dir,
			Retention: vcs.Retention{MaxCommits: commits, Archive: old,
				Chains: []vcs.Chain{{Branch: "history/minute", Period: time.Minute, Limit: 10}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close(t.Context())
		l.Populate()
		for range 40 {
			time.Sleep(time.Minute)
			synctest.Wait()
			if s := a.store.Stats(); s.Commits > 2*commits {
				t.Fatalf("%d commits are in the store, %d may be", s.Commits, commits)
			}
		}
		before := entries(t, a.store)
		if before < 8 {
			t.Errorf("the table has %d entries", before)
		}
		if err := a.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		s := a.store.Stats()
		if s.Archived == 0 || s.Lost > 0 {
			t.Errorf("%+v: want epochs archived and none lost", s)
		}
		list, err := old.List()
		if err != nil || len(list) < s.Archived {
			t.Errorf("the archive has %d epochs, %v; %d have left the store", len(list), err, s.Archived)
		}
		for _, repo := range []string{dir, old.Path()} {
			if out := vcstest.Git(t, repo, "fsck", "--strict", "--no-dangling", "--no-progress"); out != "" {
				t.Errorf("git fsck %s: %s", filepath.Base(repo), out)
			}
		}
		got := vcstest.Git(t, dir, "count-objects", "-v")
		n, err := strconv.Atoi(vcstest.Git(t, dir, "rev-list", "--count", "--all"))
		if err != nil || n > 2*commits {
			t.Errorf("the snapshot has %d commits, %v\n%s", n, err, got)
		}
		roots := vcstest.Git(t, dir, "rev-list", "--max-parents=0", "--format=%s", "primary")
		if !strings.Contains(roots, "epoch ") {
			t.Errorf("primary begins with %q, want the root of an epoch", roots)
		}
	})
}
