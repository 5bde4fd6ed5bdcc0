package cli

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Style is how a piece of text is shown: an ANSI colour where colours are shown.
type Style string

// Styles by meaning.
const (
	Plain   Style = ""
	ID      Style = "33" // of a commit
	Ref     Style = "1;36"
	Added   Style = "32"
	Removed Style = "31"
	Changed Style = "33"
	Heading Style = "1"
	Faint   Style = "2"
	Hunk    Style = "36"
	Lane    Style = "35" // of a graph
)

// Paint returns s in a style, for Printf.
func (o *Output) Paint(st Style, s string) string {
	if !o.color || st == Plain || s == "" {
		return s
	}
	return "\x1b[" + string(st) + "m" + s + "\x1b[m"
}

// Clean returns s without what would move the cursor or change the terminal:
// control characters and broken UTF-8 become question marks. Tabs and, where
// lines is true, ends of lines stay.
func Clean(s string, lines bool) string {
	bad := func(r rune) bool {
		return r == utf8.RuneError || r != '\t' && (r != '\n' || !lines) && unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)
	}
	if strings.IndexFunc(s, bad) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		if bad(r) {
			return '?'
		}
		return r
	}, s)
}

// Cut returns s in at most width columns, with an ellipsis when it was longer.
// Width 0 is no limit. It counts characters, and knows no wide ones.
func Cut(s string, width int) string {
	if width <= 0 || utf8.RuneCountInString(s) <= width {
		return s
	}
	r := []rune(s)
	return string(r[:max(width-1, 0)]) + "…"
}
