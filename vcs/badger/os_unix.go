//go:build unix

package badger

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// diskSpace returns the free and the total bytes of a directory's file system;
// ok is false when it does not say.
func diskSpace(dir string) (free, total int64, ok bool) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil || st.Blocks == 0 {
		return 0, 0, false
	}
	size := int64(st.Bsize)
	return int64(st.Bavail) * size, int64(st.Blocks) * size, true
}

// whileUnlocked runs fn while nobody has the directory open. The error wraps
// ErrLocked when somebody has.
func whileUnlocked(dir string, fn func() error) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("badger: %w", err)
	}
	defer d.Close() // and with it the lock
	err = unix.Flock(int(d.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return lockedError(dir)
	}
	if err != nil {
		return fmt.Errorf("badger: lock %s: %w", dir, err)
	}
	return fn()
}
