package vcs

import (
	"encoding/binary"
	"strings"
	"time"
)

// match writes the operands with which a program makes a text; ok is false when
// it does not make it. It goes through the text once, and cuts it only for
// programs that refer to its words.
func (c *textContext) match(b []byte, p program, t *cutText) ([]byte, bool) {
	if len(p) == 1 && p[0].code == opPatch {
		return appendPatch(b, c.old.text, t.text), true
	}
	if len(t.text) > maxText {
		return b, false
	}
	at, i := 0, 0 // where the i-th word begins
	for k := range p {
		op := &p[k]
		if op.code == opKeep {
			kept, ok := c.keep(i, int(op.n))
			if !ok || !strings.HasPrefix(t.text[at:], kept) {
				return b, false
			}
			i += int(op.n)
			// What has no separator behind it is the end of both.
			if at += len(kept); at < len(t.text) && (at == 0 || !isSep(t.text[at-1])) {
				return b, false
			}
			continue
		}
		if at == len(t.text) {
			return b, false
		}
		var ok bool
		if b, at, ok = c.matchWord(b, op, t, at, i); !ok {
			return b, false
		}
		switch {
		case op.sep == 0:
			ok = at == len(t.text)
		case at < len(t.text):
			ok = t.text[at] == op.sep
			at++
		default:
			ok = false
		}
		if !ok {
			return b, false
		}
		i++
	}
	return b, at == len(t.text)
}

// matchWord returns where the i-th word of a text ends, which begins at a place;
// what stands there is left to the caller to compare.
func (c *textContext) matchWord(b []byte, op *textOp, t *cutText, at, i int) (args []byte, end int, ok bool) {
	s := t.text
	same := func(w string) ([]byte, int, bool) { return b, at + len(w), strings.HasPrefix(s[at:], w) }
	switch op.code {
	case opLit:
		return same(op.text)
	case opLeaf:
		end = wordEnd(s, at) // a leaf may hold separators
		return b, end, s[at:end] == c.leaf
	case opWord:
		var w string
		if c.self {
			w, ok = t.word(int(op.n))
			ok = ok && int(op.n) < i
		} else {
			w, ok = c.word(int(op.n))
		}
		if !ok {
			return b, at, false
		}
		return same(w)
	case opOld:
		w, ok := c.old.word(int(op.n))
		if !ok {
			return b, at, false
		}
		return same(w)
	case opTime:
		v, end, ok := leadingInt(s, at)
		return b, end, ok && v == c.time+op.n
	case opMilli:
		v, end, ok := leadingInt(s, at)
		if !ok || !nearMilli(v, c.time) {
			return b, at, false
		}
		return binary.AppendVarint(b, v-c.time*1000), end, true
	case opAdd, opNum:
		v, end, ok := leadingInt(s, at)
		w, has := c.old.word(i)
		was, fits := parseInt(w)
		if !ok || !has || !fits || op.code == opAdd {
			return b, end, ok && has && fits && v-was == op.n
		}
		return binary.AppendVarint(b, v-was), end, true
	case opUint:
		v, end, ok := leadingInt(s, at)
		if !ok {
			return b, at, false
		}
		return binary.AppendUvarint(b, uint64(v)), end, true
	case opMAC:
		if end = at + macText; end > len(s) {
			return b, at, false
		}
		m, ok := parseMAC(s[at:end])
		return append(b, m[:]...), end, ok
	}
	end = wordEnd(s, at)
	b, ok = c.matchOdd(b, op, t, s[at:end], i)
	return b, end, ok
}

// matchOdd is matchWord for instructions that are not used often.
func (c *textContext) matchOdd(b []byte, op *textOp, t *cutText, w string, i int) ([]byte, bool) {
	if strings.IndexByte(w, 0) >= 0 {
		return b, false
	}
	switch op.code {
	case opDate:
		t, ok := parseDate(w)
		return b, ok && t.Nanosecond() == 0 && t.Unix() == c.time+op.n
	case opNano:
		t, ok := parseDate(w)
		if !ok || t.Unix() != c.time {
			return b, false
		}
		return binary.AppendUvarint(b, uint64(t.Nanosecond())), true
	case opHex:
		return c.matchHex(b, op, t, i)
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
// words that are equal in both become constants. Sibling says that it is of the
// same commit: how far numbers in the two are from its time is no constant then,
// unless it is the same.
func (c *textContext) learn(text string, cut, prev []word, sibling bool) program {
	if cut == nil && text != "" || len(cut) == 0 {
		return program{{code: opPatch}}
	}
	old := c.old.words()
	aligned := len(cut) == len(old)
	p := make(program, 0, len(cut))
	for i, w := range cut {
		if aligned && w.text == old[i].text && w.sep == old[i].sep {
			if n := len(p); n > 0 && p[n-1].code == opKeep {
				p[n-1].n++
			} else {
				p = append(p, textOp{code: opKeep, n: 1})
			}
			continue
		}
		same := i < len(prev) && prev[i].text == w.text
		op := c.learnWord(cut, i, aligned, same, sibling && !same)
		op.sep = w.sep
		p = append(p, op)
	}
	return p
}

func (c *textContext) learnWord(cut []word, i int, aligned, same, apart bool) textOp {
	w := cut[i].text
	digits, old := hasDigit(w), c.old.words()
	if w == c.leaf && w != "" {
		return textOp{code: opLeaf}
	}
	if digits && len(w) >= 4 {
		var from []word
		if c.self {
			from = cut[:i]
		} else if c.message != nil {
			from = c.message.words()
		}
		if j := findWord(from, w); j >= 0 {
			return textOp{code: opWord, n: int64(j)}
		}
		if j := findWord(old, w); j >= 0 {
			return textOp{code: opOld, n: int64(j)}
		}
	}
	if !digits || same {
		return textOp{code: opLit, text: w}
	}
	if v, ok := parseInt(w); ok {
		d := v - c.time
		if !apart && d > -maxConstTime && d < maxConstTime {
			return textOp{code: opTime, n: d}
		}
		if aligned {
			if was, ok := parseInt(old[i].text); ok {
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
		if d := t.Unix() - c.time; !apart && t.Nanosecond() == 0 && d > -maxConstTime && d < maxConstTime {
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
