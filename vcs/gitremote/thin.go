package gitremote

import (
	"errors"
	"fmt"
	"io"

	"arpeggio/vcs"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/storage/memory"
)

// maxThin bounds the content of a thin pack, which is held in memory whole: such
// packs are increments.
const maxThin = 256 << 20

// completeThin resolves a thin pack against base and returns all its objects.
func completeThin(pack io.ReadSeeker, base vcs.ObjectReader) (*objectList, error) {
	if _, err := pack.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("gitremote: %w", err)
	}
	st := &thinStorage{ObjectStorage: &memory.NewStorage().ObjectStorage, base: base}
	parser, err := packfile.NewParserWithStorage(packfile.NewScanner(pack), st)
	if err == nil {
		_, err = parser.Parse()
	}
	switch {
	case errors.Is(err, plumbing.ErrObjectNotFound):
		return nil, fmt.Errorf("%w: the pack holds differences to objects that the directory does not have", ErrIncomplete)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrBadPack, err)
	}
	return &st.list, nil
}

// thinStorage collects the objects of a pack and lends those of base.
type thinStorage struct {
	*memory.ObjectStorage
	base vcs.ObjectReader
	list objectList
	size int64
}

// SetEncodedObject implements storer.EncodedObjectStorer.
func (t *thinStorage) SetEncodedObject(o plumbing.EncodedObject) (plumbing.Hash, error) {
	if t.size += o.Size(); t.size > maxThin {
		return plumbing.ZeroHash, fmt.Errorf("thin pack holds more than %d bytes", maxThin)
	}
	h, err := t.ObjectStorage.SetEncodedObject(o)
	if err != nil {
		return h, err
	}
	kind, content, err := decode(vcs.ID(h), o)
	if err != nil {
		return h, err
	}
	t.list.add(vcs.Object{ID: vcs.ID(h), Kind: kind, Content: content})
	return h, nil
}

// EncodedObject implements storer.EncodedObjectStorer.
func (t *thinStorage) EncodedObject(want plumbing.ObjectType, h plumbing.Hash) (plumbing.EncodedObject, error) {
	o, err := t.ObjectStorage.EncodedObject(want, h)
	if !errors.Is(err, plumbing.ErrObjectNotFound) {
		return o, err
	}
	kind, content, err := t.base.ReadObject(vcs.ID(h))
	if errors.Is(err, vcs.ErrNotFound) {
		return nil, plumbing.ErrObjectNotFound
	}
	if err != nil {
		return nil, err
	}
	m := new(plumbing.MemoryObject)
	m.SetType(plumbing.ObjectType(kind))
	if _, err := m.Write(content); err != nil {
		return nil, err
	}
	return m, nil
}
