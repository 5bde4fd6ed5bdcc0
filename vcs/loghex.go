package vcs

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strconv"
)

// hexSub says that a pattern of hexadecimal digits holds, from byte off on, the
// address that stands elsewhere in the commit.
type hexSub struct {
	off  int
	word int // of the message: a MAC address; -1: the key's name, an IPv4 address
}

// learnHex looks for the addresses of the commit in the bytes.
func (c *textContext) learnHex(b []byte, cut []word, i int) textOp {
	op := textOp{code: opHex, text: string(b)}
	for off := 0; off < len(b); {
		n := 0
		if leaf, ok := parseIPv4(c.leaf); ok && off+4 <= len(b) && [4]byte(b[off:]) == leaf {
			op.subs = append(op.subs, hexSub{off, -1})
			n = 4
		}
		for j := 0; n == 0 && c.self && j < i && off+6 <= len(b); j++ {
			if m, ok := parseMAC(cut[j].text); ok && [6]byte(b[off:]) == m {
				op.subs = append(op.subs, hexSub{off, j})
				n = 6
			}
		}
		off += max(n, 1)
	}
	return op
}

// expect returns the pattern with the addresses of this commit, given the words of
// the message. It returns nil when they are not there.
func (c *textContext) expect(op *textOp, word func(i int) (string, bool)) []byte {
	b := []byte(op.text)
	for _, s := range op.subs {
		switch {
		case s.word < 0:
			leaf, ok := parseIPv4(c.leaf)
			if !ok || s.off+4 > len(b) {
				return nil
			}
			copy(b[s.off:], leaf[:])
		default:
			w, _ := word(s.word)
			m, ok := parseMAC(w)
			if !ok || s.off+6 > len(b) {
				return nil
			}
			copy(b[s.off:], m[:])
		}
	}
	return b
}

// matchHex is matchWord for digits, the i-th word of a text.
func (c *textContext) matchHex(b []byte, op *textOp, t *cutText, i int) ([]byte, bool) {
	w, _ := t.word(i)
	have, ok := parseHex(w)
	if !ok || len(have) != len(op.text) {
		return b, false
	}
	said := c.word
	if c.self {
		said = func(k int) (string, bool) { w, ok := t.word(k); return w, ok && k < i }
	}
	want := c.expect(op, said)
	if want == nil {
		return b, false
	}
	// Runs of bytes that differ; a gap of one equal byte costs less than a run.
	type run struct{ from, to int }
	var runs []run
	for k := range have {
		if have[k] == want[k] {
			continue
		}
		if n := len(runs); n > 0 && k-runs[n-1].to <= 1 {
			runs[n-1].to = k + 1
		} else {
			runs = append(runs, run{k, k + 1})
		}
	}
	b = binary.AppendUvarint(b, uint64(len(runs)))
	at := 0
	for _, r := range runs {
		b = binary.AppendUvarint(b, uint64(r.from-at))
		b = appendBytes(b, have[r.from:r.to])
		at = r.to
	}
	return b, true
}

func (c *textContext) renderHex(out []byte, op *textOp, r *byteReader) []byte {
	b := c.expect(op, c.word)
	if b == nil {
		r.fail("program does not fit its text")
		return out
	}
	at := 0
	for n := r.count(2); n > 0; n-- {
		gap := r.uvarint()
		diff := r.bytes()
		if gap > uint64(len(b)-at) || len(diff) > len(b)-at-int(gap) {
			r.fail("run beyond the pattern")
			return out
		}
		at += int(gap)
		at += copy(b[at:], diff)
	}
	return hex.AppendEncode(out, b)
}

func skipRuns(r *byteReader) {
	for n := r.count(2); n > 0; n-- {
		r.uvarint()
		r.bytes()
	}
}

// parseHex accepts an even number of lower-case digits.
func parseHex(s string) ([]byte, bool) {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return nil, false
		}
	}
	b, err := hex.DecodeString(s)
	return b, err == nil
}

func appendInt(b []byte, v int64) []byte { return strconv.AppendInt(b, v, 10) }

// parseInt accepts decimal numbers as appendInt writes them, without a sign and
// small enough that sums of two do not overflow.
func parseInt(s string) (int64, bool) {
	v, end, ok := leadingInt(s, 0)
	return v, ok && end == len(s)
}

const maxDigits = 18

// leadingInt reads such a number from a place on and returns where it ends.
func leadingInt(s string, at int) (v int64, end int, ok bool) {
	for end = at; end < len(s) && s[end]-'0' <= 9 && end-at <= maxDigits; end++ {
		v = v*10 + int64(s[end]-'0')
	}
	n := end - at
	return v, end, n > 0 && n <= maxDigits && (n == 1 || s[at] != '0')
}

func appendMAC(b, m []byte) []byte {
	for i := range m {
		if i > 0 {
			b = append(b, ':')
		}
		b = hex.AppendEncode(b, m[i:i+1])
	}
	return b
}

// macText is the length of a MAC address.
const macText = len("02:50:00:00:00:01")

// parseMAC accepts six lower-case octets with colons.
func parseMAC(s string) (m [6]byte, ok bool) {
	if len(s) != macText || s[2] != ':' || s[5] != ':' || s[8] != ':' || s[11] != ':' || s[14] != ':' {
		return m, false
	}
	for i := range m {
		hi, lo := hexDigit(s[3*i]), hexDigit(s[3*i+1])
		if hi > 15 || lo > 15 {
			return m, false
		}
		m[i] = hi<<4 | lo
	}
	return m, true
}

func hexDigit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 255
}

func parseIPv4(s string) (b [4]byte, ok bool) {
	if len(s) > 15 || len(s) < 7 || s[0] > '9' {
		return b, false
	}
	a, err := netip.ParseAddr(s)
	if err != nil || !a.Is4() {
		return b, false
	}
	return a.As4(), true
}
