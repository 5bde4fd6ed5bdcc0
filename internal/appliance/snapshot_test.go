package appliance

import (
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/gitremote"
)

// A snapshot is written every now and then while the appliance runs, so that a
// disk whose store does not open any more still holds most of the history.
func TestPeriodicSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, dir := newBench(t), filepath.Join(t.TempDir(), "arp.git")
		b.start(Config{SnapshotDir: dir, SnapshotEvery: 10 * time.Minute})
		if _, err := b.peer.Stack.Ping(t.Context(), ownNet.Addr(), 8); err != nil {
			t.Fatal(err)
		}
		time.Sleep(9 * time.Minute)
		if _, err := gitremote.OpenDir(dir); err == nil {
			t.Error("there is a snapshot before its time")
		}
		time.Sleep(time.Minute + time.Second)
		synctest.Wait()
		d, err := gitremote.OpenDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		s, err := vcs.OpenStore(t.Context(), d, vcs.StoreConfig{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if n := entries(t, s); n != 1 {
			t.Errorf("the snapshot has %d entries, want the peer's", n)
		}
	})
}
