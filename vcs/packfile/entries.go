package packfile

import (
	"bufio"
	"context"
	"fmt"
	"io"

	"arpeggio/vcs"
)

// FileConfig tunes Scan and OpenFile. The zero value works.
type FileConfig struct {
	// CacheBytes is the memory for recently used contents; default 8 MiB.
	CacheBytes int
	// ObjectBytes is the largest object, inflated; default vcs.MaxObject.
	ObjectBytes int64
}

// entries makes objects from the entries of a pack that lies in a file.
type entries struct {
	pack   *blocks
	end    int64 // where the trailer begins
	limit  int64
	lookup func(vcs.ID) (int64, error) // where the base of a ref-delta is
	in     *bufio.Reader
	zlib   inflater
	cache  contents
	once   bool     // a base is used by one delta, as a rule: it is not kept after that
	spare  [][]byte // of bases that are not kept
}

const packHeaderBytes, packTrailerBytes = 12, 20

func newEntries(pack io.ReaderAt, size int64, cfg FileConfig) *entries {
	if cfg.CacheBytes <= 0 {
		cfg.CacheBytes = 8 << 20
	}
	if cfg.ObjectBytes <= 0 {
		cfg.ObjectBytes = vcs.MaxObject
	}
	r := &entries{pack: &blocks{r: pack, size: size}, end: size - packTrailerBytes, limit: cfg.ObjectBytes, in: bufio.NewReaderSize(nil, 512)}
	r.cache.max = cfg.CacheBytes
	return r
}

// stored is what an entry holds: an object's content (base 0), or the delta
// against the object at an offset.
type stored struct {
	kind    vcs.Kind
	base    int64
	content []byte
}

// byteReader is what entries are read from.
type byteReader interface {
	io.Reader
	io.ByteReader
}

// parse reads the entry that begins at off.
func (r *entries) parse(in byteReader, off int64) (s stored, err error) {
	typ, size, err := readHeader(in)
	if err != nil {
		return s, err
	}
	if size > uint64(r.limit) {
		return s, fmt.Errorf("%w: an object of %d bytes (at most %d)", ErrLimit, size, r.limit)
	}
	switch typ {
	case byte(vcs.KindCommit), byte(vcs.KindTree), byte(vcs.KindBlob), byte(vcs.KindTag):
		s.kind = vcs.Kind(typ)
	case typeOfsDelta:
		back, err := readOffset(in)
		if err != nil {
			return s, err
		}
		if back <= 0 || back > off-packHeaderBytes {
			return s, fmt.Errorf("%w: delta base offset is out of bound", ErrDelta)
		}
		s.base = off - back
	case typeRefDelta:
		var id vcs.ID
		if _, err := io.ReadFull(in, id[:]); err != nil {
			return s, err
		}
		if r.lookup == nil {
			return s, fmt.Errorf("%w: its base is told by name", ErrDelta)
		}
		if s.base, err = r.lookup(id); err != nil {
			return s, fmt.Errorf("%w: %w", ErrDelta, err)
		}
	default:
		return s, fmt.Errorf("%w %d at offset %d", ErrType, typ, off)
	}
	if s.content, err = r.zlib.inflate(in, int(size)); err != nil {
		return s, fmt.Errorf("%w at offset %d: %w", ErrInflate, off, err)
	}
	return s, nil
}

// object makes the object whose entry begins at off.
func (r *entries) object(off int64) (cached, error) {
	if c, ok := r.cache.get(off); ok {
		return c, nil
	}
	if off < packHeaderBytes || off >= r.end {
		return cached{}, fmt.Errorf("%w: no object at offset %d", ErrDelta, off)
	}
	r.in.Reset(io.NewSectionReader(r.pack, off, r.end-off))
	s, err := r.parse(r.in, off)
	if err != nil {
		return cached{}, err
	}
	return r.finish(off, s)
}

// finish makes the object of an entry at off that was read, from the nearest one
// of its chain that is at hand.
func (r *entries) finish(off int64, s stored) (cached, error) {
	type link struct {
		off   int64
		delta []byte
	}
	var chain []link // what is to be applied, the last one first
	var held int64
	at := cached{s.kind, s.content}
	for ok := false; s.base != 0 && !ok; {
		chain = append(chain, link{off, s.content})
		if held += int64(len(s.content)); len(chain) > maxDeltaDepth || held > 2*r.limit {
			return cached{}, fmt.Errorf("%w: a chain of more than %d deltas or %d bytes", ErrLimit, maxDeltaDepth, 2*r.limit)
		}
		if off = s.base; off >= r.end {
			return cached{}, fmt.Errorf("%w: delta base offset is out of bound", ErrDelta)
		}
		if at, ok = r.base(off); ok {
			break
		}
		r.in.Reset(io.NewSectionReader(r.pack, off, r.end-off))
		var err error
		if s, err = r.parse(r.in, off); err != nil {
			return cached{}, err
		}
		at = cached{s.kind, s.content}
	}
	if s.base == 0 && (!r.once || len(chain) == 0 && s.kind != vcs.KindCommit) {
		r.cache.put(off, at)
	}
	for i := len(chain) - 1; i >= 0; i-- {
		b, err := applyDelta(r.room(), at.content, chain[i].delta, r.limit)
		if err != nil {
			return cached{}, fmt.Errorf("%w (object at offset %d)", err, chain[i].off)
		}
		if r.once {
			r.spare = append(r.spare, at.content)
		}
		at = cached{at.kind, b}
		if !r.once || i == 0 {
			r.cache.put(chain[i].off, at)
		}
	}
	return at, nil
}

// base returns a base that is at hand.
func (r *entries) base(off int64) (cached, bool) {
	if r.once {
		return r.cache.take(off)
	}
	return r.cache.get(off)
}

// room returns a buffer that nobody needs any more, or nil.
func (r *entries) room() []byte {
	n := len(r.spare)
	if n == 0 {
		return nil
	}
	b := r.spare[n-1]
	r.spare = r.spare[:n-1]
	return b[:0]
}

// Entry is one object of a pack and where it lies.
type Entry struct {
	ID      vcs.ID
	Kind    vcs.Kind
	Offset  int64
	CRC     uint32 // of the entry's bytes, CRC-32 as the index has it
	Content []byte // not to be modified or kept
}

// Scan reads a pack that lies in a file from front to end, as git index-pack
// does: it checks the checksum, applies every delta and names every object by
// SHA-1, and calls yield for each. It is for packs that a writer of ours made and
// that are read back: the base of a delta must come before it, and collisions
// are not looked for; Index takes in those of others. Memory is that of the
// cache and of a few objects, whatever the length of the pack. It returns the
// pack's checksum; the error is one of this package's, or that of pack, ctx or
// yield.
func Scan(ctx context.Context, pack io.ReaderAt, size int64, cfg FileConfig, yield func(Entry) error) (sum vcs.ID, err error) {
	r := newEntries(pack, size, cfg)
	r.once = true
	in := newInput(ctx, io.NewSectionReader(pack, 0, size), inPlace{}, size)
	count, err := in.header()
	if err != nil {
		return sum, err
	}
	for range count {
		in.keep()
		in.crc = 0
		e := Entry{Offset: in.offset()}
		s, err := r.parse(in, e.Offset)
		if err != nil {
			return sum, in.failed(err)
		}
		in.keep()
		e.CRC = in.crc
		o, err := r.finish(e.Offset, s)
		if err != nil {
			return sum, err
		}
		e.Kind, e.Content = o.kind, o.content
		e.ID = vcs.HashObject(e.Kind, e.Content)
		if err := yield(e); err != nil {
			return sum, err
		}
	}
	return in.trailer()
}

// inPlace is the scratch of a pack that is where it is kept.
type inPlace struct{ io.ReaderAt }

// WriteAt implements Scratch.
func (inPlace) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }
