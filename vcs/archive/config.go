package archive

import (
	"errors"
	"log/slog"
	"strings"

	"arpeggio/vcs"
)

// Format is what an epoch becomes.
type Format int

// Formats of an archive.
const (
	Pack   Format = iota // a bare Git repository with a pack for each epoch
	Bundle               // a bundle for each epoch
)

// String returns the format's name.
func (f Format) String() string {
	if f == Bundle {
		return "bundle"
	}
	return "pack"
}

// Config configures a Dir. The zero value works.
type Config struct {
	// Format is fixed when the directory is made. Default Pack.
	Format Format
	// MaxBytes bounds the directory's files together; zero is no bound. While an
	// archive is written, scratch files of up to half its size come on top.
	MaxBytes int64
	// MinFree is how many bytes of the file system are left free for others.
	MinFree int64
	// Keep says which of an epoch's refs are archived, by their full names; the
	// head branch always is. Nil: all but the branches under history/, which go
	// on from epoch to epoch, save vcs.LedgerBranch.
	Keep func(ref string) bool
	// Level is the zlib level of packs, 1 to 9; default 1.
	Level int
	// CacheBytes is the memory for contents while an archive is read or written;
	// default 8 MiB.
	CacheBytes int
	// Logger hears of what was removed to make room or cleaned up after a crash.
	// Nil discards.
	Logger *slog.Logger
}

func (c *Config) fill() {
	if c.Keep == nil {
		c.Keep = func(ref string) bool {
			return !strings.HasPrefix(ref, vcs.BranchRef("history/")) || ref == vcs.BranchRef(vcs.LedgerBranch)
		}
	}
	if c.Level == 0 {
		c.Level = 1
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

// Sentinel errors; errors.Is finds them in what this package returns.
var (
	// ErrNotArchive: the directory holds something else than an archive of that
	// format.
	ErrNotArchive = errors.New("archive: not an archive of epochs")
	// ErrLocked: another process writes into the archive.
	ErrLocked = errors.New("archive: directory is in use by another writer")
	// ErrDamaged: an archived epoch that is not what was written.
	ErrDamaged = errors.New("archive: damaged")
	// ErrNothing: an epoch without refs that could be archived.
	ErrNothing = errors.New("archive: the epoch has no refs")
)
