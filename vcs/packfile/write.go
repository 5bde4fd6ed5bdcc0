package packfile

import (
	"bufio"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"hash"
	"io"

	"arpeggio/vcs"
)

// Types of pack entries beside the object kinds (gitformat-pack(5)).
const (
	typeOfsDelta = 6
	typeRefDelta = 7
)

// Options of Write. The zero value works.
type Options struct {
	// RefDeltas names delta bases by their ids: for receivers that did not offer
	// the ofs-delta capability.
	RefDeltas bool
	// Thin lets deltas build on objects that the selection's Haves lead to.
	Thin bool
	// NoDeltas writes every object in full.
	NoDeltas bool
	// Level is the zlib level, 1 to 9. Default 1: what is left of an object
	// beside its base is hardly ever worth more.
	Level int
}

// Write writes a pack, version 2, of the set's objects, one at a time, and
// returns its trailing checksum.
func (s *Set) Write(w io.Writer, opt Options) (sum vcs.ID, err error) {
	p := &writer{r: s.r, opt: opt, hash: sha1.New(), w: bufio.NewWriterSize(w, 64<<10)}
	if p.z, err = newDeflater(opt.Level); err != nil {
		return sum, err
	}
	var head [12]byte
	copy(head[:], "PACK")
	binary.BigEndian.PutUint32(head[4:], 2)
	binary.BigEndian.PutUint32(head[8:], uint32(s.Len()))
	p.write(head[:])
	if err := p.list(s); err != nil {
		return sum, err
	}
	if s.adds != nil {
		if err := s.adds.Each(s.ctx, p.addition); err != nil {
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
	r     vcs.ObjectReader
	opt   Options
	w     *bufio.Writer
	hash  hash.Hash
	z     *deflater
	off   int64 // bytes written
	delta []byte
	err   error
}

func (p *writer) write(b []byte) {
	if p.err != nil {
		return
	}
	p.hash.Write(b)
	p.off += int64(len(b))
	_, p.err = p.w.Write(b)
}

// list writes the items of a set.
func (p *writer) list(s *Set) error {
	offsets := make([]int64, len(s.items))
	for _, k := range packOrder {
		for i := range s.items {
			it := &s.items[i]
			if it.kind != k {
				continue
			}
			offsets[i] = p.off
			content, err := p.read(k, it.id)
			if err != nil {
				return err
			}
			var b deltaBase
			switch {
			case it.base >= 0:
				b = deltaBase{id: s.items[it.base].id, off: offsets[it.base]}
			case it.base <= outside && p.opt.Thin:
				b.id = s.outside[outside-it.base]
			}
			if !b.id.IsZero() && !p.opt.NoDeltas {
				if b.content, err = p.read(k, b.id); err != nil {
					return err
				}
			}
			if p.object(k, content, b); p.err != nil {
				return p.err
			}
		}
	}
	return p.err
}

// addition writes an object; its mark is where it is and, in the last byte, how
// long its chain of deltas is.
func (p *writer) addition(a *vcs.Addition) (mark uint64, err error) {
	off, depth := p.off, uint64(0)
	var b deltaBase
	switch {
	case a.Base.IsZero() || a.BaseMark&0xff >= maxChain:
	case a.BaseMark != 0:
		b = deltaBase{a.Base, int64(a.BaseMark >> 8), a.BaseContent}
	case p.opt.Thin:
		b = deltaBase{id: a.Base, content: a.BaseContent}
	}
	if p.object(a.Kind, a.Content, b) {
		depth = a.BaseMark&0xff + 1
	}
	return uint64(off)<<8 | depth, p.err
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

// deltaBase is what an object may be told as a change of.
type deltaBase struct {
	id      vcs.ID // zero: nothing
	off     int64  // of its entry, 0 when it is not in the pack
	content []byte
}

// object writes an entry and reports whether it is a delta.
func (p *writer) object(k vcs.Kind, content []byte, b deltaBase) bool {
	if b.id.IsZero() || p.opt.NoDeltas || len(b.content) == 0 || len(content) == 0 {
		p.entry(byte(k), deltaBase{}, content)
		return false
	}
	p.delta = delta(p.delta[:0], k, b.content, content)
	switch {
	case len(p.delta) >= len(content):
		p.entry(byte(k), deltaBase{}, content)
		return false
	case b.off == 0 || p.opt.RefDeltas:
		p.entry(typeRefDelta, b, p.delta)
	default:
		p.entry(typeOfsDelta, b, p.delta)
	}
	return true
}

// entry writes one entry.
func (p *writer) entry(typ byte, b deltaBase, content []byte) {
	var buf [40]byte
	n := len(content)
	head := append(buf[:0], typ<<4|byte(n&15))
	for n >>= 4; n > 0; n >>= 7 {
		head[len(head)-1] |= 0x80
		head = append(head, byte(n&0x7f))
	}
	switch typ {
	case typeOfsDelta:
		head = appendOffset(head, p.off-b.off)
	case typeRefDelta:
		head = append(head, b.id[:]...)
	}
	p.write(head)
	packed, err := p.z.deflate(content)
	if err != nil && p.err == nil {
		p.err = err
	}
	p.write(packed)
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
