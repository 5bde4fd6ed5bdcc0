package badger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// badger keeps statistics of its value log in a file of this name and size. They
// are empty here, where all values stay in the LSM tree.
const (
	discardName = "DISCARD"
	discardSize = 1 << 20
)

// emptyDiscard reports whether that is what a file of statistics holds.
func emptyDiscard(b []byte) bool {
	return len(b) == discardSize && len(trimZeros(b)) == 0
}

// prepare does, just before badger does it, what badger ends the process over
// when it fails: it opens DISCARD for writing, gives a new one its size and the
// block that is written through a memory map, and lists the directory. A cause
// that lasts, such as permissions, a read-only file system or a disk that is
// full or broken, is an error then.
func prepare(dir string) error {
	path := filepath.Join(dir, discardName)
	if err := makeDiscard(path); err != nil {
		return fmt.Errorf("badger: %w; make %s writable, or remove it: it holds nothing that is needed", err, path)
	}
	if _, err := os.ReadDir(dir); err != nil {
		return fmt.Errorf("badger: %w", err)
	}
	return nil
}

func makeDiscard(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	fi, err := f.Stat()
	if err == nil && fi.Size() == 0 {
		if err = f.Truncate(discardSize); err == nil {
			_, err = f.WriteAt(make([]byte, 4096), 0)
		}
	}
	return errors.Join(err, f.Close())
}

// leftDiscard reports whether a directory has a DISCARD that prepare has made,
// or begun to, and nobody has used.
func leftDiscard(dir string) bool {
	path := filepath.Join(dir, discardName)
	fi, err := os.Lstat(path)
	if err != nil || !fi.Mode().IsRegular() || fi.Size() > discardSize {
		return false
	}
	b, err := os.ReadFile(path)
	return err == nil && (len(b) == 0 || emptyDiscard(b))
}
