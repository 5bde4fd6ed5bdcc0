package keep

import (
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/archive"
	"arpeggio/vcs/gitremote"
)

// NoArchive is what a person says to have no archive.
const NoArchive = "none"

// Policy says how much history stays in a store and where the rest goes. The
// zero value keeps everything.
type Policy struct {
	Bytes   Size // bound of the log
	Age     Age  // of the oldest commit
	Commits int
	// Archive is a directory, or the URL of a Git repository, for what leaves
	// the store; "" or NoArchive for nowhere.
	Archive string
	// ArchiveBytes bounds an archive in a directory, ArchiveFree is the room
	// that it leaves free on its disk; 0 for no bound.
	ArchiveBytes, ArchiveFree Size
}

// Bounded reports whether anything ever leaves the store.
func (p Policy) Bounded() bool { return p.Bytes > 0 || p.Age > 0 || p.Commits > 0 }

// Check refuses what cannot work, naming the remedy.
func (p Policy) Check() error {
	switch {
	case p.Commits < 0:
		return fmt.Errorf("%d commits: want 0 for no bound, or more", p.Commits)
	case p.Bytes > 0 && p.Bytes < MinBytes:
		return fmt.Errorf("%v is too little for a history: want at least %v, or 0 for no bound", p.Bytes, Size(MinBytes))
	}
	return nil
}

// MinBytes is the smallest bound of a log: a few thousand commits, and the state
// of a full table at the beginning of each epoch.
const MinBytes = 1 << 20

// Retention opens the archive and returns what a store needs to know.
func (p Policy) Retention(author vcs.Signature, log *slog.Logger) (vcs.Retention, error) {
	if err := p.Check(); err != nil {
		return vcs.Retention{}, err
	}
	r := vcs.Retention{MaxBytes: int64(p.Bytes), MaxCommits: p.Commits, MaxAge: time.Duration(p.Age), Author: author}
	if p.Archive == "" || p.Archive == NoArchive {
		return r, nil
	}
	if IsRemote(p.Archive) {
		if p.ArchiveBytes > 0 {
			return r, errors.New("a size bounds an archive in a directory, not one on a remote: leave it to the remote")
		}
		r.Archive = &gitremote.RemoteArchive{URL: p.Archive, Logger: log}
		return r, nil
	}
	r.Epochs = p.epochs()
	a, err := archive.Open(p.Archive, archive.Config{MaxBytes: int64(p.ArchiveBytes), MinFree: int64(p.ArchiveFree), Logger: log})
	if err != nil {
		return r, err
	}
	r.Archive = a
	return r, nil
}

// An epoch should take no more than a third of the archive, or the archive could
// not keep one while the next is written. It takes about twenty times there what
// it takes in the log: 600 to 860 octets a commit were measured against 30 to 54.
const archiveShare, archiveFactor = 3, 20

// epochs returns into how many epochs the log is to be cut, 0 for the default.
func (p Policy) epochs() int {
	if p.ArchiveBytes == 0 || p.Bytes == 0 {
		return 0
	}
	n := int(min(max(archiveShare*archiveFactor*p.Bytes/p.ArchiveBytes, 4), maxEpochs))
	if p.Commits > 0 { // no epochs of a handful
		n = min(n, max(4, p.Commits/1000))
	}
	return n
}

const maxEpochs = 64

var scpLike = regexp.MustCompile(`^[^/\\]+@[^/\\]+:`)

// IsRemote tells a URL, or user@host:path, from a directory.
func IsRemote(s string) bool { return strings.Contains(s, "://") || scpLike.MatchString(s) }

// ForDisk divides a disk of some bytes that is the machine's own, beside a
// memory of some bytes that holds the log, too: the log takes a sixteenth,
// because badger needs up to six times of it while it compacts; the newest
// epoch's snapshot and the archives get what is left, less an eighth that stays
// free.
func ForDisk(disk, memory int64, archive string) Policy {
	return Policy{
		Bytes:        Size(max(MinBytes, min(disk/16, memory/8))),
		Archive:      archive,
		ArchiveBytes: Size(disk / 4),
		ArchiveFree:  Size(disk / 6),
	}
}
