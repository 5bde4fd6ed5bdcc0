package archive

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"arpeggio/vcs"
)

// A full disk, real where a small one can be mounted: the oldest goes, and when
// that does not do the error says so and nothing is left half done.
func TestFullDisk(t *testing.T) {
	p := newPast(t)
	for seed := range uint64(4) {
		p.live(seed, 60)
	}
	probe := openDir(t, t.TempDir(), Config{})
	p.archive(probe, p.epochs[0])
	one := size(t, probe.path)
	disk := t.TempDir()
	if err := syscall.Mount("none", disk, "tmpfs", 0, fmt.Sprintf("size=%d", one*4)); err != nil {
		t.Skipf("a small file system cannot be mounted: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	d := openDir(t, filepath.Join(disk, "a"), Config{})
	for _, e := range p.epochs {
		p.archive(d, e)
		fsck(t, d.path)
	}
	list, err := d.List()
	if err != nil || len(list) == 0 || len(list) == 4 || list[len(list)-1].Epoch != 4 {
		t.Errorf("%d archives, %v", len(list), err)
	}
	// Somebody else fills the disk.
	if err := d.removeEpoch(t.Context(), list[len(list)-1].Epoch); err != nil {
		t.Fatal(err)
	}
	left, err := free(disk)
	if err != nil {
		t.Fatal(err)
	}
	for len(list) > 1 {
		if err := d.removeEpoch(t.Context(), list[0].Epoch); err != nil {
			t.Fatal(err)
		}
		list = list[1:]
	}
	if err := os.WriteFile(filepath.Join(disk, "other"), make([]byte, left-one/4), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Archive(t.Context(), p.epochs[3], p.source(p.epochs[3])); !errors.Is(err, vcs.ErrArchiveFull) || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("%v, want %v and %v", err, vcs.ErrArchiveFull, syscall.ENOSPC)
	}
	if err := os.Remove(filepath.Join(disk, "other")); err != nil {
		t.Fatal(err)
	}
	p.archive(d, p.epochs[3])
	fsck(t, d.path)
}
