package vcs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Commit is a decoded commit object.
type Commit struct {
	ID        ID // of the object this was decoded from; not encoded
	Tree      ID
	Parents   []ID
	Author    Signature
	Committer Signature
	// Extra holds the headers after the committer (encoding, gpgsig, …) in
	// order; a value of several lines keeps its newlines.
	Extra   []Header
	Message string
}

// Header is one additional header line of a commit.
type Header struct{ Key, Value string }

// Time returns the commit time: the committer's.
func (c *Commit) Time() time.Time { return c.Committer.When }

// Subject returns the first line of the message.
func (c *Commit) Subject() string {
	s, _, _ := strings.Cut(c.Message, "\n")
	return s
}

// Trailers returns the `Key: value` lines of the message's last paragraph, in
// order, when that paragraph holds nothing else.
func (c *Commit) Trailers() []Header {
	msg := strings.TrimRight(c.Message, "\n")
	i := strings.LastIndex(msg, "\n\n")
	if i < 0 {
		return nil
	}
	var out []Header
	for line := range strings.Lines(msg[i+2:]) {
		key, val, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		if !ok || key == "" || strings.ContainsAny(key, " \t") {
			return nil
		}
		out = append(out, Header{key, val})
	}
	return out
}

// Trailer returns the value of the first trailer of that key, "" when there is
// none.
func (c *Commit) Trailer(key string) string {
	for _, t := range c.Trailers() {
		if strings.EqualFold(t.Key, key) {
			return t.Value
		}
	}
	return ""
}

// Encode appends the commit object's content to b. NUL bytes, which Git's
// tools refuse, are dropped from the message.
func (c *Commit) Encode(b []byte) []byte {
	b = append(b, "tree "...)
	b = appendHex(b, c.Tree)
	for _, p := range c.Parents {
		b = append(b, "\nparent "...)
		b = appendHex(b, p)
	}
	b = append(b, "\nauthor "...)
	b = c.Author.appendTo(b)
	b = append(b, "\ncommitter "...)
	b = c.Committer.appendTo(b)
	for _, h := range c.Extra {
		b = append(b, '\n')
		b = append(b, h.Key...)
		b = append(b, ' ')
		b = append(b, strings.ReplaceAll(h.Value, "\n", "\n ")...)
	}
	return appendMessage(append(b, "\n\n"...), c.Message)
}

func appendMessage(b []byte, msg string) []byte {
	if strings.IndexByte(msg, 0) < 0 {
		return append(b, msg...)
	}
	return append(b, strings.ReplaceAll(msg, "\x00", "")...)
}

// ParseCommit decodes a commit object's content. The error wraps ErrBadObject.
func ParseCommit(content []byte) (*Commit, error) {
	c := &Commit{}
	rest, line, key, err := content, []byte(nil), "", error(nil)
	next := func() bool {
		line, rest, err = headerLine(rest)
		if err != nil || line == nil {
			return false
		}
		end := bytes.IndexAny(line, " \n")
		switch {
		case end < 0:
			key, line = string(line), nil
		case line[end] == ' ':
			key, line = string(line[:end]), line[end+1:]
		default: // a name alone, with continuation lines
			key, line = string(line[:end]), line[end:]
		}
		return true
	}
	fail := func(what string) (*Commit, error) {
		if err == nil || errors.Is(err, ErrBadID) {
			err = fmt.Errorf("%w: commit: %s", ErrBadObject, what)
		}
		return nil, err
	}
	if !next() || key != "tree" {
		return fail("no tree header")
	}
	if c.Tree, err = ParseID(string(line)); err != nil {
		return fail("bad tree header")
	}
	more := next()
	for ; more && key == "parent"; more = next() {
		p, perr := ParseID(string(line))
		if perr != nil {
			err = perr
			return fail("bad parent header")
		}
		c.Parents = append(c.Parents, p)
	}
	if !more || key != "author" {
		return fail("no author header")
	}
	if c.Author, err = parseSignature(line); err != nil {
		return nil, err
	}
	if !next() || key != "committer" {
		return fail("no committer header")
	}
	if c.Committer, err = parseSignature(line); err != nil {
		return nil, err
	}
	for next() {
		c.Extra = append(c.Extra, Header{key, string(line)})
	}
	if err != nil {
		return nil, err
	}
	if bytes.IndexByte(rest, 0) >= 0 {
		return fail("NUL in the message")
	}
	c.Message = string(rest)
	return c, nil
}

// headerLine takes one header, with its continuation lines joined, off the
// front of b. The line is nil at the blank line that ends the headers, which is
// taken off too. An object may also end after its headers.
func headerLine(b []byte) (line, rest []byte, err error) {
	if len(b) == 0 {
		return nil, nil, nil
	}
	i := bytes.IndexByte(b, '\n')
	if i < 0 {
		return nil, nil, fmt.Errorf("%w: header without end of line", ErrBadObject)
	}
	if i == 0 {
		return nil, b[1:], nil
	}
	line, rest = b[:i:i], b[i+1:]
	for len(rest) > 0 && rest[0] == ' ' {
		i = bytes.IndexByte(rest, '\n')
		if i < 0 {
			return nil, nil, fmt.Errorf("%w: header without end of line", ErrBadObject)
		}
		line = append(append(line, '\n'), rest[1:i]...)
		rest = rest[i+1:]
	}
	if bytes.IndexByte(line, 0) >= 0 {
		return nil, nil, fmt.Errorf("%w: NUL in a header", ErrBadObject)
	}
	return line, rest, nil
}

func appendHex(b []byte, id ID) []byte {
	b = slices.Grow(b, 2*len(id))
	n := len(b)
	b = b[:n+2*len(id)]
	text := (*[2 * len(id)]byte)(b[n:])
	for i := 0; i < len(id); i += 4 { // eight digits at once, one in each byte
		x := uint64(binary.LittleEndian.Uint32(id[i:]))
		x = (x | x<<16) & 0x0000ffff0000ffff
		x = (x | x<<8) & 0x00ff00ff00ff00ff
		x = (x>>4 | x<<8) & 0x0f0f0f0f0f0f0f0f
		letters := (x + 0x0606060606060606) >> 4 & 0x0101010101010101
		binary.LittleEndian.PutUint64(text[2*i:], x+0x3030303030303030+letters*('a'-'0'-10))
	}
	return b
}
