package vcs

import "time"

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

// maxWords bounds the texts that are written by words.
const maxWords = 200

// appendWords cuts a text into words, into an empty slice with room; it returns
// nil for one that is not for cutting.
func appendWords(out []word, s string) []word {
	if len(s) > 8<<10 {
		return nil
	}
	from := 0
	for i := range len(s) {
		switch s[i] {
		case 0:
			return nil
		case separators[0], separators[1], separators[2]:
			if len(out) == maxWords {
				return nil
			}
			out = append(out, word{s[from:i], s[i]})
			from = i + 1
		}
	}
	if from < len(s) {
		if len(out) == maxWords {
			return nil
		}
		out = append(out, word{text: s[from:]})
	}
	return out
}

// textContext is what a text may be made from.
type textContext struct {
	leaf    string // last name of the key's path
	time    int64  // of the commit
	message []word // the commit's message; of a message itself, its beginning
	self    bool   // the text is the message
	old     string // the older text
	oldCut  []word // its words
	room    []word // for those
}

func (c *textContext) setOld(s string) {
	if c.room == nil {
		c.room = make([]word, 0, 24)
	}
	c.old, c.oldCut = s, appendWords(c.room[:0], s)
	if c.oldCut != nil {
		c.room = c.oldCut
	}
}

// render runs a program. The operands that it does not use stay in r.
func (c *textContext) render(out []byte, p program, r *byteReader) []byte {
	i := 0
	bad := func() { r.fail("program does not fit its text") }
	self := c.self && p.usesWords()
	own := func(from int) { // a message refers to its own words
		if self {
			c.message = append(c.message, word{text: string(out[from:])})
		}
	}
	for k := range p {
		op := &p[k]
		from := len(out)
		switch op.code {
		case opPatch:
			return r.patch(out, c.old, false)
		case opKeep:
			for range op.n {
				if i >= len(c.oldCut) {
					bad()
					return out
				}
				w := c.oldCut[i]
				from = len(out)
				out = append(out, w.text...)
				own(from)
				if w.sep != 0 {
					out = append(out, w.sep)
				}
				i++
			}
			continue
		case opLit:
			out = append(out, op.text...)
		case opLeaf:
			out = append(out, c.leaf...)
		case opWord:
			if op.n >= int64(len(c.message)) {
				bad()
				return out
			}
			out = append(out, c.message[op.n].text...)
		case opOld:
			if op.n >= int64(len(c.oldCut)) {
				bad()
				return out
			}
			out = append(out, c.oldCut[op.n].text...)
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
			if i >= len(c.oldCut) {
				bad()
				return out
			}
			v, _ := parseInt(c.oldCut[i].text)
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
		if len(out) > MaxObject {
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
