package packfile

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/adler32"
	"hash/crc32"
	"io"
	"slices"

	"github.com/klauspost/compress/zlib"

	"arpeggio/vcs"
)

// input is the pack as it comes in. What was used of it is hashed and kept.
type input struct {
	ctx  context.Context
	r    io.Reader
	out  Scratch
	hash hash.Hash
	crc  uint32
	max  int64

	buf            [32 << 10]byte
	mark, pos, end int   // used and not yet kept: buf[mark:pos]
	kept           int64 // bytes before mark
	err            error // why there is no more; io.EOF at the end
}

func newInput(ctx context.Context, r io.Reader, out Scratch, max int64) *input {
	return &input{ctx: ctx, r: r, out: out, hash: sha1.New(), max: max}
}

// offset is the place of the next byte.
func (in *input) offset() int64 { return in.kept + int64(in.pos-in.mark) }

// keep settles what was used.
func (in *input) keep() {
	b := in.buf[in.mark:in.pos]
	if len(b) == 0 {
		return
	}
	in.hash.Write(b)
	in.crc = crc32.Update(in.crc, crc32.IEEETable, b)
	if _, err := in.out.WriteAt(b, in.kept); err != nil && (in.err == nil || in.err == io.EOF) {
		in.err = fmt.Errorf("packfile: keep pack: %w", err)
	}
	in.kept += int64(len(b))
	in.mark = in.pos
}

// more reads on; it leaves in.err set when there is nothing.
func (in *input) more() bool {
	in.keep()
	if in.err == nil {
		in.err = in.ctx.Err()
	}
	in.mark, in.pos, in.end = 0, 0, 0
	for tries := 0; in.err == nil; tries++ {
		n, err := in.r.Read(in.buf[:])
		in.end = n
		if errors.Is(err, io.ErrUnexpectedEOF) { // an outer layer was cut short
			err = io.EOF
		}
		in.err = err
		if n > 0 {
			if in.kept+int64(n) > in.max {
				in.end, in.err = 0, fmt.Errorf("%w (%d bytes)", ErrLimit, in.max)
				break
			}
			return true
		}
		if err == nil && tries == 100 {
			in.err = io.ErrNoProgress
		}
	}
	return false
}

// ReadByte implements io.ByteReader, which keeps zlib from reading too far.
func (in *input) ReadByte() (byte, error) {
	if in.pos == in.end && !in.more() {
		return 0, in.err
	}
	c := in.buf[in.pos]
	in.pos++
	return c, nil
}

// Read implements io.Reader.
func (in *input) Read(p []byte) (int, error) {
	if in.pos == in.end && !in.more() {
		return 0, in.err
	}
	n := copy(p, in.buf[in.pos:in.end])
	in.pos += n
	return n, nil
}

// stored reads a stream that is one stored block of size bytes, as our own writer
// makes them of what hardly compresses. It returns nil, and has read nothing, when
// the stream is another one or is not in the buffer as a whole.
func (in *input) stored(size int) []byte {
	const head, sum = 7, 4
	b := in.buf[in.pos:in.end]
	if len(b) < head+size+sum || size == 0 || b[0] != 0x78 || b[1] != 0x01 || b[2] != 1 {
		return nil
	}
	if n := int(binary.LittleEndian.Uint16(b[3:])); n != size || binary.LittleEndian.Uint16(b[5:]) != ^uint16(n) {
		return nil
	}
	out := b[head : head+size]
	if adler32.Checksum(out) != binary.BigEndian.Uint32(b[head+size:]) {
		return nil
	}
	in.pos += head + size + sum
	return bytes.Clone(out)
}

// failed tells a damaged pack (why) from one that ends and from a failed read.
func (in *input) failed(why error) error {
	switch {
	case in.pos < in.end || in.err == nil:
		return why
	case in.err == io.EOF:
		return fmt.Errorf("%w after %d bytes", ErrTruncated, in.offset())
	}
	return in.err
}

// scan reads the whole pack: every entry's place, and the names of those that
// are no deltas.
func (p *Pack) scan(in *input) error {
	count, err := in.header()
	if err != nil {
		return err
	}
	if uint64(count) > uint64(p.limits.Objects) {
		return fmt.Errorf("%w: %d objects (at most %d)", ErrLimit, count, p.limits.Objects)
	}
	p.objects = make([]packed, 0, min(count, 1<<12))
	for range count {
		if err := p.scanEntry(in); err != nil {
			return err
		}
	}
	in.keep()
	p.end = in.offset()
	p.sum, err = in.trailer()
	return err
}

// header reads a pack's header and returns its number of objects.
func (in *input) header() (uint32, error) {
	var head [12]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return 0, in.failed(err)
	}
	if string(head[:4]) != "PACK" {
		return 0, ErrSignature
	}
	if v := binary.BigEndian.Uint32(head[4:]); v != 2 && v != 3 {
		return 0, fmt.Errorf("%w: %d", ErrVersion, v)
	}
	in.keep()
	return binary.BigEndian.Uint32(head[8:]), nil
}

// trailer reads a pack's checksum and the end of the input.
func (in *input) trailer() (sum vcs.ID, err error) {
	in.keep()
	in.hash.Sum(sum[:0])
	var trailer vcs.ID
	if _, err := io.ReadFull(in, trailer[:]); err != nil {
		return sum, in.failed(err)
	}
	if trailer != sum {
		return sum, ErrChecksum
	}
	if _, err := in.ReadByte(); err == nil {
		return sum, ErrTrailing
	}
	if in.err != io.EOF {
		return sum, in.err
	}
	return sum, nil
}

func (p *Pack) scanEntry(in *input) error {
	in.keep()
	in.crc = 0
	o := packed{off: in.offset(), base: noBase}
	typ, size, err := readHeader(in)
	if err != nil {
		return in.failed(err)
	}
	if size > uint64(p.limits.ObjectBytes) {
		return fmt.Errorf("%w: an object of %d bytes (at most %d)", ErrLimit, size, p.limits.ObjectBytes)
	}
	o.stored = uint32(size)
	i := int32(len(p.objects))
	switch typ {
	case byte(vcs.KindCommit), byte(vcs.KindTree), byte(vcs.KindBlob), byte(vcs.KindTag):
		o.kind = vcs.Kind(typ)
	case typeOfsDelta:
		back, err := readOffset(in)
		if err != nil {
			return in.failed(err)
		}
		at, ok := slices.BinarySearchFunc(p.objects, o.off-back, func(o packed, off int64) int { return int(o.off - off) })
		if back <= 0 || back > o.off || !ok {
			return fmt.Errorf("%w: delta base offset is out of bound", ErrDelta)
		}
		o.base = int32(at)
	case typeRefDelta:
		var base vcs.ID
		if _, err := io.ReadFull(in, base[:]); err != nil {
			return in.failed(err)
		}
		p.waiting[base] = append(p.waiting[base], i)
	default:
		return fmt.Errorf("%w %d at offset %d", ErrType, typ, o.off)
	}
	o.head = uint8(in.offset() - o.off)
	content, err := p.zlib.inflate(in, int(size))
	if err != nil {
		return in.failed(fmt.Errorf("%w at offset %d: %w", ErrInflate, o.off, err))
	}
	in.keep()
	if in.err != nil && in.err != io.EOF {
		return in.err
	}
	o.crc = in.crc
	if o.kind != 0 {
		if o.id, err = p.name(o.kind, content); err != nil {
			return err
		}
		o.size = o.stored
	}
	p.objects = append(p.objects, o)
	return p.grow(int64(size))
}

// readHeader reads the type and size of an entry.
func readHeader(in io.ByteReader) (typ byte, size uint64, err error) {
	c, err := in.ReadByte()
	if err != nil {
		return 0, 0, err
	}
	typ, size = c>>4&7, uint64(c&15)
	for shift := 4; c >= 0x80; shift += 7 {
		if shift > 56 {
			return 0, 0, fmt.Errorf("%w: bad object header", ErrType)
		}
		if c, err = in.ReadByte(); err != nil {
			return 0, 0, err
		}
		size |= uint64(c&0x7f) << shift
	}
	return typ, size, nil
}

// readOffset reads a backward distance.
func readOffset(in io.ByteReader) (int64, error) {
	c, err := in.ReadByte()
	if err != nil {
		return 0, err
	}
	n := int64(c & 0x7f)
	for c >= 0x80 {
		if n >= 1<<55 {
			return 0, fmt.Errorf("%w: delta base offset is out of bound", ErrDelta)
		}
		if c, err = in.ReadByte(); err != nil {
			return 0, err
		}
		n = (n+1)<<7 | int64(c&0x7f)
	}
	return n, nil
}

// inflater is a zlib reader that is used again and again.
type inflater struct{ z io.ReadCloser }

// firstRoom is how much is set aside for a content before it has shown itself.
const firstRoom = 1 << 20

// inflate reads one stream of exactly size bytes.
func (f *inflater) inflate(r io.Reader, size int) (_ []byte, err error) {
	if in, ok := r.(*input); ok {
		if out := in.stored(size); out != nil {
			return out, nil
		}
	}
	if f.z == nil {
		f.z, err = zlib.NewReader(r)
	} else {
		err = f.z.(zlib.Resetter).Reset(r, nil)
	}
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, min(size, firstRoom)+1)
	for {
		n, err := f.z.Read(out[len(out):cap(out)])
		out = out[:len(out)+n]
		switch {
		case len(out) > size:
			return nil, fmt.Errorf("it is longer than %d bytes", size)
		case err == io.EOF && len(out) < size:
			return nil, fmt.Errorf("it has %d bytes, not %d", len(out), size)
		case err == io.EOF:
			return out, nil
		case err != nil:
			return nil, err
		case len(out) == cap(out):
			out = slices.Grow(out, min(len(out), size+1-len(out)))
		}
	}
}
