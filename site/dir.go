package site

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// Dir is a directory of the host as an fs.FS. No name and no symbolic link leads
// out of it; a link that tries is as if it were not there. Links within it are
// followed.
type Dir struct {
	root *os.Root
	fs   fs.FS
}

// OpenDir opens the directory dir. The errors for a directory that is missing,
// is a file, or may not be read say so.
func OpenDir(dir string) (*Dir, error) {
	fi, err := os.Stat(dir)
	switch {
	case dir == "":
		return nil, errors.New("site: no directory given: name the one that holds the site")
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("site: directory %s does not exist: create it, or name another", dir)
	case err != nil:
		return nil, fmt.Errorf("site: directory %s cannot be read: %w", dir, err)
	case !fi.IsDir():
		return nil, fmt.Errorf("site: %s is not a directory: name the folder that holds index.html", dir)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("site: directory %s cannot be opened: %w", dir, err)
	}
	d := &Dir{root: root, fs: root.FS()}
	if _, err := fs.ReadDir(d, "."); err != nil {
		_ = root.Close() // the first error tells more
		return nil, fmt.Errorf("site: directory %s cannot be listed: %w", dir, err)
	}
	return d, nil
}

// Open implements fs.FS.
func (d *Dir) Open(name string) (fs.File, error) {
	f, err := d.fs.Open(name)
	if err != nil {
		return nil, within(name, err)
	}
	return f, nil
}

// Stat implements fs.StatFS.
func (d *Dir) Stat(name string) (fs.FileInfo, error) {
	fi, err := fs.Stat(d.fs, name)
	if err != nil {
		return nil, within(name, err)
	}
	return fi, nil
}

// Close releases the directory; files opened before stay open.
func (d *Dir) Close() error { return d.root.Close() }

// within turns os.Root's refusal of a path that escapes, which is the only error
// of its own that carries no errno, into fs.ErrNotExist.
func within(name string, err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) || errors.Is(err, os.ErrClosed) {
		return err
	}
	return &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}
