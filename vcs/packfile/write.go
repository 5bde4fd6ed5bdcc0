package packfile

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"hash"
	"io"

	"github.com/klauspost/compress/zlib"

	"arpeggio/vcs"
)

// Types of pack entries beside the object kinds (gitformat-pack(5)).
const typeOfsDelta = 6

// Options of Write. The zero value works.
type Options struct {
	// NoDeltas writes every object in full: for receivers that did not offer
	// the ofs-delta capability.
	NoDeltas bool
	// Level is the zlib level, 1 to 9. Default 6.
	Level int
}

// Write writes a pack, version 2, of the set's objects, reading one at a time,
// and returns its trailing checksum.
func (s *Set) Write(w io.Writer, opt Options) (sum vcs.ID, err error) {
	if opt.Level < 1 || opt.Level > 9 {
		opt.Level = 6
	}
	p := &writer{r: s.r, opt: opt, hash: sha1.New()}
	p.w = bufio.NewWriterSize(w, 32<<10)
	if p.z, err = zlib.NewWriterLevel(&p.packed, opt.Level); err != nil {
		return sum, fmt.Errorf("packfile: %w", err)
	}
	var head [12]byte
	copy(head[:], "PACK")
	binary.BigEndian.PutUint32(head[4:], 2)
	binary.BigEndian.PutUint32(head[8:], uint32(s.Len()))
	p.write(head[:])
	for _, k := range packOrder {
		if err := p.list(k, s.items[k]); err != nil {
			return sum, err
		}
	}
	p.hash.Sum(sum[:0])
	p.write(sum[:])
	if p.err == nil {
		p.err = p.w.Flush()
	}
	return sum, p.err
}

type writer struct {
	r      vcs.ObjectReader
	opt    Options
	w      *bufio.Writer
	hash   hash.Hash
	z      *zlib.Writer
	packed bytes.Buffer
	off    int64 // bytes written
	delta  []byte
	err    error
}

func (p *writer) write(b []byte) {
	if p.err != nil {
		return
	}
	p.hash.Write(b)
	p.off += int64(len(b))
	_, p.err = p.w.Write(b)
}

// list writes the objects of one kind.
func (p *writer) list(k vcs.Kind, items []item) error {
	offsets := make([]int64, len(items))
	for i, it := range items {
		offsets[i] = p.off
		content, err := p.read(k, it.id)
		if err != nil {
			return err
		}
		if it.base >= 0 && !p.opt.NoDeltas {
			base, err := p.read(k, items[it.base].id)
			if err != nil {
				return err
			}
			if p.delta = delta(p.delta[:0], k, base, content); len(p.delta) < len(content) {
				p.entry(typeOfsDelta, p.off-offsets[it.base], p.delta)
				continue
			}
		}
		p.entry(byte(k), 0, content)
		if p.err != nil {
			return p.err
		}
	}
	return p.err
}

func (p *writer) read(k vcs.Kind, id vcs.ID) ([]byte, error) {
	if id == vcs.EmptyTree {
		return nil, nil
	}
	kind, content, err := p.r.ReadObject(id)
	if err != nil {
		return nil, err
	}
	if kind != k {
		return nil, fmt.Errorf("%w: %v is a %v, not a %v", vcs.ErrWrongKind, id, kind, k)
	}
	return content, nil
}

// entry writes one entry; back is the distance to the base of a delta.
func (p *writer) entry(typ byte, back int64, content []byte) {
	var buf [24]byte
	n := len(content)
	head := append(buf[:0], typ<<4|byte(n&15))
	for n >>= 4; n > 0; n >>= 7 {
		head[len(head)-1] |= 0x80
		head = append(head, byte(n&0x7f))
	}
	if typ == typeOfsDelta {
		head = appendOffset(head, back)
	}
	p.write(head)
	p.packed.Reset()
	p.z.Reset(&p.packed)
	if _, err := p.z.Write(content); err != nil && p.err == nil {
		p.err = err
	}
	if err := p.z.Close(); err != nil && p.err == nil {
		p.err = err
	}
	p.write(p.packed.Bytes())
}

// appendOffset writes a backward distance, most significant group first, each
// continued group counting from one.
func appendOffset(b []byte, n int64) []byte {
	var tmp [10]byte
	i := len(tmp) - 1
	tmp[i] = byte(n & 0x7f)
	for n >>= 7; n > 0; n >>= 7 {
		n--
		i--
		tmp[i] = 0x80 | byte(n&0x7f)
	}
	return append(b, tmp[i:]...)
}
