package gitremote

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"arpeggio/internal/testproc"
	"arpeggio/vcs/vcstest"
)

// crashDir names the directory that the killed process of TestKilledWriter
// snapshots into.
const crashDir = "GITREMOTE_CRASH_DIR"

// TestKilledWriter kills a process that takes snapshots at arbitrary moments:
// what is left is a sound repository, and the next snapshot goes on from it.
func TestKilledWriter(t *testing.T) {
	if dir := os.Getenv(crashDir); dir != "" {
		r := newStore(t)
		for i := 0; ; i++ {
			write(t, r, "primary", i, 2)
			if _, err := WriteSnapshot(dir, r.Store()); err != nil && caughtUp(err) {
				t.Fatal(err)
			}
		}
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "crash.git")
	moved := 0
	// A busy machine needs longer than that to start a process.
	for round := 0; round < 12 || moved == 0 && round < 20; round++ {
		cmd := exec.Command(exe, "-test.run=^TestKilledWriter$")
		cmd.Env = append(os.Environ(), crashDir+"="+dir)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := testproc.Start(cmd); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(20+round*17+250<<max(0, round-11)-250) * time.Millisecond) // the moment of the kill
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil || cmd.ProcessState.Exited() {
			t.Fatalf("the writer ended by itself: %v\n%s", err, out.Bytes())
		}
		if err := checkRepository(dir); err != nil {
			continue // killed before it was one
		}
		vcstest.Git(t, dir, "fsck", "--strict", "--full", "--connectivity-only")
		if refs, err := readRefs(dir); err != nil {
			t.Fatal(err)
		} else if len(refs) > 0 {
			moved++
		}
	}
	if moved == 0 {
		t.Error("no round got as far as a ref")
	}
	r := newStore(t)
	for i := 0; ; i++ {
		write(t, r, "primary", i, 1)
		rep, err := WriteSnapshot(dir, r.Store())
		if !caughtUp(err) {
			continue
		}
		if err != nil || len(rep.Forced) != 0 {
			t.Errorf("the next snapshot: %+v, %v", rep, err)
		}
		break
	}
	check(t, dir, r.Store())
}

// caughtUp reports whether a store that repeats the history of a directory has
// got as far as that: before, the directory is ahead of it.
func caughtUp(err error) bool { return !errors.Is(err, ErrForeignHistory) }

// TestInterruptedStages lays out what a crash can leave at each stage.
func TestInterruptedStages(t *testing.T) {
	r := newStore(t)
	write(t, r, "primary", 0, 3)
	full := t.TempDir()
	snapshot(t, full, r.Store())
	for _, c := range []struct {
		name string
		undo []string // removed from a complete repository
		add  []string // created with garbage
	}{
		{"before HEAD", []string{"HEAD", "packed-refs"}, []string{tmpPrefix + "1"}},
		{"before config", []string{"HEAD", "packed-refs", "config", "description"}, nil},
		{"before the refs", []string{"packed-refs"}, []string{"objects/pack/" + tmpPrefix + "1.pack"}},
		{"before the index", []string{"packed-refs", "objects/pack/*.idx"}, nil},
		{"before the pack", []string{"packed-refs", "objects/pack/*.idx", "objects/pack/*.pack"}, []string{"objects/pack/" + tmpPrefix + "2.idx"}},
	} {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(full)); err != nil {
			t.Fatal(err)
		}
		for _, pattern := range c.undo {
			files, err := filepath.Glob(filepath.Join(dir, pattern))
			if err != nil || len(files) == 0 {
				t.Fatalf("%s: %v, %v", pattern, files, err)
			}
			for _, f := range files {
				if err := os.Remove(f); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, f := range c.add {
			if err := os.WriteFile(filepath.Join(dir, f), []byte("garbage"), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := WriteSnapshot(dir, r.Store()); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		check(t, dir, r.Store())
		left, err := filepath.Glob(filepath.Join(dir, "objects/pack", tmpPrefix+"*"))
		if err != nil || len(left) != 0 {
			t.Errorf("%s: left over %v, %v", c.name, left, err)
		}
	}
}
