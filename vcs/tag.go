package vcs

import (
	"bytes"
	"fmt"
	"strings"
)

// Tag is a decoded annotated tag object.
type Tag struct {
	ID      ID // of the object this was decoded from; not encoded
	Target  ID
	Kind    Kind // of the target
	Name    string
	Tagger  Signature
	Message string
}

// Encode appends the tag object's content to b.
func (t *Tag) Encode(b []byte) []byte {
	b = append(b, "object "...)
	b = appendHex(b, t.Target)
	b = append(b, "\ntype "...)
	b = append(b, t.Kind.String()...)
	b = append(b, "\ntag "...)
	b = append(b, t.Name...)
	b = append(b, "\ntagger "...)
	b = t.Tagger.appendTo(b)
	b = append(b, "\n\n"...)
	return append(b, strings.ReplaceAll(t.Message, "\x00", "")...)
}

// ParseTag decodes a tag object's content. The tagger, which very old tags
// lack, may be missing. The error wraps ErrBadObject.
func ParseTag(content []byte) (*Tag, error) {
	t := &Tag{}
	rest := content
	field := func(name string) (string, error) {
		line, r, err := headerLine(rest)
		if err != nil {
			return "", err
		}
		k, v, ok := bytes.Cut(line, []byte(" "))
		if !ok || string(k) != name {
			return "", fmt.Errorf("%w: tag: no %s header", ErrBadObject, name)
		}
		rest = r
		return string(v), nil
	}
	obj, err := field("object")
	if err != nil {
		return nil, err
	}
	if t.Target, err = ParseID(obj); err != nil {
		return nil, fmt.Errorf("%w: tag: %w", ErrBadObject, err)
	}
	kind, err := field("type")
	if err != nil {
		return nil, err
	}
	if t.Kind = ParseKind(kind); t.Kind == 0 {
		return nil, fmt.Errorf("%w: tag: unknown type %.20q", ErrBadObject, kind)
	}
	if t.Name, err = field("tag"); err != nil {
		return nil, err
	}
	if bytes.HasPrefix(rest, []byte("tagger ")) {
		who, err := field("tagger")
		if err != nil {
			return nil, err
		}
		if t.Tagger, err = parseSignature([]byte(who)); err != nil {
			return nil, err
		}
	}
	for {
		line, r, err := headerLine(rest)
		if err != nil {
			return nil, err
		}
		rest = r
		if line == nil {
			break
		}
	}
	t.Message = string(rest)
	return t, nil
}

// ParseKind returns the kind of that name, 0 when there is none.
func ParseKind(s string) Kind {
	for k := KindCommit; k <= KindTag; k++ {
		if k.String() == s {
			return k
		}
	}
	return 0
}
