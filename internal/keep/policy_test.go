package keep

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"arpeggio/vcs"
	"arpeggio/vcs/archive"
	"arpeggio/vcs/gitremote"
)

func TestRetention(t *testing.T) {
	me := vcs.Signature{Name: "n", Email: "n@lan"}
	dir := filepath.Join(t.TempDir(), "old.git")
	p := Policy{Bytes: 8 << 20, Age: Age(time.Hour), Commits: 5, Archive: dir, ArchiveBytes: 1 << 20}
	r, err := p.Retention(me, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.MaxBytes != 8<<20 || r.MaxAge != time.Hour || r.MaxCommits != 5 || r.Author != me {
		t.Errorf("%+v", r)
	}
	if d, ok := r.Archive.(*archive.Dir); !ok || d.Path() != dir {
		t.Errorf("archive %T", r.Archive)
	}
	for _, url := range []string{"https://example.org/old.git", "git@example.org:old.git", "file:///old.git"} {
		r, err := Policy{Archive: url}.Retention(me, nil)
		if a, ok := r.Archive.(*gitremote.RemoteArchive); err != nil || !ok || a.URL != url {
			t.Errorf("%s: %T, %v", url, r.Archive, err)
		}
		if _, err := (Policy{Archive: url, ArchiveBytes: 1}).Retention(me, nil); err == nil {
			t.Errorf("%s takes a size", url)
		}
	}
	if r, err := (Policy{Bytes: MinBytes, Archive: NoArchive}).Retention(me, nil); err != nil || r.Archive != nil {
		t.Errorf("no archive: %T, %v", r.Archive, err)
	}
}

func TestBadPolicies(t *testing.T) {
	for _, p := range []Policy{{Bytes: 1}, {Commits: -1}} {
		if _, err := p.Retention(vcs.Signature{}, nil); err == nil {
			t.Errorf("%+v was taken", p)
		}
	}
	if _, err := (Policy{Archive: "policy_test.go"}).Retention(vcs.Signature{}, nil); err == nil {
		t.Error("a file was taken for an archive")
	} else if errors.Is(err, vcs.ErrConfig) {
		t.Error(err)
	}
}

// A disk has room for what badger takes while it compacts, a snapshot of one
// epoch, and the archives.
func TestForDisk(t *testing.T) {
	for _, disk := range []int64{64 << 20, 240 << 20, 2 << 30, 100 << 30} {
		p := ForDisk(disk, 256<<20, "x")
		log := int64(p.Bytes)
		if log < MinBytes || log > 32<<20 {
			t.Errorf("disk %d: log %d", disk, log)
		}
		if used := 6*log + int64(p.ArchiveBytes) + int64(p.ArchiveFree); used > disk {
			t.Errorf("disk %d: %d would be used", disk, used)
		}
		if epoch := log / int64(p.epochs()); 20*epoch > int64(p.ArchiveBytes)/2 {
			t.Errorf("disk %d: an epoch of %d octets takes too much of an archive of %v", disk, epoch, p.ArchiveBytes)
		}
		if p.Commits = 60; p.epochs() != 4 {
			t.Errorf("60 commits are cut into %d epochs", p.epochs())
		}
		if err := p.Check(); err != nil || !p.Bounded() {
			t.Errorf("disk %d: %+v, %v", disk, p, err)
		}
	}
}
