package gitremote

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"arpeggio/vcs"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// Dir is a bare Git directory as a store: objects and refs as anybody's git
// wrote them, and a vcs.Backend that writes them. It is safe for concurrent use,
// and sees what other processes add.
type Dir struct {
	path string

	mu      sync.Mutex
	packs   *packSet // read first; nil until then
	store   *filesystem.Storage
	packsAt time.Time // modification time of objects/pack when these were opened
	// unmergeable are packs that are damaged and stay as they are.
	unmergeable map[string]bool
	racy        bool   // packs may have been added since without changing that
	unlock      func() // releases the writers' lock, when it is held
	graph       graphCache
	closed      bool
}

// clockTick bounds how coarse a file system's modification times are.
const clockTick = 2 * time.Second

// cacheBytes bounds the contents that one Dir keeps of packed objects, and again
// those of other ones.
const cacheBytes = 8 << 20

// OpenDir opens an existing bare Git directory. The error wraps ErrNotRepository
// when dir holds something else and fs.ErrNotExist when there is nothing.
func OpenDir(dir string) (*Dir, error) {
	if err := checkRepository(dir); err != nil {
		return nil, err
	}
	d := &Dir{path: dir}
	d.reopen()
	return d, nil
}

// CreateDir opens a bare Git directory for writing, and makes one first when dir
// is missing or empty. Its HEAD then names the branch head, such as
// "refs/heads/primary". Other writers get ErrLocked until Close.
func CreateDir(dir, head string) (*Dir, error) {
	if err := vcs.CheckRefName(head); err != nil {
		return nil, fmt.Errorf("gitremote: HEAD: %w", err)
	}
	unlock, err := openForWriting(dir, head)
	if err != nil {
		return nil, err
	}
	d, err := OpenDir(dir)
	if err != nil {
		unlock()
		return nil, err
	}
	d.unlock = unlock
	return d, nil
}

// reopen starts over with the packs that are there now.
func (d *Dir) reopen() {
	if d.store != nil {
		d.store.Close() // closes descriptors of files that were only read
	}
	d.closePacks()
	d.packsAt = d.packsTime()
	d.racy = time.Since(d.packsAt) < clockTick
	d.store = filesystem.NewStorageWithOptions(completePacks{osfs.New(d.path)},
		cache.NewObjectLRU(cacheBytes), filesystem.Options{KeepDescriptors: true})
}

// refresh makes packs visible that this process added or merged.
func (d *Dir) refresh() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reopen()
}

func (d *Dir) packsTime() time.Time {
	if fi, err := os.Stat(filepath.Join(d.path, filepath.FromSlash(packDir))); err == nil {
		return fi.ModTime()
	}
	return time.Time{}
}

// ReadObject implements vcs.ObjectReader. Every object is checked against its
// name.
func (d *Dir) ReadObject(id vcs.ID) (vcs.Kind, []byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return 0, nil, fmt.Errorf("%w: %s", vcs.ErrClosed, d.path)
	}
	if kind, content, ok := d.packed(id); ok {
		return kind, content, nil
	}
	// It is loose or borrowed, its pack has come since or is damaged.
	o, err := d.store.EncodedObject(plumbing.AnyObject, plumbing.Hash(id))
	if err != nil && (d.racy || !d.packsAt.Equal(d.packsTime())) {
		// Somebody added packs, or merged some into one.
		d.reopen()
		o, err = d.store.EncodedObject(plumbing.AnyObject, plumbing.Hash(id))
	}
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return 0, nil, fmt.Errorf("%w: %s in %s", vcs.ErrNotFound, id, d.path)
	}
	if err != nil {
		return 0, nil, fmt.Errorf("%w: %s in %s: %w", vcs.ErrCorrupt, id, d.path, err)
	}
	return decode(id, o)
}

// packed reads an object from the packs. The lock is held.
func (d *Dir) packed(id vcs.ID) (vcs.Kind, []byte, bool) {
	if d.packs == nil {
		d.packs = openPacks(filepath.Join(d.path, filepath.FromSlash(packDir)))
	}
	return d.packs.read(id)
}

func (d *Dir) closePacks() {
	if d.packs != nil {
		d.packs.close()
		d.packs = nil
	}
}

// decode takes an object out of go-git's hands and checks that it is the one of
// that name.
func decode(id vcs.ID, o plumbing.EncodedObject) (vcs.Kind, []byte, error) {
	r, err := o.Reader()
	if err != nil {
		return 0, nil, fmt.Errorf("%w: %s: %w", vcs.ErrCorrupt, id, err)
	}
	defer r.Close()
	content, err := io.ReadAll(r)
	if err != nil {
		return 0, nil, fmt.Errorf("%w: %s: %w", vcs.ErrCorrupt, id, err)
	}
	kind := vcs.Kind(o.Type()) // both use the pack format's numbers
	if vcs.HashObject(kind, content) != id {
		return 0, nil, fmt.Errorf("%w: %s", vcs.ErrCorrupt, id)
	}
	return kind, content, nil
}

// Refs implements vcs.RefReader. Symbolic refs and the backend's own refs are
// left out.
func (d *Dir) Refs() ([]vcs.Ref, error) {
	refs, err := readRefs(d.path)
	if err != nil {
		return nil, err
	}
	public := refs[:0]
	for _, r := range refs {
		if r.Name != stateRef {
			public = append(public, r)
		}
	}
	return public, nil
}

// Head implements vcs.RefReader. It is "" when HEAD is detached or unreadable.
func (d *Dir) Head() string {
	head, err := readHead(d.path)
	if err != nil {
		return ""
	}
	return head
}

// Path returns the directory that was opened.
func (d *Dir) Path() string { return d.path }

// Close implements vcs.Backend: it closes the files that are open and releases
// the writers' lock.
func (d *Dir) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	d.graph.close()
	d.closePacks()
	if d.unlock != nil {
		d.unlock()
	}
	if err := d.store.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
		return fmt.Errorf("gitremote: close %s: %w", d.path, err)
	}
	return nil
}
