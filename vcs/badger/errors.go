package badger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Sentinel errors. Open's wrap one of the first four.
var (
	// ErrForeign: a directory with somebody else's files. Nothing was touched.
	ErrForeign = errors.New("badger: directory holds something else")
	// ErrNewer: data of a newer format. Nothing was touched.
	ErrNewer = errors.New("badger: data of a newer format")
	// ErrLocked: another program, or another Open, has the directory open.
	ErrLocked = errors.New("badger: directory is in use")
	// ErrDamaged: files that badger cannot open.
	ErrDamaged = errors.New("badger: files are damaged")
	// ErrNoSpace: too little free space to write safely.
	ErrNoSpace = errors.New("badger: disk is full")
	// ErrClosed: the backend was closed.
	ErrClosed = errors.New("badger: closed")
)

// The manifest carries, next to badger's own version, a number for the
// application: ours is a fixed high byte and the version of this format.
const (
	magic   = 0xa7 << 8
	version = 1
)

// ours are files of a data disk that do not count as foreign content.
var ours = map[string]bool{"lost+found": true, "LOCK": true}

// inspect says whether a directory may be opened, without touching it.
func inspect(dir string) error {
	names, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("badger: %w", err)
	}
	f, err := os.Open(filepath.Join(dir, "MANIFEST"))
	if errors.Is(err, os.ErrNotExist) {
		for _, e := range names {
			if !ours[e.Name()] && !strings.HasPrefix(e.Name(), "MANIFEST") {
				return fmt.Errorf("%w: %s has %q and no MANIFEST; choose an empty directory, or empty this one", ErrForeign, dir, e.Name())
			}
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("badger: %w", err)
	}
	defer f.Close()
	var head [8]byte
	if _, err := io.ReadFull(f, head[:]); err != nil {
		return fmt.Errorf("%w: %s: MANIFEST is cut off; restore the directory from a snapshot", ErrDamaged, dir)
	}
	app := binary.BigEndian.Uint16(head[4:])
	switch {
	case string(head[:4]) != "Bdgr":
		return fmt.Errorf("%w: %s: MANIFEST is not badger's; choose another directory", ErrForeign, dir)
	case app&0xff00 != magic:
		return fmt.Errorf("%w: %s is another program's badger database; choose another directory", ErrForeign, dir)
	case app&0xff > version:
		return fmt.Errorf("%w: %s has format %d, this program knows %d; use the newer program", ErrNewer, dir, app&0xff, version)
	}
	return nil
}

// openError explains badger's.
func openError(dir string, err error) error {
	if strings.Contains(err.Error(), "Cannot acquire directory lock") {
		return lockedError(dir)
	}
	if errors.Is(err, os.ErrPermission) || errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("badger: %s: %w", dir, err)
	}
	return fmt.Errorf("%w: %s: %w; restore the directory from a snapshot", ErrDamaged, dir, err)
}

func lockedError(dir string) error {
	who := "another process"
	if pid, err := os.ReadFile(filepath.Join(dir, "LOCK")); err == nil {
		who = "process " + strings.TrimSpace(string(pid))
	}
	return fmt.Errorf("%w: %s is open in %s; stop that first", ErrLocked, dir, who)
}

// removeEmptyLogs removes log files that a power cut left without their first
// byte. Nothing was ever acknowledged from them, but badger does not open a
// directory that has one. It returns their names.
func removeEmptyLogs(dir string) (removed []string, err error) {
	empty := func() (paths []string) {
		entries, _ := os.ReadDir(dir) // an unreadable directory is badger's to report
		for _, e := range entries {
			if ext := filepath.Ext(e.Name()); ext != ".mem" && ext != ".vlog" {
				continue
			}
			if fi, err := e.Info(); err == nil && fi.Mode().IsRegular() && fi.Size() == 0 {
				paths = append(paths, filepath.Join(dir, e.Name()))
			}
		}
		return paths
	}
	if len(empty()) == 0 {
		return nil, nil
	}
	err = whileUnlocked(dir, func() error {
		removed = empty()
		for _, path := range removed {
			if err := os.Remove(path); err != nil {
				return fmt.Errorf("badger: %w", err)
			}
		}
		return nil
	})
	return removed, err
}
