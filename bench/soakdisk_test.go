package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/archive"
	"arpeggio/vcs/badger"
	"arpeggio/vcs/gitserve"
)

// smallDisk mounts a disk of so many MiB in memory.
func smallDisk(t *testing.T, mib int) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to mount a small disk")
	}
	dir := t.TempDir()
	out, err := exec.Command("mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%dm", mib), "tmpfs", dir).CombinedOutput()
	if err != nil {
		t.Skipf("cannot mount a small disk: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	return dir
}

// usedBytes is how much of a file system is taken.
func usedBytes(dir string) (int64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Blocks-st.Bfree) * int64(st.Bsize), nil
}

// A store and its archives on a small disk: what there is no room for goes, in
// order, and never without a record.
func TestDiskBudget(t *testing.T) {
	disk, every := 96, 250
	r, ac := vcs.Retention{MaxCommits: 1000}, archive.Config{MaxBytes: 2 << 20, MinFree: 16 << 20}
	if soak() {
		disk, every = 256, 10_000
		r, ac = vcs.Retention{MaxBytes: 24 << 20, Epochs: 24}, archive.Config{MaxBytes: 80 << 20, MinFree: 40 << 20}
	}
	dir := smallDisk(t, disk)
	db := filepath.Join(dir, "db")
	back, err := badger.Open(t.Context(), db, badger.Config{})
	if err != nil {
		t.Fatal(err)
	}
	l := newLongRun(t, dir, back, r, ac)
	var used residency
	start := time.Now()
	err = l.run(t.Context(), soakCommits(4_000), every, func() error {
		n, err := usedBytes(dir)
		used.add(l.epoch(), n)
		return err
	})
	took := time.Since(start)
	used.log(t)
	l.logEpochs(t)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s commits in %v, %.0f a second; at most %.1f of %d MiB used", Number(float64(l.acked)), took.Round(time.Second), float64(l.acked)/took.Seconds(),
		float64(used.most())/(1<<20), disk)
	l.checkLedger(t)
	head, err := l.Head(branch) // the last commit, or its root in a new epoch
	if err := errors.Join(err, l.Close()); err != nil {
		t.Fatal(err)
	}

	if back, err = badger.Open(t.Context(), db, badger.Config{}); err != nil {
		t.Fatal(err)
	}
	if rep := back.Report(); !rep.OK() {
		t.Errorf("the backend reports: %v", rep)
	}
	s, err := vcs.OpenStore(t.Context(), back, vcs.StoreConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := s.Ref(vcs.BranchRef(branch)); got != head {
		t.Errorf("reopened at %v, was at %v", got, head)
	}
	if err := errors.Join(fsckClone(t.Context(), s, t.TempDir()), s.Close()); err != nil {
		t.Error(err)
	}
}

// fsckClone has stock git clone a store and check the clone.
func fsckClone(ctx context.Context, s *vcs.Store, dir string) error {
	srv := httptest.NewServer(gitserve.New(gitserve.Config{Repository: s}))
	defer srv.Close()
	if _, err := git(ctx, dir, "clone", "-q", "--mirror", srv.URL, "clone.git"); err != nil {
		return err
	}
	_, err := git(ctx, filepath.Join(dir, "clone.git"), "fsck", "--strict", "--no-dangling")
	return err
}

// checkLedger compares what the store says of its epochs with the ledger's last
// commit and with what the archive has.
func (l *longRun) checkLedger(t *testing.T) {
	t.Helper()
	head, err := l.Head(vcs.LedgerBranch)
	if err != nil {
		t.Fatal(err)
	}
	ledger, err := vcs.New(l.Store(), vcs.Config[string, string]{})
	if err != nil {
		t.Fatal(err)
	}
	snap, err := ledger.AtCommit(head)
	if err != nil {
		t.Fatal(err)
	}
	have, err := l.archives.List()
	if err != nil {
		t.Error(err)
	}
	archived, states := make(map[int]bool), make(map[vcs.EpochState]int)
	for _, info := range have {
		archived[info.Epoch] = true
	}
	for _, e := range l.Store().Epochs() {
		states[e.State] += e.Count()
		if e.State == vcs.EpochCurrent {
			continue
		}
		name := fmt.Sprintf("epoch-%06d", e.Number)
		if e.Through > 0 {
			name = "epochs-lost"
		}
		text, ok, err := snap.Get(name)
		if err != nil || !ok {
			t.Errorf("epoch %d is not in the ledger: %v", e.Number, err)
		} else if e.State != vcs.EpochLive && !strings.Contains(text, e.State.String()) {
			t.Errorf("epoch %d is %v; the ledger has\n%s", e.Number, e.State, text)
		}
		switch {
		case e.State == vcs.EpochArchived && !archived[e.Number]:
			t.Errorf("epoch %d should be archived, and is not there", e.Number)
		case e.State == vcs.EpochLost && e.Reason == "":
			t.Errorf("epoch %d was lost for no reason", e.Number)
		}
	}
	t.Logf("epochs: %d lost, %d archived, %d live, each on the ledger", states[vcs.EpochLost], states[vcs.EpochArchived], states[vcs.EpochLive])
}
