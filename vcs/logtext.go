package vcs

import (
	"encoding/binary"
	"math/bits"
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
	at   int32 // where it begins
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

// appendWords cuts a text into words, into an empty slice with room; it returns
// nil for one that is not for cutting. It looks at eight bytes at once.
func appendWords(out []word, s string) []word {
	if len(s) > maxText {
		return nil
	}
	from, b := 0, unsafe.Slice(unsafe.StringData(s), len(s))
	for at := 0; at < len(s); at += 8 {
		var eight uint64
		if len(s)-at >= 8 {
			eight = binary.LittleEndian.Uint64(b[at:])
		} else {
			for i, c := range b[at:] {
				eight |= uint64(c) << (8 * i)
			}
			eight |= ^uint64(0) << (8 * (len(s) - at))
		}
		for low := lowBytes(eight); low != 0; low &= low - 1 {
			i := at + bits.TrailingZeros64(low)/8
			if s[i] == 0 || isSep(s[i]) && len(out) == maxWords {
				return nil
			}
			if isSep(s[i]) {
				out = append(out, word{s[from:i], int32(from), s[i]})
				from = i + 1
			}
		}
	}
	if from < len(s) {
		if len(out) == maxWords {
			return nil
		}
		out = append(out, word{text: s[from:], at: int32(from)})
	}
	return out
}

// lowBytes sets the highest bit of each of eight bytes that is below 42, as NUL
// and the separators are, and few others.
func lowBytes(eight uint64) uint64 {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	return ^((eight | high) - 42*ones) & ^eight & high
}

// cutText is a text that is cut into words when somebody needs them.
type cutText struct {
	text string
	cut  []word // nil for a text that is not for cutting
	done bool
	room []word
}

func (t *cutText) set(s string) { t.text, t.cut, t.done = s, nil, false }

func (t *cutText) words() []word {
	if t.done {
		return t.cut
	}
	if t.room == nil {
		t.room = make([]word, 0, 24)
	}
	if t.cut, t.done = appendWords(t.room[:0], t.text), true; t.cut != nil {
		t.room = t.cut
	}
	return t.cut
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
	said    []word   // of a message that is made, its beginning
	self    bool     // the text is the message
	old     cutText  // the older text
}

// words returns what the message's words, or of a message itself those before,
// are.
func (c *textContext) words() []word {
	if c.self || c.message == nil {
		return c.said
	}
	return c.message.words()
}

// render runs a program, and appends its text. The operands that it does not use stay in r.
func (c *textContext) render(out []byte, p program, r *byteReader) []byte {
	i, begin := 0, len(out)
	bad := func() { r.fail("program does not fit its text") }
	self := c.self && p.usesWords()
	own := func(from int) { // a message refers to its own words
		if self {
			c.said = append(c.said, word{text: asString(out[from:])}) // nobody writes there before the end
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
				c.said = append(c.said, c.old.words()[i:i+int(op.n)]...)
			}
			i += int(op.n)
			continue
		case opLit:
			out = append(out, op.text...)
		case opLeaf:
			out = append(out, c.leaf...)
		case opWord:
			words := c.words()
			if op.n >= int64(len(words)) {
				bad()
				return out
			}
			out = append(out, words[op.n].text...)
		case opOld:
			words := c.old.words()
			if op.n >= int64(len(words)) {
				bad()
				return out
			}
			out = append(out, words[op.n].text...)
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
			words := c.old.words()
			if i >= len(words) {
				bad()
				return out
			}
			v, _ := parseInt(words[i].text)
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
	words := c.old.words()
	if n <= 0 || i+n > len(words) {
		return "", n == 0
	}
	to := len(c.old.text)
	if i+n < len(words) {
		to = int(words[i+n].at)
	}
	return c.old.text[words[i].at:to], true
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
