package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"arpeggio/vcs"
)

// Dir is an archive of epochs in a directory. It implements vcs.Archiver and is
// safe for concurrent use; writers of other processes are kept out by a lock
// while one writes.
type Dir struct {
	path string
	cfg  Config

	mu    sync.Mutex // one writer
	files files
	fresh fresh
	sound map[vcs.ID]bool // files of the commit-graph that were read
}

const (
	packDir    = "objects/pack"
	markerName = "archive"
	configText = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n[gc]\n\tauto = 0\n"
	// descriptionText is what gitweb and friends show.
	descriptionText = "Epochs of a store, archived by arpeggio: do not push here.\n"
)

// markerText is the content of the file that says what a directory is.
func markerText(f Format) string { return fmt.Sprintf("arpeggio archive 1 %v\n", f) }

// Open opens an archive, and makes one when the directory is missing or empty.
// The error wraps ErrNotArchive when it holds something else.
func Open(dir string, cfg Config) (*Dir, error) {
	cfg.fill()
	d := &Dir{path: dir, cfg: cfg}
	marker, err := os.ReadFile(filepath.Join(dir, markerName))
	switch {
	case err == nil && string(marker) == markerText(cfg.Format):
		return d, nil
	case err == nil:
		return nil, fmt.Errorf("%w of the format %v: %s says %.60q; open it with its own format, or choose another directory",
			ErrNotArchive, cfg.Format, filepath.Join(dir, markerName), marker)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("archive: %w", err)
	}
	if err := d.initialise(); err != nil {
		return nil, err
	}
	return d, nil
}

// Path returns the directory.
func (d *Dir) Path() string { return d.path }

func (d *Dir) at(name string) string { return filepath.Join(d.path, filepath.FromSlash(name)) }

// initialise makes the directory an archive. The marker comes last: without it,
// the next try completes what is there.
func (d *Dir) initialise() error {
	names := []string{markerName}
	folders := []string{"."}
	texts := map[string]string{markerName: markerText(d.cfg.Format)}
	if d.cfg.Format == Pack {
		names = []string{"config", "description", "HEAD", markerName}
		folders = []string{".", packDir, "objects/info", "refs/heads", "refs/tags"}
		texts["config"], texts["description"], texts["HEAD"] = configText, descriptionText, "ref: refs/heads/primary\n"
	}
	entries, err := os.ReadDir(d.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("archive: %w", err)
	}
	for _, e := range entries {
		if n := e.Name(); n != "objects" && n != "refs" && !slices.Contains(names, n) && !strings.HasPrefix(n, tmpPrefix) {
			return fmt.Errorf("%w: %s holds other files (%s, for one); choose an empty or a new directory", ErrNotArchive, d.path, n)
		}
	}
	if packs, _ := filepath.Glob(d.at(packDir + "/*")); len(packs) > 0 {
		return fmt.Errorf("%w: %s is a repository of something else; choose an empty or a new directory", ErrNotArchive, d.path)
	}
	for _, sub := range folders {
		if err := d.files.mkdir(d.at(sub)); err != nil {
			return fmt.Errorf("archive: %w", err)
		}
	}
	unlock, err := lock(d.path)
	if err != nil {
		return err
	}
	defer unlock()
	for _, sub := range folders[1:] {
		if err := d.files.syncDir(filepath.Dir(d.at(sub))); err != nil {
			return fmt.Errorf("archive: %w", err)
		}
	}
	for _, name := range names {
		if err := d.files.write(d.at(name), []byte(texts[name]), 0o644); err != nil {
			return err
		}
	}
	return d.files.syncDir(filepath.Dir(filepath.Clean(d.path)))
}

// List returns what is archived, oldest epoch first. An epoch whose info file is
// damaged is in the list with its number alone, and in the error, which wraps
// ErrDamaged.
func (d *Dir) List() ([]Info, error) {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return nil, fmt.Errorf("archive: %w", err)
	}
	var list []Info
	var bad []error
	for _, e := range entries {
		epoch, suffix, ok := epochOf(e.Name())
		if !ok || suffix != "info" {
			continue
		}
		in, err := d.info(epoch)
		switch {
		case errors.Is(err, fs.ErrNotExist): // removed meanwhile
			continue
		case err != nil:
			bad = append(bad, err)
			in = &Info{Epoch: epoch}
		}
		list = append(list, *in)
	}
	slices.SortFunc(list, func(a, b Info) int { return a.Epoch - b.Epoch })
	return list, errors.Join(bad...)
}

// info reads an epoch's info file.
func (d *Dir) info(epoch int) (*Info, error) {
	path := d.at(infoName(epoch))
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("archive: %w", err)
	}
	in, err := parseInfo(b)
	if err == nil && in.Epoch != epoch {
		err = fmt.Errorf("%w: it is of epoch %d", ErrDamaged, in.Epoch)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return in, nil
}

// Missing implements vcs.Archiver. It looks for the files, not into them; Verify
// does.
func (d *Dir) Missing(_ context.Context, archived []vcs.Epoch) ([]int, error) {
	var missing []int
	for _, e := range archived {
		in, err := d.info(e.Number)
		if err == nil {
			var fi fs.FileInfo
			if fi, err = os.Stat(d.at(in.Name)); err == nil && fi.Size() == in.Bytes && in.SHA256 == e.Archive.SHA256 {
				continue
			}
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, ErrDamaged) {
			return nil, err
		}
		missing = append(missing, e.Number)
	}
	return missing, nil
}
