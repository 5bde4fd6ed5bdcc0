package vcs

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Signature says who did something and when. Git keeps whole seconds and the
// offset from UTC.
type Signature struct {
	Name  string
	Email string
	When  time.Time
}

// appendTo writes Git's form, `Name <email> seconds +hhmm`. Characters that
// would break the header are dropped as stock git drops them.
func (s Signature) appendTo(b []byte) []byte {
	b = append(b, cleanIdent(s.Name)...)
	b = append(b, " <"...)
	b = append(b, cleanIdent(s.Email)...)
	b = append(b, "> "...)
	b = strconv.AppendInt(b, max(s.When.Unix(), 0), 10)
	_, off := s.When.Zone()
	sign := byte('+')
	if off < 0 {
		sign, off = '-', -off
	}
	off /= 60
	h, m := off/60%100, off%60
	return append(b, ' ', sign, '0'+byte(h/10), '0'+byte(h%10), '0'+byte(m/10), '0'+byte(m%10))
}

// String returns `Name <email>`.
func (s Signature) String() string {
	return cleanIdent(s.Name) + " <" + cleanIdent(s.Email) + ">"
}

// cleanIdent drops what an identity must not hold (NUL, newline, angle
// brackets) and trims, at both ends, what stock git calls crud.
func cleanIdent(s string) string {
	if strings.ContainsAny(s, "\x00\n\r<>") {
		s = strings.Map(func(r rune) rune {
			switch r {
			case 0, '\n', '\r', '<', '>':
				return -1
			}
			return r
		}, s)
	}
	return strings.TrimFunc(s, func(r rune) bool {
		return r <= ' ' || r == '.' || r == ',' || r == ':' || r == ';' || r == '"' || r == '\\' || r == '\''
	})
}

// parseSignature reads the value of an author, committer or tagger header as
// git fsck --strict accepts it.
func parseSignature(b []byte) (Signature, error) {
	bad := func(why string) (Signature, error) {
		return Signature{}, fmt.Errorf("%w: identity %.80q: %s", ErrBadObject, b, why)
	}
	open := bytes.IndexByte(b, '<')
	if open < 0 {
		return bad("no e-mail")
	}
	end := bytes.IndexByte(b[open:], '>')
	if end < 0 {
		return bad("no end of the e-mail")
	}
	end += open
	if open == 0 || b[open-1] != ' ' {
		return bad("no space before the e-mail")
	}
	if bytes.IndexByte(b[:open], '>') >= 0 || bytes.IndexByte(b[open+1:end], '<') >= 0 {
		return bad("stray angle bracket")
	}
	var s Signature
	s.Name = string(bytes.TrimSuffix(b[:open], []byte(" ")))
	s.Email = string(b[open+1 : end])
	rest := b[end+1:]
	if len(rest) < 8 || rest[0] != ' ' {
		return bad("no date")
	}
	rest = rest[1:]
	sp := bytes.IndexByte(rest, ' ')
	if sp <= 0 || len(rest)-sp != 6 {
		return bad("no time zone")
	}
	digits, zone := rest[:sp], rest[sp+1:]
	if digits[0] == '0' && len(digits) > 1 {
		return bad("date padded with zero")
	}
	sec, err := strconv.ParseUint(string(digits), 10, 63)
	if err != nil {
		return bad("date out of range")
	}
	off, ok := parseZone(zone)
	if !ok {
		return bad("bad time zone")
	}
	if off == 0 {
		s.When = time.Unix(int64(sec), 0).UTC()
	} else {
		s.When = time.Unix(int64(sec), 0).In(time.FixedZone("", off))
	}
	return s, nil
}

// parseZone reads +hhmm and returns seconds east of UTC.
func parseZone(z []byte) (int, bool) {
	if z[0] != '+' && z[0] != '-' {
		return 0, false
	}
	for _, c := range z[1:] {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	off := (int(z[1]-'0')*10+int(z[2]-'0'))*3600 + (int(z[3]-'0')*10+int(z[4]-'0'))*60
	if z[0] == '-' {
		off = -off
	}
	return off, true
}
