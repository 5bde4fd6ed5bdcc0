package packfile

import (
	"encoding/binary"
	"fmt"
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
	// Level is the zlib level, 1 to 9. The default is level 1 without code
	// tables for objects of less than a kilobyte: a pack that is a few percent
	// larger, and quicker to write and to read.
	Level int
	// PlainTrees leaves trees of less than a kilobyte as they are, at the default
	// level: their ids do not compress, and of a pack that has hardly anything but
	// whole trees and short blobs a receiver spends more time on the rest than on
	// its tenth more of bytes.
	PlainTrees bool
}

// Write writes a pack, version 2, of the set's objects, one at a time, and
// returns its trailing checksum. It calls w.Write from another goroutine, and
// not after it has returned.
func (s *Set) Write(w io.Writer, opt Options) (sum vcs.ID, err error) {
	p := &writer{r: s.r, opt: opt}
	if p.z, err = newDeflater(opt.Level); err != nil {
		return sum, err
	}
	p.sender = newSender(w)
	err = p.objects(s)
	sum, sendErr := p.end(err == nil)
	if err == nil {
		err = sendErr
	}
	return sum, err
}

type writer struct {
	*sender
	r      vcs.ObjectReader
	opt    Options
	z      *deflater
	delta  []byte
	window window

	commit, blob sample
	dense        *deflater // for deltas of commits; nil until there is one
}

// objects writes all but the trailer.
func (p *writer) objects(s *Set) error {
	var head [12]byte
	copy(head[:], "PACK")
	binary.BigEndian.PutUint32(head[4:], 2)
	binary.BigEndian.PutUint32(head[8:], uint32(s.Len()))
	p.write(head[:])
	if err := p.list(s); err != nil {
		return err
	}
	if s.adds != nil {
		if err := s.adds.Each(s.ctx, p.addition); err != nil {
			return err
		}
		p.flush()
	}
	return p.err
}

// list writes the items of a set.
func (p *writer) list(s *Set) error {
	offsets := make([]int64, len(s.items))
	ahead := readAhead{r: p.r}
	for _, k := range packOrder {
		for i := range s.items {
			it := &s.items[i]
			if it.kind != k {
				continue
			}
			offsets[i] = p.off
			content, ok := ahead.read(s.items[i:], k)
			if !ok {
				var err error
				if content, err = p.read(k, it.id); err != nil {
					return err
				}
			}
			var base vcs.ID
			back := int64(0)
			switch {
			case it.base >= 0:
				base, back = s.items[it.base].id, p.off-offsets[it.base]
			case it.base <= outside && p.opt.Thin:
				base = s.outside[outside-it.base]
			}
			var was []byte
			if !base.IsZero() && !p.opt.NoDeltas {
				var err error
				if was, err = p.read(k, base); err != nil {
					return err
				}
			}
			typ, stored := p.encode(k, content, was, back > 0)
			p.head(typ, len(stored), back)
			if typ == typeRefDelta {
				p.write(base[:])
			}
			packed, err := p.pack(typ, stored)
			if p.write(packed); err == nil {
				err = p.err
			}
			if err != nil {
				return err
			}
		}
	}
	return p.err
}

// pack deflates what is stored of an object of a list.
func (p *writer) pack(typ byte, stored []byte) ([]byte, error) {
	if typ == byte(vcs.KindTree) && p.opt.PlainTrees && p.opt.Level == 0 && len(stored) < smallBelow {
		return p.z.store(stored), nil
	}
	return p.z.deflate(stored)
}

// addition writes an object, or puts it into the window. Its mark is its place.
func (p *writer) addition(a *vcs.Addition) (mark any, err error) {
	if a.Kind == vcs.KindCommit {
		return p, p.writeCommit(a.Content)
	}
	base, _ := a.BaseMark.(*place)
	was := a.BaseContent
	if base == nil && !p.opt.Thin || base != nil && base.depth >= maxChain {
		was = nil
	}
	like := a.Kind == vcs.KindBlob && len(was) == 0 && p.likes(&p.blob, a.Content)
	if like {
		base, was = p.blob.place, p.blob.content
	}
	typ, stored := p.encode(a.Kind, a.Content, was, base != nil)
	if like && !p.blob.suits(stored, a.Content) {
		base, typ, stored = nil, byte(a.Kind), a.Content
	}
	w, at := &p.window, new(place)
	from := len(w.data)
	if typ == typeOfsDelta || typ == typeRefDelta {
		at.depth = 1
		if base != nil {
			at.depth = base.depth + 1
		}
	}
	if typ == typeRefDelta {
		w.data = append(w.data, a.Base[:]...)
	}
	if typ != typeOfsDelta && typ != typeRefDelta {
		base = nil
		if a.Kind == vcs.KindBlob {
			p.blob.take(a.Content, at)
		}
	}
	packed, err := p.z.deflate(stored)
	if err != nil {
		return nil, err
	}
	w.data = append(w.data, packed...)
	w.add(typ, at, base, len(stored), from)
	if w.full() {
		p.flush()
	}
	return at, p.err
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

// encode returns what is stored of an object: a delta against its base, which is
// in the pack or with the receiver, or all of it.
func (p *writer) encode(k vcs.Kind, content, base []byte, inPack bool) (typ byte, stored []byte) {
	if p.opt.NoDeltas || len(base) == 0 || len(content) == 0 {
		return byte(k), content
	}
	p.delta = delta(p.delta[:0], k, base, content)
	switch {
	case len(p.delta) >= len(content):
		return byte(k), content
	case !inPack || p.opt.RefDeltas:
		return typeRefDelta, p.delta
	}
	return typeOfsDelta, p.delta
}

// head writes the header of an entry; back is the distance to the base of an
// offset delta.
func (p *writer) head(typ byte, size int, back int64) {
	var buf [24]byte
	head := append(buf[:0], typ<<4|byte(size&15))
	for n := size >> 4; n > 0; n >>= 7 {
		head[len(head)-1] |= 0x80
		head = append(head, byte(n&0x7f))
	}
	if typ == typeOfsDelta {
		head = appendOffset(head, back)
	}
	p.write(head)
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
