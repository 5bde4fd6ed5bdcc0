package vcs

import (
	"encoding/binary"
	"time"
)

// match writes the operands with which a program makes a text; ok is false when
// it does not make it.
func (c *textContext) match(b []byte, p program, text string, cut []word) ([]byte, bool) {
	if len(p) == 1 && p[0].code == opPatch {
		return appendPatch(b, c.old, text), true
	}
	if cut == nil && text != "" {
		return b, false
	}
	i := 0
	for k := range p {
		op := &p[k]
		if op.code == opKeep {
			n := int(op.n)
			if i+n > len(cut) || i+n > len(c.oldCut) {
				return b, false
			}
			for ; n > 0; n-- {
				if cut[i] != c.oldCut[i] {
					return b, false
				}
				i++
			}
			continue
		}
		if i >= len(cut) || cut[i].sep != op.sep {
			return b, false
		}
		var ok bool
		if b, ok = c.matchWord(b, op, cut, i); !ok {
			return b, false
		}
		i++
	}
	return b, i == len(cut)
}

func (c *textContext) matchWord(b []byte, op *textOp, cut []word, i int) ([]byte, bool) {
	w := cut[i].text
	switch op.code {
	case opLit:
		return b, w == op.text
	case opLeaf:
		return b, w == c.leaf
	case opWord:
		from := c.message
		if c.self {
			from = cut[:i]
		}
		return b, op.n < int64(len(from)) && from[op.n].text == w
	case opOld:
		return b, op.n < int64(len(c.oldCut)) && c.oldCut[op.n].text == w
	case opTime:
		v, ok := parseInt(w)
		return b, ok && v == c.time+op.n
	case opDate:
		t, ok := parseDate(w)
		return b, ok && t.Nanosecond() == 0 && t.Unix() == c.time+op.n
	case opNano:
		t, ok := parseDate(w)
		if !ok || t.Unix() != c.time {
			return b, false
		}
		return binary.AppendUvarint(b, uint64(t.Nanosecond())), true
	case opMilli:
		v, ok := parseInt(w)
		if !ok || !nearMilli(v, c.time) {
			return b, false
		}
		return binary.AppendVarint(b, v-c.time*1000), true
	case opAdd, opNum:
		v, ok := parseInt(w)
		if !ok || i >= len(c.oldCut) {
			return b, false
		}
		was, ok := parseInt(c.oldCut[i].text)
		if !ok || op.code == opAdd {
			return b, ok && v-was == op.n
		}
		return binary.AppendVarint(b, v-was), true
	case opUint:
		v, ok := parseInt(w)
		if !ok {
			return b, false
		}
		return binary.AppendUvarint(b, uint64(v)), true
	case opMAC:
		m, ok := parseMAC(w)
		if !ok {
			return b, false
		}
		return append(b, m[:]...), true
	case opHex:
		return c.matchHex(b, op, cut, i)
	case opStr:
		return appendPatch(b, op.text, w), true
	}
	return b, false
}

// The largest differences that a program holds as a constant.
const (
	maxConstTime = 100_000
	maxConstAdd  = 8
)

func nearMilli(v, seconds int64) bool {
	d := v/1000 - seconds
	return d > -maxConstTime && d < maxConstTime
}

// learn makes a program for a text. Prev is an earlier text of the same kind:
// words that are equal in both become constants.
func (c *textContext) learn(text string, cut, prev []word) program {
	if cut == nil && text != "" || len(cut) == 0 {
		return program{{code: opPatch}}
	}
	aligned := len(cut) == len(c.oldCut)
	p := make(program, 0, len(cut))
	for i, w := range cut {
		if aligned && w == c.oldCut[i] {
			if n := len(p); n > 0 && p[n-1].code == opKeep {
				p[n-1].n++
			} else {
				p = append(p, textOp{code: opKeep, n: 1})
			}
			continue
		}
		op := c.learnWord(cut, i, aligned, i < len(prev) && prev[i].text == w.text)
		op.sep = w.sep
		p = append(p, op)
	}
	return p
}

func (c *textContext) learnWord(cut []word, i int, aligned, same bool) textOp {
	w := cut[i].text
	digits := hasDigit(w)
	if w == c.leaf && w != "" {
		return textOp{code: opLeaf}
	}
	if digits && len(w) >= 4 {
		from := c.message
		if c.self {
			from = cut[:i]
		}
		if j := findWord(from, w); j >= 0 {
			return textOp{code: opWord, n: int64(j)}
		}
		if j := findWord(c.oldCut, w); j >= 0 {
			return textOp{code: opOld, n: int64(j)}
		}
	}
	if !digits || same {
		return textOp{code: opLit, text: w}
	}
	if v, ok := parseInt(w); ok {
		d := v - c.time
		if d > -maxConstTime && d < maxConstTime {
			return textOp{code: opTime, n: d}
		}
		if aligned {
			if was, ok := parseInt(c.oldCut[i].text); ok {
				if d := v - was; d >= -maxConstAdd && d <= maxConstAdd {
					return textOp{code: opAdd, n: d}
				}
				if !nearMilli(v, c.time) {
					return textOp{code: opNum}
				}
			}
		}
		if nearMilli(v, c.time) {
			return textOp{code: opMilli}
		}
		return textOp{code: opUint}
	}
	if t, ok := parseDate(w); ok {
		if t.Nanosecond() != 0 && t.Unix() == c.time {
			return textOp{code: opNano}
		}
		if d := t.Unix() - c.time; t.Nanosecond() == 0 && d > -maxConstTime && d < maxConstTime {
			return textOp{code: opDate, n: d}
		}
	}
	if _, ok := parseMAC(w); ok {
		return textOp{code: opMAC}
	}
	if b, ok := parseHex(w); ok && len(b) >= 8 {
		return c.learnHex(b, cut, i)
	}
	return textOp{code: opStr, text: w}
}

func findWord(in []word, w string) int {
	for i := range in {
		if in[i].text == w {
			return i
		}
	}
	return -1
}

func hasDigit(s string) bool {
	for i := range len(s) {
		if s[i] >= '0' && s[i] <= '9' {
			return true
		}
	}
	return false
}

func appendDate(b []byte, t time.Time) []byte { return t.UTC().AppendFormat(b, time.RFC3339Nano) }

// parseDate accepts what appendDate writes.
func parseDate(s string) (time.Time, bool) {
	if len(s) < len("2006-01-02T15:04:05Z") || s[len(s)-1] != 'Z' {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || string(appendDate(nil, t)) != s {
		return time.Time{}, false
	}
	return t, true
}
