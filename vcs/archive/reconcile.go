package archive

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"arpeggio/vcs"
	"arpeggio/vcs/packfile"
)

// recover makes the directory hold what its info files say and nothing else, as
// a writer that died would have. The caller has the lock.
func (d *Dir) recover(ctx context.Context) (err error) {
	if d.files.used, err = d.files.usage(d.path); err != nil {
		return err
	}
	return d.reconcile(ctx)
}

// reconcile makes refs, replacements and commit-graph those of the epochs whose
// info files are there, and then removes the files of others.
func (d *Dir) reconcile(ctx context.Context) error {
	list, err := d.List()
	if err != nil {
		if !errors.Is(err, ErrDamaged) {
			return err
		}
		d.cfg.Logger.Error("archive: an epoch cannot be used", "err", err)
	}
	others, err := d.others()
	if err != nil {
		return err
	}
	if d.cfg.Format == Bundle {
		return d.removeAll(others)
	}
	s := snapshot{d: d}
	defer s.close()
	if err := s.open(list); err != nil {
		return err
	}
	if err := s.refs(); err != nil {
		return err
	}
	// A commit-graph must not name commits that are gone. When there is no room
	// for a new one, there is after the others' files went.
	gerr := s.graph(ctx, len(others) > 0)
	if gerr != nil && !isFull(gerr) {
		return gerr
	}
	if gerr != nil {
		if err := s.hideGraph(); err != nil {
			return err
		}
	}
	if err := d.removeAll(others); err != nil {
		return err
	}
	if gerr != nil {
		return s.graph(ctx, false)
	}
	return nil
}

// others lists the files of epochs that have no info file, and those that a
// damaged archive of an epoch left, in the order in which they are to be removed.
func (d *Dir) others() (remove []string, err error) {
	pattern := "epoch-*"
	if d.cfg.Format == Pack {
		pattern = packDir + "/*.keep"
	}
	found, err := filepath.Glob(d.at(pattern))
	if err != nil {
		return nil, fmt.Errorf("archive: %w", err)
	}
	for _, path := range found {
		epoch, ext, _ := epochOf(filepath.Base(path))
		main, files := swapExt(path, ".bundle"), []string{path}
		if d.cfg.Format == Pack {
			if epoch, err = keptEpoch(path); err != nil {
				return nil, fmt.Errorf("archive: %w", err)
			}
			main = swapExt(path, ".pack")
			// The index goes first: without it git does not see the pack.
			files = []string{swapExt(path, ".idx"), main, path}
		}
		if epoch == 0 || ext == "info" {
			continue
		}
		in, err := d.info(epoch)
		switch {
		case errors.Is(err, ErrDamaged), err == nil && d.at(in.Name) == main:
			continue
		case err != nil && !errors.Is(err, os.ErrNotExist):
			return nil, err // it may be whole, and only cannot be read now
		}
		remove = append(remove, files...)
	}
	return remove, nil
}

func (d *Dir) removeAll(paths []string) error {
	for _, path := range paths {
		// A keep file goes when it is certain that what it speaks of has gone.
		if filepath.Ext(path) == ".keep" {
			if err := d.files.syncDir(d.folder()); err != nil {
				return fmt.Errorf("archive: %w", err)
			}
		}
		if err := d.remove(path); err != nil {
			return err
		}
	}
	return nil
}

// remove deletes a file and counts its bytes.
func (d *Dir) remove(path string) error {
	fi, err := os.Lstat(path)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return fmt.Errorf("archive: %w", err)
	}
	if err := d.files.remove(path); err != nil {
		return fmt.Errorf("archive: %w", err)
	}
	d.files.used -= fi.Size()
	return nil
}

// snapshot is a Pack directory's epochs, with their packs open.
type snapshot struct {
	d     *Dir
	list  []Info
	packs []*opened

	chain   *packfile.GraphChain // the commit-graph; nil while it is not open
	graphs  []*os.File           // its files
	sums    []vcs.ID             // their names
	unnamed bool                 // git does not see it
}

// open opens the packs of a list; those that cannot be used are left out.
func (s *snapshot) open(list []Info) error {
	for _, in := range list {
		if in.Name == "" {
			continue
		}
		p, err := s.d.openPack(&in)
		if err != nil {
			s.d.cfg.Logger.Error("archive: an epoch cannot be used", "epoch", in.Epoch, "err", err)
			continue
		}
		s.list, s.packs = append(s.list, in), append(s.packs, p)
	}
	return nil
}

func (s *snapshot) close() {
	for _, p := range s.packs {
		p.Close()
	}
	for _, f := range s.graphs {
		f.Close()
	}
}

// has reports whether one of the packs holds an object.
func (s *snapshot) has(id vcs.ID) (bool, error) {
	for _, p := range s.packs {
		if ok, err := p.Has(id); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// opened is a pack whose files are open.
type opened struct {
	*packfile.File
	files []*os.File
}

// openPack opens an epoch's pack with its index.
func (d *Dir) openPack(in *Info) (*opened, error) {
	o := &opened{}
	var sizes [2]int64
	for i, path := range []string{d.at(in.Name), swapExt(d.at(in.Name), ".idx")} {
		f, err := os.Open(path)
		if err == nil {
			o.files = append(o.files, f)
			var fi os.FileInfo
			if fi, err = f.Stat(); err == nil {
				sizes[i] = fi.Size()
			}
		}
		if err != nil {
			o.Close()
			return nil, fmt.Errorf("archive: %w", err)
		}
	}
	var err error
	if o.File, err = packfile.OpenFile(o.files[0], sizes[0], o.files[1], sizes[1], d.fileConfig()); err != nil {
		o.Close()
		return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, in.Name, err)
	}
	return o, nil
}

// Close closes the files.
func (o *opened) Close() error {
	var errs []error
	for _, f := range o.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}
