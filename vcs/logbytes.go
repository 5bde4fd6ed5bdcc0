package vcs

import (
	"encoding/binary"
	"fmt"
)

// byteReader takes numbers and strings off the front of a log record. After
// the first thing that is not there it returns zeros, and err says so.
type byteReader struct {
	b   []byte
	err error
}

func (r *byteReader) fail(what string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: log: %s", ErrCorrupt, what)
	}
	r.b = nil
}

func (r *byteReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail("cut-off number")
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *byteReader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail("cut-off number")
		return 0
	}
	r.b = r.b[n:]
	return v
}

// count reads how many things follow that take at least size bytes each.
func (r *byteReader) count(size int) int {
	n := r.uvarint()
	if n > uint64(len(r.b)/max(size, 1)) {
		r.fail("count beyond the end")
		return 0
	}
	return int(n)
}

func (r *byteReader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.fail("cut-off bytes")
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *byteReader) byte() byte {
	b := r.take(1)
	if b == nil {
		return 0
	}
	return b[0]
}

func (r *byteReader) bytes() []byte { return r.take(r.count(1)) }

func (r *byteReader) id() (id ID) {
	copy(id[:], r.take(len(id)))
	return id
}

func appendBytes[T ~string | ~[]byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// appendPatch writes text as what lies between the ends that it shares with
// base.
func appendPatch(b []byte, base, text string) []byte {
	p := 0
	for p < len(base) && p < len(text) && base[p] == text[p] {
		p++
	}
	s := 0
	for s < len(base)-p && s < len(text)-p && base[len(base)-1-s] == text[len(text)-1-s] {
		s++
	}
	b = binary.AppendUvarint(b, uint64(p))
	b = binary.AppendUvarint(b, uint64(s))
	return appendBytes(b, text[p:len(text)-s])
}

// patch reads what appendPatch wrote. With a nil out it is skipped.
func (r *byteReader) patch(out []byte, base string, skip bool) []byte {
	p, s := r.uvarint(), r.uvarint()
	mid := r.bytes()
	if skip {
		return out
	}
	if p > uint64(len(base)) || s > uint64(len(base))-p {
		r.fail("patch of another text")
		return out
	}
	out = append(out, base[:p]...)
	out = append(out, mid...)
	return append(out, base[uint64(len(base))-s:]...)
}
