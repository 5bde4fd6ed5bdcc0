package vcs

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"time"
	"unsafe"
)

// Texts of the log, messages and values, are written as a program and its
// operands. A text is cut into words; the program says for each word where it
// comes from: the same word of the older value, the key's name, a word of the
// commit's message, the commit's time, a number of the operands. Texts that are
// made alike share a program, and then cost their operands, often nothing.

// textOp is one instruction.
type textOp struct {
	code byte
	sep  byte   // the separator after the word, 0 for none
	n    int64  // count, index or constant
	text string // of opLit; a pattern for opStr and opHex
	subs []hexSub
}

// Instructions. The comment says what follows in the operands.
const (
	opPatch byte = iota // a patch of the whole older text; the only one of its program
	opKeep              // n words of the older text at the same place: nothing
	opLit               // the constant text: nothing
	opLeaf              // the last name of the key's path: nothing
	opWord              // the n-th word of the message: nothing
	opOld               // the n-th word of the older text: nothing
	opTime              // the commit's time and n, in Unix seconds: nothing
	opDate              // the commit's time and n, RFC 3339: nothing
	opNano              // the commit's time with a fraction, RFC 3339: nanoseconds
	opMilli             // Unix milliseconds: their difference from the commit's
	opAdd               // the word of the older text at the same place, a number, and n: nothing
	opNum               // the same with another difference: the difference
	opUint              // a number: itself
	opMAC               // a MAC address: six bytes
	opHex               // hexadecimal digits: what differs from the pattern
	opStr               // any word: a patch of the pattern
	opCodes
)

type program []textOp

// word is a piece of a text up to and with the next separator.
type word struct {
	text string
	sep  byte
}

// separators end words; each may stand after one.
const separators = " \n)"

// isSep reports whether a byte is one of them.
func isSep(c byte) bool { return c == separators[0] || c == separators[1] || c == separators[2] }

// maxWords and maxText bound the texts that are written by words.
const (
	maxWords = 200
	maxText  = 8 << 10
)

// appendStarts writes where the words of a text begin, and one behind the last of
// them and its separator, if it has none one behind the text. It returns nil for
// one that is not for cutting. It looks at eight bytes at once.
func appendStarts(out []uint16, s string) []uint16 {
	if len(s) > maxText {
		return nil
	}
	from, b := 0, unsafe.Slice(unsafe.StringData(s), len(s))
	out = append(out, 0)
	for at := 0; at < len(s); at += 8 {
		for low := lowBytes(eightBytes(b[at:])); low != 0; low &= low - 1 {
			i := at + bits.TrailingZeros64(low)/8
			switch {
			case isSep(s[i]):
				from = i + 1
				out = append(out, uint16(from))
			case s[i] == 0:
				return nil
			}
		}
	}
	if from < len(s) {
		out = append(out, uint16(len(s)+1))
	}
	if len(out) > maxWords+1 {
		return nil
	}
	return out
}

// eightBytes returns the first eight bytes, the first one lowest; those behind the
// end are ones.
func eightBytes(b []byte) (x uint64) {
	if len(b) >= 8 {
		return binary.LittleEndian.Uint64(b)
	}
	x = ^uint64(0)
	for i := len(b) - 1; i >= 0; i-- {
		x = x<<8 | uint64(b[i])
	}
	return x
}

const eachByte, highBits = 0x0101010101010101, 0x8080808080808080

// lowBytes sets the highest bit of each of eight bytes that is below 42, as NUL
// and the separators are, and few others.
func lowBytes(x uint64) uint64 { return ^((x | highBits) - 42*eachByte) & ^x & highBits }

// cutText is a text that is cut into words when somebody needs them.
type cutText struct {
	text   string
	done   bool
	starts []uint16 // see appendStarts
	room   []uint16 // for those
	list   []word   // room for words
}

func (t *cutText) set(s string) { t.text, t.done = s, false }

// cut cuts the text and returns how many words it has, -1 when it is not for
// cutting.
func (t *cutText) cut() int {
	if !t.done {
		if t.room == nil {
			t.room = make([]uint16, 0, 24)
		}
		if t.starts, t.done = appendStarts(t.room[:0], t.text), true; t.starts != nil {
			t.room = t.starts
		}
	}
	return len(t.starts) - 1
}

// word returns the i-th word.
func (t *cutText) word(i int) (w string, ok bool) {
	if i < 0 || i >= t.cut() {
		return "", false
	}
	return t.text[t.starts[i] : t.starts[i+1]-1], true
}

// sep returns the separator behind the i-th word, which is there.
func (t *cutText) sep(i int) byte {
	if end := int(t.starts[i+1]) - 1; end < len(t.text) {
		return t.text[end]
	}
	return 0
}

// words returns all words, nil when the text is not for cutting. They are good
// until it is set again.
func (t *cutText) words() []word {
	n := t.cut()
	if n < 0 {
		return nil
	}
	t.list = slices.Grow(t.list[:0], max(n, 24))
	for i := range n {
		w, _ := t.word(i)
		t.list = append(t.list, word{w, t.sep(i)})
	}
	return t.list
}

// wordEnd returns where the word ends that begins at a place.
func wordEnd(s string, at int) int {
	for at < len(s) && !isSep(s[at]) {
		at++
	}
	return at
}

// textContext is what a text may be made from.
type textContext struct {
	leaf    string   // last name of the key's path
	time    int64    // of the commit
	message *cutText // the commit's message; nil for none, and while it is made itself
	said    []string // of a message that is made, its words so far
	self    bool     // the text is the message
	old     cutText  // the older text
}

// word returns the i-th word of the message, of a message itself of those before.
func (c *textContext) word(i int) (string, bool) {
	switch {
	case !c.self && c.message != nil:
		return c.message.word(i)
	case i < 0 || i >= len(c.said):
		return "", false
	}
	return c.said[i], true
}

// render runs a program, and appends its text. The operands that it does not use stay in r.
func (c *textContext) render(out []byte, p program, r *byteReader) []byte {
	i, begin := 0, len(out)
	bad := func() { r.fail("program does not fit its text") }
	self := c.self && p.usesWords()
	own := func(from int) { // a message refers to its own words
		if self {
			c.said = append(c.said, asString(out[from:])) // nobody writes there before the end
		}
	}
	for k := range p {
		op := &p[k]
		from := len(out)
		switch op.code {
		case opPatch:
			return r.patch(out, c.old.text, false)
		case opKeep:
			kept, ok := c.keep(i, int(op.n))
			if !ok {
				bad()
				return out
			}
			out = append(out, kept...)
			if self {
				for k := range int(op.n) {
					w, _ := c.old.word(i + k)
					c.said = append(c.said, w)
				}
			}
			i += int(op.n)
			continue
		case opLit:
			out = append(out, op.text...)
		case opLeaf:
			out = append(out, c.leaf...)
		case opWord:
			w, ok := c.word(int(op.n))
			if !ok {
				bad()
				return out
			}
			out = append(out, w...)
		case opOld:
			w, ok := c.old.word(int(op.n))
			if !ok {
				bad()
				return out
			}
			out = append(out, w...)
		case opTime:
			out = appendInt(out, c.time+op.n)
		case opDate:
			out = appendDate(out, time.Unix(c.time+op.n, 0))
		case opNano:
			out = appendDate(out, time.Unix(c.time, int64(r.uvarint()%1e9)))
		case opMilli:
			out = appendInt(out, c.time*1000+r.varint())
		case opAdd, opNum:
			d := op.n
			if op.code == opNum {
				d = r.varint()
			}
			w, ok := c.old.word(i)
			if !ok {
				bad()
				return out
			}
			v, _ := parseInt(w)
			out = appendInt(out, v+d)
		case opUint:
			out = appendInt(out, int64(r.uvarint()))
		case opMAC:
			out = appendMAC(out, r.take(6))
		case opHex:
			out = c.renderHex(out, op, r)
		case opStr:
			out = r.patch(out, op.text, false)
		}
		if len(out)-begin > MaxObject {
			bad()
		}
		if r.err != nil {
			return out
		}
		own(from)
		if op.sep != 0 {
			out = append(out, op.sep)
		}
		i++
	}
	return out
}

// keep returns n words of the older text from the i-th on, with their separators.
func (c *textContext) keep(i, n int) (string, bool) {
	if n < 0 || i+n > c.old.cut() {
		return "", false
	}
	starts := c.old.starts
	return c.old.text[starts[i]:min(int(starts[i+n]), len(c.old.text))], true
}

// skip takes the operands of a program off r.
func (p program) skip(r *byteReader) {
	for k := range p {
		switch p[k].code {
		case opPatch, opStr:
			r.patch(nil, "", true)
		case opNano, opUint:
			r.uvarint()
		case opMilli, opNum:
			r.varint()
		case opMAC:
			r.take(6)
		case opHex:
			skipRuns(r)
		}
	}
}

// usesWords reports whether a message's program refers to words before.
func (p program) usesWords() bool {
	for i := range p {
		if p[i].code == opWord || p[i].code == opHex && len(p[i].subs) > 0 {
			return true
		}
	}
	return false
}
