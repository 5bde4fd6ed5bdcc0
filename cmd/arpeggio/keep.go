package main

import (
	"log/slog"
	"path/filepath"
	"time"

	"arpeggio/arp/versioned"
	"arpeggio/internal/keep"
	"arpeggio/vcs"
)

// keepFlags say how much of a history that is written all the time stays, and
// where the rest goes.
type keepFlags struct {
	Keep        keep.Size `default:"64M" placeholder:"SIZE" help:"Keep this much history, at 30 to 60 octets a commit (${default}; 0: all of it)."`
	KeepFor     keep.Age  `placeholder:"AGE" help:"Keep no history older than this, such as 90d."`
	KeepCommits int       `placeholder:"N" help:"Keep no more commits than this."`
	Archive     string    `placeholder:"WHERE" help:"Archive what leaves the history in this directory, or by pushing it to this Git URL; none for nowhere."`
	ArchiveMax  keep.Size `default:"1G" placeholder:"SIZE" help:"Bound of an archive directory; its oldest parts go first (${default}; 0: none)."`
}

// policy reads the flags. An empty --archive means the given place.
func (f *keepFlags) policy(archive string) (keep.Policy, error) {
	p := keep.Policy{Bytes: f.Keep, Age: f.KeepFor, Commits: f.KeepCommits, Archive: f.Archive, ArchiveBytes: f.ArchiveMax}
	if p.Archive == "" {
		p.Archive = archive
	}
	if keep.IsRemote(p.Archive) {
		p.ArchiveBytes = 0 // the remote looks after its own room
	}
	if err := p.Check(); err != nil {
		return p, usagef("how much to keep: %v", err)
	}
	return p, nil
}

// storeArchive is where what leaves a store in a directory goes by default.
func storeArchive(dir string) string {
	if dir == "" {
		return ""
	}
	return filepath.Clean(dir) + ".archive.git"
}

// forgetExpired is how long an expired entry stays in the table's branch. A node
// that comes back after a longer absence brings such an entry back to life.
const forgetExpired = 90 * 24 * time.Hour

// retention opens the archive and adds what the ARP table knows.
func retention(p keep.Policy, node string, log *slog.Logger) (vcs.Retention, error) {
	r, err := p.Retention(vcs.Signature{Name: node, Email: node + "@arpeggio"}, log)
	r.Keep = versioned.Keep(forgetExpired, nil)
	return r, err
}
