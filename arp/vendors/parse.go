package vendors

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"strconv"
	"strings"
)

// Assignment is a range of addresses that somebody was given: those whose first
// Bits bits (24, 28 or 36) are Prefix.
type Assignment struct {
	Prefix uint64
	Bits   uint
	Name   string
}

// authority stands in the registry for the ranges that are given away in parts.
const authority = "IEEE Registration Authority"

// maxName bounds a name; the longest of 2022 has 100 octets.
const maxName = 160

// ErrRegistry is wrapped by the error for input that is not in the form of the
// IEEE's text files, and for a damaged table.
var ErrRegistry = errors.New("vendors: not a registry")

// Parse reads one of the IEEE's text files, oui.txt, mam.txt, oui36.txt or
// iab.txt. An assignment has a line with its first 24 bits and one with what
// follows:
//
//	70-B3-D5   (hex)		TELEPLATFORMS
//	F2F000-F2FFFF     (base 16)		TELEPLATFORMS
//
// In oui.txt the second line repeats the 24 bits. All other lines, addresses of
// companies, do not count. What the authority gives away in parts is left out.
func Parse(r io.Reader) ([]Assignment, error) {
	var out []Assignment
	sc := bufio.NewScanner(r)
	var oui uint64
	have := false
	for n := 1; sc.Scan(); n++ {
		line := sc.Text()
		if span, _, ok := strings.Cut(line, "(hex)"); ok {
			v, err := strconv.ParseUint(strings.ReplaceAll(strings.TrimSpace(span), "-", ""), 16, 24)
			if err != nil {
				return nil, fmt.Errorf("%w: line %d: want 24 bits: %.60q", ErrRegistry, n, line)
			}
			oui, have = v, true
			continue
		}
		span, name, ok := strings.Cut(line, "(base 16)")
		if !ok {
			continue
		}
		a, err := parseRange(oui, strings.TrimSpace(span))
		if err != nil || !have {
			return nil, fmt.Errorf("%w: line %d: want a range within the line before it: %.60q", ErrRegistry, n, line)
		}
		have = false
		if a.Name = tidy(name); a.Name != "" && a.Name != authority {
			out = append(out, a)
		}
	}
	if err := sc.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRegistry, err)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: no assignments in it", ErrRegistry)
	}
	return out, nil
}

// parseRange reads what follows 24 bits: the same 24 bits, or the first and the
// last of the second half.
func parseRange(oui uint64, s string) (Assignment, error) {
	first, last, ok := strings.Cut(s, "-")
	a, err := strconv.ParseUint(first, 16, 24)
	if err != nil {
		return Assignment{}, err
	}
	if !ok {
		if a != oui {
			return Assignment{}, ErrRegistry
		}
		return Assignment{Prefix: oui, Bits: 24}, nil
	}
	b, err := strconv.ParseUint(last, 16, 24)
	if err != nil {
		return Assignment{}, err
	}
	free := uint(bits.Len64(a ^ b)) // bits that the owner may choose
	if n := uint64(1)<<free - 1; a&n != 0 || b&n != n || free != 20 && free != 12 {
		return Assignment{}, ErrRegistry
	}
	return Assignment{Prefix: (oui<<24 | a) >> free, Bits: 48 - free}, nil
}

// tidy returns a name of printable characters with single spaces.
func tidy(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == '\ufffd' || !strconv.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > maxName {
		s = strings.ToValidUTF8(s[:maxName], "")
	}
	return s
}
