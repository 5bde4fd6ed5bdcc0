package appliance

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/arp"
	"arpeggio/arp/versioned"
	"arpeggio/stack/ethernet"
	"arpeggio/vcs"
)

// The index of the record is fed while the appliance runs, saved with its
// snapshots and at the end, so that a question right after that finds all in it.
func TestIndexOfTheRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, dir := newBench(t), t.TempDir()
		a := b.start(Config{IndexDir: dir, SnapshotEvery: 10 * time.Minute})
		repo, err := versioned.NewRepo(a.store)
		if err != nil {
			t.Fatal(err)
		}
		want := 1 // the empty cache
		commit := func(host byte) {
			t.Helper()
			k := arp.Key{Domain: arp.DefaultDomain, Addr: netip.AddrFrom4([4]byte{10, 9, 0, host})}
			mac := ethernet.Addr{2, 0, 0, 0, 0, host}
			if _, _, err := versioned.Pin(t.Context(), repo, versioned.Primary, "arpeggio", k, mac, vcs.CommitInfo{Time: time.Now()}); err != nil {
				t.Fatal(err)
			}
			want++
		}
		check := func(what string, x *versioned.RecordIndex, n int) {
			t.Helper()
			head, _ := repo.Head(versioned.Primary)
			if x.Len() != n || n == want && x.Head() != head {
				t.Errorf("%s %d commits, want %d; up to %v, the branch is at %v", what, x.Len(), n, x.Head(), head)
			}
		}
		saved := func() *versioned.RecordIndex { return versioned.OpenRecordIndex(versioned.RecordIndexPath(dir, "")) }
		commit(7)
		time.Sleep(indexEvery + time.Second)
		synctest.Wait()
		a.index.mu.Lock()
		check("fed:", a.index.file, want)
		a.index.mu.Unlock()
		check("saved too early:", saved(), 0)
		commit(8)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		check("saved:", saved(), want)
		commit(9)
		if err := a.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		check("saved at the end:", saved(), want)
	})
}
