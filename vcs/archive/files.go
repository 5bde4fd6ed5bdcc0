package archive

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// tmpPrefix begins the names of temporary files. git gc removes old files of this
// form in objects/pack, too.
const tmpPrefix = "tmp_arpeggio_"

// files makes all changes in an archive's directory. Tests let one fail, and all
// that follow, as a crash does.
type files struct {
	fault func(op, path string) error // nil outside of tests
	used  int64                       // bytes of the directory's files, known to the writer
}

func (f *files) check(op, path string) error {
	if f.fault == nil {
		return nil
	}
	return f.fault(op, path)
}

// create makes a temporary file in a directory.
func (f *files) create(dir string) (*os.File, error) {
	if err := f.check("create", dir); err != nil {
		return nil, err
	}
	return os.CreateTemp(dir, tmpPrefix+"*")
}

func (f *files) rename(from, to string) error {
	if err := f.check("rename", to); err != nil {
		return err
	}
	return os.Rename(from, to)
}

// remove deletes a file that may be gone already.
func (f *files) remove(path string) error {
	if err := f.check("remove", path); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (f *files) mkdir(path string) error {
	if err := f.check("mkdir", path); err != nil {
		return err
	}
	return os.MkdirAll(path, 0o777)
}

// syncDir makes the names in a directory durable.
func (f *files) syncDir(dir string) error {
	if err := f.check("sync", dir); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// finish syncs a temporary file, closes it and gives it its name; the name is
// durable after the directory's sync.
func (f *files) finish(tmp *os.File, path string, mode fs.FileMode) error {
	err := f.check("sync", path)
	if err == nil {
		err = errors.Join(tmp.Chmod(mode), tmp.Sync())
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	return f.rename(tmp.Name(), path)
}

// write replaces a small file atomically and durably.
func (f *files) write(path string, data []byte, mode fs.FileMode) error {
	dir := filepath.Dir(path)
	tmp, err := f.create(dir)
	if err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	if err = f.check("write", path); err == nil {
		_, err = tmp.Write(data)
	}
	if err == nil {
		f.used += int64(len(data)) - fileSize(path)
		err = f.finish(tmp, path, mode)
	}
	if err != nil {
		f.discard(tmp)
		return fmt.Errorf("archive: write %s: %w", path, err)
	}
	return f.syncDir(dir)
}

// fileSize returns a file's length, 0 when there is none.
func fileSize(path string) int64 {
	fi, err := os.Lstat(path)
	if err != nil {
		return 0
	}
	return fi.Size()
}

// discard drops a temporary file. What cannot be removed goes with the leftovers.
func (f *files) discard(tmp *os.File) {
	tmp.Close()
	if f.check("discard", tmp.Name()) == nil {
		os.Remove(tmp.Name())
	}
}

// lock takes the lock that writers of a directory hold. It goes with the process.
func lock(dir string) (unlock func(), err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("archive: %w", err)
	}
	if err := syscall.Flock(int(d.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		d.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: %s", ErrLocked, dir)
		}
		return nil, fmt.Errorf("archive: lock %s: %w", dir, err)
	}
	return func() { d.Close() }, nil
}

// usage returns the bytes of all files below dir, and removes leftovers of a
// writer that died, whose lock the caller has now.
func (f *files) usage(dir string) (n int64, err error) {
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir():
			return nil
		case strings.HasPrefix(e.Name(), tmpPrefix):
			return f.remove(path)
		}
		fi, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			n += fi.Size()
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("archive: %w", err)
	}
	return n, nil
}

// free returns the bytes that a file system has left for us.
func free(dir string) (int64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, fmt.Errorf("archive: free space of %s: %w", dir, err)
	}
	return int64(s.Bavail) * int64(s.Bsize), nil
}
