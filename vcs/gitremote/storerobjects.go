package gitremote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"arpeggio/vcs"
	"arpeggio/vcs/packfile"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/storer"
)

// NewEncodedObject implements storer.EncodedObjectStorer.
func (*Storer) NewEncodedObject() plumbing.EncodedObject { return new(plumbing.MemoryObject) }

// SetEncodedObject implements storer.EncodedObjectStorer. What git fsck --strict
// would refuse is refused.
func (s *Storer) SetEncodedObject(o plumbing.EncodedObject) (plumbing.Hash, error) {
	r, err := o.Reader()
	if err != nil {
		return plumbing.ZeroHash, err
	}
	content, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		return plumbing.ZeroHash, err
	}
	kind := vcs.Kind(o.Type()) // both use the pack format's numbers
	id := vcs.HashObject(kind, content)
	err = s.store.AddObjects(context.Background(), []vcs.Object{{ID: id, Kind: kind, Content: content}})
	return plumbing.Hash(id), err
}

// EncodedObject implements storer.EncodedObjectStorer.
func (s *Storer) EncodedObject(t plumbing.ObjectType, h plumbing.Hash) (plumbing.EncodedObject, error) {
	kind, content, err := s.read(h)
	if err != nil {
		return nil, err
	}
	if t != plumbing.AnyObject && t != plumbing.ObjectType(kind) {
		return nil, plumbing.ErrObjectNotFound
	}
	o := new(plumbing.MemoryObject)
	o.SetType(plumbing.ObjectType(kind))
	_, err = o.Write(content) // copies: content is the store's
	return o, err
}

// read returns an object in go-git's terms.
func (s *Storer) read(h plumbing.Hash) (vcs.Kind, []byte, error) {
	kind, content, err := s.store.ReadObject(vcs.ID(h))
	if errors.Is(err, vcs.ErrNotFound) {
		if vcs.ID(h) == vcs.EmptyTree { // git has it everywhere
			return vcs.KindTree, nil, nil
		}
		return 0, nil, plumbing.ErrObjectNotFound
	}
	return kind, content, err
}

// HasEncodedObject implements storer.EncodedObjectStorer.
func (s *Storer) HasEncodedObject(h plumbing.Hash) error {
	_, _, err := s.read(h)
	return err
}

// EncodedObjectSize implements storer.EncodedObjectStorer.
func (s *Storer) EncodedObjectSize(h plumbing.Hash) (int64, error) {
	_, content, err := s.read(h)
	return int64(len(content)), err
}

// IterEncodedObjects implements storer.EncodedObjectStorer: it yields what the
// refs lead to at this moment. Contents are read one at a time.
func (s *Storer) IterEncodedObjects(t plumbing.ObjectType) (storer.EncodedObjectIter, error) {
	refs, err := s.store.Refs()
	if err != nil {
		return nil, err
	}
	var sel packfile.Selection
	for _, r := range refs {
		sel.Wants = append(sel.Wants, r.Target)
	}
	set, err := packfile.Select(context.Background(), s.store, sel)
	if err != nil {
		return nil, err
	}
	ids := slices.Collect(set.IDs)
	return &objectIter{s: s, t: t, ids: ids}, set.Err()
}

// objectIter yields objects of one type.
type objectIter struct {
	s   *Storer
	t   plumbing.ObjectType
	ids []vcs.ID
}

// Next implements storer.EncodedObjectIter.
func (it *objectIter) Next() (plumbing.EncodedObject, error) {
	for len(it.ids) > 0 {
		id := it.ids[0]
		it.ids = it.ids[1:]
		o, err := it.s.EncodedObject(it.t, plumbing.Hash(id))
		if !errors.Is(err, plumbing.ErrObjectNotFound) {
			return o, err
		}
		if err := it.s.HasEncodedObject(plumbing.Hash(id)); err != nil {
			return nil, err
		}
	}
	return nil, io.EOF
}

// ForEach implements storer.EncodedObjectIter.
func (it *objectIter) ForEach(f func(plumbing.EncodedObject) error) error {
	for {
		o, err := it.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = f(o)
		}
		if errors.Is(err, storer.ErrStop) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// Close implements storer.EncodedObjectIter.
func (it *objectIter) Close() { it.ids = nil }

// AddAlternate implements storer.EncodedObjectStorer. A store has none.
func (*Storer) AddAlternate(string) error {
	return fmt.Errorf("%w: objects of another repository cannot be borrowed; clone without sharing", ErrUnsupported)
}

// PackfileWriter implements storer.PackfileWriter. Close takes the pack in: its
// objects are checked as those of FetchInto are, and stored only when nothing
// that they lead to is missing.
func (s *Storer) PackfileWriter() (io.WriteCloser, error) {
	f, err := os.CreateTemp("", "arpeggio-pack-*")
	if err != nil {
		return nil, fmt.Errorf("gitremote: room for a pack: %w", err)
	}
	os.Remove(f.Name()) // it lives as long as it is open
	return &packWriter{File: f, store: s.store}, nil
}

// packWriter is a pack on its way into a store.
type packWriter struct {
	*os.File
	store Target
}

// Close stores the pack's objects.
func (w *packWriter) Close() error {
	defer w.File.Close()
	size, err := w.Seek(0, io.SeekCurrent)
	if err != nil || size == 0 {
		return err
	}
	t := intake{into: w.store, from: "the pack"}
	_, err = t.take(context.Background(), w.File, nil)
	return err
}
