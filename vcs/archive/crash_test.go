package archive

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"arpeggio/vcs"
	"arpeggio/vcs/vcstest"
)

var errCrash = errors.New("crash")

// TestCrashAtEachChange stops a writer at each of the changes that it makes in the
// directory: while an epoch is added for which an older one has to go. Stock git
// finds nothing wrong with what is left, and the next call completes it.
func TestCrashAtEachChange(t *testing.T) {
	for _, format := range []Format{Pack, Bundle} {
		t.Run(format.String(), func(t *testing.T) { crashAtEach(t, format) })
	}
}

// memoryDir is a test's directory where syncing costs nothing, if there is one.
func memoryDir(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "arpeggio-archive-*")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func crashAtEach(t *testing.T, format Format) {
	p := newPast(t)
	for seed := range uint64(3) {
		p.live(seed, 12)
	}
	base := memoryDir(t)
	d := openDir(t, base, Config{Format: format})
	sizes := []int64{0}
	for _, e := range p.epochs {
		p.archive(d, e)
		sizes = append(sizes, d.files.used)
	}
	two := memoryDir(t) // epochs 1 and 2, and room for two
	d = openDir(t, two, Config{Format: format})
	p.archive(d, p.epochs[0])
	p.archive(d, p.epochs[1])
	cfg := Config{Format: format, MaxBytes: sizes[3] - sizes[1]/2}
	for stop := 0; ; stop++ {
		dir := filepath.Join(memoryDir(t), fmt.Sprint(stop))
		if err := os.CopyFS(dir, os.DirFS(two)); err != nil {
			t.Fatal(err)
		}
		d := openDir(t, dir, cfg)
		n, where := 0, ""
		d.files.fault = func(op, path string) error {
			n++
			if n == stop+1 {
				where = op + " " + filepath.Base(path)
			}
			if n > stop {
				return errCrash
			}
			return nil
		}
		_, err := d.Archive(t.Context(), p.epochs[2], p.source(p.epochs[2]))
		if n <= stop {
			if err != nil {
				t.Fatal(err)
			}
			if stop < 15 {
				t.Errorf("%d changes in all", n)
			}
			break
		}
		if !errors.Is(err, errCrash) {
			t.Fatalf("change %d (%s): %v, want a crash", stop, where, err)
		}
		looks := os.Getenv("SOAK") != "" || stop%4 == 0 // stock git takes its time
		if looks {
			check(t, dir, cfg, p, where, "--no-dangling")
		}
		d = openDir(t, dir, cfg)
		if _, err := d.Archive(t.Context(), p.epochs[2], p.source(p.epochs[2])); err != nil {
			t.Fatalf("after a crash at change %d (%s): %v", stop, where, err)
		}
		if looks {
			check(t, dir, cfg, p, where+", completed")
		}
		if list, err := d.List(); err != nil || len(list) != 2 || list[1].Epoch != 3 {
			t.Errorf("after a crash at %s: %d epochs, %v", where, len(list), err)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "*", "*", tmpPrefix+"*")); len(left) > 0 {
			t.Errorf("after a crash at %s: %s is left", where, left)
		}
		if t.Failed() {
			t.Fatalf("at change %d (%s)", stop, where)
		}
	}
}

// check looks at a directory as others see it, whatever a writer did last.
func check(t *testing.T, dir string, cfg Config, p *past, where string, dangling ...string) {
	t.Helper()
	d := openDir(t, dir, cfg)
	list, err := d.List()
	if err != nil || len(list) == 0 {
		t.Fatalf("%s: %d epochs, %v", where, len(list), err)
	}
	for _, in := range list {
		r, err := d.Epoch(t.Context(), in.Epoch)
		if err != nil {
			t.Fatalf("%s: %v", where, err)
		}
		for _, id := range p.acked[in.Epoch-1] {
			if _, _, err := r.ReadObject(id); err != nil {
				t.Errorf("%s: epoch %d: %v", where, in.Epoch, err)
			}
		}
		r.Close()
	}
	if cfg.Format == Bundle {
		for _, in := range list {
			vcstest.Git(t, dir, "bundle", "list-heads", in.Name)
		}
		return
	}
	fsck(t, dir, dangling...)
	vcstest.Git(t, dir, "log", "--format=%H", "--glob=refs/epochs*")
}

// Errors that are not crashes surface, and the next call finds all in order.
func TestArchiveReportsErrors(t *testing.T) {
	p := newPast(t)
	e := p.live(1, 20)
	d := openDir(t, t.TempDir(), Config{})
	for _, op := range []string{"create", "write", "sync", "rename"} {
		d.files.fault = func(o, _ string) error {
			if o == op {
				return fmt.Errorf("%s: %w", op, os.ErrInvalid)
			}
			return nil
		}
		if _, err := d.Archive(t.Context(), e, p.source(e)); !errors.Is(err, os.ErrInvalid) || errors.Is(err, vcs.ErrArchiveFull) {
			t.Errorf("%s: %v", op, err)
		}
	}
	d.files.fault = nil
	p.archive(d, e)
	fsck(t, d.path)
}
