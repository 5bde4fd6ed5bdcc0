package qemu

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// ErrDiskInUse is in the error when another program has the data disk.
var ErrDiskInUse = errors.New("data disk is in use")

// LockDisk marks the data disk at path as in use by this program, as Start does
// for the machine's life, until the returned file is closed. The error is
// ErrDiskInUse when another program has marked it, and names that one where the
// system tells.
func LockDisk(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("qemu: data disk %s does not exist; create one first", path)
	} else if err != nil {
		return nil, fmt.Errorf("qemu: data disk: %w", err)
	}
	ok, err := tryLock(f)
	if ok {
		return f, nil
	}
	defer f.Close()
	if err != nil {
		return nil, fmt.Errorf("qemu: data disk %s: lock: %w", path, err)
	}
	return nil, fmt.Errorf("qemu: %w: %s is held by %s; stop that machine or use another disk", ErrDiskInUse, path, lockHolder(f))
}
