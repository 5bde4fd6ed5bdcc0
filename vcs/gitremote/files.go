package gitremote

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// writeFile replaces a file atomically and durably.
func writeFile(path string, data []byte) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, tmpPrefix+"*")
	if err != nil {
		return fmt.Errorf("gitremote: %w", err)
	}
	defer os.Remove(f.Name()) // fails when all went well
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("gitremote: write %s: %w", path, err)
	}
	return syncDir(dir)
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("gitremote: %w", err)
	}
	err = errors.Join(f.Sync(), f.Close())
	if err != nil {
		return fmt.Errorf("gitremote: sync %s: %w", dir, err)
	}
	return nil
}

// lockDir takes the lock that writers of a directory hold. The lock goes with
// the process, so a crash leaves none behind.
func lockDir(dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("gitremote: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: %s", ErrLocked, dir)
		}
		return nil, fmt.Errorf("gitremote: lock %s: %w", dir, err)
	}
	return func() { f.Close() }, nil
}

// removeLeftovers deletes temporary files of writers that died. The lock is
// held.
func removeLeftovers(dir string) error {
	for _, sub := range []string{".", packDir} {
		sub = filepath.Join(dir, filepath.FromSlash(sub))
		entries, err := os.ReadDir(sub)
		if err != nil {
			return fmt.Errorf("gitremote: %w", err)
		}
		for _, e := range entries {
			if !strings.HasPrefix(e.Name(), tmpPrefix) {
				continue
			}
			if err := os.Remove(filepath.Join(sub, e.Name())); err != nil {
				return fmt.Errorf("gitremote: %w", err)
			}
		}
	}
	return nil
}

// openForWriting locks dir, creating and initialising it when it is missing or
// empty.
func openForWriting(dir, head string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, fmt.Errorf("gitremote: %w", err)
	}
	if unlock, err = lockDir(dir); err != nil {
		return nil, err
	}
	err = checkRepository(dir)
	if errors.Is(err, os.ErrNotExist) {
		err = initialise(dir, head)
	}
	if err == nil {
		err = removeLeftovers(dir)
	}
	if err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}
