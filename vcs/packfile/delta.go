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

// lines compares two pieces line by line: one with one when they have equally
// many, else lines that begin with the same word.
func (d *differ) lines(a, b []byte, at int) {
	n := bytes.Count(b, newline)
	if n == 0 || n > maxLines {
		d.insert(len(b))
		return
	}
	paired := n == bytes.Count(a, newline)
	for len(b) > 0 {
		y := b[:line(b)]
		skip := 0
		if !paired {
			skip = sameWord(a, y)
		}
		if skip < 0 {
			d.insert(len(y))
		} else {
			x := a[skip:]
			x = x[:line(x)]
			d.line(x, y, at+skip)
			a = a[skip+len(x):]
			at += skip + len(x)
		}
		b = b[len(y):]
	}
}

// line compares two lines. Where they are of one length, pieces in the middle
// are found, too.
func (d *differ) line(x, y []byte, at int) {
	head := commonPrefix(x, y)
	d.keep(at, head)
	at, x, y = at+head, x[head:], y[head:]
	tail := commonSuffix(x, y)
	x, y = x[:len(x)-tail], y[:len(y)-tail]
	if len(x) == len(y) {
		d.middle(x, y, at)
	} else {
		d.insert(len(y))
	}
	d.keep(at+len(x), tail)
}

// minMiddle is the shortest piece that is looked for in the middle of a line: a
// shorter one costs more to copy than it takes when it is compressed.
const minMiddle = 12

func (d *differ) middle(x, y []byte, at int) {
	from := 0 // of what is not told yet
	for i := 0; i < len(y); {
		n := commonPrefix(x[i:], y[i:])
		if n >= minMiddle {
			d.insert(i - from)
			d.keep(at+i, n)
			from = i + n
		}
		i += n + 1
	}
	d.insert(len(y) - from)
}

// sameWord returns where in a, within the next lines, one begins with the first
// word of a line; -1 when none does.
func sameWord(a, line []byte) int {
	word := line
	if i := bytes.IndexByte(line, ' '); i >= 0 {
		word = line[:i+1]
	}
	from := 0
	for range maxAhead {
		rest := a[from:]
		if bytes.HasPrefix(rest, word) {
			return from
		}
		i := bytes.IndexByte(rest, '\n')
		if i < 0 || from+i+1 == len(a) {
			break
		}
		from += i + 1
	}
	return -1
}

// maxAhead is how many lines sameWord looks at.
const maxAhead = 8

// maxLines bounds the lines that are compared.
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
