package site

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"time"
)

// racyWindow is how recent a modification time must not be before it says
// anything: a file system's clock may be as coarse as two seconds (FAT), and a
// second change within one tick leaves no trace. Git calls such files racy.
const racyWindow = 2 * time.Second

// maxTags bounds the memory of a tagCache; a tag takes about 150 octets.
const maxTags = 1 << 16

// tagCache remembers the entity tags of files. Each file is read once, by the
// first request that wants it, and again when its size or time has changed.
type tagCache struct {
	mu   sync.Mutex
	tags map[string]*tag
}

// tag is the entity tag of one version of one file.
type tag struct {
	size  int64
	mtime time.Time
	ready chan struct{} // closed when value and err are set
	value string
	err   error
}

// get returns the entity tag of the open file f, whose position it moves, or ""
// when the file changed while it was read. coding becomes part of the tag, for
// the tags of two representations must differ (RFC 9110 §8.8.3.3).
func (c *tagCache) get(name, coding string, f io.ReadSeeker, stat func() (fs.FileInfo, error), fi fs.FileInfo, now time.Time) (string, error) {
	if racy(fi.ModTime(), now) {
		return hashFile(f, stat, fi, coding)
	}
	c.mu.Lock()
	t := c.tags[name]
	if t != nil && t.size == fi.Size() && t.mtime.Equal(fi.ModTime()) {
		c.mu.Unlock()
		<-t.ready
		return t.value, t.err
	}
	if c.tags == nil {
		c.tags = make(map[string]*tag)
	}
	if len(c.tags) >= maxTags && t == nil {
		for k := range c.tags { // any one: a site of this many files is rare and a tag is cheap to find again
			delete(c.tags, k)
			break
		}
	}
	t = &tag{size: fi.Size(), mtime: fi.ModTime(), ready: make(chan struct{})}
	c.tags[name] = t
	c.mu.Unlock()

	t.value, t.err = hashFile(f, stat, fi, coding)
	if t.value == "" { // the next request tries again
		c.mu.Lock()
		if c.tags[name] == t {
			delete(c.tags, name)
		}
		c.mu.Unlock()
	}
	close(t.ready)
	return t.value, t.err
}

// hashFile reads f and returns its Git blob id as a quoted entity tag, or ""
// when what it read is not what fi describes.
func hashFile(f io.ReadSeeker, stat func() (fs.FileInfo, error), fi fs.FileInfo, coding string) (string, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	d := sha1.New()
	fmt.Fprintf(d, "blob %d\x00", fi.Size())
	n, err := io.Copy(d, f)
	if err != nil {
		return "", err
	}
	after, err := stat()
	if err != nil {
		return "", err
	}
	if n != fi.Size() || after.Size() != fi.Size() || !after.ModTime().Equal(fi.ModTime()) {
		return "", nil
	}
	id := hex.EncodeToString(d.Sum(nil))
	if coding != "" {
		id += "-" + coding
	}
	return `"` + id + `"`, nil
}

// known reports whether mtime is a time at all: embedded files have none and
// reproducible images set it to the epoch.
func known(mtime time.Time) bool {
	return !mtime.IsZero() && mtime.Unix() > 0
}

// racy reports whether a file could change again without its modification time
// showing it.
func racy(mtime, now time.Time) bool {
	return known(mtime) && now.Sub(mtime) < racyWindow
}
