package archive

import (
	"os"
	"path/filepath"
	"testing"

	"arpeggio/vcs/vcstest"
)

// Every file is synced before it gets its name, and every name before Archive
// returns: what a power cut may not take.
func TestEverythingIsSynced(t *testing.T) {
	for _, format := range []Format{Pack, Bundle} {
		t.Run(format.String(), func(t *testing.T) {
			p := newPast(t)
			d := openDir(t, t.TempDir(), Config{Format: format})
			synced, named := map[string]bool{}, map[string]string{}
			changes := 0
			d.files.fault = func(op, path string) error {
				switch op {
				case "sync":
					synced[path] = true
					for file, dir := range named {
						if dir == path {
							delete(named, file)
						}
					}
				case "write":
					delete(synced, path)
				case "rename":
					changes++
					if !synced[path] {
						t.Errorf("%s gets its name before it is synced", filepath.Base(path))
					}
					named[path] = filepath.Dir(path)
				case "remove":
					if filepath.Ext(path) != ".info" {
						return nil // it may come back, and is removed again
					}
					named[path] = filepath.Dir(path)
				}
				return nil
			}
			for seed := range uint64(3) {
				p.archive(d, p.live(seed, 15))
				if len(named) > 0 {
					t.Errorf("epoch %d: names that are not durable: %v", seed+1, named)
				}
			}
			if err := d.removeEpoch(t.Context(), 1); err != nil || len(named) > 0 {
				t.Errorf("removal: %v, not durable: %v", err, named)
			}
			if changes < 9 {
				t.Errorf("%d names were given", changes)
			}
		})
	}
}

// Somebody runs git gc in the archive. Its packs stay as they are, the oldest can
// still be removed, and a new epoch added.
func TestGitGC(t *testing.T) {
	p := newPast(t)
	d := openDir(t, t.TempDir(), Config{})
	for seed := range uint64(3) {
		p.archive(d, p.live(seed, 20))
	}
	vcstest.Git(t, d.path, "gc", "-q", "--prune=now")
	for n := range 3 {
		if _, err := d.Verify(t.Context(), n+1); err != nil {
			t.Errorf("after git gc: %v", err)
		}
	}
	if err := d.removeEpoch(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	fsck(t, d.path, "--no-dangling")
	p.archive(d, p.live(3, 20))
	fsck(t, d.path, "--no-dangling")
	if _, err := os.Stat(d.loosePath(p.epochs[3].Roots[0].Replacement)); err != nil {
		t.Error(err)
	}
}
