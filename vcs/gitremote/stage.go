package gitremote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"arpeggio/vcs"
	"arpeggio/vcs/packfile"
)

// stagedPack is a pack that lies in the repository under a temporary name, with
// its index in memory: readable here, invisible to everybody else until publish.
type stagedPack struct {
	*packfile.Pack
	dir  string // objects/pack
	file *os.File
}

var errNoPack = errors.New("nothing to store")

// stagePack copies what write produces into the repository, checks the pack's
// checksum and computes every object's name. The error is errNoPack when write
// produces nothing. Deltas against objects of d are resolved, so that the
// stored pack stands on its own.
func stagePack(d *Dir, write func(io.Writer) error) (*stagedPack, error) {
	s := &stagedPack{dir: filepath.Join(d.path, filepath.FromSlash(packDir))}
	f, err := os.CreateTemp(s.dir, tmpPrefix+"*.pack")
	if err != nil {
		return nil, fmt.Errorf("gitremote: %w", err)
	}
	s.file = f
	if err := s.fill(write, d); err != nil {
		s.discard()
		return nil, err
	}
	if !s.Thin() {
		return s, nil
	}
	defer s.discard()
	return stagePack(d, func(w io.Writer) error {
		return encodeList(w, overlay{s, d}, slices.Collect(s.IDs))
	})
}

func (s *stagedPack) fill(write func(io.Writer) error, bases vcs.ObjectReader) error {
	if err := write(s.file); err != nil {
		return err
	}
	size, err := s.file.Seek(0, io.SeekCurrent)
	if err == nil {
		_, err = s.file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("gitremote: %w", err)
	}
	if size == 0 {
		return errNoPack
	}
	s.Pack, err = packfile.Index(context.Background(), s.file, packfile.Config{
		// Whole foreign repositories come this way, and files take the room.
		Limits: packfile.Limits{
			PackBytes:   64 << 30,
			Objects:     1 << 26,
			ObjectBytes: 1 << 30,
			TotalBytes:  1 << 40,
			CacheBytes:  32 << 20,
		},
		Bases:   bases,
		Scratch: inPlace{s.file},
	})
	switch {
	case errors.Is(err, packfile.ErrUnresolved):
		return fmt.Errorf("%w: the pack holds differences to objects that the directory does not have: %w", ErrIncomplete, err)
	case err != nil:
		return fmt.Errorf("%w: %w", ErrBadPack, err)
	}
	return nil
}

// inPlace is the scratch of a pack that lies where it is to be kept already.
type inPlace struct{ *os.File }

// WriteAt implements io.WriterAt.
func (inPlace) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }

// verify checks every object of the pack and that what the refs lead to is in it
// or in base, which is complete already.
func (s *stagedPack) verify(d *Dir, refs []vcs.Ref) error {
	var base vcs.ObjectReader = d
	if d.isEmpty() {
		base = nothing{} // a first clone asks for a lot
	}
	checked, err := s.Check(context.Background(), base)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBadPack, err)
	}
	for _, r := range refs {
		var missing *packfile.MissingError
		err := checked.Complete(r.Target)
		switch {
		case !errors.As(err, &missing):
		case missing.From.IsZero():
			return fmt.Errorf("%w: %s, which %s names", ErrIncomplete, missing.ID, r.Name)
		default:
			return fmt.Errorf("%w: %s, which %s names", ErrIncomplete, missing.ID, missing.From)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// isEmpty reports whether a directory certainly holds no objects.
func (d *Dir) isEmpty() bool {
	for _, pattern := range []string{"pack/*.idx", "[0-9a-f][0-9a-f]", "info/alternates"} {
		found, err := filepath.Glob(filepath.Join(d.path, "objects", filepath.FromSlash(pattern)))
		if err != nil || len(found) > 0 {
			return false
		}
	}
	return true
}

// nothing is a reader without objects.
type nothing struct{}

// ReadObject implements vcs.ObjectReader.
func (nothing) ReadObject(id vcs.ID) (vcs.Kind, []byte, error) {
	return 0, nil, fmt.Errorf("%w: %s", vcs.ErrNotFound, id)
}

// publish makes the pack part of the repository, durably. An empty pack is
// discarded.
func (s *stagedPack) publish() error {
	if s.Len() == 0 {
		s.discard()
		return nil
	}
	base := filepath.Join(s.dir, "pack-"+s.Sum().String())
	idx, err := os.CreateTemp(s.dir, tmpPrefix+"*.idx")
	if err != nil {
		s.discard()
		return fmt.Errorf("gitremote: %w", err)
	}
	err = errors.Join(
		s.WriteIndex(idx), idx.Chmod(0o444), idx.Sync(), idx.Close(),
		s.file.Chmod(0o444), s.file.Sync(), s.file.Close())
	// The index comes last: with it the pack counts.
	if err == nil {
		err = os.Rename(s.file.Name(), base+".pack")
	}
	if err == nil {
		err = os.Rename(idx.Name(), base+".idx")
	}
	if err != nil {
		os.Remove(idx.Name())
		os.Remove(s.file.Name())
		return fmt.Errorf("gitremote: store pack: %w", err)
	}
	return syncDir(s.dir)
}

func (s *stagedPack) discard() {
	s.file.Close()
	os.Remove(s.file.Name())
}
