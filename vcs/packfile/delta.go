package packfile

import (
	"bytes"
	"encoding/binary"
	"math/bits"

	"arpeggio/vcs"
)

// delta appends to out the instructions that make target from base (gitformat-pack(5),
// "Deltified representation"). What lies between the common beginning and end is
// compared entry by entry in trees, and line by line in other contents. That is
// enough for what a few changes leave.
func delta(out []byte, kind vcs.Kind, base, target []byte) []byte {
	d := differ{out: appendSize(appendSize(out, len(base)), len(target)), base: base, target: target}
	head := commonPrefix(base, target)
	tail := commonSuffix(base[head:], target[head:])
	if kind == vcs.KindTree && len(target)-head-tail > len(vcs.ID{}) {
		d.trees()
	} else {
		d.keep(0, head)
		d.lines(base[head:len(base)-tail], target[head:len(target)-tail], head)
		d.keep(len(base)-tail, tail)
	}
	d.flush()
	return d.out
}

// differ writes instructions for a target from its beginning on.
type differ struct {
	out          []byte
	base, target []byte
	done         int // of target, that keep and insert know of
	written      int // of target, that out makes
	from, n      int // a piece of base to copy then; what follows it is inserted
}

// minCopy is the shortest piece that is copied: a shorter one costs as much.
const minCopy = 4

// keep says that n bytes follow which stand in base.
func (d *differ) keep(from, n int) {
	switch {
	case n == 0:
	case d.n > 0 && d.written+d.n == d.done && d.from+d.n == from:
		d.n += n
	case n >= minCopy:
		d.flush()
		d.from, d.n = from, n
	}
	d.done += n
}

// insert says that n bytes follow which base does not have.
func (d *differ) insert(n int) { d.done += n }

// flush writes what is known.
func (d *differ) flush() {
	d.out = appendCopy(d.out, d.from, d.n)
	d.out = appendInsert(d.out, d.target[d.written+d.n:d.done])
	d.written, d.n = d.done, 0
}

// lines compares two pieces line by line, when they have equally many.
func (d *differ) lines(a, b []byte, at int) {
	if n := bytes.Count(b, newline); n == 0 || n > maxLines || n != bytes.Count(a, newline) {
		d.insert(len(b))
		return
	}
	for len(b) > 0 {
		x, y := a[:line(a)], b[:line(b)]
		head := commonPrefix(x, y)
		tail := commonSuffix(x[head:], y[head:])
		d.keep(at, head)
		d.insert(len(y) - head - tail)
		d.keep(at+len(x)-tail, tail)
		at += len(x)
		a, b = a[len(x):], b[len(y):]
	}
}

// maxLines bounds the lines that are compared one with one.
const maxLines = 64

var newline = []byte("\n")

// line returns the length of the first line.
func line(b []byte) int {
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return i + 1
	}
	return len(b)
}

// trees copies runs of equal entries, and the equal beginning of an entry of
// which only the id differs.
func (d *differ) trees() {
	base, target := d.base, d.target
	t, b := 0, 0
	for t < len(target) {
		te, rest, err := nextEntry(target[t:])
		if err != nil {
			d.insert(len(target) - t)
			return
		}
		tn := len(target) - len(rest) - t
		for b < len(base) {
			be, rest, err := nextEntry(base[b:])
			if err != nil {
				b = len(base)
				break
			}
			bn := len(base) - len(rest) - b
			c := compare(be, te)
			if c < 0 {
				b += bn
				continue
			}
			if c == 0 && be.mode == te.mode && bn == tn {
				n := bn
				if be.id != te.id {
					n -= len(be.id)
				}
				d.keep(b, n)
				b += bn
				t += n
				tn -= n
			}
			break
		}
		d.insert(tn)
		t += tn
	}
}

func commonPrefix(a, b []byte) int {
	n, i := min(len(a), len(b)), 0
	for ; i+8 <= n; i += 8 {
		if x := binary.LittleEndian.Uint64(a[i:]) ^ binary.LittleEndian.Uint64(b[i:]); x != 0 {
			return i + bits.TrailingZeros64(x)/8
		}
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}

func commonSuffix(a, b []byte) int {
	n, i := min(len(a), len(b)), 0
	a, b = a[len(a)-n:], b[len(b)-n:]
	for ; i+8 <= n; i += 8 {
		if x := binary.LittleEndian.Uint64(a[n-i-8:]) ^ binary.LittleEndian.Uint64(b[n-i-8:]); x != 0 {
			return i + bits.LeadingZeros64(x)/8
		}
	}
	for i < n && a[n-1-i] == b[n-1-i] {
		i++
	}
	return i
}

func appendSize(out []byte, n int) []byte {
	for n >= 0x80 {
		out = append(out, byte(n)|0x80)
		n >>= 7
	}
	return append(out, byte(n))
}

// maxCopy is the most that one copy instruction takes that version 2 packs
// allow everywhere.
const maxCopy = 0xffff

func appendCopy(out []byte, at, n int) []byte {
	for n > 0 {
		size := min(n, maxCopy)
		op := len(out)
		out = append(out, 0x80)
		for i := range 4 {
			if o := byte(at >> (8 * i)); o != 0 {
				out = append(out, o)
				out[op] |= 1 << i
			}
		}
		for i := range 2 {
			if o := byte(size >> (8 * i)); o != 0 {
				out = append(out, o)
				out[op] |= 0x10 << i
			}
		}
		at, n = at+size, n-size
	}
	return out
}

func appendInsert(out, b []byte) []byte {
	for len(b) > 0 {
		n := min(len(b), 0x7f)
		out = append(append(out, byte(n)), b[:n]...)
		b = b[n:]
	}
	return out
}
