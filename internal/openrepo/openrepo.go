// Package openrepo opens whatever holds a history, by the one word with which a
// person names it: a Git directory, bare or of a work tree; a badger store as
// serve --repo makes it; an http, https, ssh or file URL; the data disk of a
// machine that is off.
//
// A badger store that another program has open is read through that program.
//
// What is not a local store is mirrored into the user's cache directory and
// read there: a URL incrementally on each Open, a disk when it has changed.
package openrepo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"arpeggio/vcs"
	"arpeggio/vcs/badger"
	"arpeggio/vcs/gitremote"
)

var (
	// ErrNoRepository: there is nothing at the place, or something else.
	ErrNoRepository = errors.New("no repository")
	// ErrReadOnly: a repository that cannot be written here.
	ErrReadOnly = errors.New("cannot be written")
	// ErrNoMirror: Offline, and nothing was mirrored yet.
	ErrNoMirror = errors.New("not mirrored yet")
)

// Kind says what a repository is kept in.
type Kind int

// Kinds of repositories.
const (
	Bare     Kind = iota // a bare Git directory
	WorkTree             // the Git directory of a work tree
	Badger               // a store of this program
	URL                  // a mirror of a remote
	Disk                 // a copy of what a data disk holds
	Live                 // a mirror of a store that another program has open
)

// Options tunes Open. The zero value works, but opens no disks.
type Options struct {
	// Offline uses the mirror of a URL, or the copy of a disk, as it is.
	Offline bool
	// CacheDir holds the mirrors; "arpeggio" in the user's cache directory when
	// empty.
	CacheDir string
	// Fetch is for URLs.
	Fetch gitremote.RemoteOptions
	// Export writes what a data disk holds into a bare Git directory, which it
	// makes.
	Export func(ctx context.Context, disk, dir string) error
	// Write refuses what is mirrored, before it is: a URL or a disk with the
	// error of Writable, a store that another program has open with badger's.
	Write bool
	// Deliver opens a URL, or a store that another program has open, to write:
	// what is written into its mirror goes there with Repo.Deliver.
	Deliver bool
	// Retention bounds the history of a repository that is written.
	Retention vcs.Retention
	// Logger hears what opening a badger store found; nil discards.
	Logger *slog.Logger
}

// Repo is an open repository. Reading is safe for concurrent use.
type Repo struct {
	Kind     Kind
	Location string // as it was named
	Store    *vcs.Store
	// Detached is the commit of a HEAD that names no branch; zero when it does.
	Detached vcs.ID

	opt    Options
	source source         // of a mirror
	had    []vcs.Ref      // of a mirror that is written: as they were when it was opened
	dir    *gitremote.Dir // nil for Badger
	badger *badger.Backend
	stop   func() // ends serving it to other programs; may be nil
}

// source is where a mirror is fetched from.
type source struct {
	url string
	opt gitremote.RemoteOptions
}

// Open opens a repository. Errors name the place and the remedy.
func Open(ctx context.Context, location string, opt Options) (*Repo, error) {
	r := &Repo{Location: location, opt: opt}
	err := r.open(ctx)
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (r *Repo) open(ctx context.Context) error {
	info, err := os.Stat(r.Location)
	switch {
	case err == nil && info.IsDir():
		return r.openDirectory(ctx)
	case err == nil && info.Mode().IsRegular():
		return r.openDisk(ctx, info)
	case isURL(r.Location):
		return r.openURL(ctx)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %s does not exist", ErrNoRepository, r.Location)
	case err != nil:
		return err
	}
	return fmt.Errorf("%w: %s is neither a directory, a file nor a URL", ErrNoRepository, r.Location)
}

// isURL recognises scheme://… and user@host:path.
func isURL(s string) bool {
	if strings.Contains(s, "://") {
		return true
	}
	host, _, ok := strings.Cut(s, ":")
	return ok && host != "" && !strings.ContainsAny(host, "/\\")
}

func (r *Repo) openDirectory(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(r.Location, "MANIFEST")); err == nil {
		err := r.openBadger(ctx)
		if errors.Is(err, badger.ErrLocked) && (!r.opt.Write || r.opt.Deliver) {
			err = r.openLive(ctx, err)
		}
		return err
	}
	dir, head, err := gitDirectory(r.Location)
	if err != nil {
		return err
	}
	r.Kind = Bare
	if !isBare(dir) {
		r.Kind = WorkTree
	}
	return r.openGit(ctx, dir, head)
}

// openGit opens a Git directory; head holds the file HEAD.
func (r *Repo) openGit(ctx context.Context, dir, head string) error {
	d, err := gitremote.OpenDir(dir)
	if errors.Is(err, gitremote.ErrNotRepository) || errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w in %s: it is neither a Git directory nor a store of this program", ErrNoRepository, r.Location)
	}
	if err != nil {
		return err
	}
	r.dir = d
	name := d.Head()
	if head != filepath.Join(dir, "HEAD") { // of a linked work tree
		name = ""
	}
	if name == "" {
		b, err := os.ReadFile(head)
		if err != nil {
			d.Close()
			return err
		}
		text := strings.TrimSpace(string(b))
		if ref, ok := strings.CutPrefix(text, "ref:"); ok {
			name = strings.TrimSpace(ref)
		} else if r.Detached, err = vcs.ParseID(text); err != nil {
			d.Close()
			return fmt.Errorf("%s: HEAD: %w", r.Location, err)
		}
	}
	return r.openStore(ctx, d, strings.TrimPrefix(name, "refs/heads/"))
}

func (r *Repo) openStore(ctx context.Context, b vcs.Backend, head string) error {
	s, err := vcs.OpenStore(ctx, b, vcs.StoreConfig{Head: head, CacheBytes: 32 << 20, Logger: r.opt.Logger, Retention: r.opt.Retention})
	r.Store = s
	if err == nil && r.opt.Deliver && (r.Kind == URL || r.Kind == Live) {
		r.had, err = s.Refs()
	}
	return err
}

// Writable reports, with the remedy, why the repository cannot be written.
func (r *Repo) Writable() error {
	remedy := ""
	if r.opt.Deliver && (r.Kind == URL || r.Kind == Live) {
		return nil
	}
	switch r.Kind {
	case Bare, Badger:
		return nil
	case WorkTree:
		remedy = "its files are checked out: use git there, or work on a bare clone (git clone --bare)"
	case URL:
		remedy = "it is a mirror of a remote: take a copy with arpeggio snapshot --repo " + withoutSecret(r.Location) + " --out DIR and work on that"
	case Disk:
		remedy = "it is the disk of a machine: take a copy with arpeggio snapshot --disk " + r.Location + " --out DIR and work on that"
	case Live:
		remedy = "another program has it open: stop that first, or take a copy with arpeggio snapshot --repo " + r.Location + " --out DIR and push to it from there"
	}
	return fmt.Errorf("%s %w; %s", r.Location, ErrReadOnly, remedy)
}

// Directory returns where files about the repository can be kept beside it: its
// own directory, or the one of its mirror.
func (r *Repo) Directory() string {
	if r.dir == nil {
		return r.Location
	}
	return r.dir.Path()
}

// Problems returns what was wrong with a badger store when it was opened, and
// the folders in which it keeps files that were damaged then or earlier.
func (r *Repo) Problems() []vcs.Problem {
	if r.badger == nil {
		return nil
	}
	rep := r.badger.Report()
	problems := slices.Clone(rep.Problems)
	for _, dir := range r.badger.Aside() {
		problems = append(problems, vcs.Problem{Path: dir, Err: errAside})
	}
	return problems
}

// errAside is what is wrong with a folder of damaged files.
var errAside = errors.New("holds files that were damaged; the README in it says which, and how to get back what was lost; then delete it")

// Notes returns what else opening a badger store found and did: what a crash
// left, and where branches go on that were damaged.
func (r *Repo) Notes() []string {
	if r.badger == nil {
		return nil
	}
	rep := r.badger.Report()
	return rep.Notes
}

// Current returns the refs as they are now: it reads a Git directory again and
// fetches from a URL or from the program that has a store open. Their objects can be read through the Store, whose own
// refs stay those of Open. A badger store is in nobody else's hands meanwhile.
func (r *Repo) Current(ctx context.Context) ([]vcs.Ref, error) {
	if r.dir == nil {
		return r.Store.Refs()
	}
	if (r.Kind == URL || r.Kind == Live) && !r.opt.Offline {
		if err := r.fetch(ctx, r.dir.Path()); err != nil {
			return nil, err
		}
	}
	return r.dir.Refs()
}

// Close saves what was written and closes the repository.
func (r *Repo) Close() error {
	if r.stop != nil {
		r.stop()
	}
	return r.Store.Close()
}
