package vcs

import (
	"encoding/binary"
	"slices"
	"strings"
)

// encode appends a program as a segment's dictionary holds it.
func (p program) encode(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(p)))
	for i := range p {
		op := &p[i]
		b = append(b, op.code, op.sep)
		b = binary.AppendVarint(b, op.n)
		switch op.code {
		case opLit, opStr:
			b = appendBytes(b, op.text)
		case opHex:
			b = appendBytes(b, op.text)
			b = binary.AppendUvarint(b, uint64(len(op.subs)))
			for _, s := range op.subs {
				b = binary.AppendUvarint(b, uint64(s.off))
				b = binary.AppendVarint(b, int64(s.word))
			}
		}
	}
	return b
}

// program reads what encode wrote and refuses what no encoder writes.
func (r *byteReader) program() program {
	p := make(program, r.count(3))
	if len(p) > maxWords+1 {
		r.fail("program too long")
		return nil
	}
	for i := range p {
		op := &p[i]
		op.code, op.sep, op.n = r.byte(), r.byte(), r.varint()
		switch {
		case op.code >= opCodes, op.code == opPatch && len(p) > 1, op.sep != 0 && strings.IndexByte(separators, op.sep) < 0:
			r.fail("unknown instruction")
		case (op.code == opKeep || op.code == opWord || op.code == opOld) && (op.n < 0 || op.n > maxWords):
			r.fail("instruction beyond the text")
		case op.code == opLit || op.code == opStr:
			op.text = string(r.bytes())
		case op.code == opHex:
			op.text = string(r.bytes())
			op.subs = make([]hexSub, r.count(2))
			for k := range op.subs {
				off, word := r.uvarint(), r.varint()
				if off > uint64(len(op.text)) || word < -1 || word > maxWords {
					r.fail("pattern of another text")
				}
				op.subs[k] = hexSub{int(off), int(word)}
			}
		}
		if r.err != nil {
			return nil
		}
	}
	return p
}

// maxPrograms bounds the programs that an encoder tries.
const maxPrograms = 24

// textDict finds, for texts of one kind, the program that writes them shortest.
type textDict struct {
	known  []knownProgram // last used first
	two    [2]cutText     // the last text and the next one, in turns
	turn   int            // the last one
	time   int64          // of the last one's commit
	args   []byte         // room for operands
	unused int            // programs learnt since one was of use
	texts  int
}

// last returns the last text.
func (d *textDict) last() *cutText { return &d.two[d.turn] }

// argsRoom is how much room for operands is made at once.
const argsRoom = 8 << 10

type knownProgram struct {
	p   program
	enc string
}

// written is a text as the log holds it.
type written struct {
	prog string // encoded program
	args []byte
}

var patchProgram = string(program{{code: opPatch}}.encode(nil))

// write finds the program and the operands of a text.
func (d *textDict) write(c *textContext, text string) (written, program) {
	prev := d.last()
	d.turn = 1 - d.turn
	t := d.last()
	t.set(text)
	best, at := written{}, -1
	for i := range d.known {
		k := &d.known[i]
		var room []byte
		if at < 0 {
			if cap(d.args)-len(d.args) < 64 {
				d.args = make([]byte, 0, argsRoom)
			}
			room = d.args[len(d.args):]
		}
		args, ok := c.match(room, k.p, t)
		if ok && (at < 0 || len(args) < len(best.args)) {
			if len(args) <= cap(room) {
				d.args = d.args[:len(d.args)+len(args)]
			}
			best, at = written{k.enc, args[:len(args):len(args)]}, i
			if len(args) <= 8 {
				break
			}
		}
	}
	d.texts++
	if at >= 0 && len(best.args) <= 8 {
		d.unused = 0
	} else if (d.unused < 6 || d.texts%16 == 0) && t.words() != nil {
		p := c.learn(text, t.words(), prev.words(), !c.self && d.time == c.time)
		enc := string(p.encode(nil))
		args, ok := c.match(nil, p, t)
		if ok && len(enc) < 4<<10 && (at < 0 || len(args)+8 < len(best.args)) {
			d.unused++
			best = written{enc, args}
			at = slices.IndexFunc(d.known, func(k knownProgram) bool { return k.enc == enc })
			if at < 0 {
				at = len(d.known)
				d.known = append(d.known, knownProgram{p, enc})
			}
		}
	}
	d.time = c.time
	if at < 0 {
		return written{patchProgram, appendPatch(nil, c.old.text, text)}, program{{code: opPatch}}
	}
	p := d.known[at].p
	if at > 0 {
		k := d.known[at]
		copy(d.known[1:at+1], d.known[:at])
		d.known[0] = k
	}
	if len(d.known) > maxPrograms {
		d.known = d.known[:maxPrograms]
	}
	return best, p
}
