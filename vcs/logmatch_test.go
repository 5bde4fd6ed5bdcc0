package vcs

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// wordsOneByOne is cutText.words without its haste.
func wordsOneByOne(s string) []word {
	out, from := []word{}, 0
	if len(s) > maxText || strings.IndexByte(s, 0) >= 0 {
		return nil
	}
	for i := range len(s) {
		if strings.IndexByte(separators, s[i]) >= 0 {
			out = append(out, word{s[from:i], s[i]})
			from = i + 1
		}
	}
	if from < len(s) {
		out = append(out, word{text: s[from:]})
	}
	if len(out) > maxWords {
		return nil
	}
	return out
}

func TestWords(t *testing.T) {
	rnd := rand.New(rand.NewPCG(11, 12))
	alphabets := []string{"ab1 ", "a \n)(!\x1f*+", "0123456789.: \n", "x\x00 ", "\xff\x80\xaa\xa0\x8a) \n", " "}
	var x cutText
	for range 20_000 {
		from := alphabets[rnd.IntN(len(alphabets))]
		b := make([]byte, rnd.IntN(1+rnd.IntN(300)))
		for i := range b {
			b[i] = from[rnd.IntN(len(from))]
		}
		s := string(b)
		x.set(s)
		if have, want := x.words(), wordsOneByOne(s); !slices.Equal(have, want) || (want == nil) != (have == nil) {
			t.Fatalf("%q is cut to %q, want %q", s, have, want)
		}
	}
	if x.set(strings.Repeat("x", maxText+1)); x.words() != nil {
		t.Errorf("a text of %d bytes is cut", maxText+1)
	}
}

// textOf makes texts as people write them, out of few kinds of words.
func textOf(rnd *rand.Rand, words int) string {
	var b strings.Builder
	for range words {
		switch rnd.IntN(11) {
		case 0:
			fmt.Fprint(&b, 1_792_000_000+rnd.IntN(3))
		case 1:
			fmt.Fprintf(&b, "1792000000%03d", rnd.IntN(1000))
		case 2:
			fmt.Fprintf(&b, "02:50:2a:16:00:%02x", rnd.IntN(4))
		case 3:
			fmt.Fprintf(&b, "2026-10-14T18:26:%02dZ", 40+rnd.IntN(3))
		case 4:
			fmt.Fprintf(&b, "2026-10-14T18:26:40.%dZ", 1+rnd.IntN(9))
		case 5:
			fmt.Fprintf(&b, "0a0000%02x02502a1600%02xffff", rnd.IntN(4), rnd.IntN(4))
		case 6:
			fmt.Fprintf(&b, "10.0.0.%d", rnd.IntN(4))
		case 7:
			fmt.Fprint(&b, rnd.IntN(20))
		case 8:
			fmt.Fprint(&b, []string{"", "-", "007", "1e", "999999999999999999999", "\x00"}[rnd.IntN(6)])
		default:
			fmt.Fprint(&b, []string{"state", "mac", "of"}[rnd.IntN(3)])
		}
		b.WriteByte(separators[rnd.IntN(len(separators))])
	}
	s := b.String()
	return s[:max(0, len(s)-rnd.IntN(3))]
}

// TestMatchMakesTheText: a text that a program matches is what the program makes
// of the operands, and one that it was learnt from is matched.
func TestMatchMakesTheText(t *testing.T) {
	rnd := rand.New(rand.NewPCG(13, 14))
	var known []program
	matched, learnt := 0, 0
	for range 30_000 {
		words := rnd.IntN(6)
		var message, old cutText
		message.set(textOf(rnd, rnd.IntN(5)))
		old.set(textOf(rnd, words))
		c := textContext{leaf: []string{"10.0.0.1", "10.0.0.2", "a file", ""}[rnd.IntN(4)], time: 1_792_000_000 + int64(rnd.IntN(2)),
			message: &message, old: old, self: rnd.IntN(2) == 0}
		if c.self {
			c.message = nil
			c.old.set("")
		}
		var text cutText
		text.set(textOf(rnd, words))
		check := func(p program) bool {
			args, ok := c.match(nil, p, &text)
			if !ok {
				return false
			}
			r := byteReader{b: args}
			c.said = nil
			if made := c.render(nil, p, &r); r.err != nil || string(made) != text.text || len(r.b) > 0 {
				t.Fatalf("%+v makes %q of %q, want %q: %v, %d bytes left", p, made, old.text, text.text, r.err, len(r.b))
			}
			return true
		}
		if cut := text.words(); cut != nil {
			p := c.learn(text.text, cut, nil, false)
			if !check(p) {
				t.Fatalf("%q after %q is not matched by %+v", text.text, c.old.text, p)
			}
			learnt++
			known = append(known, p)
		}
		known = known[max(0, len(known)-40):]
		for _, p := range known {
			if check(p) {
				matched++
			}
		}
	}
	if matched < learnt*2 {
		t.Errorf("of %d programs few were used for other texts: %d", learnt, matched-learnt)
	}
}
