package packfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"sync"

	"github.com/pjbgf/sha1cd"

	"arpeggio/vcs"
)

// Values of packed.base below zero: no base, not known yet, or the base
// number outside-base of those that the pack lacks.
const (
	noBase  = -1
	outside = -2
)

// packed is one object of a pack.
type packed struct {
	id     vcs.ID
	off    int64 // of its entry
	crc    uint32
	stored uint32 // inflated size of what is stored, a delta perhaps
	size   uint32 // of the object
	base   int32
	depth  uint16
	head   uint8    // bytes before the zlib stream
	kind   vcs.Kind // 0: not known yet
	known  bool     // Check found it outside, too
}

// Pack is an indexed pack: what stock git's index-pack makes of one. It is an
// ObjectReader over the pack's own objects and safe for concurrent use.
type Pack struct {
	limits  Limits
	scratch Scratch
	outside vcs.ObjectReader
	sum     vcs.ID
	end     int64 // where the trailer begins

	objects []packed
	visit   []int32 // bases before what builds on them
	byID    []int32
	bases   []vcs.ID // outside the pack
	waiting map[vcs.ID][]int32

	mu    sync.Mutex
	zlib  inflater
	cache contents
	total int64
	work  int64

	hash hash.Hash
	buf  []byte
}

// Config configures Index. The zero value works.
type Config struct {
	Limits Limits
	// Bases are the receiver's objects, which a thin pack builds on. Nil: none.
	Bases vcs.ObjectReader
	// Scratch keeps the pack, byte for byte from its beginning, and must
	// outlive the Pack. Nil means memory, at most Limits.PackBytes.
	Scratch Scratch
}

// Index reads one pack to the end of r, checks its checksum, applies every delta
// and names every object by SHA-1 with collision detection. Nothing is believed:
// each failure is one of this package's sentinel errors, or the error of r,
// ctx, the scratch or the bases. Memory stays within the Limits.
//
// The objects' form, and what they lead to, is Check's to look at.
func Index(ctx context.Context, r io.Reader, cfg Config) (*Pack, error) {
	p := &Pack{
		limits:  cfg.Limits.withDefaults(),
		scratch: cfg.Scratch,
		outside: cfg.Bases,
		waiting: map[vcs.ID][]int32{},
		hash:    sha1cd.New(),
	}
	if p.scratch == nil {
		p.scratch = new(memory)
	}
	p.cache.max = p.limits.CacheBytes
	if err := p.scan(newInput(ctx, r, p.scratch, p.limits.PackBytes)); err != nil {
		return nil, err
	}
	if err := p.resolve(ctx); err != nil {
		return nil, err
	}
	return p, p.sort()
}

// Len returns the number of objects.
func (p *Pack) Len() int { return len(p.objects) }

// Sum returns the pack's trailing checksum.
func (p *Pack) Sum() vcs.ID { return p.sum }

// Thin reports whether deltas of the pack build on objects outside of it.
func (p *Pack) Thin() bool { return len(p.bases) > 0 }

// Has reports whether the pack holds an object.
func (p *Pack) Has(id vcs.ID) bool {
	_, ok := p.find(id)
	return ok
}

// IDs yields the names of the objects in ascending order.
func (p *Pack) IDs(yield func(vcs.ID) bool) {
	for _, i := range p.byID {
		if !yield(p.objects[i].id) {
			return
		}
	}
}

// ReadObject implements vcs.ObjectReader for the pack's own objects.
func (p *Pack) ReadObject(id vcs.ID) (vcs.Kind, []byte, error) {
	i, ok := p.find(id)
	if !ok {
		return 0, nil, fmt.Errorf("%w: %v", vcs.ErrNotFound, id)
	}
	content, err := p.content(i)
	return p.objects[i].kind, content, err
}

func (p *Pack) find(id vcs.ID) (int32, bool) {
	at, ok := slices.BinarySearchFunc(p.byID, id, func(i int32, id vcs.ID) int {
		return bytes.Compare(p.objects[i].id[:], id[:])
	})
	if !ok {
		return 0, false
	}
	return p.byID[at], true
}

// name hashes an object.
func (p *Pack) name(k vcs.Kind, content []byte) (id vcs.ID, err error) {
	p.hash.Reset()
	p.buf = fmt.Appendf(p.buf[:0], "%s %d\x00", k, len(content))
	p.hash.Write(p.buf)
	p.hash.Write(content)
	sum, collides := p.hash.(sha1cd.CollisionResistantHash).CollisionResistantSum(id[:0])
	if collides {
		return id, fmt.Errorf("%w: SHA-1 appears to be part of a collision attack: %x", ErrCollision, sum)
	}
	return id, nil
}

// grow accounts for n more bytes of objects.
func (p *Pack) grow(n int64) error {
	if p.total += n; p.total > p.limits.TotalBytes {
		return fmt.Errorf("%w: %d bytes inflated", ErrLimit, p.limits.TotalBytes)
	}
	return nil
}

// resolve applies the deltas, depth first, so that a base is at hand for what
// builds on it.
func (p *Pack) resolve(ctx context.Context) error {
	r := resolver{Pack: p, ctx: ctx, first: make([]int32, len(p.objects)), next: make([]int32, len(p.objects))}
	for i := range r.first {
		r.first[i] = noBase
	}
	for i, o := range slices.Backward(p.objects) {
		if o.base >= 0 {
			r.next[i], r.first[o.base] = r.first[o.base], int32(i)
		}
	}
	p.visit = make([]int32, 0, len(p.objects))
	for i, o := range p.objects {
		if o.kind != 0 && o.base == noBase {
			if err := r.from(int32(i)); err != nil {
				return err
			}
		}
	}
	if err := r.thin(); err != nil {
		return err
	}
	if n := len(p.objects) - len(p.visit); n > 0 {
		return fmt.Errorf("%w: pack has %d unresolved deltas", ErrUnresolved, n)
	}
	p.waiting = nil
	return nil
}

type resolver struct {
	*Pack
	ctx         context.Context
	first, next []int32 // children by ofs-delta
	stack       []int32
}

// from resolves object i and all that builds on it.
func (r *resolver) from(i int32) error {
	r.stack = append(r.stack[:0], i)
	for len(r.stack) > 0 {
		i := r.stack[len(r.stack)-1]
		r.stack = r.stack[:len(r.stack)-1]
		if err := r.ctx.Err(); err != nil {
			return err
		}
		if err := r.object(i); err != nil {
			return err
		}
		r.visit = append(r.visit, i)
		for c := r.first[i]; c != noBase; c = r.next[c] {
			r.stack = append(r.stack, c)
		}
		id := r.objects[i].id
		for _, c := range r.waiting[id] {
			r.objects[c].base = i
			r.stack = append(r.stack, c)
		}
		delete(r.waiting, id)
	}
	return nil
}

// object finds out kind and name of a delta.
func (r *resolver) object(i int32) error {
	o := &r.objects[i]
	if o.base == noBase {
		return nil
	}
	if o.base >= 0 {
		b := r.objects[o.base]
		o.kind, o.depth = b.kind, b.depth+1
	}
	if int(o.depth) > r.limits.Depth {
		return fmt.Errorf("%w: a chain of more than %d deltas", ErrLimit, r.limits.Depth)
	}
	content, err := r.content(i)
	if err != nil {
		return err
	}
	o.size = uint32(len(content))
	if o.id, err = r.name(o.kind, content); err != nil {
		return err
	}
	return r.grow(int64(len(content)))
}

// thin resolves the deltas against objects that the pack does not hold.
func (r *resolver) thin() error {
	if r.outside == nil {
		return nil
	}
	want := make([]vcs.ID, 0, len(r.waiting))
	for id := range r.waiting {
		want = append(want, id)
	}
	slices.SortFunc(want, func(a, b vcs.ID) int { return bytes.Compare(a[:], b[:]) })
	for _, id := range want {
		deltas, ok := r.waiting[id]
		if !ok {
			continue // an object of the pack by now
		}
		kind, _, err := r.outside.ReadObject(id)
		if errors.Is(err, vcs.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		r.bases = append(r.bases, id)
		delete(r.waiting, id)
		for _, i := range deltas {
			o := &r.objects[i]
			o.base, o.kind, o.depth = outside-int32(len(r.bases)-1), kind, 1
			if err := r.from(i); err != nil {
				return err
			}
		}
	}
	return nil
}

// sort orders the names.
func (p *Pack) sort() error {
	p.byID = slices.Clone(p.visit)
	slices.SortFunc(p.byID, func(a, b int32) int { return bytes.Compare(p.objects[a].id[:], p.objects[b].id[:]) })
	for k := 1; k < len(p.byID); k++ {
		if id := p.objects[p.byID[k]].id; id == p.objects[p.byID[k-1]].id {
			return fmt.Errorf("%w: %v", ErrDuplicate, id)
		}
	}
	return nil
}
