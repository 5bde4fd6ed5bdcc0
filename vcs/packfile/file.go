package packfile

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sort"
	"sync"

	"arpeggio/vcs"
)

// ErrIndex: a file that is no index, or not that of the pack.
var ErrIndex = errors.New("packfile: bad pack index")

// File is a pack and its index in files: an ObjectReader that loads neither. It
// holds a cache of contents and is safe for concurrent use. Every object is
// checked against its name.
type File struct {
	idx    io.ReaderAt
	size   int64 // of the index
	fanout [257]uint32
	n      int64
	sum    vcs.ID
	pool   sync.Pool // of blocks of names

	mu sync.Mutex
	r  *entries
}

// Places in an index of version 2: the header with the fan-out table, then the
// columns of names, checksums and offsets.
const (
	idxHeader  = 8 + 256*4
	idxPerItem = 20 + 4 + 4
	idxTrailer = 20 + 20
)

// OpenFile opens a pack with its index (version 2), which must belong together.
// The files stay the caller's. The error wraps ErrIndex or one of a pack's
// errors, or is that of the readers.
func OpenFile(pack io.ReaderAt, packSize int64, idx io.ReaderAt, idxSize int64, cfg FileConfig) (*File, error) {
	f := &File{idx: idx, size: idxSize, r: newEntries(pack, packSize, cfg)}
	f.r.lookup = func(id vcs.ID) (int64, error) {
		i, err := f.find(id)
		if err != nil {
			return 0, err
		}
		return f.offset(i)
	}
	head := make([]byte, idxHeader)
	if err := readAt(idx, head, 0); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrIndex, err)
	}
	if string(head[:4]) != "\xfftOc" || binary.BigEndian.Uint32(head[4:]) != 2 {
		return nil, fmt.Errorf("%w: it does not begin as one of version 2", ErrIndex)
	}
	for i := range 256 {
		f.fanout[i+1] = binary.BigEndian.Uint32(head[8+4*i:])
		if f.fanout[i+1] < f.fanout[i] {
			return nil, fmt.Errorf("%w: its fan-out table decreases", ErrIndex)
		}
	}
	f.n = int64(f.fanout[256])
	if rest := idxSize - idxHeader - f.n*idxPerItem - idxTrailer; rest < 0 || rest%8 != 0 || rest/8 > f.n {
		return nil, fmt.Errorf("%w: %d bytes for %d objects", ErrIndex, idxSize, f.n)
	}
	if err := readAt(idx, f.sum[:], idxSize-idxTrailer); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrIndex, err)
	}
	var first [packHeaderBytes]byte
	var last vcs.ID
	if packSize < packHeaderBytes+packTrailerBytes {
		return nil, ErrTruncated
	}
	if err := errors.Join(readAt(pack, first[:], 0), readAt(pack, last[:], packSize-packTrailerBytes)); err != nil {
		return nil, err
	}
	switch {
	case string(first[:4]) != "PACK":
		return nil, ErrSignature
	case last != f.sum:
		return nil, fmt.Errorf("%w: it is of pack %v, not of %v", ErrIndex, f.sum, last)
	case int64(binary.BigEndian.Uint32(first[8:])) != f.n:
		return nil, fmt.Errorf("%w: it counts %d objects, the pack %d", ErrIndex, f.n, binary.BigEndian.Uint32(first[8:]))
	}
	return f, nil
}

// readAt fills b; a file that ends before is damaged.
func readAt(r io.ReaderAt, b []byte, off int64) error {
	n, err := r.ReadAt(b, off)
	if n == len(b) {
		return nil
	}
	if err == io.EOF {
		err = fmt.Errorf("%w: the file ends at %d", ErrTruncated, off+int64(n))
	}
	return err
}

// Len returns the number of objects.
func (f *File) Len() int { return int(f.n) }

// Sum returns the pack's checksum as the index has it.
func (f *File) Sum() vcs.ID { return f.sum }

// Has reports whether the index names an object.
func (f *File) Has(id vcs.ID) (bool, error) {
	_, err := f.find(id)
	if isNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

// ReadObject implements vcs.ObjectReader.
func (f *File) ReadObject(id vcs.ID) (vcs.Kind, []byte, error) {
	i, err := f.find(id)
	if err != nil {
		return 0, nil, err
	}
	off, err := f.offset(i)
	if err != nil {
		return 0, nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	o, err := f.r.object(off)
	if err != nil {
		return 0, nil, fmt.Errorf("%w: %v: %w", vcs.ErrCorrupt, id, err)
	}
	if vcs.HashObject(o.kind, o.content) != id {
		return 0, nil, fmt.Errorf("%w: %v: its content has another name", vcs.ErrCorrupt, id)
	}
	return o.kind, o.content, nil
}

// findBlock is how many names are read at a time.
const findBlock = 64

// find returns the place of a name among the names. Names are hashes, so that a
// guess by proportion is seldom far off.
func (f *File) find(id vcs.ID) (int64, error) {
	lo, hi := int64(f.fanout[id[0]]), int64(f.fanout[int(id[0])+1])
	next := uint64(binary.BigEndian.Uint32(id[1:]))
	low, high := uint64(0), uint64(1<<32) // what next may be between lo and hi
	block, _ := f.pool.Get().(*[findBlock * 20]byte)
	if block == nil {
		block = new([findBlock * 20]byte)
	}
	defer f.pool.Put(block)
	for lo < hi {
		guess := lo + int64((next-low)*uint64(hi-lo)/(high-low))
		from := max(lo, min(guess-findBlock/2, hi-findBlock))
		n := min(findBlock, hi-from)
		b := block[:n*20]
		if err := readAt(f.idx, b, idxHeader+from*20); err != nil {
			return 0, fmt.Errorf("%w: %w", vcs.ErrCorrupt, err)
		}
		name := func(i int) []byte { return b[i*20 : i*20+20] }
		i, ok := sort.Find(int(n), func(i int) int { return bytes.Compare(id[:], name(i)) })
		switch {
		case ok:
			return from + int64(i), nil
		case i == 0:
			hi, high = from, min(high, uint64(binary.BigEndian.Uint32(name(0)[1:]))+1)
		case i == int(n):
			lo, low = from+n, max(low, uint64(binary.BigEndian.Uint32(name(i - 1)[1:])))
		default:
			lo = hi
		}
		if next < low || next >= high { // the names are not sorted
			break
		}
	}
	return 0, fmt.Errorf("%w: %v", vcs.ErrNotFound, id)
}

// offset returns where the object of place i begins in the pack.
func (f *File) offset(i int64) (int64, error) {
	var b [8]byte
	at := idxHeader + f.n*24
	if err := readAt(f.idx, b[:4], at+i*4); err != nil {
		return 0, fmt.Errorf("%w: %w", vcs.ErrCorrupt, err)
	}
	v := binary.BigEndian.Uint32(b[:])
	if v < 1<<31 {
		return int64(v), nil
	}
	at += f.n*4 + int64(v&^(1<<31))*8
	if at+8 > f.size-idxTrailer {
		return 0, fmt.Errorf("%w: %w: an offset lies outside of it", vcs.ErrCorrupt, ErrIndex)
	}
	if err := readAt(f.idx, b[:], at); err != nil {
		return 0, fmt.Errorf("%w: %w", vcs.ErrCorrupt, err)
	}
	return int64(binary.BigEndian.Uint64(b[:]) & (1<<63 - 1)), nil
}

// crc returns the checksum of the object of place i.
func (f *File) crc(i int64) (uint32, error) {
	var b [4]byte
	if err := readAt(f.idx, b[:], idxHeader+f.n*20+i*4); err != nil {
		return 0, fmt.Errorf("%w: %w", vcs.ErrCorrupt, err)
	}
	return binary.BigEndian.Uint32(b[:]), nil
}

// Verify reads all of the pack, as Scan does and for the packs that Scan reads,
// and all of the index, and calls visit, unless it is nil, for each object in the
// pack's order. Any difference between the two is an error: it wraps ErrIndex, or
// is one of Scan's.
func (f *File) Verify(ctx context.Context, visit func(Entry) error) error {
	h := sha1.New()
	if _, err := io.Copy(h, io.NewSectionReader(f.idx, 0, f.size-20)); err != nil {
		return err
	}
	var sum vcs.ID
	if err := readAt(f.idx, sum[:], f.size-20); err != nil {
		return fmt.Errorf("%w: %w", ErrIndex, err)
	}
	if vcs.ID(h.Sum(nil)) != sum {
		return fmt.Errorf("%w: it does not match its checksum", ErrIndex)
	}
	got, err := Scan(ctx, f.r.pack.r, f.r.end+packTrailerBytes, FileConfig{CacheBytes: f.r.cache.max, ObjectBytes: f.r.limit}, func(e Entry) error {
		i, err := f.find(e.ID)
		if isNotFound(err) {
			return fmt.Errorf("%w: it lacks %v", ErrIndex, e.ID)
		}
		if err != nil {
			return err
		}
		off, err := f.offset(i)
		if err != nil {
			return err
		}
		crc, err := f.crc(i)
		if err != nil {
			return err
		}
		if off != e.Offset || crc != e.CRC {
			return fmt.Errorf("%w: %v lies at %d, not at %d", ErrIndex, e.ID, e.Offset, off)
		}
		if visit == nil {
			return nil
		}
		return visit(e)
	})
	if err == nil && got != f.sum {
		err = fmt.Errorf("%w: it is of another pack", ErrIndex)
	}
	return err
}
