package gitremote

import (
	"bytes"
	"crypto/sha1"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"

	"arpeggio/vcs"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/idxfile"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
)

// stagedPack is a pack that lies in the repository under a temporary name, with
// its index in memory: readable here, invisible to everybody else until publish.
type stagedPack struct {
	dir   string // objects/pack
	file  *os.File
	sum   vcs.ID
	index *idxfile.MemoryIndex
	pack  *packfile.Packfile
	count int
}

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
	err = s.fill(write)
	if err == nil {
		return s, nil
	}
	defer s.discard()
	if !errors.Is(err, errThin) {
		return nil, err
	}
	full, err := completeThin(s.file, d)
	if err != nil {
		return nil, err
	}
	return stagePack(d, func(w io.Writer) error { return full.encode(w, d) })
}

var (
	errThin   = errors.New("pack refers to objects outside of it")
	errNoPack = errors.New("nothing to store")
)

func (s *stagedPack) fill(write func(io.Writer) error) error {
	sum := &trailerHash{h: sha1.New()}
	if err := write(io.MultiWriter(s.file, sum)); err != nil {
		return err
	}
	if sum.n == 0 {
		return errNoPack
	}
	if !sum.ok() {
		return fmt.Errorf("%w: checksum does not match; the pack is damaged or cut short", ErrBadPack)
	}
	s.sum = vcs.ID(sum.trailer)
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("gitremote: %w", err)
	}
	var w idxfile.Writer
	parser, err := packfile.NewParser(packfile.NewScanner(s.file), &w)
	if err == nil {
		_, err = parser.Parse()
	}
	switch {
	case errors.Is(err, packfile.ErrEmptyPackfile):
		return nil
	case errors.Is(err, packfile.ErrReferenceDeltaNotFound):
		return errThin
	case err != nil:
		return fmt.Errorf("%w: %w", ErrBadPack, err)
	}
	if s.index, err = w.Index(); err != nil {
		return fmt.Errorf("%w: %w", ErrBadPack, err)
	}
	n, err := s.index.Count()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBadPack, err)
	}
	s.count = int(n)
	s.pack = packfile.NewPackfile(s.index, nil, billyFile{s.file}, 0)
	return nil
}

// ReadObject implements vcs.ObjectReader for one goroutine.
func (s *stagedPack) ReadObject(id vcs.ID) (vcs.Kind, []byte, error) {
	if s.pack == nil {
		return 0, nil, fmt.Errorf("%w: %s", vcs.ErrNotFound, id)
	}
	o, err := s.pack.Get(plumbing.Hash(id))
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return 0, nil, fmt.Errorf("%w: %s", vcs.ErrNotFound, id)
	}
	if err != nil {
		return 0, nil, fmt.Errorf("%w: %s: %w", ErrBadPack, id, err)
	}
	return decode(id, o)
}

// publish makes the pack part of the repository, durably. An empty pack is
// discarded.
func (s *stagedPack) publish() error {
	if s.count == 0 {
		s.discard()
		return nil
	}
	base := filepath.Join(s.dir, "pack-"+s.sum.String())
	idx, err := os.CreateTemp(s.dir, tmpPrefix+"*.idx")
	if err != nil {
		s.discard()
		return fmt.Errorf("gitremote: %w", err)
	}
	var buf bytes.Buffer
	_, err = idxfile.NewEncoder(&buf).Encode(s.index)
	if err == nil {
		_, err = idx.Write(buf.Bytes())
	}
	err = errors.Join(err,
		idx.Chmod(0o444), idx.Sync(), idx.Close(),
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

// trailerHash checks that the last twenty bytes of a stream are the SHA-1 of
// all before them.
type trailerHash struct {
	h       hash.Hash
	trailer [sha1.Size]byte
	n       int // bytes in trailer
}

func (t *trailerHash) Write(p []byte) (int, error) {
	if len(p) >= sha1.Size {
		t.h.Write(t.trailer[:t.n])
		t.h.Write(p[:len(p)-sha1.Size])
		t.n = copy(t.trailer[:], p[len(p)-sha1.Size:])
		return len(p), nil
	}
	var buf [2 * sha1.Size]byte
	tail := append(append(buf[:0], t.trailer[:t.n]...), p...)
	keep := min(len(tail), sha1.Size)
	t.h.Write(tail[:len(tail)-keep])
	t.n = copy(t.trailer[:], tail[len(tail)-keep:])
	return len(p), nil
}

func (t *trailerHash) ok() bool {
	return t.n == sha1.Size && bytes.Equal(t.h.Sum(nil), t.trailer[:])
}

// billyFile is an open file as go-git wants it. Nobody else knows its name, so
// there is nothing to lock.
type billyFile struct{ *os.File }

func (billyFile) Lock() error   { return nil }
func (billyFile) Unlock() error { return nil }
