package packfile

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"slices"

	"arpeggio/vcs"
)

// IndexWriter makes the index of a pack, version 2 (gitformat-pack(5)), from its
// entries in any order. It sorts them in runs that lie in a scratch file, so
// that its memory does not grow with the pack: some 2 MiB, and 8 KiB for each
// 65,536 objects. The zero value is not usable; it is for one goroutine.
type IndexWriter struct {
	scratch Scratch
	run     []idxEntry
	ends    []int64 // of the runs in the scratch
	n       uint32
}

type idxEntry struct {
	id  vcs.ID
	crc uint32
	off int64
}

const (
	idxRun        = 1 << 16 // entries sorted in memory
	idxEntryBytes = 32
)

// NewIndexWriter returns an empty IndexWriter. The scratch is written from front
// to end; nil means memory, 32 bytes an object.
func NewIndexWriter(scratch Scratch) *IndexWriter {
	if scratch == nil {
		scratch = new(memory)
	}
	return &IndexWriter{scratch: scratch}
}

// Len returns the number of objects.
func (x *IndexWriter) Len() int { return int(x.n) }

// Add adds an object. The error is the scratch's.
func (x *IndexWriter) Add(e Entry) error {
	x.run = append(x.run, idxEntry{e.ID, e.CRC, e.Offset})
	x.n++
	if len(x.run) == idxRun {
		return x.spill()
	}
	return nil
}

// spill sorts the newest entries and puts them into the scratch.
func (x *IndexWriter) spill() error {
	if len(x.run) == 0 {
		return nil
	}
	slices.SortFunc(x.run, func(a, b idxEntry) int { return bytes.Compare(a.id[:], b.id[:]) })
	var at int64
	if n := len(x.ends); n > 0 {
		at = x.ends[n-1]
	}
	b := make([]byte, 0, pieceBytes)
	for i, e := range x.run {
		b = append(b, e.id[:]...)
		b = binary.BigEndian.AppendUint32(b, e.crc)
		b = binary.BigEndian.AppendUint64(b, uint64(e.off))
		if len(b) == pieceBytes || i == len(x.run)-1 {
			if _, err := x.scratch.WriteAt(b, at); err != nil {
				return fmt.Errorf("packfile: sort the index: %w", err)
			}
			at += int64(len(b))
			b = b[:0]
		}
	}
	x.ends = append(x.ends, at)
	x.run = x.run[:0]
	return nil
}

// WriteTo writes the index of the pack of that checksum. Nothing can be added
// after it. The error wraps ErrDuplicate, or is that of w or the scratch.
func (x *IndexWriter) WriteTo(w io.Writer, pack vcs.ID) error {
	if err := x.spill(); err != nil {
		return err
	}
	x.run = nil
	out := newHashed(w)
	var upTo [256]uint32
	err := x.each(func(e idxEntry) { upTo[e.id[0]]++ })
	if err != nil {
		return err
	}
	out.WriteString("\xfftOc")
	out.u32(2)
	n := uint32(0)
	for _, k := range upTo {
		n += k
		out.u32(n)
	}
	far := uint32(0)
	columns := []func(idxEntry){
		func(e idxEntry) { out.Write(append(out.AvailableBuffer(), e.id[:]...)) },
		func(e idxEntry) { out.u32(e.crc) },
		func(e idxEntry) {
			if e.off < 1<<31 {
				out.u32(uint32(e.off))
				return
			}
			out.u32(1<<31 | far)
			far++
		},
		func(e idxEntry) {
			if e.off >= 1<<31 {
				out.u64(uint64(e.off))
			}
		},
	}
	for i, column := range columns {
		if i == 3 && far == 0 {
			break
		}
		if err := x.each(column); err != nil {
			return err
		}
	}
	out.Write(pack[:])
	return out.finish()
}

// each yields the entries in the order of their names.
func (x *IndexWriter) each(yield func(idxEntry)) error {
	runs := make([]*idxReader, 0, len(x.ends))
	var at int64
	for _, end := range x.ends {
		runs = append(runs, &idxReader{in: bufio.NewReaderSize(io.NewSectionReader(x.scratch, at, end-at), 8<<10)})
		at = end
	}
	var last vcs.ID
	first := true
	return mergeRuns(runs, func(r *idxReader) error {
		if r.at.id == last && !first {
			return fmt.Errorf("%w: %v", ErrDuplicate, last)
		}
		first, last = false, r.at.id
		yield(r.at)
		return nil
	})
}

// idxReader reads one run.
type idxReader struct {
	in  *bufio.Reader
	at  idxEntry
	buf [idxEntryBytes]byte
}

func (r *idxReader) next() error {
	b := r.buf[:]
	if _, err := io.ReadFull(r.in, b); err != nil {
		if err == io.EOF {
			return err
		}
		return fmt.Errorf("packfile: sort the index: %w", err)
	}
	r.at = idxEntry{vcs.ID(b[:20]), binary.BigEndian.Uint32(b[20:]), int64(binary.BigEndian.Uint64(b[24:]))}
	return nil
}

func (r *idxReader) before(o *idxReader) bool { return bytes.Compare(r.at.id[:], o.at.id[:]) < 0 }

// hashed is a buffered output that ends in the SHA-1 of all of it, as Git's
// files do. Errors stick until finish.
type hashed struct {
	*bufio.Writer
	w    io.Writer
	hash hash.Hash
}

func newHashed(w io.Writer) *hashed {
	h := sha1.New()
	return &hashed{Writer: bufio.NewWriterSize(io.MultiWriter(w, h), 32<<10), w: w, hash: h}
}

func (h *hashed) u32(v uint32) {
	h.Write(binary.BigEndian.AppendUint32(h.AvailableBuffer(), v))
}

func (h *hashed) u64(v uint64) {
	h.Write(binary.BigEndian.AppendUint64(h.AvailableBuffer(), v))
}

func (h *hashed) finish() error {
	if err := h.Flush(); err != nil {
		return err
	}
	_, err := h.w.Write(h.hash.Sum(nil))
	return err
}
