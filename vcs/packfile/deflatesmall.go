package packfile

import (
	"encoding/binary"
	"math/bits"
)

// smallDeflater compresses contents of less than smallBelow bytes, each into one
// block of the fixed codes (RFC 1951 §3.2.6). For an object of a few hundred
// bytes that comes out about as long as with codes of its own, since those have
// to be told; it takes a fraction of the time here, and less at the receiver.
type smallDeflater struct {
	literal [256]code
	length  [maxMatch + 1]code // extra bits included
	// at holds for a hash of four bytes where they were last, counted over all
	// contents, so that what is older than a content says so.
	at    [1 << smallHash]uint32
	count uint32
}

// code is a Huffman code, the first bit lowest, with extra bits behind it.
type code struct {
	bits uint16
	n    uint8
}

const (
	smallHash = 10
	minMatch  = 4 // shorter ones gain next to nothing with these codes
	maxMatch  = 258
)

// init makes the code tables of RFC 1951 §3.2.5 and §3.2.6.
func (d *smallDeflater) init() {
	fixed := func(symbol int) code {
		switch {
		case symbol < 144:
			return reversed(0x30+symbol, 8)
		case symbol < 256:
			return reversed(0x190+symbol-144, 9)
		case symbol < 280:
			return reversed(symbol-256, 7)
		}
		return reversed(0xc0+symbol-280, 8)
	}
	for i := range d.literal {
		d.literal[i] = fixed(i)
	}
	symbol, extra := 257, 0
	for n := 3; n < maxMatch; symbol++ {
		if symbol >= 265 {
			extra = (symbol - 261) / 4
		}
		c := fixed(symbol)
		for k := 0; k < 1<<extra && n < maxMatch; k++ {
			d.length[n] = code{c.bits | uint16(k)<<c.n, c.n + uint8(extra)}
			n++
		}
	}
	d.length[maxMatch] = fixed(285)
	d.count = 1
}

// reversed returns a Huffman code, which is sent highest bit first.
func reversed(bit, n int) code {
	return code{bits.Reverse16(uint16(bit)) >> (16 - n), uint8(n)}
}

// deflate appends the block of a content to out, which has room for its length
// and 64 bytes.
func (d *smallDeflater) deflate(out, content []byte) []byte {
	if d.count == 0 || d.count > 1<<31 {
		clear(d.at[:])
		d.init()
	}
	start := len(out)
	w := bitWriter{out: out[:cap(out)], at: start, limit: start + len(content)}
	w.put(3, 3) // final, fixed codes
	first := d.count
	d.count += uint32(len(content))
	i := 0
	for i+minMatch <= len(content) && !w.full() {
		four := binary.LittleEndian.Uint32(content[i:])
		at := &d.at[four*0x9e3779b1>>(32-smallHash)]
		was := *at
		*at = first + uint32(i)
		if was < first || binary.LittleEndian.Uint32(content[was-first:]) != four {
			w.code(d.literal[byte(four)])
			i++
			continue
		}
		from := int(was - first)
		n := minMatch + commonPrefix(content[from+minMatch:], content[i+minMatch:min(len(content), i+maxMatch)])
		w.code(d.length[n])
		w.distance(uint32(i - from))
		i += n
	}
	for ; i < len(content) && !w.full(); i++ {
		w.code(d.literal[content[i]])
	}
	if w.full() {
		return appendStored(out[:start], content)
	}
	w.put(0, 7) // end of block
	return w.finish()
}

// bitWriter writes bits, the lowest first.
type bitWriter struct {
	out   []byte
	at    int
	limit int // of at, beyond which it is not worth it
	acc   uint64
	n     uint8 // of the bits in acc
}

func (w *bitWriter) full() bool { return w.at > w.limit }

func (w *bitWriter) code(c code) { w.put(uint32(c.bits), c.n) }

// put writes up to 24 bits.
func (w *bitWriter) put(b uint32, n uint8) {
	w.acc |= uint64(b) << w.n
	if w.n += n; w.n >= 32 {
		binary.LittleEndian.PutUint32(w.out[w.at:], uint32(w.acc))
		w.at += 4
		w.acc >>= 32
		w.n -= 32
	}
}

// distance writes how far back a match is: a code of five bits, and the extra
// bits (RFC 1951 §3.2.5).
func (w *bitWriter) distance(d uint32) {
	d--
	if d < 4 {
		w.code(reversed(int(d), 5))
		return
	}
	extra := bits.Len32(d) - 2 // the code has the highest two bits
	c := reversed(int(2*extra)+int(d>>extra), 5)
	w.put(uint32(c.bits)|(d&(1<<extra-1))<<5, uint8(5+extra))
}

// finish returns what was written, padded to a byte.
func (w *bitWriter) finish() []byte {
	for ; w.n > 0; w.n -= min(w.n, 8) {
		w.out[w.at] = byte(w.acc)
		w.acc >>= 8
		w.at++
	}
	return w.out[:w.at]
}
