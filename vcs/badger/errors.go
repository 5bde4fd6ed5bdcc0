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

// A file says whose the directory is in words, too, so that a damaged manifest
// does not make a stranger of it, nor a damaged version in one of them a newer
// format.
const (
	formatName = "FORMAT"
	formatText = "arpeggio versioned store, format %d\n"
)

// format returns what that file says, 0 when it says nothing.
func format(dir string) (version int) {
	b, err := os.ReadFile(filepath.Join(dir, formatName))
	if n, serr := fmt.Sscanf(string(b), formatText, &version); err != nil || serr != nil || n != 1 {
		return 0
	}
	return version
}

// writeFormat writes that file when it is missing or damaged.
func writeFormat(dir string) error {
	if format(dir) == version {
		return nil
	}
	return writeFile(filepath.Join(dir, formatName), fmt.Appendf(nil, formatText, version))
}

// inspect says whether a directory may be opened, without touching it.
func inspect(dir string) error {
	names, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("badger: %w", err)
	}
	said, head := format(dir), [8]byte{}
	f, err := os.Open(filepath.Join(dir, manifestName))
	if err == nil {
		_, err = io.ReadFull(f, head[:])
		f.Close()
	}
	app := binary.BigEndian.Uint16(head[4:])
	badgers := err == nil && string(head[:4]) == "Bdgr"
	mine := badgers && app&0xff00 == magic
	switch {
	case mine && app&0xff <= version:
		return nil // a damaged FORMAT does not make it newer
	case mine && (said == 0 || said > version):
		return newerError(dir, int(app&0xff))
	case said > version:
		return newerError(dir, said)
	case said > 0:
		return nil // the manifest is damaged, or missing
	case errors.Is(err, os.ErrNotExist):
		for _, e := range names {
			if !ours[e.Name()] && !strings.HasPrefix(e.Name(), manifestName) && !(e.Name() == discardName && leftDiscard(dir)) {
				return fmt.Errorf("%w: %s has %q and no MANIFEST; choose an empty directory, or empty this one", ErrForeign, dir, e.Name())
			}
		}
		return nil
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: %s: MANIFEST is cut off; restore the directory from a snapshot", ErrDamaged, dir)
	case err != nil:
		return fmt.Errorf("badger: %w", err)
	case !badgers:
		return fmt.Errorf("%w: %s: MANIFEST is not badger's; choose another directory", ErrForeign, dir)
	}
	return fmt.Errorf("%w: %s is another program's badger database; choose another directory", ErrForeign, dir)
}

func newerError(dir string, n int) error {
	return fmt.Errorf("%w: %s has format %d, this program knows %d; use the newer program", ErrNewer, dir, n, version)
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
